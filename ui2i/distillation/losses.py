"""What a translation is compared with: its pair, by L1, edges and LPIPS, and the domain's images, by a discriminator.

L1 and LPIPS alone average over what the input does not determine, which blurs outlines, and hardly see a fine texture
in flat areas. Edges are the differences of neighbouring pixels; their L1 sees both. The discriminator looks at
patches of 26 px, and knows no pairs: it is to tell whether lines and areas look like the domain's own (Isola et al.,
arXiv 1611.07004, section 3.2). Spectral normalisation keeps its gradients bounded. LPIPS and the discriminator are
local, so they look at a quarter of the images, at a place that changes from step to step.
"""

import itertools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ui2i.perceptual import Perceptual
from ui2i.settings import TranslatorConfig

PATCH_WIDTH = 32


class PatchDiscriminator(nn.Module):
    """Images [N, 3, R, R] -> logits of their patches, [N * patches, 1].

    It shrinks by averaging: gradients of strided convolutions have a pattern of their own, which translations take on.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (3, PATCH_WIDTH, 2 * PATCH_WIDTH, 4 * PATCH_WIDTH)
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(entering, leaving, 3, padding=1))
            for entering, leaving in itertools.pairwise(widths)
        )
        self.out = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "m 1"]:
        """Return a logit for each patch of each image."""
        *shrinking, last = self.convs
        x = images
        for conv in shrinking:
            x = F.avg_pool2d(F.leaky_relu(conv(x), 0.2), 2)
        logits: Tensor = self.out(F.leaky_relu(last(x), 0.2))
        return logits.reshape(-1, 1)


def edge_difference(outputs: Float[Tensor, "n 3 h w"], targets: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
    """Return the mean difference of the steps between neighbouring pixels, summed over both directions."""
    steps = [(outputs - targets).diff(dim=dim).abs().mean() for dim in (2, 3)]
    return steps[0] + steps[1]


def crop_place(img_resolution: int, random: torch.Generator, *, min_side: int = 0) -> tuple[slice, slice, slice, slice]:
    """Draw a quarter of images [N, 3, R, R], as an index; more if its side would be below `min_side` pixels."""
    side = min(img_resolution, max(img_resolution // 2, min_side))
    top, left = (int(start) for start in torch.randint(img_resolution - side + 1, (2,), generator=random))
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def pair_losses(
    outputs: Float[Tensor, "n 3 r r"],
    targets: Float[Tensor, "n 3 r r"],
    perceptual: Perceptual,
    config: TranslatorConfig,
    place: tuple[slice, slice, slice, slice],
) -> dict[str, Float[Tensor, ""]]:
    """Return the mean distances of translations to their pairs, by name; those without a weight are left out.

    Args:
        place: where LPIPS, which costs most, is computed.
    """
    losses = {}
    if config.l1_weight:
        losses["l1"] = (outputs - targets).abs().mean()
    if config.edge_weight:
        losses["edge"] = edge_difference(outputs, targets)
    if config.perceptual_weight:
        losses["lpips"] = perceptual.distance(outputs[place], targets[place]).mean()
    return losses
