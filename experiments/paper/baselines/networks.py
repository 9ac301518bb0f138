"""The networks of CycleGAN, for images of 32 px and more (Zhu et al. 2017, arXiv 1703.10593, appendix 7.2).

The generator keeps an image's size: two strided layers down, residual blocks at a quarter of the size, two layers up.
The discriminator classifies overlapping patches, not the whole image. Every normalisation is that of an instance, so a
image's result does not depend on the others in its batch. Images are NCHW float32 in [-1, 1].
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ui2i.errors import DataError

MIN_RESOLUTION = 32  # pixels
NUM_STRIDED_LAYERS = {16: 1, 34: 2, 70: 3}  # of a discriminator, by the side of the patches that it sees
MAX_PATCH_SHARE = 0.55  # of the image's side: that of the paper's 70 px in its images of 128 px
INITIAL_STD = 0.02  # of all weights
EPSILON = 1e-5  # added to the variance


class InstanceNorm(nn.Module):
    """Give each channel of each image the mean 0 and the variance 1."""

    def forward(self, x: Tensor) -> Tensor:
        return _Normalization.apply(x)


class _Normalization(Function):
    """The same numbers as F.instance_norm, several times faster on a CPU where activations are channels last.

    y = (x - mean) / std, and dx = (dy - mean(dy) - y mean(dy y)) / std, with means over an image's pixels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x - _mean(x)
        inverse_std = (_mean(y * y) + EPSILON).rsqrt()
        y.mul_(inverse_std)
        ctx.save_for_backward(y, inverse_std)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        y, inverse_std = ctx.saved_tensors
        return torch.addcmul(dy - _mean(dy), y, _mean(dy * y), value=-1).mul_(inverse_std)


class ResidualBlock(nn.Module):
    """Rk: two 3x3 convolutions, added to what came in."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _same(num_channels, num_channels, 3),
            InstanceNorm(),
            nn.ReLU(),
            _same(num_channels, num_channels, 3),
            InstanceNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Generator(nn.Module):
    """c7s1-k, d2k, d4k, R4k for each block, u2k, uk, c7s1-3, where k is `width`."""

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(_same(3, width, 7)),
            *_normalized(_down(width, 2 * width)),
            *_normalized(_down(2 * width, 4 * width)),
            *(ResidualBlock(4 * width) for _ in range(num_blocks)),
            *_normalized(_up(4 * width, 2 * width)),
            *_normalized(_up(2 * width, width)),
            _same(width, 3, 7, bias=True),
        )
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, R, R] -> the same shape, float32 in [-1, 1]; R is a multiple of 4."""
        return torch.tanh(self.layers(images).float())


class Discriminator(nn.Module):
    """Ck, C2k, ... and a convolution to one channel; the last two have no stride."""

    def __init__(self, width: int, patch_size: int) -> None:
        """Args: patch_size: 16, 34 or 70 pixels."""
        super().__init__()
        num_strided = NUM_STRIDED_LAYERS[patch_size]
        widths = [width * 2**layer for layer in range(num_strided + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, num_strided + 1):
            stride = 2 if layer < num_strided else 1
            layers += [
                nn.Conv2d(widths[layer - 1], widths[layer], 4, stride=stride, padding=1, bias=False),
                InstanceNorm(),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, R, R] -> [N, 1, P, P], float32: near 1 where a patch looks real."""
        return self.layers(images).float()


def find_patch_size(img_resolution: int) -> int:
    """Return the side of the discriminator's patches: the paper's 70 px from 128 px on, smaller for smaller images.

    Raises:
        DataError: the images are too small, or their side is no multiple of 4.
    """
    if img_resolution < MIN_RESOLUTION or img_resolution % 4:
        raise DataError(
            f"the images have {img_resolution} px, expected a multiple of 4 from {MIN_RESOLUTION} on; ingest them at "
            "another size"
        )
    return max(size for size in NUM_STRIDED_LAYERS if size <= MAX_PATCH_SHARE * img_resolution)


def find_num_blocks(img_resolution: int) -> int:
    """Return the number of residual blocks: 6 up to 128 px, 9 above."""
    return 6 if img_resolution <= 128 else 9


def initialize(module: nn.Module) -> None:
    """Give a convolution normally distributed weights and a bias of zero (appendix 7.1)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _mean(x: Tensor) -> Tensor:
    """Return the mean of each channel of each image [N, C, 1, 1]."""
    return x.mean(dim=(2, 3), keepdim=True)


def _normalized(layer: nn.Module) -> tuple[nn.Module, ...]:
    return layer, InstanceNorm(), nn.ReLU()


def _same(num_in: int, num_out: int, kernel_size: int, *, bias: bool = False) -> nn.Conv2d:
    """Return a convolution that keeps the size; a bias before a normalisation would have no effect."""
    return nn.Conv2d(num_in, num_out, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=bias)


def _down(num_in: int, num_out: int) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, 3, stride=2, padding=1, bias=False)


def _up(num_in: int, num_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(num_in, num_out, 3, stride=2, padding=1, output_padding=1, bias=False)
