"""What a run shows while it is running: log rows, TensorBoard events, sample grids, and a film strip of them."""

import math
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.loading import BatchLoader
from ui2i.images import grid, grid_cells, save_png, to_uint8
from ui2i.networks.generator import Generator
from ui2i.samples import sample_latents
from ui2i.training.processes import process_rank
from ui2i.training.snapshots import BEST_FILE, SAMPLES_PATTERN
from ui2i.training.state import TrainingState
from ui2i.training.step import require_finite

NUM_SAMPLES = 36
STRIP_COLUMNS = 8
STRIP_ROWS = 12
STRIP_FILE = "film-strip.png"
EVENTS_DIR = "tensorboard"
GIB = 1 << 30
MEASUREMENTS = ("fd", "kd")
"""What an evaluator adds to a row of the log."""


class LogWindow:
    """Means of the step's scalars since the last log row."""

    def __init__(self, batch_size: int, device: torch.device, loader: BatchLoader):
        self.batch_size = batch_size
        self.device = device
        self.loader = loader
        self._reset()

    def _reset(self) -> None:
        self.values: dict[str, list[Tensor]] = defaultdict(list)
        self.num_steps = 0
        self.start = time.perf_counter()
        self.waited = self.loader.wait_seconds

    def add(self, scalars: Mapping[str, Float[Tensor, ""]]) -> None:
        """Take the scalars of one step."""
        self.num_steps += 1
        for name, value in scalars.items():
            self.values[name].append(value)

    def close(self, num_steps: int) -> dict[str, float]:
        """Return one row and start the next.

        Raises:
            TrainingError: a scalar of a step in it is not finite.
        """
        require_finite({name: torch.stack(values).sum() for name, values in self.values.items()}, num_steps)
        row = {name: torch.stack(values).double().mean().item() for name, values in self.values.items()}
        seconds = time.perf_counter() - self.start
        row["kimg"] = num_steps * self.batch_size / 1000
        row["seconds"] = seconds
        row["data_seconds"] = self.loader.wait_seconds - self.waited
        row["images_per_second"] = self.num_steps * self.batch_size / seconds
        row["memory_gib"] = peak_memory_bytes(self.device) / GIB
        self._reset()
        return row


class Events:
    """TensorBoard's view of a run, in `run_dir/tensorboard`: `tensorboard --logdir data/runs` shows all runs.

    Events after the step that a resumed run starts from are withdrawn, so that no curve runs twice.
    """

    def __init__(self, run_dir: Path, start_kimg: float):
        from torch.utils.tensorboard import SummaryWriter

        self.writer: SummaryWriter = SummaryWriter(
            str(run_dir / EVENTS_DIR), purge_step=round(start_kimg * 1000) + 1, flush_secs=30
        )

    def add_row(self, row: Mapping[str, float]) -> None:
        """Show the scalars of a log row over the number of images."""
        for name, value in row.items():
            if name != "kimg":
                self.writer.add_scalar(name, value, round(row["kimg"] * 1000))

    def add_samples(self, image: UInt8[np.ndarray, "h w 3"], kimg: float) -> None:
        """Show a sample grid [H, W, 3] uint8."""
        self.writer.add_image("samples", image, round(kimg * 1000), dataformats="HWC")

    def close(self) -> None:
        """Write out what is waiting."""
        self.writer.close()


def describe(row: Mapping[str, float], remaining_images: int) -> str:
    """Return a log row in a few words, with the time left at the row's speed."""
    parts = [f"G {row['loss_generator']:.2f} D {row['loss_discriminator']:.2f}"]
    if "fd" in row:
        parts.append(f"FD {row['fd']:.4g}")
    if row.get("augment_probability"):
        parts.append(f"p {row['augment_probability']:.2f}")
    parts.append(f"{row['images_per_second']:.0f} images/s")
    if remaining_images > 0:
        parts.append(f"{duration(remaining_images / row['images_per_second'])} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory that this process has had: of the GPU if it computes there, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@torch.no_grad()
def sample_grid(
    generator: Generator, *, num_images: int = NUM_SAMPLES, truncation_psi: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
    """Generate at fixed latents (seed 0) and return one image [H, W, 3] uint8 of them in a square grid."""
    images = fixed_samples(generator, num_images=num_images, truncation_psi=truncation_psi)
    return grid(to_uint8(images), num_columns=round(num_images**0.5))


@torch.no_grad()
def fixed_samples(
    generator: Generator, *, num_images: int = NUM_SAMPLES, truncation_psi: float = 1.0
) -> Float[Tensor, "n 3 r r"]:
    """Generate [N, 3, R, R] at the first latents of seed 0."""
    z = sample_latents(0, num_images, generator.config.z_dim).to(generator.w_avg.device)
    return torch.cat([generator(part, truncation_psi=truncation_psi) for part in z.split(16)])


def diversity(images: Float[Tensor, "n 3 r r"]) -> float:
    """Return how much images [N, 3, R, R] differ from each other: the mean over the pixels of their deviation."""
    return images.std(dim=0).mean().item()


def samples_path(run_dir: Path, kimg: float) -> Path:
    """File of the sample grid at a time of training."""
    return run_dir / f"samples-{kimg:010.3f}.png"


def film_strip(run_dir: Path, resolution: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return the run's sample grids as one sheet: a row a time, a column a latent; None: there are none.

    Of many grids some are left out, evenly; the first and the last are there.
    """
    paths = sorted(run_dir.glob(SAMPLES_PATTERN))
    if not paths:
        return None
    chosen = np.unique(np.linspace(0, len(paths) - 1, STRIP_ROWS).round().astype(int))
    rows = []
    for path in (paths[index] for index in chosen):
        with Image.open(path) as image:
            cells = grid_cells(np.asarray(image.convert("RGB")), resolution)
        rows.append(Row(f"{float(path.stem.removeprefix('samples-')):g} kimg", cells[:STRIP_COLUMNS]))
    return contact_sheet(rows, title="The same latents through training")


def save_film_strip(run_dir: Path, resolution: int) -> None:
    """Write the film strip of a run beside its samples."""
    image = film_strip(run_dir, resolution)
    if image is not None:
        save_png(run_dir / STRIP_FILE, image)


def best_distance(log: list[dict[str, float]]) -> float:
    """Return the lowest Frechet distance in a log; infinite if none was measured."""
    return min((row["fd"] for row in log if "fd" in row), default=math.inf)


def drop_other_measurements(state: TrainingState, run_dir: Path, evaluator_hash: str | None) -> str:
    """Drop what another evaluator measured, and its best state: distances of two compare with nothing.

    Args:
        evaluator_hash: identity of the one that will measure; None: nothing more is measured, or it has none.

    Returns:
        In a few words what was done, to follow the note of `resume_state`; empty: nothing.
    """
    if evaluator_hash is None:
        return ""
    is_other = state.measured_by not in (None, evaluator_hash) and any("fd" in row for row in state.log)
    state.measured_by = evaluator_hash
    if not is_other:
        return ""
    state.log = [{name: value for name, value in row.items() if name not in MEASUREMENTS} for row in state.log]
    if process_rank() == 0:
        (run_dir / BEST_FILE).unlink(missing_ok=True)
    return ", without what another backbone measured"
