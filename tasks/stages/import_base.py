"""Stage import@: a folder with a ready model -> checked and copied into data/checkpoints/<name>."""

import shutil
import sys
from pathlib import Path

from tasks.project.params import find_entry
from tasks.project.paths import Project
from tasks.running.stage_cli import Job, Stage, main
from ui2i.errors import CheckpointError
from ui2i.model_files import ENCODER_FILE


def work(job: Job) -> None:
    """Check and copy `imported.<name>`."""
    from tasks.models.model_folder import CARD_FILE, SAMPLES_FILE, read_model, write_card
    from ui2i.files import atomic_folder
    from ui2i.images import save_png
    from ui2i.training.loop import sample_grid

    source = job.project.root / find_entry(job.params.imported, job.name, "imported").checkpoint
    generator, _, _ = read_model(source)
    resolution, wanted = generator.config.img_resolution, job.params.ingest.img_resolution
    if resolution != wanted:
        raise CheckpointError(
            f"{source} makes images of {resolution} px, expected {wanted} px as ingest.img_resolution says; "
            f"set that to {resolution} or import another checkpoint"
        )
    _check_encoder(source)
    with atomic_folder(job.project.checkpoint(job.name)) as folder:
        _copy_files(source, folder)
        if not (folder / CARD_FILE).exists():
            write_card(folder)
        if not (folder / SAMPLES_FILE).exists():
            save_png(folder / SAMPLES_FILE, sample_grid(generator))
    job.progress(1, 1, f"{resolution} px")


def _check_encoder(source: Path) -> None:
    """Refuse an encoder beside the model that is damaged or belongs to another model."""
    from ui2i.files import sha256_file
    from ui2i.inversion import load_encoder
    from ui2i.model_files import GENERATOR_FILE

    if (source / ENCODER_FILE).exists():
        load_encoder(source / ENCODER_FILE, base_hash=sha256_file(source / GENERATOR_FILE))


def _copy_files(source: Path, folder: Path) -> None:
    """Copy all but the domain check: a base may get one or another, and what follows must not run again for it."""
    from ui2i.model_files import DOMAIN_CHECK_FILE

    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name != DOMAIN_CHECK_FILE:
            shutil.copyfile(path, folder / path.name)


STAGE = Stage(
    name="import",
    summary="Check the checkpoint folder that imported.NAME names and copy it to data/checkpoints/NAME.",
    option="base",
    output=Project.checkpoint,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
