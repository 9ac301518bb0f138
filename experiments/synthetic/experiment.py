"""What the synthetic domains add to the product: the command `ui2i data draw`."""

from typing import TYPE_CHECKING

from tasks.project.experiment import Experiment

if TYPE_CHECKING:
    import typer

    from experiments.synthetic.settings import SyntheticSections


def _add_commands(_: "typer.Typer") -> None:
    from cli.data import data_app
    from experiments.synthetic.commands import register

    register(data_app)


def _sections() -> "type[SyntheticSections]":
    from experiments.synthetic.settings import SyntheticSections

    return SyntheticSections


EXPERIMENT = Experiment(name="synthetic", add_commands=_add_commands, sections=_sections)
