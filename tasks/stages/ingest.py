"""Stage ingest@: a folder or zip of images -> data/prepared/<name>."""

import dataclasses
import sys
from pathlib import Path

from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.project.sections import Dataset
from tasks.running.rates import INGESTED
from tasks.running.stage_cli import Job, Stage, main
from ui2i.errors import ConfigError


def work(job: Job) -> None:
    """Prepare `datasets.<name>`."""
    from ui2i.datasets.ingest import ingest

    dataset, config = find_entry(job.params.datasets, job.name, "datasets"), job.params.ingest
    images = job.project.root / dataset.images
    _check_no_list(images, job.name, dataset)
    ingest(
        images,
        job.project.prepared(job.name),
        config if dataset.framing is None else dataclasses.replace(config, framing=dataset.framing),
        name=job.name,
        progress=job.progress,
    )


def _check_no_list(images: Path, name: str, dataset: Dataset) -> None:
    """Refuse a list: DVC would see a change of its lines, and none of the images that it names."""
    from ui2i.images.sources import LIST_SUFFIX, archive_suffix

    if images.is_file() and archive_suffix(images) == LIST_SUFFIX:
        raise ConfigError(
            f"datasets.{name}.images is the list {dataset.images}, expected a folder or an archive, whose changes DVC "
            "sees; give the list as --images to `ui2i new-domain` or `ui2i pretrain`, which copy its images, or name "
            "their folder"
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
