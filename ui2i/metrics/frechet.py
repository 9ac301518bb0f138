"""The distance between two sets of images as distributions: Frechet and kernel distance on an LPIPS backbone.

The formulas are those of FID (Heusel et al., arXiv 1706.08500, Eq. 6) and KID (Binkowski et al., arXiv 1801.01401,
section 4); the features are the backbone's last maps, scaled to unit size as in LPIPS and averaged over the pixels, not
Inception's. So the values are called `fd_<backbone>` and `kd_<backbone>` and compare with no published FID or KID.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import to_tensor
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.samples import sample_latents

Features = Float64[np.ndarray, "n c"]

BATCH_SIZE = 50
NUM_RESAMPLES = 50  # which give a standard error to a tenth of itself
KEPT_VARIANCE = 0.98  # share, for a standard error
MIN_IMAGES = 2
KERNEL_ROWS = 512  # of the kernel at a time


@torch.no_grad()
def embed(batches: Callable[[slice], Float[Tensor, "n 3 r r"]], num_images: int, perceptual: Perceptual) -> Features:
    """Return the features of images that `batches` hands out by position, [3, R, R] each in [-1, 1]."""
    parts = [
        perceptual.embed(batches(slice(start, min(start + BATCH_SIZE, num_images))))
        for start in range(0, num_images, BATCH_SIZE)
    ]
    return torch.cat(parts).double().cpu().numpy()


def frechet_distance(x: Features, y: Features) -> float:
    """Return |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), at least 0; below about C images biased upwards.

    Raises:
        DataError: a set has fewer than two images.
    """
    _check_count(x, y)
    if min(len(x), len(y)) < x.shape[1]:
        # tr (C_x C_y)^(1/2) is the sum of the singular values of the products of centered features,
        products = (x - x.mean(axis=0)) @ (y - y.mean(axis=0)).T
        overlap = np.linalg.svd(products, compute_uv=False).sum() / math.sqrt((len(x) - 1) * (len(y) - 1))
    else:
        # and of R_x R_y, where R R = C.
        roots = _root(np.cov(x, rowvar=False)) @ _root(np.cov(y, rowvar=False))
        overlap = np.linalg.svd(roots, compute_uv=False).sum()
    return _distance(x, y, float(overlap))


def frechet_standard_error(x: Features, y: Features, *, seed: int = 0, num_resamples: int = NUM_RESAMPLES) -> float:
    """Return the bootstrap standard error of `frechet_distance`: both sets are drawn again from themselves.

    Such draws have fewer different images, so that their distances are too large. Only their spread is of use, and it
    is rather too large: in simulations with normal features (125 to 1,000 images, 64 to 192 numbers each) 1.2 to 3.3
    times the true one near the distance's floor, and 0.9 times well above it. Where there are more images than
    features, it is taken along the principal directions with `KEPT_VARIANCE` of the variance, which takes a fraction of
    the time; what varies least adds little to the spread, and is left out.

    Raises:
        DataError: a set has fewer than two images.
    """
    _check_count(x, y)
    random = np.random.RandomState(seed)
    products = x @ y.T if min(len(x), len(y)) < x.shape[1] else None
    if products is None:
        directions = _principal_directions(np.concatenate([x, y]))
        x, y = x @ directions, y @ directions
    values = []
    for _ in range(num_resamples):
        places_x, places_y = (random.randint(0, len(part), len(part)) for part in (x, y))
        if products is None:
            values.append(frechet_distance(x[places_x], y[places_y]))
        else:
            drawn = products[places_x][:, places_y]
            values.append(_distance_from_products(x[places_x], y[places_y], drawn))
    return float(np.std(values, ddof=1))


def _distance_from_products(x: Features, y: Features, products: np.ndarray) -> float:
    """Return `frechet_distance`, of which few images need no covariance: products [N, M] of their features do."""
    centered = products - products.mean(axis=0) - products.mean(axis=1, keepdims=True) + products.mean()
    centered = centered if len(x) < len(y) else centered.T
    squares = np.linalg.eigvalsh(centered @ centered.T).clip(0) / ((len(x) - 1) * (len(y) - 1))
    return _distance(x, y, float(np.sqrt(squares).sum()))


def kernel_distance(x: Features, y: Features) -> float:
    """Return the unbiased squared MMD with the kernel (x.y / C + 1)^3; around 0, and below it at times, for equal sets.

    Raises:
        DataError: a set has fewer than two images.
    """
    _check_count(x, y)
    within = sum((_kernel_sum(part, part) - _kernel_trace(part)) / (len(part) * (len(part) - 1)) for part in (x, y))
    return float(within - 2 * _kernel_sum(x, y) / (len(x) * len(y)))


@dataclasses.dataclass(frozen=True)
class HeldOutEvaluator:
    """Measures a generator against images that it was not trained on; made by `held_out_evaluator`."""

    reference: Features
    perceptual: Perceptual
    num_images: int
    seed: int

    def __call__(self, generator: Generator) -> Mapping[str, float]:
        """Return `fd` and `kd` of `num_images` generated images (psi 1) to the held-out ones."""
        z = sample_latents(self.seed, self.num_images, generator.config.z_dim)

        def images(positions: slice) -> Tensor:
            return generator(z[positions].to(generator.w_avg.device)).clamp(-1, 1)

        features = embed(images, self.num_images, self.perceptual)
        return {
            "fd": frechet_distance(features, self.reference),
            "kd": kernel_distance(features, self.reference),
        }


def held_out_evaluator(
    dataset: PreparedDataset, perceptual: Perceptual, *, num_images: int, device: str, seed: int = 1
) -> HeldOutEvaluator:
    """Return a measurement against all images of `dataset`, a test split; their features are computed here, once."""

    def images(positions: slice) -> Tensor:
        return to_tensor(dataset.images(positions)).to(device)

    reference = embed(images, len(dataset), perceptual)
    _check_count(reference, reference)
    return HeldOutEvaluator(reference, perceptual, num_images, seed)


def _distance(x: Features, y: Features, overlap: float) -> float:
    shift = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    spread = x.var(axis=0, ddof=1).sum() + y.var(axis=0, ddof=1).sum()
    return max(0.0, float(shift + spread - 2 * overlap))


def _principal_directions(features: Features) -> Float64[np.ndarray, "c kept"]:
    """Return the fewest orthonormal directions along which features have `KEPT_VARIANCE` of their variance."""
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    shares = variances[::-1].clip(0).cumsum()
    num_kept = int(np.searchsorted(shares, KEPT_VARIANCE * shares[-1])) + 1
    kept: np.ndarray = directions[:, ::-1][:, :num_kept]
    return kept


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _kernel_sum(x: Features, y: Features) -> float:
    """Return the sum of the kernel over all pairs, a few rows at a time: all of it would take the memory of N x M."""
    starts = range(0, len(x), KERNEL_ROWS)
    return math.fsum(float(((x[start : start + KERNEL_ROWS] @ y.T / x.shape[1] + 1) ** 3).sum()) for start in starts)


def _kernel_trace(x: Features) -> float:
    """Return the sum of the kernel of each image with itself."""
    return float(((np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3).sum())


def _check_count(x: Features, y: Features) -> None:
    if min(len(x), len(y)) < MIN_IMAGES:
        raise DataError(
            f"sets of {len(x)} and {len(y)} images came, expected at least {MIN_IMAGES} in each, and thousands for "
            "values worth comparing; add images or raise ingest.test_share"
        )
