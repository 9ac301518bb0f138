"""What a model's own images look like, as numbers: how they vary, and how far from that held-out images lie.

The distance is Mahalanobis' with the covariance of probabilistic PCA (Tipping and Bishop, 1999): standard deviations
along the directions in which the reference images vary most, and along all others together. So it needs no more images
than there are features, and a file of a size that does not grow with their square. The distance is divided by the one
within which `QUANTILE` of held-out images lie, so above 1 an image is farther off than nearly all images of the domain.
Nothing but these statistics is kept, and nothing of single images.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64

from ui2i.domain_check.features import FeatureKind
from ui2i.errors import CheckpointError, UI2IError
from ui2i.provenance import provenance
from ui2i.settings import dataclass, from_mapping, to_mapping
from ui2i.settings.bounds import Positive, Whole
from ui2i.tensor_files import read_tensors, write_tensors

FORMAT_VERSION = 1
KIND = "domain_check"
QUANTILE = 0.99
"""Share of held-out images within distance 1: one in a hundred images of the domain is called unlike it."""

NUM_DIRECTIONS = 64
"""In which images vary most; at most a quarter as many as there are images."""

MIN_RECONSTRUCTED = 8
"""Held-out images, with fewer of which a reconstruction is not judged."""

MIN_IMAGES = 50
"""Reference and held-out images together, without which nothing can be said."""


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """How well held-out images are reconstructed with one way of inverting."""

    inverted_with: str  # the method and its settings, as JSON
    num_images: Whole
    ssim: float  # mean
    ssim_low: float  # all but 1 in 100 are expected to be better


@dataclasses.dataclass(frozen=True, kw_only=True)
class DomainReference:
    """The statistics of a model's own images."""

    features: FeatureKind
    features_hash: str
    base_hash: str  # SHA-256 of the generator's file
    dataset_hash: str | None  # None: no images were at hand
    origin: Literal["images", "samples"]  # samples: the generator's own, which are not what it was trained on
    num_images: int
    num_held_out: int
    threshold: float  # distance of which QUANTILE of held-out images are within
    mean: Float64[np.ndarray, " c"]
    scale: Float64[np.ndarray, " c"]  # standard deviation of each feature
    directions: Float64[np.ndarray, "c k"]  # orthogonal ones of the scaled features
    variances: Float64[np.ndarray, " k"]  # along them
    residual_variance: float  # along each of all other directions
    reconstructions: tuple[Reconstructions, ...] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def distances(self, features: Float64[np.ndarray, "n c"]) -> Float64[np.ndarray, " n"]:
        """Return how far images are off; 1 is where held-out images end."""
        scaled = (features - self.mean) / self.scale
        along = scaled @ self.directions
        beside = np.square(scaled).sum(axis=1) - np.square(along).sum(axis=1)
        squared = np.square(along) @ (1 / self.variances) + beside.clip(0) / self.residual_variance
        return np.sqrt(squared) / self.threshold

    def with_reconstructions(self, measured: Reconstructions) -> "DomainReference":
        """Return the same with how well held-out images are reconstructed in one more way."""
        others = [each for each in self.reconstructions if each.inverted_with != measured.inverted_with]
        return dataclasses.replace(self, reconstructions=(*others, measured))

    def reconstructions_with(self, inverted_with: str) -> Reconstructions | None:
        """Return how well held-out images are reconstructed in one way; None: that was not measured."""
        return next((each for each in self.reconstructions if each.inverted_with == inverted_with), None)


