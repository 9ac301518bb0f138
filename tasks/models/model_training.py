"""Train one model as a stage does: settings and paths in, the training's state and the model's card out."""

import dataclasses
from typing import TYPE_CHECKING, Any

from tasks.models.origins import keep_origin, with_origin
from tasks.models.trained_model import TrainedModel
from tasks.running.stage_cli import Job, default_device
from ui2i.model_files import GENERATOR_FILE
from ui2i.settings import NetworkConfig, TrainingConfig

if TYPE_CHECKING:
    from ui2i.metrics.frechet import HeldOutEvaluator
    from ui2i.networks.discriminator import Discriminator
    from ui2i.networks.generator import Generator
    from ui2i.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartModel:
    """An earlier model of a domain with which its training goes on."""

    networks: "tuple[Generator, Discriminator | None]"
    mode: str  # that it was trained in
    hash: str  # SHA-256 of its generator
    images_seen: int


def train_model(
    job: Job,
    mode: str,
    network: NetworkConfig,
    config: TrainingConfig,
    *,
    base: "tuple[Generator, Discriminator | None] | None" = None,
    base_name: str | None = None,
    base_hash: str | None = None,
    start: StartModel | None = None,
    progress: "Progress",
) -> TrainedModel:
    """Train `job.name` in a mode, going on from the saved state if one fits and `job.restart` does not forbid it.

    The card of a training that had ended before says what made it then.

    Args:
        start: an earlier model of the domain to begin with in place of the base.

    Raises:
        UI2IError: as `ui2i.training.loop.train`.
    """
    from ui2i.checkpoints import ModelCard
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images.framing import recorded_framing
    from ui2i.provenance import provenance
    from ui2i.training.loop import train

    device, run_dir = default_device(), job.project.run_dir(job.name, mode)
    dataset = PreparedDataset(job.project.prepared(job.name))
    evaluator = None if config.evaluation_kimg is None else _evaluator(job, config, device)
    state = train(
        dataset,
        run_dir,
        network,
        config,
        base=base if start is None else start.networks,
        base_hash=base_hash if start is None else start.hash,
        device=device,
        evaluator=evaluator,
        evaluator_hash=None if evaluator is None else evaluator.perceptual.weights_hash,
        restart=job.restart,
        progress=progress,
    )
    card = ModelCard(
        domain=dataset.name,
        mode=mode,
        base=base_name if base else None,
        base_hash=base_hash if base else None,
        dataset_hash=dataset.hash,
        images_seen=state.num_steps * config.batch_size + (0 if start is None else start.images_seen),
        license=f"trained on {dataset.name}; rights follow its images",
        provenance=provenance(device)
        | {"precision": state.precision, "framing": recorded_framing(dataset.manifest.settings)}
        | ({} if start is None else {"started_from": start.hash})
        | _evaluation_record(evaluator),
    )
    if not job.restart:
        folder = job.project.checkpoint(job.name) if base_name is None else job.project.mode_checkpoint(job.name, mode)
        card = with_origin(card, state.generator_ema, run_dir, folder / GENERATOR_FILE)
    if job.is_writer:
        keep_origin(card, state.generator_ema, run_dir)
    return TrainedModel(state=state, card=card, run_dir=run_dir)


def _evaluator(job: Job, config: TrainingConfig, device: str) -> "HeldOutEvaluator":
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.metrics.frechet import held_out_evaluator
    from ui2i.perceptual import load_perceptual

    return held_out_evaluator(
        PreparedDataset(job.project.prepared(job.name), "test"),
        load_perceptual(job.params.perceptual, device),
        num_images=config.evaluation_images,
        device=device,
    )


def _evaluation_record(evaluator: "HeldOutEvaluator | None") -> dict[str, Any]:
    """Return how the measurements in the log were made."""
    if evaluator is None:
        return {}
    return {
        "evaluation": {
            "backbone": evaluator.perceptual.name,
            "backbone_hash": evaluator.perceptual.weights_hash,
            "num_images": evaluator.num_images,
            "num_held_out": len(evaluator.reference),
            "seed": evaluator.seed,
        }
    }
