"""EfficientNet-Lite0 without its classifier: the convolutions of EfficientNet-B0 (Tan and Le, arXiv 1905.11946) with
ReLU6 and without squeeze-and-excitation, as its authors published it for small devices.

A network for evaluation alone: each batch normalisation is part of the convolution before it, and edges are padded as
TensorFlow does, where the odd pixel comes last.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

NUM_FEATURES = 1280


class Stage(NamedTuple):
    """Blocks of one resolution; the first has the stride, the others 1."""

    num_blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Conv(nn.Module):
    """A convolution whose output has 1/stride of the size, rounded up."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels // groups, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.stride = stride
        self.groups = groups

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o p q"]:
        kernel_size = self.weight.shape[2]
        missing = [max(0, (-(-size // self.stride) - 1) * self.stride + kernel_size - size) for size in x.shape[2:]]
        if any(total % 2 for total in missing):
            x = F.pad(x, (missing[1] // 2, -(-missing[1] // 2), missing[0] // 2, -(-missing[0] // 2)))
            missing = [0, 0]
        padding = (missing[0] // 2, missing[1] // 2)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)


class Block(nn.Module):
    """More channels, a convolution in each of them, fewer channels; added to the input where shapes allow it."""

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = in_channels * stage.expansion
        self.expand = Conv(in_channels, wide, 1) if stage.expansion > 1 else None
        self.depthwise = Conv(wide, wide, stage.kernel_size, stride=stride, groups=wide)
        self.project = Conv(wide, stage.channels, 1)
        self.has_skip = stride == 1 and in_channels == stage.channels

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o p q"]:
        wide = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return y + x if self.has_skip else y


class EfficientNetLite0(nn.Module):
    """Images [N, 3, 224, 224] of (level - 127) / 128 -> what the classifier reads [N, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(3, 32, 3, stride=2)
        blocks, in_channels = [], 32
        for stage in STAGES:
            for index in range(stage.num_blocks):
                blocks.append(Block(in_channels, stage, stage.stride if index == 0 else 1))
                in_channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = Conv(in_channels, NUM_FEATURES, 1)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1280"]:
        x = self.blocks(F.relu6(self.stem(x), inplace=True))
        return F.relu6(self.head(x), inplace=True).mean(dim=(2, 3))

    @property
    def convolutions(self) -> list[Conv]:
        """All of them, from the image on."""
        return [module for module in self.modules() if isinstance(module, Conv)]
