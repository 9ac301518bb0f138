"""Batches of matrices in homogeneous coordinates: [N, 3, 3] for positions and [N, 4, 4] for colours, in float64.

Positions are (x, y) with x to the right, y downwards and the image spanning [-1, 1] in both, so that turning it about
its centre is a plain rotation. Colours are (R, G, B) in [-1, 1]. Parameters are float64 [N].
"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

# Direction of luma, the grey axis of the colour space (arXiv 2006.06676, appendix B).
_LUMA = (1 / math.sqrt(3),) * 3


def identity(num_images: int, size: int) -> Float64[Tensor, "n k k"]:
    """Return N unit matrices [N, size, size]."""
    return torch.eye(size, dtype=torch.float64).repeat(num_images, 1, 1)


def scaling(x: Float64[Tensor, " n"], y: Float64[Tensor, " n"]) -> Float64[Tensor, "n 3 3"]:
    """Stretch about the centre by the factors `x` and `y`."""
    return _homogeneous(torch.diag_embed(torch.stack((x, y), dim=1)))


def rotation(angle: Float64[Tensor, " n"]) -> Float64[Tensor, "n 3 3"]:
    """Turn about the centre by `angle` (radians), clockwise as seen."""
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack((cosine, -sine, sine, cosine), dim=1)
    return _homogeneous(rows.unflatten(1, (2, 2)))


def translation(x: Float64[Tensor, " n"], y: Float64[Tensor, " n"]) -> Float64[Tensor, "n 3 3"]:
    """Shift to the right and downwards by shares of the image's width."""
    matrix = identity(len(x), 3)
    # The image is 2 units wide.
    matrix[:, :2, 2] = 2 * torch.stack((x, y), dim=1)
    return matrix


def brightness(offset: Float64[Tensor, " n"]) -> Float64[Tensor, "n 4 4"]:
    """Add `offset` to every channel."""
    matrix = identity(len(offset), 4)
    matrix[:, :3, 3] = offset[:, None]
    return matrix


def contrast(factor: Float64[Tensor, " n"]) -> Float64[Tensor, "n 4 4"]:
    """Scale about mid-grey."""
    return _homogeneous(torch.eye(3, dtype=torch.float64) * factor[:, None, None])


def luma_flip(is_flipped: Float64[Tensor, " n"]) -> Float64[Tensor, "n 4 4"]:
    """Mirror brightness and keep hue and saturation, where `is_flipped` is 1 and not 0."""
    return _homogeneous(torch.eye(3, dtype=torch.float64) - 2 * _onto_luma() * is_flipped[:, None, None])


def hue_rotation(angle: Float64[Tensor, " n"]) -> Float64[Tensor, "n 4 4"]:
    """Turn colours about the luma axis by `angle` (radians), by Rodrigues' formula."""
    x, y, z = _LUMA
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return _homogeneous(cosine * torch.eye(3, dtype=torch.float64) + sine * cross + (1 - cosine) * _onto_luma())


def saturation(factor: Float64[Tensor, " n"]) -> Float64[Tensor, "n 4 4"]:
    """Scale the distance from the luma axis."""
    onto_luma = _onto_luma()
    return _homogeneous(onto_luma + factor[:, None, None] * (torch.eye(3, dtype=torch.float64) - onto_luma))


def _onto_luma() -> Tensor:
    axis = torch.tensor(_LUMA, dtype=torch.float64)
    return torch.outer(axis, axis)


def _homogeneous(linear: Tensor) -> Tensor:
    """Embed [N, k, k] in [N, k + 1, k + 1]."""
    size = linear.shape[1]
    matrix = identity(len(linear), size + 1)
    matrix[:, :size, :size] = linear
    return matrix
