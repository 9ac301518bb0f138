"""A small convolutional network that predicts attributes from synthetic images of one style.

It is for images of that style alone: its readings of another style, of which it has seen none, mean nothing. Images
are NCHW float32 RGB in [-1, 1]; those larger than `MAX_READ_RESOLUTION` are averaged down to it first.

    width w:  5x5 /2 w - 3x3 /2 2w - 3x3 /2 4w - 3x3 4w - 3x3 /2 6w ... to 4 px - 256 - one output a number,
              two a hue (cosine, sine), one a class
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor, nn

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth.columns import Column
from ui2i.errors import DataError

MAX_READ_RESOLUTION = 64
_HIDDEN = 256
_READ_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOut:
    """How well an attribute is predicted from held-out images; see `columns.held_out_score`."""

    score: float
    baseline: float  # of the best constant

    @property
    def skill(self) -> float:
        """Share of what the best constant leaves open that is read: 1 all, 0 nothing."""
        return (self.score - self.baseline) / (1 - self.baseline) if self.baseline < 1 else 0.0


class AttributeRegressor(nn.Module):
    """Predicts the attributes `columns` from images of `style`.

    Attributes:
        resolution: pixels at which images are read.
        held_out: by attribute, how well it is read; empty before training is finished.
    """

    def __init__(self, style: str, columns: Sequence[Column], resolution: int, config: RegressorConfig):
        super().__init__()
        self.style = style
        self.columns = tuple(columns)
        self.resolution = resolution
        self.config = config
        self.held_out: dict[str, HeldOut] = {}
        num_outputs = sum(column.num_outputs for column in columns)
        self.layers = nn.Sequential(*_convolutions(resolution, config.width), *_head(config.width, num_outputs))

    def forward(self, x: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n outputs"]:
        """Return the outputs of all columns one after the other, in their order."""
        return self.layers(shrink(x, self.resolution).contiguous(memory_format=torch.channels_last))

    @torch.no_grad()
    def read(self, images: Float[Tensor, "n 3 r r"]) -> dict[str, Float64[np.ndarray, " n"]]:
        """Return each attribute as it looks in the images, in the units of `columns`.

        Args:
            images: float32 in [-1, 1], of any size of at least `resolution`, on any device.

        Raises:
            DataError: they have another shape, or are too small.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.resolution:
            raise DataError(
                f"images of shape {tuple(images.shape)} came, expected [N, 3, R, R] with R at least "
                f"{self.resolution}; read them with a regressor of their own size"
            )
        self.eval()
        device = next(self.parameters()).device
        outputs = torch.cat([self(batch.to(device)).cpu().double() for batch in images.split(_READ_BATCH)])
        parts = outputs.split([column.num_outputs for column in self.columns], dim=1)
        return {column.name: _decode(column, part) for column, part in zip(self.columns, parts, strict=True)}

    def unreadable(self, min_skill: float) -> list[str]:
        """Return the attributes whose skill on held-out drawings is below `min_skill`, in the order of columns."""
        return [column.name for column in self.columns if self.held_out[column.name].skill < min_skill]


def shrink(images: Float[Tensor, "n 3 r r"], resolution: int) -> Float[Tensor, "n 3 s s"]:
    """Average images down to `resolution` pixels; those of that size stay as they are."""
    return images if images.shape[2] == resolution else F.interpolate(images, size=(resolution,) * 2, mode="area")


def _convolutions(resolution: int, width: int) -> list[nn.Module]:
    """Halve the side until it is 4 px; the place of things is kept, for a pose is read from it."""
    layers = [*_convolution(3, width, 5, 2)]
    side, channels = resolution // 2, width
    while side > 4:
        wider = min(2 * channels, 6 * width)
        if side == 8:
            layers += _convolution(channels, channels, 3, 1)
            wider = 6 * width
        layers += _convolution(channels, wider, 3, 2)
        side, channels = side // 2, wider
    return layers


def _convolution(num_in: int, num_out: int, kernel: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)]


def _head(width: int, num_outputs: int) -> list[nn.Module]:
    hidden = nn.Linear(6 * width * 16, _HIDDEN, bias=False)
    return [nn.Flatten(), hidden, nn.BatchNorm1d(_HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, num_outputs)]


def _decode(column: Column, outputs: Tensor) -> Float64[np.ndarray, " n"]:
    """Turn a column's outputs [N, num_outputs] into its values."""
    if column.kind == "number":
        return (outputs[:, 0] * column.scale + column.mean).numpy()
    if column.kind == "hue":
        return (torch.atan2(outputs[:, 1], outputs[:, 0]) / (2 * np.pi)).remainder(1).numpy()
    return outputs.argmax(dim=1).double().numpy()