def fit_reference(
    own: Float64[np.ndarray, "n c"], held_out: Float64[np.ndarray, "m c"], **values: Any
) -> DomainReference:
    """Return the reference of images by their features.

    Args:
        own: features of images that the model was trained on, or of its samples.
        held_out: those of others of the same kind, at least one.
        values: the other fields of `DomainReference`.
    """
    mean = own.mean(axis=0)
    scale = own.std(axis=0)
    scale = np.maximum(scale, 1e-3 * np.median(scale) + 1e-12)  # a feature that hardly varies must not decide alone
    _, lengths, directions = np.linalg.svd((own - mean) / scale, full_matrices=False)
    variances = np.square(lengths) / (len(own) - 1)
    num = min(NUM_DIRECTIONS, len(own) // 4, len(mean) - 1)
    residual = max(float(variances[num:].sum()) / (len(mean) - num), 1e-6)
    reference = DomainReference(
        mean=_as_stored(mean),
        scale=_as_stored(scale),
        directions=_as_stored(directions[:num].T, _DTYPES["directions"]),
        variances=_as_stored(variances[:num]),
        residual_variance=residual,
        threshold=1.0,
        num_images=len(own),
        num_held_out=len(held_out),
        provenance=provenance(),
        **values,
    )
    return dataclasses.replace(reference, threshold=float(np.quantile(reference.distances(held_out), QUANTILE)))


def _as_stored(array: Float64[np.ndarray, "*_"], dtype: type = np.float32) -> Float64[np.ndarray, "*_"]:
    """Return an array as it is read back from a file: its values, and its order, in which products are summed."""
    return array.astype(dtype, order="C").astype(np.float64)


def save_reference(path: Path, reference: DomainReference) -> None:
    """Write a reference atomically."""
    arrays = {name: getattr(reference, name).astype(_DTYPES.get(name, np.float32)) for name in _ARRAYS}
    header = {name: getattr(reference, name) for name in _HEADER} | {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "reconstructions": [to_mapping(each) for each in reference.reconstructions],
    }
    write_tensors(path, {name: torch.from_numpy(array).contiguous() for name, array in arrays.items()}, header)


def load_reference(path: Path) -> DomainReference:
    """Read a reference.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    stored = read_tensors(path, what="a domain check")
    header = stored.header
    try:
        if (header["format_version"], header["kind"]) != (FORMAT_VERSION, KIND):
            raise ValueError(f"it is a {header['kind']} of format version {header['format_version']}")
        arrays: dict[str, Any] = {name: stored.tensors[name].double().numpy() for name in _ARRAYS}
        shape = len(arrays["mean"]), len(arrays["variances"])
        if arrays["directions"].shape != shape or arrays["scale"].shape != shape[:1]:
            raise ValueError("its parts do not fit each other")
        made = [from_mapping(Reconstructions, each, section="reconstructions") for each in header["reconstructions"]]
        values = {name: header[name] for name in _HEADER}
        reference = DomainReference(**arrays, **values, reconstructions=tuple(made))
        from_mapping(_Checked, {name: values[name] for name in _NUMBERS}, section="header")
    except (UI2IError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no readable domain check ({error}), expected one that this version wrote; delete it, and it "
            "is made anew"
        ) from error
    stored.check()
    return reference


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """The numbers of a header, within their bounds."""

    num_images: Whole
    num_held_out: Whole
    threshold: Positive
    residual_variance: Positive


_NUMBERS = tuple(field.name for field in dataclasses.fields(_Checked))
_ARRAYS = ("mean", "scale", "directions", "variances")
_DTYPES = {"directions": np.float16}
"""Of arrays that are no float32: nearly all of a file are directions, which half precision turns by 1e-3 at most."""

_HEADER = tuple(
    field.name for field in dataclasses.fields(DomainReference) if field.name not in (*_ARRAYS, "reconstructions")
)


def inverted_with(columns: Mapping[str, Any]) -> str:
    """Return what identifies a way of inverting, of the columns that an `Inverter`'s latent codes have in common."""
    return json.dumps({name: value for name, value in columns.items() if name != "base_hash"}, sort_keys=True)


def reconstructions_of(ssims: Sequence[float], columns: Mapping[str, Any]) -> Reconstructions | None:
    """Return how well held-out images are reconstructed; None: there are fewer than `MIN_RECONSTRUCTED`.

    The lower end is that of a prediction for one more image (Student's t), so that a dozen images will do; but never
    above the worst of them, since some domains have a few images that are far harder than the rest.

    Args:
        ssims: between each image and its reconstruction.
        columns: how they were inverted (`Inverter.columns`).
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    count = len(ssims)
    if count < MIN_RECONSTRUCTED:
        return None
    mean, std = float(np.mean(ssims)), float(np.std(ssims, ddof=1))
    low = mean - float(stdtrit(count - 1, QUANTILE)) * std * (1 + 1 / count) ** 0.5
    return Reconstructions(inverted_with=inverted_with(columns), num_images=count, ssim=mean, ssim_low=min(low, *ssims))
