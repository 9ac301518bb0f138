"""How an `AttributeRegressor` is trained: on drawings made for it, of one style, from attributes known exactly.

One style each, and for translations that of the target: a regressor of several styles would have to share its capacity
among them, and would read an input that was passed on unchanged as well as a translation. The drawings have a seed of
their own, so that it was trained on no image that it evaluates.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth.columns import attribute_columns, held_out_score
from experiments.paper.truth.loss import Targets
from experiments.paper.truth.pairs import draw_images
from experiments.paper.truth.regressor import MAX_READ_RESOLUTION, AttributeRegressor, HeldOut, shrink
from experiments.synthetic.drawing.registry import subject_of
from experiments.synthetic.drawing.subjects import Attributes
from ui2i.errors import TrainingError
from ui2i.images import to_tensor, to_uint8
from ui2i.precision import choose_precision, warn_if_emulated
from ui2i.progress import Progress, no_progress

Images = UInt8[np.ndarray, "n r r 3"]

_DRAWN_AT_ONCE = 50
_WEIGHT_DECAY = 0.02
_WARMUP = 0.1  # share of the steps


def train_regressor(
    style: str,
    config: RegressorConfig,
    *,
    resolution: int,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> AttributeRegressor:
    """Draw images of `style` and train a network to predict their attributes.

    Equal arguments give equal weights, bit for bit on one machine with one number of threads. The global random state
    of the CPU stays as it was.

    Args:
        resolution: pixels of the drawings; they are read at this size or at `MAX_READ_RESOLUTION`, if that is less.
        progress: counts drawings, then drawings times epochs.

    Raises:
        ConfigError: the style is unknown, or the resolution is too small.
        TrainingError: the loss is not finite.
    """
    config = dataclasses.replace(config, precision=choose_precision(config.precision, device))
    warn_if_emulated(config.precision, device)
    num_train, num_images = config.num_drawings, config.num_drawings + config.num_held_out
    total = num_images + num_train * config.num_epochs
    people = [subject_of(style).sample(config.seed, index) for index in range(num_images)]
    images = _draw(people, style, resolution, lambda done: progress(done, total, f"drawing for {style}"))

    def fitted(done: int, total: int, note: str = "") -> None:
        progress(num_images + done, num_images + total, note)

    return fit_regressor(style, images, people, config, device=device, progress=fitted)


def fit_regressor(
    style: str,
    images: Images,
    people: Sequence[object],
    config: RegressorConfig,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> AttributeRegressor:
    """Train a network to predict the attributes of images that are there, and measure it on the last ones.

    Args:
        images: of at most `MAX_READ_RESOLUTION`; the last `config.num_held_out` are kept from training.
        people: who is in each, instances of one dataclass.
        progress: counts images times epochs.

    Raises:
        TrainingError: the loss is not finite.
    """
    config = dataclasses.replace(config, precision=choose_precision(config.precision, device))
    num_train = len(images) - config.num_held_out
    total = num_train * config.num_epochs
    columns = attribute_columns(people[:num_train])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        regressor = AttributeRegressor(style, columns, images.shape[1], config)
        regressor.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch declares less
        targets = Targets.of(columns, people[:num_train])
        _fit(
            regressor,
            images[:num_train],
            targets,
            lambda done: progress(done, total, f"fit {style} in {config.precision}"),
        )
    regressor.held_out = _measure(regressor, images[num_train:], people[num_train:])
    return regressor.requires_grad_(False).eval()


def drawing_sample(style: str, config: RegressorConfig, resolution: int, count: int = 4) -> Images:
    """Return the first drawings that a training would use; they change when the drawing does."""
    people = [subject_of(style).sample(config.seed, index) for index in range(count)]
    return draw_images(people, style, resolution)


def _draw(people: Sequence[Attributes], style: str, resolution: int, progress: Callable[[int], None]) -> Images:
    """Draw people at `resolution` and return them as they are read."""
    read_resolution = min(resolution, MAX_READ_RESOLUTION)
    images = np.empty((len(people), read_resolution, read_resolution, 3), np.uint8)
    for start in range(0, len(people), _DRAWN_AT_ONCE):
        drawings = draw_images(people[start : start + _DRAWN_AT_ONCE], style, resolution)
        images[start : start + len(drawings)] = to_uint8(shrink(to_tensor(drawings), read_resolution))
        progress(start + len(drawings))
    return images


def _fit(regressor: AttributeRegressor, images: Images, targets: Targets, progress: Callable[[int], None]) -> None:
    """Adam with decoupled weight decay (arXiv 1711.05101), the rate rising and then falling as a cosine."""
    config, device = regressor.config, next(regressor.parameters()).device
    steps_per_epoch = max(1, len(images) // config.batch_size)
    optimizer = torch.optim.AdamW(regressor.parameters(), lr=config.learning_rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate_scale(config.num_epochs * steps_per_epoch))
    for epoch in range(config.num_epochs):
        for chosen in torch.randperm(len(images))[: steps_per_epoch * config.batch_size].split(config.batch_size):
            x = to_tensor(images[chosen.numpy()])
            x = x + config.noise * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                outputs = regressor(x.to(device))
            loss = targets.loss(outputs, chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the regressor's loss is {loss.item()} in epoch {epoch + 1}, expected a finite one; lower its "
                "learning_rate"
            )
        progress((epoch + 1) * len(images))


def _rate_scale(num_steps: int) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step."""
    warmup = max(1, round(_WARMUP * num_steps))

    def scale(step: int) -> float:
        return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / num_steps)))

    return scale


def _measure(regressor: AttributeRegressor, images: Images, people: Sequence[object]) -> dict[str, HeldOut]:
    """Return how well each column is predicted from held-out images."""
    read = regressor.read(to_tensor(images))
    measures = {}
    for column in regressor.columns:
        score, baseline = held_out_score(column.kind, column.values(people), read[column.name])
        measures[column.name] = HeldOut(score=score, baseline=baseline)
    return measures
