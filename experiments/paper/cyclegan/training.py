"""Training of CycleGAN (Zhu et al. 2017, arXiv 1703.10593, sections 3 and 4), for a time or a number of images.

Two generators learn at once, source to target and back. Each must fool a discriminator (least squares), must be undone
by the other (cycle) and must leave images of its own target as they are (identity). The discriminators see fakes of
some steps ago too. What a step does depends on the seed, on its number and on the share of the budget that is spent;
with a budget in images a resumed run is therefore bit-identical to an unbroken one on a CPU.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor, nn

from experiments.paper.cyclegan.state import CycleGAN, Settings, learning_rate_factor, spent_share
from ui2i.datasets.prepared import BatchSampler
from ui2i.errors import TrainingError
from ui2i.images import to_tensor
from ui2i.progress import Progress, no_progress

SAVE_SECONDS = 60.0
LOG_STEPS = 10  # between rows of the log; states are saved at rows alone
PROGRESS_PARTS = 1000

Images = UInt8[np.ndarray, "n r r 3"]


def least_squares(logits: Tensor, label: float) -> Tensor:
    """Return the mean squared distance of logits from a label: 1 real, 0 fake (section 4)."""
    return (logits - label).square().mean()


def train_step(model: CycleGAN, source: Tensor, target: Tensor, settings: Settings) -> dict[str, Tensor]:
    """Update the generators, then the discriminators, and return the terms of the losses.

    Args:
        source, target: [N, 3, R, R] in [-1, 1], not paired.

    Returns:
        Scalars, each the sum over both directions, unweighted: `adversarial`, `cycle`, `identity`, `discriminator`.
    """
    terms, fake_target, fake_source = _generator_terms(model, source, target, settings)
    loss = terms["adversarial"] + settings.cycle_weight * terms["cycle"] + settings.identity_weight * terms["identity"]
    _update(model.generator_optimizer, loss)
    with _autocast(model, settings):
        terms["discriminator"] = discriminator_loss(
            model.discriminator_target, target, model.fake_targets.exchange(fake_target.detach())
        ) + discriminator_loss(model.discriminator_source, source, model.fake_sources.exchange(fake_source.detach()))
    _update(model.discriminator_optimizer, terms["discriminator"])
    return {name: term.detach() for name, term in terms.items()}


def _generator_terms(
    model: CycleGAN, source: Tensor, target: Tensor, settings: Settings
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the terms of the generators' loss, and the fakes."""
    discriminators = (model.discriminator_target, model.discriminator_source)
    for discriminator in discriminators:
        discriminator.requires_grad_(False)  # or gradients would be computed that nobody uses
    with _autocast(model, settings):
        # Instance normalisation keeps images apart, so that what goes through one network can go together.
        fake_target, same_target = model.to_target(_joined(source, target)).chunk(2)
        fake_source, same_source = model.to_source(_joined(target, source)).chunk(2)
        terms = {
            "adversarial": least_squares(discriminators[0](fake_target), 1)
            + least_squares(discriminators[1](fake_source), 1),
            "cycle": F.l1_loss(model.to_source(fake_target), source) + F.l1_loss(model.to_target(fake_source), target),
            "identity": F.l1_loss(same_target, target) + F.l1_loss(same_source, source),
        }
    for discriminator in discriminators:
        discriminator.requires_grad_(True)
    return terms, fake_target, fake_source


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of a discriminator, halved so that it learns more slowly than the generator (section 4)."""
    real_logits, fake_logits = discriminator(_joined(real, fake)).chunk(2)
    return (least_squares(real_logits, 1) + least_squares(fake_logits, 0)) / 2


def batches(images: UInt8[np.ndarray, "n r r 3"], settings: Settings, start_step: int, stream: int) -> Iterator[Tensor]:
    """Yield the batches from a step on, half of the images mirrored.

    Args:
        stream: 0 or 1; the two have orders of their own.
    """
    sampler, step = BatchSampler(len(images), settings.batch_size, 2 * settings.seed + stream), start_step
    while True:
        batch, mirrored = images[sampler.indices(step)], sampler.mirror_flags(step)
        batch[mirrored] = batch[mirrored, :, ::-1]
        yield to_tensor(batch).contiguous(memory_format=torch.channels_last)
        step += 1


def train(
    model: CycleGAN,
    source: Images,
    target: Images,
    settings: Settings,
    state_path: Path,
    *,
    identity: str = "",
    progress: Progress = no_progress,
) -> None:
    """Train to the end of the budget, from the state at `state_path` if there is one, and save the last state there.

    Args:
        identity: settings and data; a state with another is set aside.

    Raises:
        TrainingError: a loss is not finite.
    """

    def report(note: str) -> None:
        progress(min(round(spent_share(model, settings) * PROGRESS_PARTS), PROGRESS_PARTS), PROGRESS_PARTS, note)

    report(model.resume(state_path, identity))
    streams = [batches(images, settings, model.num_steps, number) for number, images in enumerate((source, target))]
    start, saved_at, window = time.monotonic() - model.seconds, model.seconds, LogWindow(model, settings)
    while (share := spent_share(model, settings)) < 1:
        _set_learning_rate(model, settings.learning_rate * learning_rate_factor(share))
        batch, other_batch = (next(stream).to(model.device) for stream in streams)
        window.add(train_step(model, batch, other_batch, settings))
        model.num_steps += 1
        model.seconds = time.monotonic() - start
        if model.num_steps % LOG_STEPS:
            continue
        model.log.append(window.close())
        report(describe(model.log[-1]))
        if model.seconds - saved_at >= SAVE_SECONDS:
            model.save(state_path, identity)
            saved_at = model.seconds
    model.save(state_path, identity)


class LogWindow:
    """Means of the losses over the steps since the last row of the log."""

    def __init__(self, model: CycleGAN, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._open()

    def _open(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._start = (self._model.num_steps, self._model.seconds)

    def add(self, terms: dict[str, Tensor]) -> None:
        """Take in the losses of a step."""
        self._sums = {name: self._sums.get(name, 0) + term for name, term in terms.items()}

    def close(self) -> dict[str, float]:
        """Return a row of the log and begin the next.

        Raises:
            TrainingError: a loss is not finite.
        """
        num_steps = self._model.num_steps - self._start[0]
        seconds = self._model.seconds - self._start[1]
        row = {name: float(total) / num_steps for name, total in self._sums.items()}
        broken = [name for name, value in row.items() if not math.isfinite(value)]
        if broken:
            raise TrainingError(
                f"the loss {broken[0]} is {row[broken[0]]} at step {self._model.num_steps}, expected a finite number; "
                "rerun the command to resume from the last state, or train from scratch with --precision fp32"
            )
        size = self._settings.batch_size
        row["kimg"] = self._model.num_steps * size / 1000
        row["seconds"] = self._model.seconds
        row["images_per_second"] = num_steps * size / seconds
        self._open()
        return row


def describe(row: dict[str, float]) -> str:
    """Return a row of the log in a few words."""
    losses = ", ".join(f"{name} {row[name]:.3f}" for name in ("adversarial", "cycle", "identity", "discriminator"))
    return f"{losses}; {row['kimg']:.2f} kimg, {row['images_per_second']:.1f} images/s"


def _joined(first: Tensor, second: Tensor) -> Tensor:
    return torch.cat([first, second])


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _set_learning_rate(model: CycleGAN, learning_rate: float) -> None:
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate


def _autocast(model: CycleGAN, settings: Settings) -> torch.autocast:
    kind = torch.device(model.device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=settings.precision == "bf16")
