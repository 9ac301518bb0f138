"""Training a translator on pairs of two models. On a CPU, a training that was stopped and resumed is bit-identical.

What a step sees depends on its number and the seed alone. The translator that results is the moving average of the
trained weights.
"""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.augmentation.warp import warp
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.evaluation import evaluate_translator
from ui2i.distillation.losses import PatchDiscriminator, pair_losses
from ui2i.distillation.network import Translator
from ui2i.distillation.pairs import Pairs
from ui2i.distillation.warping import draw_warps
from ui2i.errors import TrainingError
from ui2i.images import to_tensor
from ui2i.inversion.encoder_state import read_state, write_state
from ui2i.losses import discriminator_loss, generator_loss
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import TranslatorConfig, to_mapping

WARMUP = 0.05  # share of the steps in which the rate rises; after it half a cosine falls
ADVERSARIAL_START = 0.2  # share of the steps before the discriminator's opinion counts
DISCRIMINATOR_RATE = 0.5  # of the translator's learning rate
MAX_EMA_DECAY = 0.995
WITHOUT_EFFECT = ("snapshot_kimg", "num_held_out")
"""Settings that do not change what a step computes."""


@dataclasses.dataclass(frozen=True)
class TrainedTranslator:
    """A translator and how its training went."""

    translator: Translator
    log: list[dict[str, float]]  # rows with kimg, loss and its parts


def train_translator(
    pairs: Pairs,
    held_out: Pairs,
    real: PreparedDataset | None,
    perceptual: Perceptual,
    config: TranslatorConfig,
    card: TranslatorCard,
    *,
    state_path: Path | None = None,
    progress: Progress = no_progress,
) -> TrainedTranslator:
    """Train a translator on the device of `perceptual`.

    Args:
        held_out: further pairs, on which it is evaluated.
        real: the domain's images, which an adversarial loss needs.
        state_path: where the state of an unfinished training is kept; None: nowhere.
        progress: counts pairs.

    Raises:
        TrainingError: the loss is not finite.
    """
    trainer = TranslatorTrainer(pairs, real, perceptual, config, card)
    if state_path is not None:
        trainer.restore(read_state(state_path, trainer.settings))
    while trainer.step < trainer.num_steps:
        trainer.advance()
        done, total = (steps * config.batch_size for steps in (trainer.step, trainer.num_steps))
        progress(done, total, f"loss {trainer.last['loss']:.4f}")
        if trainer.at_snapshot:
            trainer.note_down()
            if state_path is not None:
                write_state(state_path, trainer.state())
    translator = _rounded(trainer.averaged).eval().requires_grad_(False)
    measures = evaluate_translator(translator, held_out, perceptual)
    translator.card = dataclasses.replace(card, held_out=measures)
    return TrainedTranslator(translator, trainer.log)


