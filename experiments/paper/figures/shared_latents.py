"""Images of several models for the same latents, compared with the base's: for Figures 7 and 8.

    lpips   between a model's image of a latent and the base's: lower is more similar (Eq. 1)
    fd, kd  distance of a model's images to the target domain's, as distributions: lower is more like the domain
    traits  how well an attribute of the base's image can be told from the model's, read in both: 1 surely, 0 not

Images are rounded to 8 bits, as in files. One latent after another has its own values, so that two models are
compared pair by pair.
"""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from experiments.paper.truth import AttributeRegressor, Column
from experiments.paper.truth.columns import agreement
from ui2i.images import to_tensor, to_uint8
from ui2i.metrics.frechet import Features, frechet_distance, frechet_standard_error, kernel_distance
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual

Images = UInt8[np.ndarray, "n r r 3"]

BATCH_SIZE = 32
NUM_RESAMPLES = 500
_MIN_ROOM = 0.01  # between chance and 1; below, an attribute hardly varies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measures:
    """One model's images of the shared latents."""

    lpips: Float64[np.ndarray, " n"]  # to the base's, latent by latent
    fd: float
    fd_sem: float  # by the bootstrap
    kd: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptTraits:
    """How well the attributes of the base's images can be predicted from a model's."""

    attributes: tuple[str, ...]
    values: Float64[np.ndarray, " attributes"]
    resampled: Float64[np.ndarray, "attributes resamples"]  # the same over other choices of latents

    @property
    def mean(self) -> float:
        """Over the attributes."""
        return float(self.values.mean())

    def interval(self, place: int | None = None) -> tuple[float, float]:
        """Return the 95 % interval of one attribute's value, or of the mean."""
        again = self.resampled.mean(axis=0) if place is None else self.resampled[place]
        low, high = np.quantile(again, [0.025, 0.975])
        return float(low), float(high)


@torch.no_grad()
def images_of(generator: Generator, z: Float[Tensor, "n z_dim"], truncation_psi: float) -> Images:
    """Return a model's images of latents, with the noise that is stored with it."""
    device = generator.w_avg.device
    return np.concatenate(
        [to_uint8(generator(part.to(device), truncation_psi=truncation_psi)) for part in z.split(BATCH_SIZE)]
    )


@torch.no_grad()
def measure_images(images: Images, of_base: Images, target: Features, perceptual: Perceptual) -> Measures:
    """Compare a model's images with the base's of the same latents and with the target's.

    Args:
        target: features of the target domain's images, by the same backbone.
    """
    device = perceptual.heads[0].device
    lpips, embedded = [], []
    for start in range(0, len(images), BATCH_SIZE):
        ours, theirs = (
            perceptual.features(to_tensor(batch[start : start + BATCH_SIZE]).to(device)) for batch in (images, of_base)
        )
        lpips.append(perceptual.distance_from_features(ours, theirs).double().cpu().numpy())
        embedded.append(perceptual.embed_features(ours).double().cpu().numpy())
    features = np.concatenate(embedded)
    return Measures(
        lpips=np.concatenate(lpips),
        fd=frechet_distance(features, target),
        fd_sem=frechet_standard_error(features, target),
        kd=kernel_distance(features, target),
    )


def kept_traits(
    of_base: Images,
    images: Images,
    base_regressor: AttributeRegressor,
    regressor: AttributeRegressor,
    *,
    min_skill: float,
    seed: int = 0,
) -> KeptTraits:
    """Compare the attributes read from the base's images with those read from a model's of the same latents.

    (agreement - chance) / (1 - chance), where agreement is a correlation, a mean cosine or an accuracy, and chance the
    same of shuffled readings. Both regressors err, so that even a perfect translation stays below 1.

    Args:
        base_regressor: of the base's style.
        regressor: of the domain's.
        min_skill: attributes that either reads worse are left out.
        seed: of the resampling for intervals.
    """
    unreadable = {*base_regressor.unreadable(min_skill), *regressor.unreadable(min_skill)}
    known = {column.name for column in base_regressor.columns} - unreadable
    columns = [column for column in regressor.columns if column.name in known]
    read, read_base = regressor.read(to_tensor(images)), base_regressor.read(to_tensor(of_base))
    chosen = np.random.default_rng(seed).integers(len(images), size=(NUM_RESAMPLES, len(images)))
    values, resampled = [], []
    for column in columns:
        true, seen = _same_classes(column, base_regressor, read_base[column.name]), read[column.name]
        values.append(_above_chance(column, true, seen))
        resampled.append(_above_chance(column, true[chosen], seen[chosen]))
    return KeptTraits(
        attributes=tuple(column.name for column in columns),
        values=np.array([float(value) for value in values]),
        resampled=np.array(resampled).reshape(len(columns), NUM_RESAMPLES),
    )


def _same_classes(
    column: Column, base_regressor: AttributeRegressor, values: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Return the base's classes by their places in a column of another style, whose drawings may have had others."""
    if column.kind != "category":
        return values
    own = next(other for other in base_regressor.columns if other.name == column.name)
    places = [column.classes.index(name) if name in column.classes else -1 for name in own.classes]
    return np.array(places, np.float64)[values.astype(np.int64)]


def _above_chance(column: Column, true: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Return the agreement over the last dimension, 1 at best and 0 at chance; 0 where nothing varies."""
    value, chance = agreement(column.kind, true, read)
    room = 1 - chance
    return np.where(room > _MIN_ROOM, (value - chance) / np.maximum(room, _MIN_ROOM), 0.0)
