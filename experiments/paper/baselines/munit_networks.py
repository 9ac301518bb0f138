"""The networks of MUNIT (Huang et al. 2018, arXiv 1804.04732, appendix B.2); DRIT++ has the same discriminators.

An image is a content, a map at a quarter of its size, and a style, a vector. The decoder puts a style into a content
by adaptive instance normalisation. Images are NCHW float32 in [-1, 1].
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.networks import InstanceNorm, ResidualBlock, initialize

STYLE_CHANNELS = 4  # times the width: of the last layers of content and style encoder
NUM_STYLE_LAYERS = 4  # strided convolutions of the style encoder
MLP_WIDTH = 256


class ContentEncoder(nn.Module):
    """c7s1-k, d2k, d4k, R4k for each block, all with instance normalisation."""

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(convolution(3, width, 7)),
            *_normalized(convolution(width, 2 * width, 4, stride=2)),
            *_normalized(convolution(2 * width, 4 * width, 4, stride=2)),
            *(ResidualBlock(4 * width) for _ in range(num_blocks)),
        )
        self.apply(initialize_kaiming)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, R, R] -> [N, 4 k, R / 4, R / 4]; R is a multiple of 4."""
        content: Tensor = self.layers(images)
        return content


class StyleEncoder(nn.Module):
    """c7s1-k, d2k, d4k, d4k, d4k, mean over pixels, fc: not normalised, which would take the style away."""

    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        widths = [width * min(2**layer, STYLE_CHANNELS) for layer in range(NUM_STYLE_LAYERS + 1)]
        strided = (
            layer
            for num_in, num_out in itertools.pairwise(widths)
            for layer in (convolution(num_in, num_out, 4, stride=2), nn.ReLU())
        )
        self.layers = nn.Sequential(convolution(3, width, 7), nn.ReLU(), *strided)
        self.output = nn.Linear(widths[-1], num_outputs)
        self.apply(initialize_kaiming)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, R, R] -> [N, num_outputs]; R is 32 or more."""
        style: Tensor = self.output(self.layers(images).mean(dim=(2, 3)))
        return style


class StyledBlock(nn.Module):
    """A residual block whose normalised activations get a scale and a shift from the style."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(num_channels, num_channels, 3) for _ in range(2))
        self.norm = InstanceNorm()
        self.num_channels = num_channels

    @property
    def num_parameters(self) -> int:
        """Number of scales and shifts that it takes."""
        return 4 * self.num_channels

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        """[N, C, H, H], [N, num_parameters] -> [N, C, H, H]."""
        scale, shift, second_scale, second_shift = parameters[..., None, None].chunk(4, dim=1)
        y = F.relu(self.norm(self.first(x)) * scale + shift)
        return x + self.norm(self.second(y)) * second_scale + second_shift


class Decoder(nn.Module):
    """R4k for each block with the style, u2k, uk, c7s1-3: a content and a style to an image.

    The blocks after the styled ones normalise over a whole image's channels together: by instance, they would take away
    what the style has just put in.
    """

    def __init__(self, width: int, num_blocks: int, style_dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(StyledBlock(4 * width) for _ in range(num_blocks))
        num_parameters = sum(block.num_parameters for block in self.blocks)  # type: ignore[misc]
        self.style = nn.Sequential(
            nn.Linear(style_dim, MLP_WIDTH),
            nn.ReLU(),
            nn.Linear(MLP_WIDTH, MLP_WIDTH),
            nn.ReLU(),
            nn.Linear(MLP_WIDTH, num_parameters),
        )
        self.layers = nn.Sequential(
            *_upsampled(4 * width, 2 * width), *_upsampled(2 * width, width), convolution(width, 3, 7)
        )
        self.apply(initialize_kaiming)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """[N, 4 k, R / 4, R / 4], [N, style_dim] -> [N, 3, R, R], float32 in [-1, 1]."""
        parameters = self.style(style).chunk(len(self.blocks), dim=1)
        for block, own in zip(self.blocks, parameters, strict=True):
            content = block(content, own)
        return torch.tanh(self.layers(content).float())


class MultiScaleDiscriminator(nn.Module):
    """dk, d2k, d4k, d8k and one logit a place, for an image and for smaller copies of it."""

    def __init__(self, width: int, num_scales: int, slope: float = 0.2) -> None:
        """Args: slope: of negative values; DRIT++ has 0.01."""
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        self.scales = nn.ModuleList(
            nn.Sequential(
                *(
                    layer
                    for num_in, num_out in itertools.pairwise(widths)
                    for layer in (convolution(num_in, num_out, 4, stride=2), nn.LeakyReLU(slope))
                ),
                nn.Conv2d(widths[-1], 1, 1),
            )
            for _ in range(num_scales)
        )
        self.apply(initialize)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3, R, R] -> logits [N, 1, P, P] of each scale, float32."""
        logits = []
        for scale in self.scales:
            logits.append(scale(images).float())
            images = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
        return logits


class LayerNorm(nn.Module):
    """Give each image the mean 0 and the variance 1 over channels and pixels, then a scale and a shift per channel."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(num_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x.float(), 1).to(x.dtype) * self.scale + self.shift


def convolution(num_in: int, num_out: int, kernel_size: int, *, stride: int = 1) -> nn.Conv2d:
    """Return a convolution with reflection padding that keeps the size or divides it by the stride."""
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(num_in, num_out, kernel_size, stride=stride, padding=padding, padding_mode="reflect")


def find_num_scales(img_resolution: int) -> int:
    """Return the number of scales of the discriminator, the paper's 3 unless the smallest copy would be below 16 px."""
    return next(number for number in (3, 2, 1) if number == 1 or img_resolution >> (number - 1) >= 16)


def initialize_kaiming(module: nn.Module) -> None:
    """Give a layer He et al.'s weights (appendix B.1) and a bias of zero, and a norm scales between 0 and 1."""
    if isinstance(module, LayerNorm):
        nn.init.uniform_(module.scale)
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normalized(layer: nn.Module) -> tuple[nn.Module, ...]:
    return layer, InstanceNorm(), nn.ReLU()


def _upsampled(num_in: int, num_out: int) -> tuple[nn.Module, ...]:
    return nn.Upsample(scale_factor=2), convolution(num_in, num_out, 5), LayerNorm(num_out), nn.ReLU()
