"""Stage ingest@: a folder or zip of images -> data/prepared/<name>."""

import dataclasses
import sys

from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.rates import INGESTED
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Prepare `datasets.<name>`."""
    from ui2i.datasets.ingest import ingest

    dataset, config = find_entry(job.params.datasets, job.name, "datasets"), job.params.ingest
    ingest(
        job.project.root / dataset.images,
        job.project.prepared(job.name),
        config if dataset.framing is None else dataclasses.replace(config, framing=dataset.framing),
        name=job.name,
        progress=job.progress,
    )


def estimate(_params: Params, _name: str, num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return num_images / INGESTED


STAGE = Stage(
    name="ingest",
    summary="Crop, resize, check and split the images of datasets.NAME into data/prepared/NAME.",
    option="dataset",
    output=Project.prepared,
    work=work,
    estimate=estimate,
    computes=False,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
