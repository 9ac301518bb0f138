"""What the commands about repeated trainings have in common: where they train, how long, and from which other base."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.project.paths import find_project
from tasks.running.command_line import exit_status
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings

MODES = ("FT", "FC-FT")  # of a pair
RUNS_FOLDER = "runs"  # of all trainings, in the output folder


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where is trained, and how often is measured."""
    add = parser.add_argument
    add("--project", metavar="FOLDER", help="a project with the domain's prepared images and its base (default: this)")
    add("--every-kimg", metavar="N", type=float, default=2.0, help="thousands of images between measurements")
    add("--out", metavar="DIR", type=Path, required=True, help="output folder, for tables and resumable trainings")


def add_options(parser: argparse.ArgumentParser, *, apart_is_required: bool) -> None:
    """Add the options that say what is trained, and those of `add_place`."""
    add_place(parser)
    add = parser.add_argument
    add(
        "--apart",
        metavar="BASE",
        required=apart_is_required,
        help="also fine-tune this base of the project, as a model trained apart",
    )
    add("--kimg", metavar="N", type=float, help="thousands of images of each training (default: as params.yaml says)")
    add(
        "--apart-kimg",
        metavar="N",
        type=float,
        help="thousands of images of the models of another base, which may need more of them (default: as the others)",
    )


def run_command(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, work: Callable[[argparse.Namespace], object]
) -> int:
    """Do the work in the project's folder; return the exit status: 0, or 2 after printing one line `error: ...`."""
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()

    def in_project() -> None:
        os.chdir(find_project(options.project).root)  # paths in params.yaml count from there
        work(options)

    return exit_status(in_project)


def trainings_of_one_base(options: argparse.Namespace) -> "dict[str, Trainings]":
    """Return the trainings of the domains that were named.

    Raises:
        ConfigError: they have different bases, or params.yaml is not valid.
    """
    trainings = {domain: trainings_of(options, domain) for domain in options.domains}
    bases = list(dict.fromkeys(each.base for each in trainings.values()))
    if len(bases) > 1:
        raise ConfigError(f"expected domains of one base, got those of {', '.join(bases)}; name others")
    return trainings


def trainings_of(options: argparse.Namespace, domain: str) -> "Trainings":
    """Return the trainings of a domain of the project in the working directory.

    Raises:
        ConfigError: params.yaml is not valid.
    """
    from experiments.paper.seeds.trainings import Trainings
    from tasks.project.params import load_params
    from tasks.running.stage_cli import default_device

    project = find_project(None)
    return Trainings(
        project=project,
        params=load_params(project),
        domain=domain,
        apart=options.apart,
        total_kimg=options.kimg,
        apart_kimg=options.apart_kimg,
        every_kimg=options.every_kimg,
        folder=options.out / RUNS_FOLDER,
        device=default_device(),
    )
