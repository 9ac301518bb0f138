"""Stage figures@: the models of all families -> Figures 4 to 8 of the paper and what they measure, in data/figures."""

import json
import sys
from pathlib import Path

from experiments.paper import paper_paths
from experiments.paper.settings import FIGURE_SET, sections_of
from tasks.project.params import Params
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.stage_cli import Job, Stage, main

NUM_PARTS = 4
"""Of the work, for its progress."""


def work(job: Job) -> None:
    """Write the images, the tables behind them and all numbers in short."""
    from experiments.paper.figure_stage.ablation import make_figures7_and_8
    from experiments.paper.figure_stage.directions import make_figure6
    from experiments.paper.figure_stage.setup import set_up
    from experiments.paper.figure_stage.translations import make_figure4, make_figure5
    from ui2i.files import write_text

    setup = set_up(job)
    numbers = {
        "4": make_figure4(setup, part_of(job.progress, 0, NUM_PARTS, "Figure 4:")),
        "5": make_figure5(setup, part_of(job.progress, 1, NUM_PARTS, "Figure 5:")),
        "6": make_figure6(setup, part_of(job.progress, 2, NUM_PARTS, "Figure 6:")),
    }
    numbers["7"], numbers["8"] = make_figures7_and_8(setup, part_of(job.progress, 3, NUM_PARTS, "Figures 7 and 8:"))
    about = {"backbone": setup.perceptual.name, "num_latents": setup.settings.num_latents, **setup.made}
    del about["versions"]
    text = json.dumps({"about": about, "figures": numbers}, indent=2, allow_nan=False)
    write_text(paper_paths.figure_numbers(job.project), text + "\n")


def output(project: Project, _name: str) -> Path:
    """Return what the stage writes."""
    return paper_paths.figures(project)


QUICK_SECONDS = 115.0  # of the set quick; measured as `tasks.running.rates`


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return QUICK_SECONDS * (1 if sections_of(params).figures[name].quick else 4)


STAGE = Stage(
    name="figures",
    summary="Make Figures 4 to 8 of the paper from the models of all families, and their measurements.",
    option="set",
    output=output,
    work=work,
    estimate=estimate,
)


def with_set(arguments: list[str]) -> list[str]:
    """Return a command line that names the only set there is, if it names none."""
    is_named = any(part == "--set" or part.startswith("--set=") for part in arguments)
    return arguments if is_named else ["--set", FIGURE_SET, *arguments]


if __name__ == "__main__":
    sys.exit(main(STAGE, with_set(sys.argv[1:])))
