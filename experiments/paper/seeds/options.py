"""What the commands about repeated trainings have in common: where they train, how long, and from which other base."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.project.paths import find_project

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings

RUNS_FOLDER = "runs"  # of all trainings, in the output folder


def add_options(parser: argparse.ArgumentParser, *, apart_is_required: bool) -> None:
    """Add the options that say what is trained."""
    add = parser.add_argument
    add("--project", metavar="FOLDER", help="a project with the domain's prepared images and its base (default: this)")
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
    add("--every-kimg", metavar="N", type=float, default=2.0, help="thousands of images between measurements")
    add("--out", metavar="DIR", type=Path, required=True, help="output folder, for tables and resumable trainings")


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
