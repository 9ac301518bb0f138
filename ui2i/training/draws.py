"""The random numbers of a step, drawn for the whole batch before any of it is computed.

A part of the batch takes its rows, so that results depend neither on how many processes share a batch nor on how many
parts each works it off in.
"""

import dataclasses

import torch
from torch import Tensor

from ui2i.config import NetworkConfig
from ui2i.networks.generator import Generator


@dataclasses.dataclass(frozen=True)
class LatentDraws:
    """Two latents an image, and the layer from which the second takes over."""

    z: Tensor  # [2, N, z_dim]
    cutoff: int  # num_ws: the second is not used

    def map(self, generator: Generator, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return w [n, w_dim] of the first latents, and the mixed codes ws [n, num_ws, w_dim]."""
        num_ws = generator.config.num_ws
        z = self.z[:, positions.to(self.z.device)]
        if self.cutoff == num_ws:
            w = generator.mapping(z[0])
            return w, generator.broadcast(w)
        w, w_mixed = generator.mapping(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        is_mixed = (torch.arange(num_ws, device=w.device) >= self.cutoff)[:, None]
        return w, torch.where(is_mixed, w_mixed[:, None], w[:, None])


@dataclasses.dataclass(frozen=True)
class NoiseDraws:
    """Noise maps [N, 1, r, r] of the convolutions, lowest resolution first; None: the network takes none."""

    maps: list[Tensor] | None

    def take(self, positions: Tensor) -> list[Tensor] | None:
        """Return the maps of some images."""
        if self.maps is None:
            return None
        return [noise[positions.to(noise.device)] for noise in self.maps]


def draw_latents(config: NetworkConfig, num_images: int, style_mixing_prob: float, device: torch.device) -> LatentDraws:
    """Draw latents, mixed at one random layer with the given probability (arXiv 1812.04948, section 3.1)."""
    z = torch.randn(2, num_images, config.z_dim, device=device)
    cutoff = config.num_ws
    if torch.rand([]).item() < style_mixing_prob:
        cutoff = int(torch.randint(1, config.num_ws, []).item())
    return LatentDraws(z, cutoff)


def draw_noise(config: NetworkConfig, num_images: int, device: torch.device) -> NoiseDraws:
    """Draw one map an image and convolution."""
    if not config.use_noise:
        return NoiseDraws(None)
    resolutions = [resolution for resolution in config.block_resolutions for _ in range(1 if resolution == 4 else 2)]
    return NoiseDraws([torch.randn(num_images, 1, r, r, device=device) for r in resolutions])
