"""What the paper's experiments add to the product: commands, and the paper's tables in the report."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.project.experiment import Experiment
from ui2i.errors import DataError

if TYPE_CHECKING:
    import typer
    from markupsafe import Markup

    from experiments.paper.settings import PaperSections
    from tasks.project.params import Params
    from tasks.project.paths import Project


def _add_commands(app: "typer.Typer") -> None:
    from experiments.paper import commands, measurement_commands

    measurement_commands.register(app)
    commands.register(app)


def _report_sections(project: "Project", params: "Params") -> "Iterator[tuple[str, list[Markup]]]":
    from experiments.paper.settings import TABLE_SOURCES
    from experiments.paper.stages.table import build_table
    from experiments.paper.tables.html import paper_table

    parts = []
    for number in TABLE_SOURCES:
        try:
            parts.append(paper_table(build_table(project, params, number)))
        except DataError as error:
            if "was measured yet" not in str(error):
                raise
    yield "The paper's tables", parts


def _sections() -> "type[PaperSections]":
    from experiments.paper.settings import PaperSections

    return PaperSections


EXPERIMENT = Experiment(name="paper", add_commands=_add_commands, sections=_sections, report_sections=_report_sections)
