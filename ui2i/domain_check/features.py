"""What is compared: each image as a row of numbers, by what is at hand offline.

Each image's numbers are its own: none depends on the others in its batch.
"""

import dataclasses
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from ui2i.files import sha256_bytes, sha256_listing
from ui2i.images import to_tensor
from ui2i.networks.discriminator import Discriminator

FeatureKind = Literal["discriminator", "thumbnail"]
BATCH_SIZE = 50
THUMBNAIL_SIDE = 8  # pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extractor:
    """What reads features, and which one that is."""

    kind: FeatureKind
    hash: str  # SHA-256 of its tensors; of thumbnails, their size
    read: nn.Module  # images [n, 3, r, r] in [-1, 1] -> features [n, c]
    device: torch.device | str = "cpu"

    @torch.no_grad()
    def __call__(self, images: UInt8[np.ndarray, "n r r 3"]) -> Float64[np.ndarray, "n c"]:
        """Return the features of images, of any number."""
        parts = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
        return np.concatenate([self.read(to_tensor(part, self.device)).double().cpu().numpy() for part in parts])


class DiscriminatorFeatures(nn.Module):
    """The features that a discriminator judges images by: the output of its blocks, 4 x 4 pixels.

    What follows in it mixes the images of a batch (minibatch standard deviation). Of the networks and layers that were
    compared, these features tell other domains best, and other framings by far (docs/domain_check.md).
    """

    def __init__(self, discriminator: Discriminator) -> None:
        """Read features with a discriminator's own blocks."""
        super().__init__()
        self.blocks = nn.ModuleList(discriminator.block(resolution) for resolution in discriminator.resolutions)

    def forward(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n c"]:
        """Return each image's features."""
        x = images.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        return x.flatten(1)


class ThumbnailFeatures(nn.Module):
    """The colours of thumbnails."""

    def forward(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n c"]:
        """Return each image's features."""
        return functional.adaptive_avg_pool2d(images, THUMBNAIL_SIDE).flatten(1)


def discriminator_extractor(discriminator: Discriminator) -> Extractor:
    """Return the features of a discriminator, with the hash of the whole of it."""
    features = DiscriminatorFeatures(discriminator)
    return Extractor(kind="discriminator", hash=_hash(discriminator), read=features, device=_device(discriminator))


def thumbnail_extractor(device: torch.device | str = "cpu") -> Extractor:
    """Return the colours of thumbnails, for a model without a discriminator: they need no network."""
    side = THUMBNAIL_SIDE
    return Extractor(kind="thumbnail", hash=f"{side}x{side}", read=ThumbnailFeatures(), device=device)


def _hash(network: nn.Module) -> str:
    """Return a hash of the parameters in half precision, which is the same for a file of either."""
    state = network.state_dict()
    return sha256_listing((name, sha256_bytes(state[name].half().cpu().numpy().tobytes())) for name in sorted(state))


def _device(network: nn.Module) -> torch.device:
    return next(iter(network.state_dict().values())).device
