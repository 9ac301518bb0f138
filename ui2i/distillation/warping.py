"""Turns, scalings, shifts and flips that a pair goes through together.

Generated images are framed alike, and a translator that has seen nothing else fails where a photograph is not.
"""

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from ui2i.augmentation.matrices import rotation, scaling, translation
from ui2i.settings import TranslatorConfig

MAX_ANGLE = math.radians(9)
MAX_SCALING = 0.1  # more or less
MAX_SHIFT = 0.04  # of the width


def draw_warps(num_images: int, config: TranslatorConfig, random: torch.Generator) -> Float32[Tensor, "n 2 3"]:
    """Draw affine maps as `ui2i.augmentation.warp.warp` takes them, which leave a share of the images as they are."""
    uniform = 2 * torch.rand(5, num_images, generator=random, dtype=torch.float64) - 1
    chosen = torch.rand(num_images, generator=random) < config.warp_share
    angle, size, x, y, side = uniform * chosen.logical_or(torch.tensor([False] * 4 + [True])[:, None])
    scale = 1 + MAX_SCALING * size
    matrices = translation(MAX_SHIFT * x, MAX_SHIFT * y) @ rotation(MAX_ANGLE * angle) @ scaling(scale, scale)
    if config.mirror:
        matrices[:, :, 0] *= torch.where(side < 0, -1.0, 1.0)[:, None]
    return matrices[:, :2].float()
