"""The networks of DRIT++ (Lee et al. 2020, arXiv 1905.01270), as its released code has them by default.

An image is a content, a map at a quarter of its size, and attributes, a vector. The generator takes in attributes as
further channels, the same at every place (section 3.5 calls it concatenation). Both domains share one block of the
content encoders and one of the generators. Images are NCHW float32 in [-1, 1].
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.munit_networks import LayerNorm, convolution
from experiments.paper.baselines.networks import InstanceNorm, ResidualBlock, initialize

SLOPE = 0.01  # of negative values
ATTRIBUTE_SLOPE = 0.2  # the same in the attribute encoder
ATTRIBUTE_WIDTHS = (1, 2, 3, 4)  # times the width
LAST_KERNEL = 4  # pixels, of the content discriminator


class ContentEncoder(nn.Module):
    """c7s1-k without a norm, d2k, d4k, R4k for each block of the domain's own, and the shared one."""

    def __init__(self, width: int, num_own_blocks: int, shared: ResidualBlock) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(3, width, 7),
            nn.LeakyReLU(SLOPE),
            *_down(width, 2 * width),
            *_down(2 * width, 4 * width),
            *(ResidualBlock(4 * width) for _ in range(num_own_blocks)),
        )
        self.apply(initialize)
        self.shared = shared

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, R, R] -> [N, 4 k, R / 4, R / 4]; R is a multiple of 4."""
        content: Tensor = self.shared(self.layers(images))
        return content


class HalvingBlock(nn.Module):
    """Two convolutions and a mean over four pixels, added to the mean of what came in; not normalised."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(ATTRIBUTE_SLOPE),
            convolution(num_in, num_in, 3),
            nn.LeakyReLU(ATTRIBUTE_SLOPE),
            convolution(num_in, num_out, 3),
        )
        self.shortcut = nn.Conv2d(num_in, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, H] -> [N, C', H / 2, H / 2]."""
        return F.avg_pool2d(self.layers(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


class AttributeEncoder(nn.Module):
    """A strided convolution, three halving blocks, the mean over pixels, and two vectors."""

    def __init__(self, width: int, num_attributes: int) -> None:
        super().__init__()
        widths = [width * factor for factor in ATTRIBUTE_WIDTHS]
        self.layers = nn.Sequential(
            convolution(3, width, 4, stride=2),
            *(HalvingBlock(num_in, num_out) for num_in, num_out in itertools.pairwise(widths)),
            nn.LeakyReLU(ATTRIBUTE_SLOPE),
        )
        self.output = nn.Linear(widths[-1], 2 * num_attributes)
        self.apply(initialize)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, R, R] -> the mean of the attributes and the logarithm of their variance, [N, A] float32 each."""
        mean, log_variance = self.output(self.layers(images).mean(dim=(2, 3))).float().chunk(2, dim=1)
        return mean, log_variance


class Generator(nn.Module):
    """The shared block, further blocks and two layers up, each of which gets the attributes beside what came before."""

    def __init__(self, width: int, num_own_blocks: int, num_attributes: int, shared: ResidualBlock) -> None:
        super().__init__()
        num_channels = 4 * width + num_attributes
        self.blocks = nn.Sequential(*(ResidualBlock(num_channels) for _ in range(num_own_blocks)))
        ups = []
        for _ in range(2):
            num_in, num_channels = num_channels + num_attributes, (num_channels + num_attributes) // 2
            ups.append(
                nn.Sequential(
                    nn.ConvTranspose2d(num_in, num_channels, 3, stride=2, padding=1, output_padding=1),
                    LayerNorm(num_channels),
                    nn.ReLU(),
                )
            )
        self.ups = nn.ModuleList(ups)
        self.output = nn.Conv2d(num_channels + num_attributes, 3, 1)
        self.apply(initialize)
        self.shared = shared

    def forward(self, content: Tensor, attributes: Tensor) -> Tensor:
        """[N, 4 k, R / 4, R / 4], [N, A] -> [N, 3, R, R], float32 in [-1, 1]."""
        x = self.blocks(_beside(self.shared(content), attributes))
        for up in self.ups:
            x = up(_beside(x, attributes))
        return torch.tanh(self.output(_beside(x, attributes)).float())


class ContentDiscriminator(nn.Module):
    """Tells from a content which domain it is of: strided 7x7 convolutions down to 4 pixels, and one logit.

    Not normalised: the released code asks for it by a comparison that is never true.
    """

    def __init__(self, num_channels: int, num_strided: int) -> None:
        super().__init__()
        strided = (
            layer
            for _ in range(num_strided)
            for layer in (
                nn.Conv2d(num_channels, num_channels, 7, stride=2, padding=3, padding_mode="reflect"),
                nn.LeakyReLU(SLOPE),
            )
        )
        self.layers = nn.Sequential(
            *strided,
            nn.Conv2d(num_channels, num_channels, LAST_KERNEL),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(num_channels, 1, 1),
        )
        self.apply(initialize)

    def forward(self, content: Tensor) -> Tensor:
        """[N, C, H, H] -> logits [N, P], float32: above 0 if it seems to be of the source; P is 1 for H = 4 * 2**n."""
        logits: Tensor = self.layers(content)
        return logits.flatten(1).float()


def find_num_content_layers(img_resolution: int) -> int:
    """Return the number of strided layers after which a content is 4 to 7 pixels wide: 3 for images of 128 px.

    The released code always has 3, which pad less and need images of 212 px.
    """
    number, size = 0, img_resolution // 4
    while size >= 2 * LAST_KERNEL:
        number, size = number + 1, (size + 1) // 2
    return number


def _beside(x: Tensor, attributes: Tensor) -> Tensor:
    """Return [N, C + A, H, H]: every place gets the attributes [N, A] as further channels."""
    maps = attributes[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)
    return torch.cat([x, maps], dim=1).contiguous(memory_format=torch.channels_last)


def _down(num_in: int, num_out: int) -> tuple[nn.Module, ...]:
    return convolution(num_in, num_out, 3, stride=2), InstanceNorm(), nn.ReLU()
