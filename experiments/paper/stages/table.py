"""Stage table@: what was measured in all domains -> a table of the paper in data/tables/paper/table<number>.*."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paper import paper_paths
from experiments.paper.settings import TABLE_SOURCES, sections_of
from tasks.project.params import Params
from tasks.project.paths import Project
from tasks.running.stage_cli import Job, Stage, main
from ui2i.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from experiments.paper.tables import PaperTable

MAKERS = {
    "1": "`ui2i demo`, `ui2i new-domain` or `dvc repro distance@DOMAIN`",
    "2": "`dvc repro evaluate@DOMAIN`",
    "3": "`ui2i compare-inversions` or `dvc repro compare_inversions@BASE`",
}
"""What makes the rows that a table is made from."""


def work(job: Job) -> None:
    """Write the table as Parquet, CSV and Markdown."""
    write_paper_table(paper_paths.paper_table(job.project, job.name), build_table(job.project, job.params, job.name))


def build_table(project: Project, params: Params, number: str) -> "PaperTable":
    """Return a table of the paper from the last measurement of everything in `params.yaml`.

    What `ui2i measure` and `ui2i evaluate` were asked for takes part.

    Args:
        number: 1, 2 or 3.

    Raises:
        ConfigError: there is no such table.
        DataError: nothing was measured yet, or a file is damaged.
    """
    from experiments.paper.tables import inversion_table, model_distance_table, translation_table

    if number not in TABLE_SOURCES:
        raise ConfigError(f"there is no table {number}, expected one of {', '.join(TABLE_SOURCES)}; correct the number")
    if number == "1":
        return model_distance_table(distances_of_all(project, params))
    if number == "2":
        return translation_table(evaluations_of_all(project, params))
    return inversion_table(_inversions(project, params))


def distances_of_all(project: Project, params: Params) -> "pd.DataFrame":
    """Return all rows of all domains' and pairs' distance tables, and before them those that `ui2i measure` made.

    So a stage's row of a pair counts, whatever somebody tried by hand.

    Raises:
        DataError: there are none.
    """
    from ui2i.tables import DISTANCE_SCHEMA

    paths = [project.distance_table(domain) for domain in params.domains]
    paths += [paper_paths.pair_table(project, pair) for pair in sections_of(params).pairs]
    return _concat([project.measured_distances, *paths], DISTANCE_SCHEMA, "1")


def evaluations_of_all(project: Project, params: Params) -> "pd.DataFrame":
    """Return all rows of all domains' and baselines' evaluation tables, and before them those of `ui2i evaluate`.

    Raises:
        DataError: there are none.
    """
    from ui2i.tables import EVALUATION_SCHEMA

    paths = [project.evaluation_table(domain) for domain in params.domains]
    paths += [paper_paths.image_evaluation(project, domain) for domain in sections_of(params).evaluated]
    paths += [paper_paths.baseline_evaluation(project, domain) for domain in sections_of(params).baselines]
    measured = sorted(project.measured_evaluations("*").parent.glob(project.measured_evaluations("*").name))
    return _concat([*measured, *paths], EVALUATION_SCHEMA, "2")


def write_paper_table(path: Path, table: "PaperTable") -> None:
    """Write a table's values as Parquet to `path` and as CSV beside it, and the table for people as Markdown."""
    from ui2i.files import write_text
    from ui2i.tables import PAPER_TABLE_SCHEMA, write_table

    write_table(path, table.to_rows(), PAPER_TABLE_SCHEMA)
    write_text(path.with_suffix(".csv"), table.to_csv())
    write_text(path.with_suffix(".md"), table.to_markdown())


def _concat(paths: list[Path], schema: "pa.Schema", number: str) -> "pd.DataFrame":
    import pandas as pd

    from ui2i.tables import read_table

    frames = [read_table(path, schema) for path in paths if path.is_file()]
    if not frames:
        raise _nothing_yet(number)
    return pd.concat(frames, ignore_index=True)


def _inversions(project: Project, params: Params) -> "dict[str, pd.DataFrame]":
    from ui2i.tables import INVERTED_SCHEMA, read_table

    tables = {base: paper_paths.inverted_table(project, base) for base in [*params.bases, *params.imported]}
    frames = {base: read_table(path, INVERTED_SCHEMA) for base, path in tables.items() if path.is_file()}
    if not frames:
        raise _nothing_yet("3")
    return frames


def _nothing_yet(number: str) -> DataError:
    return DataError(
        f"nothing for table {number} was measured yet, expected a table below data/tables/{TABLE_SOURCES[number]}; "
        f"run {MAKERS[number]}"
    )


STAGE = Stage(
    name="table",
    summary="Make the paper's table NAME (1, 2 or 3) from the measurements of all domains.",
    option="table",
    output=paper_paths.paper_table,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
