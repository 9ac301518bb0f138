"""Augmentation of what the discriminator sees, for training on few images.

* `ada`: the "bgc" transforms of adaptive discriminator augmentation (Karras et al., arXiv 2006.06676), each applied
  with a probability that `update_probability` adapts to how far the discriminator overfits.
* `diffaugment`: colour, translation and cutout, always on (Zhao et al., arXiv 2006.10738); the cheap alternative.

Real and generated images both pass through `augment` before the discriminator, and the generator's gradient passes
back through it. The generator does not learn to augment as long as two different sets of images stay different when
augmented. With ADA they do below a probability of about 0.8 (section 2.2 there).

The random part (`draw_augmentation`, from torch's CPU generator whatever the device) is separate from the pure one
(`augment`), and draws are indexed by image, so that results depend neither on how a batch is cut nor on the device's
generator. An image's augmentation does not depend on its neighbours. Second derivatives exist as well, so R1 can be
taken with respect to the images or to the augmented ones.

Why not an augmentation library: kornia 0.9 draws for each image, but its `AugmentationSequential` resamples once for
every geometric transform, blurring each time, and a chain like ADA's took four times as long as `augment`. Its hue and
saturation pass through HSV and clamp to [0, 1] where ADA's are linear, and it lacks the luma flip. torchvision draws
once for a whole batch. So the matrices are composed here, and torch's `grid_sample` does the work, as it does in
kornia's own `warp_affine`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.augmentation.ada import draw_ada
from ui2i.augmentation.adaptive import update_probability
from ui2i.augmentation.diffaugment import draw_diffaugment
from ui2i.augmentation.draws import AugmentationDraws, Unchanged
from ui2i.errors import ConfigError
from ui2i.settings import Augmentation

__all__ = ["AugmentationDraws", "augment", "draw_augmentation", "update_probability"]


def augment(images: Float[Tensor, "n 3 r r"], draws: AugmentationDraws) -> Float[Tensor, "n 3 r r"]:
    """Return `images` with the drawn augmentation applied; differentiable with respect to them.

    Args:
        images: in [-1, 1]. The result may leave that range: nothing is clamped, so that no gradient is lost.
        draws: of as many images, on the same device.

    Returns:
        In the memory format of `images`.
    """
    augmented = draws.apply(images)
    if images.is_contiguous(memory_format=torch.channels_last):
        return augmented.contiguous(memory_format=torch.channels_last)
    return augmented


def draw_augmentation(
    kind: Augmentation,
    num_images: int,
    *,
    resolution: int,
    probability: float = 0.0,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> AugmentationDraws:
    """Draw the augmentation of `num_images` images.

    Args:
        resolution: of the images, in pixels; some translations are whole pixels.
        probability: of each transform, per image, in [0, 1]; `ada` only. At 0 nothing is drawn.
        device: where the draws are needed. They come from the CPU's generator in any case.
        generator: a CPU generator; None: torch's default one.

    Raises:
        ConfigError: the kind is unknown, or the probability is not in [0, 1].
    """
    if not 0 <= probability <= 1:  # so that NaN is refused too
        raise ConfigError(f"the augmentation probability is {probability}, expected 0 to 1; correct it")
    draws: AugmentationDraws
    if kind == "none" or (kind == "ada" and probability == 0):
        draws = Unchanged()
    elif kind == "ada":
        draws = draw_ada(num_images, resolution, probability, generator=generator)
    elif kind == "diffaugment":
        draws = draw_diffaugment(num_images, resolution, generator=generator)
    else:
        raise ConfigError(f"the augmentation is {kind!r}, expected none, ada or diffaugment; correct it")
    return draws.to(device)
