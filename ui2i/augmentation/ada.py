"""The "bgc" transforms of adaptive discriminator augmentation (arXiv 2006.06676, appendix B).

Pixel blitting, geometry and colour in a fixed order, each applied to an image with the probability p on its own. All
geometry becomes one affine warp and all colour one matrix. Rotations have the probability 1 - sqrt(1 - p) and come
before and after the unequal scaling, so that p is the chance of at least one.

Left out are the paper's image-space filters, noise and cutout, which helped less in its experiments (section 2.3).
"""

import dataclasses
import math
from collections.abc import Callable, Collection

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.augmentation import matrices
from ui2i.augmentation.draws import AugmentationDraws
from ui2i.augmentation.warp import warp

MAX_INTEGER_TRANSLATION = 0.125  # share of the width
FRACTIONAL_TRANSLATION_STD = 0.125
SCALE_STD = 0.2 * math.log(2)  # of the factor's logarithm
BRIGHTNESS_STD = 0.2
CONTRAST_STD = 0.5 * math.log(2)
SATURATION_STD = math.log(2)


@dataclasses.dataclass(frozen=True)
class AdaDraws(AugmentationDraws):
    """One warp and one colour matrix an image."""

    source: Tensor  # [N, 2, 3], positions in the result -> positions in the image, in [-1, 1]
    color: Tensor  # [N, 3, 4], RGB in [-1, 1] and 1 -> RGB

    def apply(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n 3 r r"]:
        """Warp, then recolour. An image for which no transform was drawn comes back bit for bit."""
        source, color = self.source.to(images.dtype), self.color.to(images.dtype)
        assert len(source) == len(images), f"{len(source)} draws for {len(images)} images"
        moved = warp(images, source)
        return torch.baddbmm(color[:, :, 3:], color[:, :, :3], moved.flatten(2)).view(moved.shape)


@dataclasses.dataclass(frozen=True)
class _Dice:
    """Random numbers [N] in float64, one an image."""

    num_images: int
    resolution: int
    generator: torch.Generator | None

    def uniform(self) -> Tensor:
        return torch.rand(self.num_images, dtype=torch.float64, generator=self.generator)

    def normal(self) -> Tensor:
        return torch.randn(self.num_images, dtype=torch.float64, generator=self.generator)

    def integer(self, end: int) -> Tensor:
        return (self.uniform() * end).floor()

    def angle(self) -> Tensor:
        return (2 * self.uniform() - 1) * math.pi

    def factor(self, std: float) -> Tensor:
        return (std * self.normal()).exp()

    def pixels(self) -> Tensor:
        """Whole pixels, as a share of the width."""
        share = (2 * self.uniform() - 1) * MAX_INTEGER_TRANSLATION
        return (share * self.resolution).round() / self.resolution


def _x_flip(dice: _Dice) -> Tensor:
    sign = 1 - 2 * dice.integer(2)
    return matrices.scaling(sign, torch.ones_like(sign))


def _quarter_turn(dice: _Dice) -> Tensor:
    # Rounded, so that pixels move to pixels exactly.
    return matrices.rotation(dice.integer(4) * (math.pi / 2)).round()


def _integer_translation(dice: _Dice) -> Tensor:
    return matrices.translation(dice.pixels(), dice.pixels())


def _isotropic_scaling(dice: _Dice) -> Tensor:
    factor = dice.factor(SCALE_STD)
    return matrices.scaling(factor, factor)


def _rotation(dice: _Dice) -> Tensor:
    return matrices.rotation(dice.angle())


def _anisotropic_scaling(dice: _Dice) -> Tensor:
    factor = dice.factor(SCALE_STD)
    return matrices.scaling(factor, 1 / factor)


def _fractional_translation(dice: _Dice) -> Tensor:
    return matrices.translation(FRACTIONAL_TRANSLATION_STD * dice.normal(), FRACTIONAL_TRANSLATION_STD * dice.normal())


# In the order of application.
GEOMETRY: dict[str, Callable[[_Dice], Tensor]] = {
    "x_flip": _x_flip,
    "quarter_turn": _quarter_turn,
    "integer_translation": _integer_translation,
    "isotropic_scaling": _isotropic_scaling,
    "rotation_before": _rotation,
    "anisotropic_scaling": _anisotropic_scaling,
    "rotation_after": _rotation,
    "fractional_translation": _fractional_translation,
}
COLOR: dict[str, Callable[[_Dice], Tensor]] = {
    "brightness": lambda dice: matrices.brightness(BRIGHTNESS_STD * dice.normal()),
    "contrast": lambda dice: matrices.contrast(dice.factor(CONTRAST_STD)),
    "luma_flip": lambda dice: matrices.luma_flip(dice.integer(2)),
    "hue": lambda dice: matrices.hue_rotation(dice.angle()),
    "saturation": lambda dice: matrices.saturation(dice.factor(SATURATION_STD)),
}
ALL_TRANSFORMS = (*GEOMETRY, *COLOR)


def draw_ada(
    num_images: int,
    resolution: int,
    probability: float,
    *,
    transforms: Collection[str] = ALL_TRANSFORMS,
    generator: torch.Generator | None = None,
) -> AdaDraws:
    """Draw transforms of `num_images` images, on the CPU.

    Args:
        probability: of each transform, in [0, 1]. A flip or turn that was chosen is still the trivial one in 1 of 2 or
            4 cases, as in the paper.
        transforms: names in `GEOMETRY` and `COLOR`; the others are left out.
    """
    dice = _Dice(num_images, resolution, generator)
    target = matrices.identity(num_images, 3)
    for name in GEOMETRY:
        if name in transforms:
            chance = 1 - math.sqrt(1 - probability) if GEOMETRY[name] is _rotation else probability
            target = _sometimes(GEOMETRY[name], chance, dice) @ target
    color = matrices.identity(num_images, 4)
    for name in COLOR:
        if name in transforms:
            color = _sometimes(COLOR[name], probability, dice) @ color
    return AdaDraws(torch.linalg.inv(target)[:, :2].float(), color[:, :3].float())


def _sometimes(draw: Callable[[_Dice], Tensor], probability: float, dice: _Dice) -> Tensor:
    """Draw matrices for all images, and replace them by unit matrices except with the given probability."""
    is_applied = dice.uniform() < probability
    drawn = draw(dice)
    return torch.where(is_applied[:, None, None], drawn, torch.eye(drawn.shape[1], dtype=drawn.dtype))
