"""The network: a small U-Net that translates an image in one pass.

The image is folded into channels (pixel-unshuffle), so that most of the work is done at a fraction of its resolution.
One residual block a level on the way down, two a level below the finest on the way up, where they cost little time and
move what has another place in the target's style; the way up is a 1 x 1 convolution and a pixel-shuffle, which is
faster than a transposed convolution and leaves no checkerboard. There is no normalisation, because statistics of one
image would shift its colours. The result is added to the input, of which a gate, one value a pixel, lets through as
much as the translation keeps: an untrained translator returns its input, and what has another place in the target's
style need not be painted over exactly.
"""

import itertools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.distillation.card import TranslatorCard
from ui2i.errors import DataError
from ui2i.settings import TranslatorConfig

WIDTH, WIDE = 24, 32  # of the finest level, where 2 and where more pixels a side are folded
COARSE_BLOCKS = 2  # residual blocks in the middle, and on the way up at each level but the finest
MAX_FOLDED_RESOLUTION = 64  # pixels, of the finest level from 128 px on


class Translator(nn.Module):
    """Image [N, 3, R, R] in [-1, 1] -> its translation [N, 3, R, R] in about [-1, 1].

    Attributes:
        config: what the network is and how it was trained.
        card: which models it imitates.
    """

    def __init__(self, config: TranslatorConfig, card: TranslatorCard) -> None:
        """Set up an untrained translator, which returns its input."""
        super().__init__()
        self.config = config
        self.card = card
        self.fold = fold_factor(card.img_resolution)
        widths = level_widths(config, card.img_resolution)
        steps = list(itertools.pairwise(widths))
        self.inlet = nn.Conv2d(3 * self.fold**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(_ResidualBlock(width) for width in widths[:-1])
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in steps)
        self.middle = _blocks(widths[-1], COARSE_BLOCKS)
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in steps)
        self.decoder = nn.ModuleList(
            _blocks(width, COARSE_BLOCKS if level else 1) for level, width in enumerate(widths[:-1])
        )
        self.outlet = _zero_conv(widths[0], 4 * self.fold**2)  # three colours and the gate

    @property
    def multiple(self) -> int:
        """Height and width of images must be multiples of this, in pixels."""
        return self.fold * 2 ** len(self.down)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Translate images.

        Raises:
            DataError: their sides are no multiples of `multiple`.
        """
        height, width = images.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise DataError(
                f"images are {width} x {height} px, expected multiples of {self.multiple} px, best "
                f"{self.card.img_resolution}; resize them first"
            )
        x = self.inlet(F.pixel_unshuffle(images, self.fold))
        skipped = []
        for block, down in zip(self.encoder, self.down, strict=True):
            skipped.append(block(x))
            x = down(F.relu(skipped[-1]))
        x = self.middle(x)
        for level in reversed(range(len(self.up))):
            x = F.pixel_shuffle(self.up[level](F.relu(x)), 2) + skipped[level]
            x = self.decoder[level](x)
        colours, gate = F.pixel_shuffle(self.outlet(F.relu(x)), self.fold).split((3, 1), dim=1)
        return images * (1 + gate) + colours


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, added to what came in; at first the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(width, width, 3, padding=1)
        self.conv1 = _zero_conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        out: Tensor = x + self.conv1(F.relu(self.conv0(F.relu(x))))
        return out


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_ResidualBlock(width) for _ in range(count)))


def fold_factor(img_resolution: int) -> int:
    """Return the side of the squares of pixels that become channels: 2 up to 128 px, 4 at 256, 8 at 512."""
    return max(2, img_resolution // MAX_FOLDED_RESOLUTION)


def level_widths(config: TranslatorConfig, img_resolution: int) -> tuple[int, ...]:
    """Return the widths of the levels, the finest first: 24, 48, 64, 96 or about a multiple."""
    width = config.width or (WIDTH if fold_factor(img_resolution) == 2 else WIDE)
    return width, 2 * width, 8 * round(width / 3), 4 * width


def _zero_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution that returns zeros."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.zero_()
    return conv