class TranslatorTrainer:
    """The state of a training and its step; arguments as `train_translator`."""

    def __init__(
        self,
        pairs: Pairs,
        real: PreparedDataset | None,
        perceptual: Perceptual,
        config: TranslatorConfig,
        card: TranslatorCard,
    ) -> None:
        self.config = config
        self.num_steps = max(1, math.ceil(1000 * config.total_kimg / config.batch_size))
        self.step = 0
        self.log: list[dict[str, float]] = []
        self.last: dict[str, float] = {}
        self._since: list[dict[str, float]] = []
        self._pairs, self._perceptual = pairs, perceptual
        self._real = real if config.adversarial_weight else None
        self._sampler = BatchSampler(len(pairs), config.batch_size, config.seed)
        device = perceptual.heads[0].device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.translator = Translator(config, card)
            self.discriminator = PatchDiscriminator()
        for network in (self.translator, self.discriminator):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch declares less
        self.averaged = copy.deepcopy(self.translator).requires_grad_(False)
        self._optimizer = _adam(self.translator, config.learning_rate, beta1=0.9)
        self._critic = _adam(self.discriminator, DISCRIMINATOR_RATE * config.learning_rate, beta1=0.5)
        self.settings = _settings(pairs, self._real, perceptual, config)

    @property
    def at_snapshot(self) -> bool:
        """Whether a row of the log and a state are due."""
        interval = max(1, round(1000 * self.config.snapshot_kimg / self.config.batch_size))
        return self.step % interval == 0 or self.step == self.num_steps

    def advance(self) -> None:
        """Take one step."""
        config = self.config
        inputs, targets, real = self._batch()
        outputs = self.translator(inputs)
        losses = pair_losses(outputs, targets, self._perceptual, config)
        weights = {"l1": config.l1_weight, "lpips": config.perceptual_weight, "adversarial": config.adversarial_weight}
        if real is not None and self.step >= ADVERSARIAL_START * self.num_steps:
            losses["adversarial"] = generator_loss(self.discriminator(outputs))
        loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate_scale(self.step, self.num_steps)
        _descend(self._optimizer, loss)
        if real is not None:
            logits = self.discriminator(real), self.discriminator(outputs.detach())
            losses["discriminator"] = discriminator_loss(*logits)
            _descend(self._critic, losses["discriminator"])
        self._average()
        self.step += 1
        self.last = {name: value.item() for name, value in {"loss": loss, **losses}.items()}
        self._since.append(self.last)
        if not math.isfinite(self.last["loss"]):
            raise TrainingError(
                f"the translator's loss is {self.last['loss']} at step {self.step}, expected a finite one; lower its "
                "learning_rate"
            )

    def note_down(self) -> None:
        """Add a row to the log: means since the row before."""
        names = dict.fromkeys(name for row in self._since for name in row)
        rows = {name: [row[name] for row in self._since if name in row] for name in names}
        means = {name: sum(values) / len(values) for name, values in rows.items()}
        self.log.append({"kimg": self.step * self.config.batch_size / 1000} | means)
        self._since = []

    def state(self) -> dict[str, Any]:
        """Return all that resuming needs."""
        modules = {name: module.state_dict() for name, module in self._stateful().items()}
        return {"settings": self.settings, "step": self.step, "log": self.log, **modules}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Resume from a state; None: from the start."""
        if state is None:
            return
        for name, module in self._stateful().items():
            module.load_state_dict(state[name])
        self.step, self.log = state["step"], state["log"]

    def _stateful(self) -> dict[str, Any]:
        return {
            "translator": self.translator,
            "averaged": self.averaged,
            "optimizer": self._optimizer,
            "discriminator": self.discriminator,
            "critic": self._critic,
        }

    def _batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the step's inputs, targets and images of the domain; each pair is warped as one."""
        config, device = self.config, self._perceptual.heads[0].device
        random = torch.Generator().manual_seed((config.seed << 20) + self.step)
        pairs = torch.cat(self._pairs.batch(self._sampler.indices(self.step)), dim=1).to(device)
        pairs = warp(pairs, draw_warps(len(pairs), config, random).to(device))
        inputs, targets = (each.contiguous(memory_format=torch.channels_last) for each in pairs.chunk(2, dim=1))
        return inputs, targets, self._real_batch(random)

    def _real_batch(self, random: torch.Generator) -> Float[Tensor, "n 3 r r"] | None:
        """Return images of the domain, warped as pairs are, so that nothing tells them apart by their edges."""
        if self._real is None:
            return None
        chosen = torch.randint(len(self._real), (self.config.batch_size,), generator=random).numpy()
        images = to_tensor(self._real.images(chosen), self._perceptual.heads[0].device)
        return warp(images, draw_warps(len(images), self.config, random).to(images.device))

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the trained ones: at first fast, since they start far away."""
        decay = min(MAX_EMA_DECAY, (self.step + 1) / (self.step + 10))
        for averaged, trained in zip(self.averaged.parameters(), self.translator.parameters(), strict=True):
            averaged.lerp_(trained, 1 - decay)


@torch.no_grad()
def _rounded(translator: Translator) -> Translator:
    """Return a translator with the weights that its file will hold, so that what is measured is what is kept."""
    for parameter in translator.parameters():
        parameter.copy_(parameter.half())
    return translator


def _settings(
    pairs: Pairs, real: PreparedDataset | None, perceptual: Perceptual, config: TranslatorConfig
) -> dict[str, Any]:
    """Return what a state must agree with to be taken up."""
    values = {name: value for name, value in to_mapping(config).items() if name not in WITHOUT_EFFECT}
    values |= {"precision": None, "pairs": pairs.identity, "backbone_hash": perceptual.weights_hash}
    return values | {"dataset_hash": None if real is None else real.hash}


def _adam(network: torch.nn.Module, rate: float, *, beta1: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(beta1, 0.99))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _rate_scale(step: int, num_steps: int) -> float:
    """Return the factor on the learning rate at each step."""
    warmup = max(1, round(WARMUP * num_steps))
    return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / num_steps)))
