"""SSIM, the structural similarity of two images (Wang et al., IEEE TIP 2004), as Table III of the paper reports it.

The window is Wang's: a Gaussian of 11 x 11 pixels with sigma 1.5; only places where it fits entirely count. Each colour
channel is compared by itself and the channels are averaged. Images are NCHW float32 RGB in [-1, 1], and are compared
as levels from 0: the term for luminance is a ratio of means and not what Wang et al. defined where black is not 0.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import DataError

WINDOW_SIZE = 11
SIGMA = 1.5
DATA_RANGE = 2.0  # of images in [-1, 1]
BLACK = -1.0
C1 = (0.01 * DATA_RANGE) ** 2
C2 = (0.03 * DATA_RANGE) ** 2


def ssim(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the mean SSIM of each pair of images [N], at most 1 (equal images) (Wang et al., Eq. 13 and 17).

    Equals the SSIM of the same images in [0, 1] or [0, 255] with that range's constants.

    Args:
        x: [N, C, H, W] in [-1, 1], H and W at least 11; differentiable.
        y: as `x`.

    Raises:
        DataError: the shapes differ, or the images are smaller than the window.
    """
    if x.shape != y.shape or x.ndim != 4:
        raise DataError(
            f"images of shape {tuple(x.shape)} and {tuple(y.shape)} came, expected two equal shapes [N, C, H, W]; "
            "resize one set or pair the images one to one"
        )
    if min(x.shape[2:]) < WINDOW_SIZE:
        raise DataError(
            f"images are {x.shape[3]} x {x.shape[2]} px, expected at least {WINDOW_SIZE} px a side, the size of "
            "SSIM's window; take larger images"
        )
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _window_means(torch.stack([x, y, x * x, y * y, x * y]))
    variance_x, variance_y = mean_xx - mean_x.square(), mean_yy - mean_y.square()
    covariance = mean_xy - mean_x * mean_y
    level_x, level_y = mean_x - BLACK, mean_y - BLACK  # variances are the same with and without
    luminance = (2 * level_x * level_y + C1) / (level_x.square() + level_y.square() + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _window_means(maps: Tensor) -> Tensor:
    """Average [..., H, W] over the Gaussian window around each inner pixel: [..., H - 10, W - 10]."""
    offsets = torch.arange(WINDOW_SIZE, dtype=maps.dtype, device=maps.device) - WINDOW_SIZE // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    window = window / window.sum()
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    means = F.conv2d(F.conv2d(flat, window[None, None, :, None]), window[None, None, None, :])
    return means.reshape(*maps.shape[:-2], *means.shape[-2:])
