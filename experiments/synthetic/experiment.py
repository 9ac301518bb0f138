"""What the synthetic domains add to the product: the command `ui2i data draw`."""

import typer

from tasks.project.experiment import Experiment


def _add_commands(_: typer.Typer) -> None:
    from cli.data import data_app
    from experiments.synthetic.commands import register

    register(data_app)


EXPERIMENT = Experiment(name="synthetic", add_commands=_add_commands)
