"""The spread of a generator's latent codes w: the unit of length for their noise, errors and edits."""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.networks.generator import Generator

NUM_SAMPLES = 4096  # of z, always the same


@dataclasses.dataclass(frozen=True)
class CodeSpread:
    """Sampled latent codes relative to w_avg."""

    deviations: Float[Tensor, "n w_dim"]

    @property
    def variance(self) -> float:
        """Mean square of a component."""
        return self.deviations.square().mean().item()

    @property
    def length(self) -> float:
        """Root mean square of the distance of a latent code from w_avg."""
        return self.deviations.square().sum(dim=1).mean().sqrt().item()

    def std_along(self, direction: Float[Tensor, " w_dim"]) -> float:
        """Standard deviation of the latent codes along a unit vector."""
        return (self.deviations @ direction).std().item()


@torch.no_grad()
def code_spread(generator: Generator, num_samples: int = NUM_SAMPLES) -> CodeSpread:
    """Sample latent codes w = f(z); equal calls give equal ones, whatever the device."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(num_samples, generator.config.z_dim, generator=random).to(generator.w_avg.device)
    return CodeSpread(generator.mapping(z) - generator.w_avg)
