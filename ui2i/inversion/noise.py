"""Noise in the search for a latent code, as in StyleGAN2's projector (Karras et al., arXiv 1912.04958, appendix D).

Two things share the name. The generator's noise maps are searched for beside the latent code and kept white by a
penalty, so that they cannot draw the image. And latent codes are jittered at first, less with every step, so that the
search does not settle in the first hollow. The jitter is drawn once for all images of a search: none depends on its
neighbours.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.networks.generator import Generator

MAPS_LEARNING_RATE = 0.1  # Adam's, at the top of the ramp
JITTER = 0.05  # in root mean square lengths of w
JITTER_SHARE = 0.75  # of the steps; it falls as a parabola and is 0 from there on
MIN_PYRAMID_RESOLUTION = 8  # pixels; maps are looked at down to this scale


def start_maps(generator: Generator, num_images: int) -> list[Float[Tensor, "n 1 _ _"]]:
    """Return the generator's own noise maps once for each image, lowest resolution first; none if it has no noise."""
    if not generator.config.use_noise:
        return []
    stored = [value for name, value in generator.synthesis.named_buffers() if name.endswith("noise_const")]
    return [maps.detach().expand(num_images, 1, *maps.shape).clone() for maps in stored]


@torch.no_grad()
def renormalize_(maps: Sequence[Float[Tensor, "n 1 _ _"]]) -> None:
    """Give each map [N, 1, r, r] mean 0 and mean square 1, in place."""
    for noise in maps:
        noise.sub_(noise.mean(dim=(2, 3), keepdim=True))
        noise.mul_(noise.square().mean(dim=(2, 3), keepdim=True).clamp_min(1e-12).rsqrt())


def whiteness_penalty(maps: Sequence[Float[Tensor, "n 1 _ _"]]) -> Float[Tensor, " n"]:
    """Return the squared autocorrelation at a distance of one pixel, summed over maps and scales, for each image.

    Each map is looked at in its own resolution and in those below, down to 8 px, made by averaging 2 x 2 pixels and
    doubling, which keeps the variance of white noise at 1.
    """
    terms = []
    for noise in maps:
        scaled = noise
        while True:
            terms += [(scaled * scaled.roll(1, dims=dim)).mean(dim=(1, 2, 3)).square() for dim in (2, 3)]
            if scaled.shape[-1] <= MIN_PYRAMID_RESOLUTION:
                break
            scaled = 2 * torch.nn.functional.avg_pool2d(scaled, 2)
    return torch.stack(terms).sum(dim=0)


class Jitter:
    """The fading noise on latent codes: the same for every image, drawn anew for every step."""

    def __init__(self, scale: float, num_steps: int, seed: int) -> None:
        """Take `scale`, the standard deviation of each component of w at the first step."""
        self._scale = scale
        self._num_steps = num_steps
        self._random = torch.Generator().manual_seed(seed)

    def add(self, ws: Float[Tensor, "n num_codes w_dim"], step: int) -> Float[Tensor, "n num_codes w_dim"]:
        """Return the latent codes with the noise of `step`; with none past the ramp."""
        strength = self._scale * jitter_scale(step, self._num_steps)
        if strength == 0:
            return ws
        return ws + strength * torch.randn(ws.shape[1:], generator=self._random).to(ws)


def jitter_scale(step: int, num_steps: int) -> float:
    """Return the factor on the noise at `step` of 0 .. num_steps, from 1 to 0."""
    return max(0.0, 1 - step / (JITTER_SHARE * num_steps)) ** 2
