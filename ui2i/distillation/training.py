"""Training a translator on pairs of two models. On a CPU, a training that was stopped and resumed is bit-identical.

What a step sees depends on its number and the seed alone. The translator that results is the moving average of the
trained weights.
"""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ui2i.augmentation.warp import warp
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.evaluation import evaluate_translator
from ui2i.distillation.losses import PatchDiscriminator, crop_place, pair_losses
from ui2i.distillation.network import Translator
from ui2i.distillation.pairs import Pairs
from ui2i.distillation.warping import draw_warps
from ui2i.errors import TrainingError
from ui2i.images import to_tensor
from ui2i.inversion.encoder_state import WITHOUT_EFFECT, read_state, write_state
from ui2i.inversion.schedule import training_rate_scale
from ui2i.losses import discriminator_loss, generator_loss
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import TranslatorConfig, to_mapping

DISCRIMINATOR_START = 0.5  # share of the steps before the discriminator learns
ADVERSARIAL_START = 0.6  # and before its opinion counts; earlier it undoes what the pairs teach
DISCRIMINATOR_RATE = 1.0  # of the translator's learning rate
UNPAIRED_SHARE = 0.5  # images of the source in a batch, as a share of the pairs; only the discriminator judges them
MAX_EMA_DECAY = 0.995

Domains = tuple[PreparedDataset, PreparedDataset]  # images of the source and of the target, which make no pairs


@dataclasses.dataclass(frozen=True)
class TrainedTranslator:
    """A translator and how its training went."""

    translator: Translator
    log: list[dict[str, float]]  # rows with kimg, loss and its parts


def train_translator(
    pairs: Pairs,
    held_out: Pairs,
    real: Domains | None,
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
        real: images of the source and of the target, which an adversarial loss needs.
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
        real: Domains | None,
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
        config, random = self.config, _random_of(self.config.seed, self.step)
        inputs, targets = self._paired(random)
        unpaired, real = self._unpaired(random)
        shown = torch.cat([inputs, unpaired]).contiguous(memory_format=torch.channels_last)
        outputs = self.translator(shown)
        place = crop_place(outputs.shape[-1], random, min_side=self._perceptual.min_resolution)
        losses = pair_losses(outputs[: len(targets)], targets, self._perceptual, config, place)
        weights = {"l1": config.l1_weight, "edge": config.edge_weight, "lpips": config.perceptual_weight}
        weights |= {"adversarial": config.adversarial_weight}
        if len(real) and self.step >= ADVERSARIAL_START * self.num_steps:
            losses["adversarial"] = generator_loss(self.discriminator(outputs[place]))
        loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * training_rate_scale(self.step, self.num_steps)
        _descend(self._optimizer, loss)
        if len(real):
            logits = self.discriminator(real[place]), self.discriminator(outputs[place].detach())
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

    def _paired(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the step's inputs and targets; each pair is warped as one."""
        device = self._perceptual.heads[0].device
        pairs = torch.cat(self._pairs.batch(self._sampler.indices(self.step)), dim=1).to(device)
        pairs = warp(pairs, draw_warps(len(pairs), self.config, random).to(device))
        inputs, targets = (each.contiguous(memory_format=torch.channels_last) for each in pairs.chunk(2, dim=1))
        return inputs, targets

    def _unpaired(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return images of the source and of the target, warped as pairs are; none before they count.

        Those of the source are more varied and sharper than generated ones, which is what a translator will meet.
        """
        num_inputs = max(1, round(UNPAIRED_SHARE * self.config.batch_size))
        counts = num_inputs, num_inputs + self.config.batch_size
        device, size = self._perceptual.heads[0].device, self.translator.card.img_resolution
        if self._real is None or self.step < DISCRIMINATOR_START * self.num_steps:
            return torch.empty(0, 3, size, size, device=device), torch.empty(0, 3, size, size, device=device)
        batches = []
        for dataset, count in zip(self._real, counts, strict=True):
            chosen = torch.randint(len(dataset), (count,), generator=random).numpy()
            images = to_tensor(dataset.images(chosen)).to(device)
            batches.append(warp(images, draw_warps(count, self.config, random).to(device)))
        return batches[0], batches[1]

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the trained ones: at first fast, since they start far away."""
        decay = min(MAX_EMA_DECAY, (self.step + 1) / (self.step + 10))
        for averaged, trained in zip(self.averaged.parameters(), self.translator.parameters(), strict=True):
            averaged.lerp_(trained, 1 - decay)


def _random_of(seed: int, step: int) -> torch.Generator:
    """Return the random numbers of a step, others for every seed; torch itself takes 32 bits of a seed and no more."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))


def _rounded(translator: Translator) -> Translator:
    """Return a translator with the weights that its file will hold, so that what is measured is what is kept."""
    for parameter in translator.parameters():
        parameter.copy_(parameter.half())
    return translator


def _settings(pairs: Pairs, real: Domains | None, perceptual: Perceptual, config: TranslatorConfig) -> dict[str, Any]:
    """Return what a state must agree with to be taken up."""
    values = {name: value for name, value in to_mapping(config).items() if name not in WITHOUT_EFFECT}
    values |= {"precision": None, "pairs": pairs.identity, "backbone_hash": perceptual.weights_hash}
    return values | {"dataset_hashes": None if real is None else [images.hash for images in real]}


def _adam(network: torch.nn.Module, rate: float, *, beta1: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(beta1, 0.99))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
