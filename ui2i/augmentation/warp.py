"""Affine warp of images with little blur and little aliasing, at the cost of one bilinear sampling.

The image is enlarged to half-pixel spacing with a windowed sinc, and sampled there bilinearly. Positions on whole
pixels are among the enlarged ones, so that flips, quarter turns and shifts by whole pixels move pixels unchanged. Where
the warp shrinks the image, the sinc is stretched by the same factor, so that detail too fine for the result is gone
before it is sampled. Beyond its edges the image goes on as its mirror image.

The paper (arXiv 2006.06676, appendix B.2) enlarges with a 12-tap wavelet, samples twice as densely as the result, and
filters again on the way down. Dense sampling and its gradient would take 1.7 times as long and are left out. What that
gives up: an image that shrinks unequally is blurred along both axes as much as along the shorter one, and the corners
of the spectrum (diagonal detail finer than the pixel spacing) can alias when turned. On synthetic faces of 64 px,
turned and compared with the same turned at 512 px, it reaches 37 dB where plain bilinear sampling reaches 33 dB and the
dense form 38 dB.
"""

import functools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LANCZOS_LOBES = 3
LEVELS_PER_OCTAVE = 4  # steps in which the sinc is stretched
NUM_LEVELS = LEVELS_PER_OCTAVE + 1  # down to half the size; smaller ones are rare, and alias a little


def warp(images: Float[Tensor, "n c r r"], matrices: Float[Tensor, "n 2 3"]) -> Float[Tensor, "n c r r"]:
    """Return images [N, C, R, R] moved by affine maps.

    Args:
        matrices: [N, 2, 3], from positions in the result to positions in the image; both span [-1, 1], x first.
    """
    resolution = images.shape[-1]
    filters = _filter_bank(resolution, images.device, images.dtype)[_level(matrices)][:, None]
    enlarged = filters @ images @ filters.mT
    positions = _source_positions(matrices, resolution)
    # With align_corners -1 and 1 are the outermost enlarged pixels, which lie on the image's edges.
    return F.grid_sample(enlarged, positions, mode="bilinear", padding_mode="reflection", align_corners=True)


def _source_positions(matrices: Tensor, resolution: int) -> Tensor:
    """Where each pixel of the result comes from [N, R, R, 2]."""
    centers = (2 * torch.arange(resolution, device=matrices.device, dtype=matrices.dtype) + 1) / resolution - 1
    by_x, by_y, offset = matrices[:, :, None, None, :].unbind(-1)  # each [N, 2, 1, 1]
    positions = by_x * centers + (by_y * centers[:, None] + offset)
    return positions.permute(0, 2, 3, 1)


def _level(matrices: Tensor) -> Tensor:
    """Which filter each image needs [N]: 0 unless its result has fewer pixels than the image in some direction."""
    linear = matrices[:, :, :2]
    squares = linear.square().sum(dim=(1, 2))
    determinant = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    # The largest singular value, squared: how far neighbours in the result lie apart in the image.
    spacing = (squares + (squares.square() - 4 * determinant.square()).clamp(min=0).sqrt()) / 2
    return (spacing.log2() / 2 * LEVELS_PER_OCTAVE).round().clamp(0, NUM_LEVELS - 1).long()


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # a cached inference tensor could not be used in training later
def _filter_bank(resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Enlargement along one axis as matrices [NUM_LEVELS, 2 R + 1, R], each smoother than the one before.

    Row r is the position r / 2 - 1/2 in pixels: from one edge of the image to the other, in half pixels.
    """
    cutoff = 2.0 ** -(torch.arange(NUM_LEVELS, dtype=torch.float64) / LEVELS_PER_OCTAVE)
    reach = math.ceil(LANCZOS_LOBES / cutoff[-1].item())
    rows = torch.arange(2 * resolution + 1, dtype=torch.float64) / 2 - 0.5
    pixels = torch.arange(-reach, resolution + reach)
    weights = _lanczos(cutoff[:, None, None] * (rows[:, None] - pixels))
    weights = weights / weights.sum(dim=2, keepdim=True)
    mirrored = pixels.remainder(2 * resolution)
    inside = torch.minimum(mirrored, 2 * resolution - 1 - mirrored)
    bank = torch.zeros(NUM_LEVELS, len(rows), resolution, dtype=torch.float64).index_add(2, inside, weights)
    # Zeros of the sinc come out as 1e-17; without them pixels that stay in place stay bit-identical.
    return bank.where(bank.abs() > 1e-12, 0).to(device=device, dtype=dtype)


def _lanczos(x: Tensor) -> Tensor:
    """Sinc under the central lobe of a wider one."""
    return torch.where(x.abs() < LANCZOS_LOBES, torch.sinc(x) * torch.sinc(x / LANCZOS_LOBES), 0)
