"""The target of a search: images, with their perceptual features, which are computed only once."""

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.metrics.ssim import ssim
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig

_TINY = 1e-12  # under a root, whose slope at 0 is infinite


class Target:
    """A batch of images. Every value is one an image, so that none depends on its neighbours."""

    def __init__(self, images: Float[Tensor, "n 3 r r"], perceptual: Perceptual, config: InversionConfig) -> None:
        self.images = images
        self._perceptual = perceptual
        self._config = config
        with torch.no_grad():
            self._features = perceptual.features(images)

    def __len__(self) -> int:
        return len(self.images)

    def losses(self, generated: Float[Tensor, "n 3 r r"]) -> Float[Tensor, " n"]:
        """Return l1_weight mean|I - G(w)| + perceptual_weight d(I, G(w)) (paper, Eq. 5)."""
        l1 = (self.images - generated).abs().mean(dim=(1, 2, 3))
        features = self._perceptual.features(generated)
        if self._config.perceptual_loss == "lpips":
            distance = self._perceptual.distance_from_features(self._features, features)
        else:
            distance = _feature_distance(self._features, features)
        return self._config.l1_weight * l1 + self._config.perceptual_weight * distance

    @torch.no_grad()
    def quality(self, generated: Float[Tensor, "n 3 r r"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return SSIM and LPIPS of images as they would be saved, clamped to [-1, 1]."""
        clamped = generated.clamp(-1, 1)
        distance = self._perceptual.distance_from_features(self._features, self._perceptual.features(clamped))
        return ssim(self.images, clamped), distance


def _feature_distance(fx: list[Tensor], fy: list[Tensor]) -> Tensor:
    """Return ||Phi(I) - Phi(G(w))||_2 of Eq. 5, as a root mean square over pixels and a mean over the backbone's maps.

    Features have unit length over the channels, because copies of a backbone differ in the scale of their activations
    by factors of a hundred, and the weight of this term with them.
    """
    terms = [(x - y).square().sum(dim=1).mean(dim=(1, 2)).clamp_min(_TINY).sqrt() for x, y in zip(fx, fy, strict=True)]
    return torch.stack(terms).mean(dim=0)
