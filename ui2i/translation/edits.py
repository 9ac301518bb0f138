"""Semantic edits: a step along one of the directions that change the styles most (SeFa; paper, Eq. 6 to 8, Fig. 6).

The directions are those of the base. In the models that were fine-tuned from it they move the same attributes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.factorization import directions, style_weights
from ui2i.inversion import code_spread
from ui2i.networks.generator import Generator


@torch.no_grad()
def semantic_step(generator: Generator, direction: int, strength: float) -> Float[Tensor, " w_dim"]:
    """Return what is to be added to latent codes: alpha n of Eq. 6.

    Args:
        generator: the base of the family.
        direction: 1 for the one that changes the styles most, 2 for the next, up to w_dim.
        strength: in standard deviations of the latent codes along it; the sign is the way to go.

    Raises:
        ConfigError: there is no such direction.

    Examples:
        >>> from ui2i.settings import NetworkConfig
        >>> generator = Generator(NetworkConfig(img_resolution=32, w_dim=32, channel_max=16))
        >>> ahead, back = semantic_step(generator, 1, 2.0), semantic_step(generator, 1, -2.0)
        >>> ahead.shape, bool((ahead == -back).all())
        (torch.Size([32]), True)
    """
    w_dim = generator.config.w_dim
    if not 1 <= direction <= w_dim:
        raise ConfigError(f"the direction is {direction}, expected 1 (the strongest) to {w_dim}; correct it")
    unit = directions(style_weights(generator))[1][direction - 1]
    return strength * code_spread(generator).std_along(unit) * unit
