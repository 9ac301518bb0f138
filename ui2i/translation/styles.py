"""Multi-modal translation: content from the image, appearance from elsewhere (paper, section III-C, Eq. 10)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.networks.generator import Generator


def mix_styles(
    ws: Float[Tensor, "n num_ws w_dim"],
    w_style: Float[Tensor, "#n w_dim"] | Float[Tensor, "#n num_ws w_dim"],
    num_style_layers: int,
) -> Float[Tensor, "n num_ws w_dim"]:
    """Return `ws` with the latent codes of its last layers replaced: w = (w_c, w_a) (Eq. 10).

    `w_style` is a latent code of W already, sampled (`sample_style`) or inverted from a reference; it is not mapped
    again.

    Args:
        w_style: one latent code for all images or one each, of W or with one latent code per style input.
        num_style_layers: style inputs replaced, 0 to num_ws, counted from the image's side; the last is that of the
            last ToRGB layer. More of them come closer to the reference and farther from the content.

    Raises:
        ConfigError: the number is out of range.
    """
    num_content_layers = ws.shape[1] - num_style_layers
    if not 0 <= num_content_layers <= ws.shape[1]:
        raise ConfigError(
            f"num_style_layers is {num_style_layers}, expected 0 to {ws.shape[1]}, the model's style inputs; correct it"
        )
    layers = w_style[:, None] if w_style.ndim == 2 else w_style[:, num_content_layers:]
    return torch.cat([ws[:, :num_content_layers], layers.expand(len(ws), num_style_layers, -1)], dim=1)


@torch.no_grad()
def sample_style(generator: Generator, seed: int, *, truncation_psi: float = 1.0) -> Float[Tensor, "1 w_dim"]:
    """Return an appearance's latent code w_a = f(z_a), z_a ~ N(0, I) drawn from `seed` alone, whatever the device."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(1, generator.config.z_dim, generator=random).to(generator.w_avg.device)
    return generator.truncate(generator.mapping(z), truncation_psi)
