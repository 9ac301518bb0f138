"""How good translations are (paper, Table II): fidelity to the target domain, diversity, similarity to the input.

    FID, KID   distance of all outputs to the target's images as distributions, on Inception's features
    fd, kd     the same on other features, the perceptual backbone's or EfficientNet's: no published FID compares
    LPIPS_d    mean LPIPS between random pairs of outputs: higher is more diverse
    LPIPS_s    mean LPIPS between an output and its input: lower is more similar

One pass over the outputs and the inputs serves all of them. Outputs are paired off at random, so that no output is in
two pairs, the pairs are independent and the standard error of their mean is honest.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import DataError
from ui2i.files import sha256_bytes, sha256_listing
from ui2i.images import to_uint8
from ui2i.metrics.frechet import Features, frechet_distance, frechet_standard_error, kernel_distance
from ui2i.metrics.image_sets import ImageSet
from ui2i.metrics.inception import Inception
from ui2i.metrics.moments import Estimate, estimate
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress

BATCH_SIZE = 32  # even, so that no pair is divided
MIN_OUTPUTS = 4


class Embedder(Protocol):
    """A network whose features make a Frechet distance."""

    name: str
    weights_hash: str

    def embed(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return the features [N, C] of images [N, 3, H, W] in [-1, 1]."""


@dataclasses.dataclass(frozen=True)
class Embedded:
    """What the statistics of a set of images are made from."""

    backbone: Features  # [N, C]; or those of the network that was given in its place
    inception: Features | None  # [N, 2048]; None: no Inception

    @property
    def count(self) -> int:
        """How many images these are the features of."""
        return len(self.backbone)

    def take(self, chosen: Sequence[int]) -> "Embedded":
        """Return the features of the images at some places, in that order."""
        places = np.asarray(chosen, np.int64)
        return Embedded(self.backbone[places], None if self.inception is None else self.inception[places])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One system's outputs, measured."""

    fd: float  # on the backbone, or the network in its place
    fd_sem: float | None  # by the bootstrap; None: on the backbone, whose distance nobody asks an interval of
    kd: float
    fid: float | None  # None: no Inception
    kid: float | None
    lpips_d: Estimate
    lpips_s: Estimate | None  # None: no inputs
    outputs_hash: str  # SHA-256 of the images, rounded to 8 bits, in their order


@torch.no_grad()
def embed_set(
    image_set: ImageSet,
    perceptual: Perceptual,
    inception: Inception | None = None,
    *,
    frechet: Embedder | None = None,
    progress: Progress = no_progress,
) -> Embedded:
    """Return the features of all images of a set, for use as `target` of several evaluations.

    Args:
        frechet: whose features `fd` and `kd` are to be on; None: the perceptual backbone's.
    """
    parts = _Parts()
    for start in range(0, image_set.count, BATCH_SIZE):
        images = image_set.read(range(start, min(start + BATCH_SIZE, image_set.count)))
        parts.add((frechet or perceptual).embed(images), images, inception)
        progress(min(start + BATCH_SIZE, image_set.count), image_set.count, "target images")
    return parts.embedded()


@torch.no_grad()
def evaluate(
    outputs: ImageSet,
    inputs: ImageSet | None,
    target: Embedded,
    perceptual: Perceptual,
    inception: Inception | None = None,
    *,
    frechet: Embedder | None = None,
    embedded: Embedded | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure a system's outputs (paper, Table II).

    Args:
        inputs: the images that were translated, in the order of the outputs; None: not known.
        target: features of the target domain's images, by the same networks.
        frechet: as in `embed_set`.
        embedded: features of the outputs, by the same networks; None: they are computed here.
        seed: of the random pairs.
        progress: counts outputs.

    Raises:
        DataError: there are fewer than four outputs, another number of inputs, or images too small for the backbone.
    """
    _check_counts(outputs, inputs)
    parts, hashes = _Parts(), [""] * outputs.count
    diversity: list[Tensor] = []
    similarity: list[Tensor] = []
    order = np.random.RandomState(seed).permutation(outputs.count)
    for start in range(0, outputs.count, BATCH_SIZE):
        places = order[start : start + BATCH_SIZE]
        images = outputs.read(places)
        maps = perceptual.features(images)
        if embedded is None:
            embedding = perceptual.embed_features(maps) if frechet is None else frechet.embed(images)
            parts.add(embedding, images, inception)
        diversity.append(_paired_off(maps, perceptual))
        if inputs is not None:
            similarity.append(perceptual.distance_from_features(maps, perceptual.features(inputs.read(places))))
        for place, pixels in zip(places, to_uint8(images), strict=True):
            hashes[place] = sha256_bytes(pixels.tobytes())
        progress(min(start + BATCH_SIZE, outputs.count), outputs.count, "outputs")
    own = embedded or parts.embedded()
    fid, kid = None, None
    if own.inception is not None and target.inception is not None:
        fid = frechet_distance(own.inception, target.inception)
        kid = kernel_distance(own.inception, target.inception)
    return Evaluation(
        fd=frechet_distance(own.backbone, target.backbone),
        fd_sem=None if frechet is None else frechet_standard_error(own.backbone, target.backbone, seed=seed),
        kd=kernel_distance(own.backbone, target.backbone),
        fid=fid,
        kid=kid,
        lpips_d=estimate(_numbers(diversity)),
        lpips_s=estimate(_numbers(similarity)) if similarity else None,
        outputs_hash=sha256_listing((str(place), digest) for place, digest in enumerate(hashes)),
    )


class _Parts:
    """Features as they come."""

    def __init__(self) -> None:
        self.backbone: list[Tensor] = []
        self.inception: list[Tensor] = []

    def add(self, embedding: Tensor, images: Tensor, inception: Inception | None) -> None:
        """Take in a batch: its embedding [n, C] by the backbone, and the images for Inception."""
        self.backbone.append(embedding.cpu())
        if inception is not None:
            self.inception.append(inception.embed(images).cpu())

    def embedded(self) -> Embedded:
        """Return all of them, in float64."""
        inception = torch.cat(self.inception).double().numpy() if self.inception else None
        return Embedded(torch.cat(self.backbone).double().numpy(), inception)


def _paired_off(maps: list[Tensor], perceptual: Perceptual) -> Tensor:
    """Return LPIPS [n // 2] between neighbours of a batch; an odd one out is left out."""
    num_pairs = len(maps[0]) // 2
    return perceptual.distance_from_features(
        [layer[0 : 2 * num_pairs : 2] for layer in maps], [layer[1 : 2 * num_pairs : 2] for layer in maps]
    )


def _numbers(batches: list[Tensor]) -> np.ndarray:
    return torch.cat(batches).double().cpu().numpy()


def _check_counts(outputs: ImageSet, inputs: ImageSet | None) -> None:
    if outputs.count < MIN_OUTPUTS:
        raise DataError(
            f"{outputs.count} outputs came, expected at least {MIN_OUTPUTS}, and thousands for values worth comparing; "
            "translate more images"
        )
    if inputs is not None and inputs.count != outputs.count:
        raise DataError(
            f"{outputs.count} outputs and {inputs.count} inputs came, expected as many of each, in the same order; "
            "leave out the inputs that have no output"
        )
