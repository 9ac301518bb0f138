"""Training an `Encoder`: on the generator's own images, with known latent codes, and on images of its domain.

The loss of a generated image is the squared error of its latent code, in variances of w; that of every image is the
distance of the latent code's image from it, as in an inversion. Images whose latent codes are not known thus teach the
encoder what the generator can make of them (after arXiv 2004.00049, which does so with a discriminator). What a step
sees depends on its number and the seed alone, so a training that was stopped and resumed is bit-identical.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.errors import TrainingError
from ui2i.images import to_tensor
from ui2i.inversion.codes import code_spread
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.encoder_state import read_state, settings_of, write_state
from ui2i.inversion.schedule import training_rate_scale
from ui2i.inversion.target import Target
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.precision import DTYPES, choose_precision, warn_if_emulated
from ui2i.progress import Progress, no_progress
from ui2i.samples import HELD_OUT, step_seed
from ui2i.settings import EncoderConfig, InversionConfig

EVALUATION_BATCH = 32
RECENT = 50  # steps whose mean loss is shown


@dataclasses.dataclass(frozen=True)
class TrainedEncoder:
    """An encoder and how its training went."""

    encoder: Encoder
    log: list[dict[str, float]]  # rows with kimg, loss, latent_error, image_loss


def train_encoder(
    generator: Generator,
    dataset: PreparedDataset,
    held_out: PreparedDataset,
    perceptual: Perceptual,
    config: EncoderConfig,
    *,
    base_hash: str = "",
    state_path: Path | None = None,
    progress: Progress = no_progress,
) -> TrainedEncoder:
    """Train an encoder of `generator`, on its device.

    Args:
        dataset: images of the generator's domain, to train on.
        held_out: further ones, on which the encoder is evaluated.
        perceptual: on the generator's device.
        base_hash: SHA-256 of the generator's checkpoint, which the encoder remembers.
        state_path: where the state of an unfinished training is kept; None: nowhere.
        progress: counts images.

    Raises:
        TrainingError: the loss is not finite.
    """
    trainer = _Trainer(generator, dataset, perceptual, config, base_hash)
    if state_path is not None:
        trainer.restore(read_state(state_path, trainer.settings))
    warn_if_emulated(trainer.precision, generator.w_avg.device)
    while trainer.step < trainer.num_steps:
        trainer.advance()
        note = f"loss {trainer.recent_loss:.4f}, in {trainer.precision}"
        progress(trainer.step * config.batch_size, trainer.num_steps * config.batch_size, note)
        if trainer.at_snapshot:
            trainer.note_down()
            if state_path is not None:
                write_state(state_path, trainer.state())
    trainer.encoder.eval().requires_grad_(False)
    trainer.encoder.held_out = measure_encoder(trainer.encoder, generator, held_out, perceptual)
    return TrainedEncoder(trainer.encoder, trainer.log)


@torch.no_grad()
def measure_encoder(
    encoder: Encoder, generator: Generator, held_out: PreparedDataset, perceptual: Perceptual
) -> dict[str, float]:
    """Return SSIM and LPIPS between images and the images of their latent codes, and the error of known latent codes.

    `generated_code_error` is in variances of w: 1 is as good as always answering with the mean.
    """
    config, variance = encoder.config, code_spread(generator).variance
    w, generated = _generated(generator, config, config.num_held_out, step_seed(config.seed + HELD_OUT, 0))
    real = to_tensor(held_out.images(slice(config.num_held_out))).to(generated.device)
    measures = {}
    for kind, images in {"generated": generated, "real": real}.items():
        codes, qualities = [], []
        for batch in images.split(EVALUATION_BATCH):
            codes.append(encoder(batch))
            target = Target(batch, perceptual, InversionConfig())
            qualities.append(target.quality(generator.synthesis(generator.broadcast(codes[-1]))))
        if kind == "generated":
            measures["generated_code_error"] = (torch.cat(codes) - w).square().mean().item() / variance
        measures[f"{kind}_ssim"] = torch.cat([similarity for similarity, _ in qualities]).mean().item()
        measures[f"{kind}_lpips"] = torch.cat([distance for _, distance in qualities]).mean().item()
    return measures


class _Trainer:
    """The state of a training and its step."""

    def __init__(
        self,
        generator: Generator,
        dataset: PreparedDataset,
        perceptual: Perceptual,
        config: EncoderConfig,
        base_hash: str,
    ) -> None:
        self.config = config
        self.num_steps = max(1, math.ceil(1000 * config.total_kimg / config.batch_size))
        self.num_real = min(round(config.real_share * config.batch_size), config.batch_size - 1)  # some are generated
        self.step = 0
        self.log: list[dict[str, float]] = []
        self.settings = settings_of(config, base_hash, dataset.hash, perceptual.weights_hash)
        self._since: list[dict[str, float]] = []
        self._generator = generator
        self._dataset = dataset
        self._perceptual = perceptual
        self._variance = code_spread(generator).variance
        self._sampler = BatchSampler(len(dataset), max(1, self.num_real), config.seed)
        self._target_config = InversionConfig(l1_weight=config.l1_weight, perceptual_weight=config.perceptual_weight)
        device = generator.w_avg.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.encoder = Encoder(generator.config, config, base_hash=base_hash)
        self.encoder.set_scale(generator.w_avg, math.sqrt(self._variance))
        self.encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch declares less
        self._compute_in(choose_precision(config.precision, device))
        self._optimizer = torch.optim.Adam(self.encoder.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))

    @property
    def at_snapshot(self) -> bool:
        """Whether a row of the log and a state are due."""
        interval = max(1, round(1000 * self.config.snapshot_kimg / self.config.batch_size))
        return self.step % interval == 0 or self.step == self.num_steps

    @property
    def recent_loss(self) -> float:
        """Mean of the loss since the last row of the log, of at most `RECENT` steps."""
        recent = [row["loss"] for row in self._since[-RECENT:]]
        return sum(recent) / len(recent)

    def advance(self) -> None:
        """Take one step."""
        config = self.config
        w, generated = _generated(
            self._generator, config, config.batch_size - self.num_real, step_seed(config.seed, self.step)
        )
        images = torch.cat([generated, self._real().to(generated.device)])
        codes = self.encoder(images, dtype=DTYPES[self.precision])
        latent_error = (codes[: len(w)] - w).square().mean() / self._variance
        made = self._generator.synthesis(self._generator.broadcast(codes), dtype=DTYPES[self.precision])
        image_loss = Target(images, self._perceptual, self._target_config).losses(made).mean()
        loss = config.latent_weight * latent_error + image_loss
        self._optimizer.zero_grad()
        loss.backward()
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * training_rate_scale(self.step, self.num_steps)
        self._optimizer.step()
        self.step += 1
        values = {"loss": loss, "latent_error": latent_error, "image_loss": image_loss}
        self._since.append({name: value.item() for name, value in values.items()})
        if not math.isfinite(self._since[-1]["loss"]):
            raise TrainingError(
                f"the encoder's loss is {self._since[-1]['loss']} at step {self.step}, expected a finite one; lower "
                "its learning_rate"
            )

    def note_down(self) -> None:
        """Add a row to the log: means since the row before."""
        row = {"kimg": self.step * self.config.batch_size / 1000}
        names = self._since[0]
        self.log.append(row | {name: sum(it[name] for it in self._since) / len(self._since) for name in names})
        self._since = []

    def state(self) -> dict[str, Any]:
        """Return all that going on needs."""
        return {
            "settings": self.settings,
            "precision": self.precision,
            "step": self.step,
            "log": self.log,
            "encoder": self.encoder.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from a state; None: from the start."""
        if state is None:
            return
        self._compute_in(state["precision"])
        self.encoder.load_state_dict(state["encoder"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], state["log"]

    def _compute_in(self, precision: Literal["auto", "fp32", "bf16"]) -> None:
        """Choose the precision of activations; the encoder's config says which it was."""
        self.precision = precision
        self.encoder.config = dataclasses.replace(self.config, precision=precision)

    def _real(self) -> Float[Tensor, "n 3 r r"]:
        """Return the step's images of the dataset, each mirrored or not if the dataset suits that."""
        chosen = self._sampler.indices(self.step)[: self.num_real]
        images: UInt8[Any, "n r r 3"] = self._dataset.images(chosen).copy()
        if self._dataset.suits_mirroring:
            flags = self._sampler.mirror_flags(self.step)[: self.num_real]
            images[flags] = images[flags, :, ::-1]
        return to_tensor(images)


@torch.no_grad()
def _generated(generator: Generator, config: EncoderConfig, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return sampled latent codes [N, w_dim] and their images as files would hold them, within [-1, 1]."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.config.z_dim, generator=random).to(generator.w_avg.device)
    w = generator.truncate(generator.mapping(z), config.truncation_psi)
    return w, generator.synthesis(generator.broadcast(w)).clamp(-1, 1)
