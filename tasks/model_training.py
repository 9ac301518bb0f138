"""Train one model as a stage does: settings and paths in, the training's state and the model's card out."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.stage_cli import default_device
from ui2i.config import NetworkConfig, TrainingConfig
from ui2i.datasets.prepared import PreparedDataset
from ui2i.progress import Progress

if TYPE_CHECKING:
    from ui2i.checkpoints import ModelCard
    from ui2i.networks.discriminator import Discriminator
    from ui2i.networks.generator import Generator
    from ui2i.training.state import TrainingState

STATE_FILE = "state.pt"


def train_model(
    dataset: PreparedDataset,
    run_dir: Path,
    network: NetworkConfig,
    config: TrainingConfig,
    *,
    mode: str,
    base: "tuple[Generator, Discriminator | None] | None" = None,
    base_name: str | None = None,
    base_hash: str | None = None,
    restart: bool = False,
    progress: Progress,
) -> "tuple[TrainingState, ModelCard]":
    """Train, going on from the state in `run_dir` if one fits and `restart` does not forbid it.

    Raises:
        UI2IError: as `ui2i.training.loop.train`.
    """
    from ui2i.checkpoints import ModelCard
    from ui2i.provenance import provenance
    from ui2i.training.loop import train

    device = default_device()
    if restart:
        _set_aside(run_dir)

    def run() -> "TrainingState":
        return train(
            dataset, run_dir, network, config, base=base, base_hash=base_hash, device=device, progress=progress
        )

    state = run()
    if state.num_steps * config.batch_size > _num_images(config):
        _set_aside(run_dir)  # an earlier run was longer than what is asked for now
        state = run()
    return state, ModelCard(
        domain=dataset.name,
        mode=mode,
        base=base_name if base else None,
        base_hash=base_hash if base else None,
        dataset_hash=dataset.hash,
        images_seen=state.num_steps * config.batch_size,
        license=f"trained on {dataset.name}; rights follow its pictures",
        provenance=provenance(device),
    )


def _num_images(config: TrainingConfig) -> int:
    """Images that the training ends after: whole batches."""
    return -(-int(config.total_kimg * 1000) // config.batch_size) * config.batch_size


def _set_aside(run_dir: Path) -> None:
    state_path = run_dir / STATE_FILE
    if state_path.exists():
        state_path.replace(run_dir / "state-superseded.pt")
