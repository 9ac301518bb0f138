"""Stage baseline@: a CycleGAN trained on a domain's images -> its translations of the images of translate@.

It is trained by `experiments.paper.baselines`, a program of its own. Its state is in data/runs/baselines, from which an
interrupted training resumes; one that has ended translates again and no more.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paper import paper_paths
from experiments.paper.settings import Baseline, sections_of
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.running.rates import TRAINED
from tasks.running.stage_cli import Job, Stage, default_device, main
from ui2i.errors import DataError, UI2IError

if TYPE_CHECKING:
    import numpy as np

PROGRAM = "experiments.paper.baselines"
SYSTEM, COMMAND = "CycleGAN", "cyclegan"
"""As Table II and as the program calls it."""
CARD_FILE, SHEET_FILE, IMAGES_FOLDER = "card.json", "sheet.png", "images"
"""What the program writes."""


class BaselineError(UI2IError):
    """The baseline's program failed."""


def work(job: Job) -> None:
    """Train the CycleGAN and have it translate the images that `translate@` translates."""
    from ui2i.files import atomic_folder

    settings = find_entry(sections_of(job.params).baselines, job.name, "baselines")
    minutes = settings.minutes or training_minutes(job.project, job.name, job.params.domains[job.name].modes[0])
    run_folder = job.project.baseline_run(job.name)
    if job.restart:
        shutil.rmtree(run_folder, ignore_errors=True)
    with atomic_folder(paper_paths.baseline(job.project, job.name)) as folder:
        _train(job, settings, run_folder, minutes)
        _copy_outputs(run_folder, folder)


def _train(job: Job, settings: Baseline, run_folder: Path, minutes: float) -> None:
    run_folder.mkdir(parents=True, exist_ok=True)
    options = {
        "system": COMMAND,
        "minutes": f"{minutes:.4f}",
        "seed": settings.seed,
        "source": job.project.prepared(settings.base),
        "target": job.project.prepared(job.name),
        "test": job.project.prepared(settings.base),
        "num-test": job.params.translate.num_images,
        "out": run_folder,
        "device": default_device(),
    }
    _run(
        [sys.executable, "-m", PROGRAM, *(str(part) for key, value in options.items() for part in (f"--{key}", value))]
    )


def _copy_outputs(source: Path, destination: Path) -> None:
    shutil.copytree(source / IMAGES_FOLDER, destination / IMAGES_FOLDER)
    for name in (CARD_FILE, SHEET_FILE):
        shutil.copyfile(source / name, destination / name)


def training_minutes(project: Project, domain: str, mode: str) -> float:
    """Return for how long a model of a domain was trained, all its runs together.

    Raises:
        DataError: it has not been trained.
    """
    from tasks.models.model_folder import TRAINING_FILE
    from ui2i.tables import TRAINING_SCHEMA, read_table

    log = read_table(project.mode_checkpoint(domain, mode) / TRAINING_FILE, TRAINING_SCHEMA)
    return float(log["seconds"].sum()) / 60


def baseline_images(folder: Path, names: Sequence[str]) -> "np.ndarray":
    """Return what a baseline made of images, in the order of their names: uint8 [N, R, R, 3].

    Args:
        folder: what the stage wrote.

    Raises:
        DataError: one is missing or cannot be read.
    """
    import numpy as np

    from ui2i.images import load_image

    images = []
    for name in names:
        path = (folder / IMAGES_FOLDER / name).with_suffix(".png")
        try:
            images.append(np.asarray(load_image(path.read_bytes(), name=path.name)))
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error}), expected what became of {name}; run baseline@{folder.name} again"
            ) from error
    return np.stack(images)


def _run(command: Sequence[str]) -> None:
    """Run the program, its progress among ours.

    Raises:
        BaselineError: it failed; the message is its own if it had one.
    """
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    lines = done.stderr.splitlines()
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if not own:
        print(done.stderr, file=sys.stderr, flush=True)
    said = own[-1] if own else f"status {done.returncode}, expected 0; look at what it said before"
    raise BaselineError(f"{PROGRAM}: {said}")


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    settings = sections_of(params).baselines[name]
    mode = params.domains[name].modes[0]
    if settings.minutes:
        return 60 * settings.minutes
    return training_config(params, name, mode).total_kimg * 1000 / TRAINED


STAGE = Stage(
    name="baseline",
    summary="Train a CycleGAN on the images of the domain NAME and its base, and translate the test images with it.",
    option="domain",
    output=paper_paths.baseline,
    work=work,
    estimate=estimate,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
