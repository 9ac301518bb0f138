"""Semantic directions of a generator in closed form: SeFa (Shen and Zhou, arXiv 2007.06600; paper, Eq. 6 to 8).

A stacks the matrices that turn a latent code w into the layers' styles, so a step of length alpha along n changes the
styles by alpha A n (Eq. 6), whatever the image. The directions that change them most are the eigenvectors of A^T A (Eq.
8), which are A's right singular vectors; the inversion of Eq. 9 searches in the coordinates that V = A^T A spans. Read
to the letter, Eq. 6 speaks of the fully connected layers of the mapping network instead (`mapping_weights`).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.networks.generator import Generator

ToRGBLayers = Literal["first"]


@torch.no_grad()
def style_weights(
    generator: Generator, *, include_torgb: bool | ToRGBLayers = False
) -> Float[Tensor, "num_styles w_dim"]:
    """Return A: the style-modulation weights of the synthesis network, one row a modulated channel, lowest layer first.

    The weights are the stored ones. The network scales all of them by the same 1 / sqrt(w_dim), which moves neither
    the directions nor their order.

    Args:
        include_torgb: take the ToRGB layers in as well. `first`: only the one at 4 px, as rosinality's
            `closed_form_factorization` and the paper's code do.

    Raises:
        ConfigError: `include_torgb` is something else.
    """
    if include_torgb not in (False, True, "first"):
        raise ConfigError(f"include_torgb is {include_torgb!r}, expected true, false or first; correct it")
    rows = []
    for resolution in generator.config.block_resolutions:
        block = generator.synthesis.block(resolution)
        rows += [getattr(block, name).affine.weight for name in ("conv0", "conv1") if hasattr(block, name)]
        if include_torgb is True or (include_torgb == "first" and resolution == 4):
            rows.append(block.torgb.affine.weight)
    return torch.cat(rows)


@torch.no_grad()
def mapping_weights(generator: Generator) -> Float[Tensor, "num_outputs w_dim"]:
    """Return A as Eq. 6 words it, "weight [...] in the fully-connect layers": those of the mapping network, stacked.

    Only layers that take a vector of w_dim numbers belong in it; where z_dim is another number, the first is left out.
    """
    mapping = generator.mapping
    weights = [getattr(mapping, f"fc{index}").weight for index in range(mapping.num_layers)]
    return torch.cat([weight for weight in weights if weight.shape[1] == generator.config.w_dim])


def gram(style_matrix: Float[Tensor, "num_styles w_dim"]) -> Float[Tensor, "w_dim w_dim"]:
    """Return V = A^T A (Eq. 8), symmetric and positive semi-definite, computed in float64."""
    wide = style_matrix.double()
    return (wide.T @ wide).to(style_matrix.dtype)


def directions(
    style_matrix: Float[Tensor, "num_styles w_dim"],
) -> tuple[Float[Tensor, " w_dim"], Float[Tensor, "w_dim w_dim"]]:
    """Return A's singular values, largest first, and the unit directions that go with them as rows (Eq. 7).

    The sign of a direction is arbitrary; here its component of largest magnitude is positive, so that files and edits
    are reproducible. There are always w_dim directions: those that no style depends on come last, with value 0.

    Examples:
        >>> from ui2i.settings import NetworkConfig
        >>> generator = Generator(NetworkConfig(img_resolution=32, w_dim=32, channel_max=16))
        >>> values, steps = directions(style_weights(generator))
        >>> values.shape, steps.shape
        (torch.Size([32]), torch.Size([32, 32]))
    """
    num_styles, w_dim = style_matrix.shape
    padding = style_matrix.new_zeros(max(w_dim - num_styles, 0), w_dim)
    _, values, rows = torch.linalg.svd(torch.cat([style_matrix, padding]).double(), full_matrices=False)
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return values.to(style_matrix.dtype), (rows * largest.sign()).to(style_matrix.dtype)
