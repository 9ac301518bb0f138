"""DiffAugment: colour, translation and cutout, on every image (Zhao et al., arXiv 2006.10738, section 3.2).

Cheaper than ADA and without a probability to adapt, but always on: it may cost quality where images are plenty.
"""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ui2i.augmentation.draws import AugmentationDraws

MAX_BRIGHTNESS = 0.5  # of a range of 2
SATURATION_RANGE = (0.0, 2.0)
CONTRAST_RANGE = (0.5, 1.5)
MAX_TRANSLATION = 0.125  # share of the width
CUTOUT_SIZE = 0.5  # share of the width


@dataclasses.dataclass(frozen=True)
class DiffAugmentDraws(AugmentationDraws):
    """Colour, shift and hole of each image."""

    brightness: Tensor  # [N], added
    saturation: Tensor  # [N], factor of the distance from grey
    contrast: Tensor  # [N], factor of the distance from the image's mean
    shift: Tensor  # [N, 2], whole pixels to the right and downwards
    hole: Tensor  # [N, 2], the hole's first column and row; it may begin before the image and end after it

    def apply(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n 3 r r"]:
        """Recolour, shift and cut out; what the shift uncovers and the hole become 0, mid-grey."""
        assert len(self.shift) == len(images), f"{len(self.shift)} draws for {len(images)} images"
        return self._cut_out(self._shift(self._recolor(images)))

    def _recolor(self, images: Tensor) -> Tensor:
        factors = torch.stack((self.brightness, self.saturation, self.contrast)).to(images.dtype)
        brightness, saturation, contrast = factors[:, :, None, None, None]
        images = images + brightness
        images = images.mean(dim=1, keepdim=True).lerp(images, saturation)
        return images.mean(dim=(1, 2, 3), keepdim=True).lerp(images, contrast)

    def _shift(self, images: Tensor) -> Tensor:
        resolution = images.shape[-1]
        pixels = torch.arange(resolution, device=images.device)
        source = pixels - self.shift[:, :, None]  # [N, 2, R]
        positions = (2 * source.to(images.dtype) + 1) / resolution - 1
        x, y = positions.unbind(1)
        grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=3)
        return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)

    def _cut_out(self, images: Tensor) -> Tensor:
        resolution = images.shape[-1]
        pixels = torch.arange(resolution, device=images.device)
        offset = pixels - self.hole[:, :, None]
        is_inside = (offset >= 0) & (offset < round(CUTOUT_SIZE * resolution))
        is_cut = is_inside[:, None, None, 0] & is_inside[:, None, 1, :, None]
        return images.masked_fill(is_cut, 0)


def draw_diffaugment(num_images: int, resolution: int, *, generator: torch.Generator | None = None) -> DiffAugmentDraws:
    """Draw colours, shifts and holes of `num_images` images, on the CPU; a hole's centre is anywhere."""
    uniform = torch.rand(7, num_images, generator=generator)
    max_shift = round(MAX_TRANSLATION * resolution)
    shift = (uniform[3:5].T * (2 * max_shift + 1)).floor().long() - max_shift
    center = (uniform[5:7].T * resolution).floor().long()
    return DiffAugmentDraws(
        brightness=(2 * uniform[0] - 1) * MAX_BRIGHTNESS,
        saturation=_between(uniform[1], SATURATION_RANGE),
        contrast=_between(uniform[2], CONTRAST_RANGE),
        shift=shift,
        hole=center - round(CUTOUT_SIZE * resolution) // 2,
    )


def _between(uniform: Tensor, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return low + (high - low) * uniform
