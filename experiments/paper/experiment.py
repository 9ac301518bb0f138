"""What the paper's experiments add to the product: commands, and the paper's tables in the report."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from tasks.project.experiment import Experiment
from ui2i.errors import DataError

if TYPE_CHECKING:
    from tasks.project.params import Params
    from tasks.project.paths import Project


def _add_commands(app: typer.Typer) -> None:
    from experiments.paper import commands, measurement_commands

    measurement_commands.register(app)
    commands.register(app)


def _report_sections(project: "Project", params: "Params") -> Iterator[tuple[str, list[str]]]:
    from experiments.paper.stages.table import build_table
    from experiments.paper.tables.html import paper_table
    from tasks.project.measurement_params import TABLE_SOURCES

    parts = []
    for number in TABLE_SOURCES:
        try:
            parts.append(paper_table(build_table(project, params, number)))
        except DataError as error:
            if "was measured yet" not in str(error):
                raise
    yield "The paper's tables", parts


EXPERIMENT = Experiment(name="paper", add_commands=_add_commands, report_sections=_report_sections)
