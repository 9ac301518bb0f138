"""The results of a reproduction, read for its page: tables and costs, as far as they exist."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from experiments.paper import paper_paths
from experiments.paper.reproduction.project import reproduction_stages
from experiments.paper.settings import sections_of
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.costs import Cost, read_cost
from ui2i.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from experiments.paper.tables import Cell

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that the page reports. What has not been measured is None or left out."""

    project: Project
    params: Params
    distances: "list[Cell]"  # of Table I, measured ones
    evaluations: "pd.DataFrame | None"  # rows of EVALUATION_SCHEMA, the last of each system, domain and kind of inputs
    truth: "dict[str, pd.DataFrame]"  # rows of TRUTH_SCHEMA by domain
    baseline_truth: "dict[str, pd.DataFrame]"
    inversions: "dict[str, pd.DataFrame]"  # rows of INVERTED_SCHEMA by base
    agreement: "pd.DataFrame | None"  # behind Figure 6
    measures: "dict[str, pd.DataFrame]"  # behind Figures 7 and 8
    costs: dict[str, Cost]  # by stage


def read_results(project: Project) -> Results:
    """Read what is there.

    Raises:
        ConfigError: the settings are not valid.
        DataError: a table is damaged.
    """
    from experiments.paper.figures.schemas import AGREEMENT_SCHEMA, MEASURES_SCHEMA
    from experiments.paper.stages.table import distances_of_all, evaluations_of_all
    from experiments.paper.tables import model_distance_table
    from ui2i.tables import INVERTED_SCHEMA, TRUTH_SCHEMA

    params = load_params(project)
    distances = _if_measured(lambda: distances_of_all(project, params))
    evaluations = _if_measured(lambda: evaluations_of_all(project, params))
    cells = [] if distances is None else model_distance_table(distances).cells
    figures = paper_paths.figures(project)
    sections = sections_of(params)
    return Results(
        project=project,
        params=params,
        distances=[cell for cell in cells if cell.origin == "measured"],
        evaluations=None if evaluations is None else _last(evaluations),
        truth=_tables({name: project.truth_table(name) for name in sections.truth}, TRUTH_SCHEMA),
        baseline_truth=_tables(
            {name: paper_paths.baseline_truth(project, name) for name in sections.baselines}, TRUTH_SCHEMA
        ),
        inversions=_tables(
            {base: paper_paths.inverted_table(project, base) for base in sections.inversions}, INVERTED_SCHEMA
        ),
        agreement=_tables({"6": figures / "figure6.agreement.parquet"}, AGREEMENT_SCHEMA).get("6"),
        measures=_tables({number: figures / f"figure{number}.parquet" for number in ("7", "8")}, MEASURES_SCHEMA),
        costs=_costs(project, params),
    )


def _if_measured(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except DataError as error:
        if "was measured yet" not in str(error):
            raise
        return None


def _last(evaluations: "pd.DataFrame") -> "pd.DataFrame":
    return evaluations.drop_duplicates(["source_domain", "domain", "system", "inputs"], keep="last")


def _tables(paths: dict[str, Path], schema: "pa.Schema") -> "dict[str, pd.DataFrame]":
    from ui2i.tables import read_table

    return {name: read_table(path, schema) for name, path in paths.items() if path.is_file()}


def _costs(project: Project, params: Params) -> dict[str, Cost]:
    found = {stage: read_cost(project.cost_file(stage)) for stage in reproduction_stages(params)}
    return {stage: cost for stage, cost in found.items() if cost is not None and cost.is_complete}
