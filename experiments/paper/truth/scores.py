"""How near translations come to the truth: the same people drawn in the target style, unseen by any training.

    score = 1 - d(output, counterpart) / d(random target image, counterpart)

is 1 for the counterpart itself, about 0 for an image that looks like the target domain and shows somebody else, and
below 0 for worse. Beside it stands the score of the input itself, passed on unchanged: a translation that does not
beat it has not helped. The distance d is LPIPS, 1 - SSIM, or the root of the mean squared difference of images in
[-1, 1]. Images are uint8 RGB, [N, R, R, 3].
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from ui2i.errors import DataError
from ui2i.images import to_tensor
from ui2i.metrics.ssim import ssim
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress

Metric = Literal["lpips", "ssim", "rmse"]
Images = UInt8[np.ndarray, "n r r 3"]

METRICS: tuple[Metric, ...] = ("lpips", "ssim", "rmse")
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageScore:
    """One translation against its true counterpart."""

    image: int  # place in the arrays
    variant: str
    metric: Metric
    distance: float  # of the translation to the counterpart; of ssim, 1 - SSIM
    copy_distance: float  # of the input to the counterpart
    chance_distance: float  # of images of the target domain to the counterpart, on average over the draws
    num_draws: int

    @property
    def score(self) -> float:
        """1: the counterpart itself; 0: no nearer than chance."""
        return 1 - self.distance / self.chance_distance

    @property
    def copy_score(self) -> float:
        """The score of the unchanged input."""
        return 1 - self.copy_distance / self.chance_distance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """A mean over images with its uncertainty."""

    mean: float
    sem: float
    ci95_low: float  # 95 % interval of the mean: Student's t
    ci95_high: float
    num_images: int


@torch.no_grad()
def score_translations(
    inputs: Images,
    outputs: Mapping[str, Images],
    counterparts: Images,
    targets: Images,
    perceptual: Perceptual,
    *,
    num_draws: int = 8,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[ImageScore]:
    """Measure each translation against the truth, between a copy of its input and random images of the target domain.

    Args:
        inputs: images of the source domain.
        outputs: by variant, the translation of each input.
        counterparts: the same people as in `inputs`, drawn in the target's style.
        targets: images of the target domain that show others.
        num_draws: images of `targets` drawn for each input, all different; all of them if there are fewer.
        seed: of these draws.
        progress: counts images.

    Returns:
        Scores by variant, then image, then metric.

    Raises:
        DataError: the arrays do not fit each other, or a drawn target is a counterpart.
    """
    _check_shapes(inputs, outputs, counterparts, targets)
    draws = _draw(len(inputs), len(targets), num_draws, seed)
    scores: dict[str, list[ImageScore]] = {variant: [] for variant in outputs}
    for start in range(0, len(inputs), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        truth = _Truth.of(counterparts[part], perceptual)
        copies = truth.distances(inputs[part])
        drawn = [truth.distances(targets[column]) for column in draws[part].T]
        _check_others(start, drawn)
        chances = _mean(drawn)
        for variant, images in outputs.items():
            distances = truth.distances(images[part])
            scores[variant] += _scores(variant, start, distances, copies, chances, draws.shape[1])
        progress(min(part.stop, len(inputs)), len(inputs), "scores")
    return [score for variant in outputs for score in scores[variant]]


def summarize(values: Sequence[float]) -> Summary:
    """Return the mean of `values` and how well they determine it.

    Raises:
        DataError: there are fewer than two.
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    if len(values) < 2:
        raise DataError(
            f"there is {len(values)} value, expected at least 2 for a mean with an interval; translate more images "
            "(translate.num_images)"
        )
    mean, sem = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half_width = float(stdtrit(len(values) - 1, 0.975)) * sem
    return Summary(mean=mean, sem=sem, ci95_low=mean - half_width, ci95_high=mean + half_width, num_images=len(values))


Distances = dict[Metric, Float64[np.ndarray, " n"]]


@dataclasses.dataclass(frozen=True)
class _Truth:
    """A batch of counterparts, looked at once for all that is compared with them."""

    images: Tensor  # [N, 3, R, R]
    features: list[Tensor]
    perceptual: Perceptual

    @classmethod
    def of(cls, counterparts: Images, perceptual: Perceptual) -> "_Truth":
        images = to_tensor(counterparts).to(perceptual.heads[0].device)
        return cls(images, perceptual.features(images), perceptual)

    def distances(self, others: Images) -> Distances:
        """Return each metric's distances of one other image a counterpart."""
        x = to_tensor(others).to(self.images.device)
        values: dict[Metric, Tensor] = {
            "lpips": self.perceptual.distance_from_features(self.perceptual.features(x), self.features),
            "ssim": 1 - ssim(x, self.images),
            "rmse": (x - self.images).square().mean(dim=(1, 2, 3)).sqrt(),
        }
        return {metric: value.cpu().double().numpy() for metric, value in values.items()}


def _draw(num_images: int, num_targets: int, num_draws: int, seed: int) -> Int64[np.ndarray, "n draws"]:
    """Choose targets for each image; the choice for one does not depend on how many there are."""
    rows = [np.random.default_rng([seed, image]).permutation(num_targets)[:num_draws] for image in range(num_images)]
    return np.stack(rows).astype(np.int64)


def _mean(parts: Sequence[Distances]) -> Distances:
    return {metric: np.mean([part[metric] for part in parts], axis=0) for metric in METRICS}


def _check_others(start: int, drawn: Sequence[Distances]) -> None:
    """Refuse a drawn image that is the counterpart itself: chance would come out too near to the truth."""
    for distances in drawn:
        if (same := np.flatnonzero(distances["rmse"] == 0)).size:
            raise DataError(
                f"a target image drawn for image {start + same[0]} equals its counterpart, expected images of others; "
                "take a target domain with another seed"
            )


def _scores(
    variant: str, start: int, distances: Distances, copies: Distances, chances: Distances, num_draws: int
) -> list[ImageScore]:
    return [
        ImageScore(
            image=start + place,
            variant=variant,
            metric=metric,
            distance=float(distances[metric][place]),
            copy_distance=float(copies[metric][place]),
            chance_distance=float(chances[metric][place]),
            num_draws=num_draws,
        )
        for place in range(len(distances["lpips"]))
        for metric in METRICS
    ]


def _check_shapes(inputs: Images, outputs: Mapping[str, Images], counterparts: Images, targets: Images) -> None:
    for name, images in {**outputs, "counterparts": counterparts}.items():
        if images.shape != inputs.shape:
            raise DataError(
                f"{name} has the shape {list(images.shape)}, expected that of the inputs, {list(inputs.shape)}; pass "
                "one image an input, of its size"
            )
    if len(inputs) == 0 or len(targets) == 0 or targets.shape[1:] != inputs.shape[1:]:
        raise DataError(
            f"{len(inputs)} inputs and targets of shape {list(targets.shape)} came, expected at least one of each, of "
            "one size; pass more"
        )
