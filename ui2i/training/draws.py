"""The random numbers of a step, drawn for the whole batch before any of it is computed.

A part of the batch takes its rows, so that results depend neither on how many processes share a batch nor on how many
parts each works it off in.
"""

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig


@dataclasses.dataclass(frozen=True)
class LatentDraws:
    """Two latents an image, and the layer from which the second takes over."""

    z: Tensor  # [2, N, z_dim]
    cutoff: int | Tensor  # num_ws: the second is not used; a tensor, on the device, where it is not to be looked at

    def map(
        self, generator: Generator, positions: Int[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, "n w_dim"], Float[Tensor, "n num_ws w_dim"]]:
        """Return w [n, w_dim] of the first latents, and the mixed latent codes ws [n, num_ws, w_dim].

        Args:
            positions: of the images that are wanted [n]; None: all.
        """
        num_ws = generator.config.num_ws
        z = self.z if positions is None else self.z[:, positions.to(self.z.device)]
        if isinstance(self.cutoff, int) and self.cutoff == num_ws:
            w = generator.mapping(z[0])
            return w, generator.broadcast(w)
        w, w_mixed = generator.mapping(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        is_mixed = (torch.arange(num_ws, device=w.device) >= self.cutoff)[:, None]
        return w, torch.where(is_mixed, w_mixed[:, None], w[:, None])


@dataclasses.dataclass(frozen=True)
class NoiseDraws:
    """Noise maps [N, 1, r, r] of the convolutions, lowest resolution first; None: the network takes none."""

    maps: list[Tensor] | None

    def take(self, positions: Int[Tensor, " n"] | None) -> list[Float[Tensor, "n 1 _ _"]] | None:
        """Return the maps of some images; None: of all."""
        if self.maps is None or positions is None:
            return self.maps
        return [noise[positions.to(noise.device)] for noise in self.maps]


def draw_latents(
    config: NetworkConfig,
    num_images: int,
    style_mixing_prob: float,
    device: torch.device,
    *,
    cutoff: Int[Tensor, ""] | None = None,
) -> LatentDraws:
    """Draw latents, mixed at one random layer with the given probability (arXiv 1812.04948, section 3.1).

    Args:
        cutoff: that layer, on the device, where it was drawn before.
    """
    z = torch.randn(2, num_images, config.z_dim, device=device)
    return LatentDraws(z, draw_cutoff(config, style_mixing_prob) if cutoff is None else cutoff)


def draw_cutoff(config: NetworkConfig, style_mixing_prob: float) -> int:
    """Draw the layer from which the second latents take over, `num_ws` for none, from torch's CPU generator."""
    if torch.rand([]).item() < style_mixing_prob:
        return int(torch.randint(1, config.num_ws, []).item())
    return config.num_ws


def draw_noise(config: NetworkConfig, num_images: int, device: torch.device) -> NoiseDraws:
    """Draw one map an image and convolution."""
    if not config.use_noise:
        return NoiseDraws(None)
    return NoiseDraws([torch.randn(num_images, 1, r, r, device=device) for r in config.noise_resolutions])
