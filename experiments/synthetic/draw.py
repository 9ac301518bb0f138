"""Stage draw@: images of parametric faces -> data/raw/<name>."""

import sys

from experiments.synthetic.settings import synthetic_of
from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Draw `synthetic.<name>`."""
    from experiments.synthetic.procedural import draw_dataset
    from ui2i.processors import usable_cores

    drawn = find_entry(synthetic_of(job.params), job.name, "synthetic")
    draw_dataset(
        drawn.style,
        drawn.num_images,
        drawn.seed,
        job.project.raw(job.name),
        resolution=drawn.resolution,
        num_workers=usable_cores(),
        progress=job.progress,
    )


DRAWN = 330.0  # images a second, on two cores of an AMD EPYC (AVX-512)


def estimate(_params: Params, _name: str, num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return num_images / DRAWN


STAGE = Stage(
    name="draw",
    summary="Draw images of parametric faces into data/raw/NAME, as set by synthetic.NAME in params.yaml.",
    option="dataset",
    output=Project.raw,
    work=work,
    estimate=estimate,
    computes=False,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
