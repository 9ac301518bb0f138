"""The training loop: batches in, resumable state and sample grids out.

A run lives in one folder. `state.pt` is replaced atomically at every snapshot and holds all that the next step
depends on, so a killed run continues as if nothing had happened: on a CPU the result is bit-identical.
"""

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ui2i.config import NetworkConfig, TrainingConfig, to_mapping
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.errors import DataError, TrainingError
from ui2i.files import atomic_file
from ui2i.images import grid, save_png, to_tensor, to_uint8
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.progress import Progress, no_progress
from ui2i.training.state import TrainingState, initial_state, restore_state, state_to_dict
from ui2i.training.step import train_step

LOG_ROWS_PER_SNAPSHOT = 10
NUM_SAMPLES = 36


def train(
    dataset: PreparedDataset,
    run_dir: Path,
    network_config: NetworkConfig,
    config: TrainingConfig,
    *,
    base: tuple[Generator, Discriminator | None] | None = None,
    base_hash: str | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> TrainingState:
    """Train until `config.total_kimg`, going on from the state in `run_dir` if one fits.

    A state made with other settings, data or base is set aside as `state-superseded.pt`. Settings that only say how
    long to train and how often to save may differ: a finished run can be prolonged.

    Args:
        run_dir: gets `state.pt` and `samples-<kimg>.png` (generator_ema at fixed latents, psi 1).
        base: generator and discriminator to fine-tune; None trains from scratch.
        base_hash: identity of the base, to notice that it changed.

    Raises:
        DataError: the pictures have another resolution than the network, or are fewer than one batch.
        CheckpointError: the base has another architecture.
        TrainingError: a loss is not finite; `run_dir` keeps the last good state.
    """
    _check_dataset(dataset, network_config, config)
    state = initial_state(network_config, config, base=base, device=device)
    identity = _identity(dataset, network_config, config, base_hash)
    run_dir.mkdir(parents=True, exist_ok=True)
    note = _resume(state, run_dir / "state.pt", identity)

    sampler = BatchSampler(len(dataset), config.batch_size, config.seed)
    num_steps = -(-int(config.total_kimg * 1000) // config.batch_size)
    log_steps = max(1, round(config.snapshot_kimg * 1000 / config.batch_size / LOG_ROWS_PER_SNAPSHOT))
    snapshot_steps = log_steps * LOG_ROWS_PER_SNAPSHOT
    window = _LogWindow(config.batch_size)
    progress(state.num_steps * config.batch_size, num_steps * config.batch_size, note)
    while state.num_steps < num_steps:
        window.add(train_step(state, _real_batch(dataset, sampler, state, config), config))
        if state.num_steps % log_steps == 0 or state.num_steps == num_steps:
            state.log.append(window.close(state.num_steps))
            progress(state.num_steps * config.batch_size, num_steps * config.batch_size, _note(state.log[-1]))
        if state.num_steps % snapshot_steps == 0 or state.num_steps == num_steps:
            _save_state(state, run_dir / "state.pt", identity)
            kimg = state.num_steps * config.batch_size / 1000
            save_png(run_dir / f"samples-{kimg:08.1f}.png", sample_grid(state.generator_ema))
    return state


@torch.no_grad()
def sample_grid(generator: Generator, *, num_images: int = NUM_SAMPLES, truncation_psi: float = 1.0) -> np.ndarray:
    """Generate at fixed latents (seed 0) and return one picture [H, W, 3] uint8 of them in a square grid."""
    latents = np.random.RandomState(0).randn(num_images, generator.config.z_dim)
    z = torch.from_numpy(latents).float().to(generator.w_avg.device)
    images = torch.cat([generator(part, truncation_psi=truncation_psi) for part in z.split(16)])
    return grid(to_uint8(images), num_columns=round(num_images**0.5))


class _LogWindow:
    """Means of the step's scalars since the last log row."""

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self._reset()

    def _reset(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self.num_steps = 0
        self.start = time.perf_counter()

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        self.num_steps += 1
        for name, value in scalars.items():
            self.values[name].append(value.item())

    def close(self, num_steps: int) -> dict[str, float]:
        """Return one row and start the next."""
        seconds = time.perf_counter() - self.start
        row: dict[str, float] = {name: sum(values) / len(values) for name, values in self.values.items()}
        row["kimg"] = num_steps * self.batch_size / 1000
        row["seconds"] = seconds
        row["images_per_second"] = self.num_steps * self.batch_size / seconds
        self._reset()
        return row


def _note(row: Mapping[str, float]) -> str:
    losses = f"G {row['loss_generator']:.2f} D {row['loss_discriminator']:.2f}"
    return f"{losses}, {row['images_per_second']:.0f} images/s"


def _real_batch(
    dataset: PreparedDataset, sampler: BatchSampler, state: TrainingState, config: TrainingConfig
) -> Tensor:
    images = dataset.images(sampler.indices(state.num_steps))
    if config.mirror:
        flags = sampler.mirror_flags(state.num_steps)
        images = np.where(flags[:, None, None, None], images[:, :, ::-1], images)
    return to_tensor(images).to(state.device, memory_format=torch.channels_last)


def _check_dataset(dataset: PreparedDataset, network_config: NetworkConfig, config: TrainingConfig) -> None:
    if dataset.resolution != network_config.img_resolution:
        raise DataError(
            f"the dataset {dataset.name} has {dataset.resolution} px, expected the network's "
            f"{network_config.img_resolution} px; ingest it again at that resolution"
        )
    if len(dataset) < config.batch_size:
        raise DataError(
            f"the dataset {dataset.name} has {len(dataset)} training pictures, expected at least one batch of "
            f"{config.batch_size}; add pictures or lower batch_size"
        )


def _identity(
    dataset: PreparedDataset, network_config: NetworkConfig, config: TrainingConfig, base_hash: str | None
) -> str:
    """Everything that decides what step n computes, as canonical JSON."""
    training = to_mapping(config)
    for name in ("total_kimg", "snapshot_kimg"):
        training.pop(name)
    parts: dict[str, Any] = {
        "dataset": dataset.hash,
        "network": to_mapping(network_config),
        "training": training,
        "base": base_hash,
    }
    return json.dumps(parts, sort_keys=True)


def _save_state(state: TrainingState, path: Path, identity: str) -> None:
    _require_finite_weights(state)
    with atomic_file(path) as temporary:
        torch.save({"identity": identity, **state_to_dict(state)}, temporary)


def _require_finite_weights(state: TrainingState) -> None:
    """Refuse to replace a good state by a broken one: losses are those before the update, and may not show it yet."""
    for network_name in ("generator", "discriminator", "generator_ema"):
        for name, value in getattr(state, network_name).state_dict().items():
            if not torch.isfinite(value).all():
                raise TrainingError(
                    f"{network_name} {name} became infinite or NaN at step {state.num_steps}, expected finite weights; "
                    "resume from the last saved state with a lower learning_rate or a higher r1_gamma"
                )


def _resume(state: TrainingState, path: Path, identity: str) -> str:
    """Take up the state at `path` if it is of this run, else set it aside; return in a few words what was done."""
    if not path.exists():
        return "start"
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        # Compared as values: 5 and 5.0 are the same setting.
        is_same_run = isinstance(values, dict) and json.loads(values["identity"]) == json.loads(identity)
    except (OSError, MemoryError):  # says nothing about the file
        raise
    except Exception:  # truncated, damaged or something else: torch.load raises a dozen types for these
        is_same_run = False
    if is_same_run:
        restore_state(state, values)
        return "resumed"
    path.replace(path.with_name("state-superseded.pt"))
    return "start afresh: the saved state is of other settings or data, and was set aside"
