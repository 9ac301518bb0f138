"""Stage draw@: pictures of parametric faces -> data/raw/<name>."""

import os
import sys

from tasks.params import find_entry
from tasks.project import Project
from tasks.stage_cli import Job, Stage, main

IMAGES_PER_WORKER = 200  # below this starting another process takes longer than drawing


def work(job: Job) -> None:
    """Draw `drawn.<name>`."""
    from ui2i.datasets.procedural import draw_dataset

    drawn = find_entry(job.params.drawn, job.name, "drawn")
    draw_dataset(
        drawn.style,
        drawn.num_images,
        drawn.seed,
        job.project.raw(job.name),
        resolution=drawn.resolution,
        num_workers=max(1, min(8, os.cpu_count() or 1, drawn.num_images // IMAGES_PER_WORKER)),
        progress=job.progress,
    )


STAGE = Stage(
    name="draw",
    summary="Draw pictures of parametric faces into data/raw/NAME, as drawn.NAME in params.yaml says.",
    option="dataset",
    output=Project.raw,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
