"""From pictures to codes: latent optimisation in the spaces that the paper compares (Eq. 5 and 9, Table III)."""

from ui2i.inversion.optimize import InversionResult, invert
from ui2i.inversion.spaces import DEFAULT_LEARNING_RATES, LatentSpace, latent_space

__all__ = ["DEFAULT_LEARNING_RATES", "InversionResult", "LatentSpace", "invert", "latent_space"]
