"""The search for the latent codes of one batch: Adam in the coordinates of a method, beside it the noise maps."""

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import TrainingError
from ui2i.inversion.codes import code_spread
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.noise import (
    JITTER,
    MAPS_LEARNING_RATE,
    Jitter,
    renormalize_,
    start_maps,
    whiteness_penalty,
)
from ui2i.inversion.schedule import rate_scale
from ui2i.inversion.spaces import LatentSpace
from ui2i.inversion.target import Target
from ui2i.networks.generator import Generator
from ui2i.settings import InversionConfig

# Adam's memory of gradients and of their squares. Shorter than usual (0.9, 0.999): in 50 to 200 steps the first
# gradients, which are large, would otherwise keep later steps short (docs/results/inversion.md).
BETAS = (0.8, 0.99)


@dataclasses.dataclass(frozen=True)
class Found:
    """The best that a search came across, image by image."""

    ws: Float[Tensor, "n num_ws w_dim"]
    noise: tuple[Float[Tensor, "n 1 _ _"], ...]  # lowest resolution first; empty: the generator's own
    losses: Float[Tensor, "evaluations n"]


def search(
    target: Target,
    generator: Generator,
    space: LatentSpace,
    config: InversionConfig,
    *,
    learning_rate: float,
    encoder: Encoder | None,
    report: Callable[[int, float], None],
) -> Found:
    """Optimise one batch of latent codes.

    Args:
        space: where the search starts, and in which coordinates it goes on.
        encoder: tells whether latent codes are in the domain, for the method in_domain.
        report: told the number of steps done and the batch's mean loss.

    Raises:
        TrainingError: no loss of an image was finite.
    """
    offsets = space.start(len(target)).requires_grad_()
    maps = start_maps(generator, len(target)) if config.optimize_noise else []
    variables = [offsets, *(noise.requires_grad_() for noise in maps)]
    optimizer = torch.optim.Adam([{"params": [offsets]}, {"params": maps}] if maps else [offsets], betas=BETAS)
    objective = _Objective(target, generator, config, encoder)
    jitter = Jitter(_jitter_strength(generator, config), config.num_steps, config.seed)
    best = _Best(len(target), space.to_ws(offsets).detach(), maps)
    losses = []
    for step in range(config.num_steps + 1):
        is_last = step == config.num_steps  # only evaluates where the last step arrived
        with torch.set_grad_enabled(not is_last):
            ws = jitter.add(space.to_codes(offsets), step).expand(-1, space.num_ws, -1)
            loss = objective.losses(ws, maps)
        losses.append(loss.detach())
        best.update(losses[-1], ws.detach(), maps)
        if not is_last:
            penalty = config.noise_regularization * whiteness_penalty(maps) if maps else 0.0
            # Gradients of the latent codes and maps alone: the network's own are neither computed nor touched.
            gradients = torch.autograd.grad((loss + penalty).sum(), variables)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
            scale = rate_scale(step, config.num_steps)
            for group, rate in zip(optimizer.param_groups, (learning_rate, MAPS_LEARNING_RATE), strict=False):
                group["lr"] = rate * scale
            optimizer.step()
            renormalize_(maps)
            report(step + 1, losses[-1].mean().item())
    best.check()
    return Found(best.ws, tuple(best.maps), torch.stack(losses))


class _Objective:
    """The loss of each image: how far its image is from it and, for in_domain, its latent code from the encoder's."""

    def __init__(self, target: Target, generator: Generator, config: InversionConfig, encoder: Encoder | None) -> None:
        self._target = target
        self._generator = generator
        self._encoder = encoder if config.method == "in_domain" and config.domain_weight > 0 else None
        self._domain_scale = 0.0
        if self._encoder is not None:
            self._domain_scale = config.domain_weight / code_spread(generator).variance

    def losses(self, ws: Tensor, maps: list[Tensor]) -> Tensor:
        """Return one loss an image [N], the penalty on noise maps aside."""
        images = self._generator.synthesis(ws, noise=maps or None)
        loss = self._target.losses(images)
        if self._encoder is None:
            return loss
        # In-domain inversion (arXiv 2004.00049, Eq. 5): ||z - E(G(z))||^2, in variances of w.
        return loss + self._domain_scale * (ws - self._encoder(images)[:, None]).square().mean(dim=(1, 2))


class _Best:
    """Latent codes and noise maps of the smallest loss so far, image by image."""

    def __init__(self, num_images: int, ws: Tensor, maps: list[Tensor]) -> None:
        self.loss = ws.new_full((num_images,), torch.inf)
        self.ws = ws.clone()
        self.maps = [noise.detach().clone() for noise in maps]

    def update(self, loss: Tensor, ws: Tensor, maps: list[Tensor]) -> None:
        better = loss < self.loss  # false for a loss that is not a number
        self.loss = torch.where(better, loss, self.loss)
        self.ws = torch.where(better[:, None, None], ws, self.ws)
        if maps and better.any():
            choice = better[:, None, None, None]
            self.maps = [torch.where(choice, new.detach(), old) for new, old in zip(maps, self.maps, strict=True)]

    def check(self) -> None:
        """Raise TrainingError if an image never had a finite loss."""
        if not self.loss.isfinite().all():
            count = int((~self.loss.isfinite()).sum())
            raise TrainingError(
                f"{count} of {len(self.loss)} images never had a finite loss in their inversion, expected finite "
                "losses from the start on; check that the generator's weights are finite"
            )


def _jitter_strength(generator: Generator, config: InversionConfig) -> float:
    """Return the standard deviation of the noise on each component of a latent code at the first step."""
    starts_at_encoder = config.start == "encoder" or config.method == "in_domain"
    share = config.latent_noise if config.latent_noise is not None else (0.0 if starts_at_encoder else JITTER)
    return 0.0 if share == 0 else share * code_spread(generator).length
