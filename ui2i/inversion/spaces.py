"""The coordinates in which a latent code is searched for. A method of inversion is one of these and a learning rate.

All of them reach the same images (those with one latent code per layer more of them): what differs is the geometry in
which Adam, which is not rotation-invariant, takes its steps. A search starts at w_avg, or at an encoder's latent codes,
and is kept as an offset u from there, w = w_avg + u V. Where v_0 V = w_avg, that is the optimisation of v = v_0 + u in
w = v V, for Adam does not see where the origin lies; it needs no inverse of V.

To add a method: one function and its entry in `SEARCHES` here, its name in `InversionMethod` of the settings.
"""

import dataclasses
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.factorization import directions, gram, mapping_weights, style_weights
from ui2i.networks.generator import Generator
from ui2i.settings import InversionMethod


@dataclasses.dataclass(frozen=True)
class LatentSpace:
    """Coordinates of latent codes: offsets u from `origin`, with w = origin + u basis."""

    origin: Float[Tensor, " w_dim"] | Float[Tensor, "n 1 w_dim"]  # one for all images or one each
    basis: Float[Tensor, "w_dim w_dim"] | None  # one coordinate a row; None: the coordinates of W itself
    num_ws: int  # style inputs of the synthesis network
    per_layer: bool = False  # one latent code per style input instead of one latent code for all

    def start(self, num_images: int) -> Float[Tensor, "n num_codes w_dim"]:
        """Return the offsets at which a search starts, all zero; num_codes is num_ws or 1."""
        return self.origin.new_zeros(num_images, self.num_ws if self.per_layer else 1, self.origin.shape[-1])

    def at(self, w: Float[Tensor, "n w_dim"]) -> "LatentSpace":
        """Return the same coordinates for a search that starts at these latent codes, one an image."""
        return dataclasses.replace(self, origin=w[:, None])

    def to_codes(self, offsets: Float[Tensor, "n num_codes w_dim"]) -> Float[Tensor, "n num_codes w_dim"]:
        """Return the latent codes that are searched for, one an image or one a style input."""
        return self.origin + (offsets if self.basis is None else offsets @ self.basis)

    def to_ws(self, offsets: Float[Tensor, "n num_codes w_dim"]) -> Float[Tensor, "n num_ws w_dim"]:
        """Return the latent codes that the synthesis network takes."""
        return self.to_codes(offsets).expand(-1, self.num_ws, -1)


@dataclasses.dataclass(frozen=True)
class Search:
    """A method of inversion that takes steps."""

    space: Callable[[Generator], LatentSpace]  # where it searches
    learning_rate: float  # Adam's at the top of the ramp, in units of the space's coordinates


def latent_space(method: InversionMethod, generator: Generator) -> LatentSpace:
    """Return the coordinates of `method` in the latent space of `generator`, on its device.

    Raises:
        ConfigError: the method takes no steps.
    """
    if method not in SEARCHES:
        raise ConfigError(f"the method {method} searches nowhere, expected one of {', '.join(SEARCHES)}; name one")
    return SEARCHES[method].space(generator)


def _closed_form(generator: Generator) -> LatentSpace:
    """Eq. 9: w = v^T V, V = A^T A, here divided by its mean eigenvalue so that a step has the size it has in W."""
    basis = gram(style_weights(generator))
    return _space(generator, basis / basis.diagonal().mean())


def _closed_form_mapping(generator: Generator) -> LatentSpace:
    """Eq. 9 with the A of Eq. 6's own words: the mapping network's layers; scaled as in `_closed_form`."""
    basis = gram(mapping_weights(generator))
    return _space(generator, basis / basis.diagonal().mean())


def _directions(generator: Generator) -> LatentSpace:
    """The orthogonal eigenbasis of A^T A, as the paper's released code means to use."""
    return _space(generator, directions(style_weights(generator))[1])


def _w(generator: Generator) -> LatentSpace:
    """Eq. 5: StyleGAN2's projection, W itself."""
    return _space(generator, None)


def _w_plus(generator: Generator) -> LatentSpace:
    """Image2StyleGAN (arXiv 1904.03189): W once for each style input."""
    return dataclasses.replace(_space(generator, None), per_layer=True)


def _closed_form_plus(generator: Generator) -> LatentSpace:
    """Eq. 9 once for each style input."""
    return dataclasses.replace(_closed_form(generator), per_layer=True)


# The rates gave the smallest loss of a sweep in factors of 2 over 8 held-out photographs, 200 steps, with a 64 px model
# (w_dim 96) after 48,000 images of training. The last two were not swept.
SEARCHES: dict[InversionMethod, Search] = {
    "closed_form": Search(_closed_form, 0.2),
    "closed_form_mapping": Search(_closed_form_mapping, 0.4),
    "directions": Search(_directions, 0.4),
    "w": Search(_w, 0.4),
    "w_plus": Search(_w_plus, 0.2),
    "closed_form_plus": Search(_closed_form_plus, 0.1),
    "in_domain": Search(_w_plus, 0.2),  # from the encoder's latent code, with a term that keeps it in the domain
}
"""All methods but `encoder`, which takes no steps."""


def _space(generator: Generator, basis: Tensor | None) -> LatentSpace:
    basis = None if basis is None else basis.detach()
    return LatentSpace(generator.w_avg.detach().clone(), basis, generator.config.num_ws)
