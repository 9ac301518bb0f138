"""The search for the codes of pictures: Adam on L1 plus perceptual distance (paper, Eq. 5 and 9).

Pictures advance in batches for speed alone. Each has its own code and its own loss; losses are summed over a batch,
never averaged, and Adam works element by element, so a picture's code does not depend on its neighbours. The network's
weights and its noise inputs stay as they are.
"""

import dataclasses
import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.config import InversionConfig, InversionMethod
from ui2i.errors import DataError, TrainingError
from ui2i.inversion.schedule import rate_scale
from ui2i.inversion.spaces import DEFAULT_LEARNING_RATES, LatentSpace, latent_space
from ui2i.metrics.ssim import ssim
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionResult:
    """Codes found, how good they are, and what they cost. Tensors are on the generator's device."""

    ws: Float[Tensor, "n num_ws w_dim"]  # of the smallest loss seen, picture by picture
    losses: Float[Tensor, "evaluations n"]  # before each step and after the last: num_steps + 1 rows
    loss: Float[Tensor, " n"]  # the smallest of `losses`, that of `ws`
    ssim: Float[Tensor, " n"]  # picture against reconstruction clamped to [-1, 1]; 1 is perfect
    lpips: Float[Tensor, " n"]  # the same by the perceptual network; 0 is perfect
    seconds: float  # wall time for all pictures
    num_steps: int
    method: InversionMethod
    learning_rate: float


def invert(
    images: Float[Tensor, "n 3 r r"],
    generator: Generator,
    perceptual: Perceptual,
    config: InversionConfig,
    *,
    progress: Progress = no_progress,
) -> InversionResult:
    """Find the codes whose images come closest to the given ones: w = Inv(images, generator).

    The loss of a picture is l1_weight mean|I - G(w)| + perceptual_weight d(I, G(w)). Nothing random enters: equal calls
    give equal codes.

    Args:
        images: float32 in [-1, 1] at the generator's resolution, on any device.
        perceptual: on the generator's device.
        progress: called after each step of each batch, with the batch's mean loss.

    Raises:
        DataError: there are no pictures, they have another shape or range, or they are too small for the trunk.
        TrainingError: no loss of a picture was finite.
    """
    _check_images(images, generator.config.img_resolution)
    space = latent_space(config.method, generator)
    learning_rate = DEFAULT_LEARNING_RATES[config.method] if config.learning_rate is None else config.learning_rate
    batches = images.to(generator.w_avg.device).split(config.batch_size)
    total = len(batches) * config.num_steps
    start_time = time.perf_counter()
    codes, losses, similarities, distances = [], [], [], []
    for index, batch in enumerate(batches):

        def report(done: int, loss: float, before: int = index * config.num_steps) -> None:
            progress(before + done, total, f"loss {loss:.4f}")

        target = _Target(batch, perceptual, config)
        ws, batch_losses = _search(target, generator, space, config.num_steps, learning_rate, report)
        similarity, distance = target.quality(generator, ws)
        codes.append(ws)
        losses.append(batch_losses)
        similarities.append(similarity)
        distances.append(distance)
    seconds = time.perf_counter() - start_time
    all_losses = torch.cat(losses, dim=1)
    return InversionResult(
        ws=torch.cat(codes),
        losses=all_losses,
        loss=all_losses.nan_to_num(nan=torch.inf).amin(dim=0),
        ssim=torch.cat(similarities),
        lpips=torch.cat(distances),
        seconds=seconds,
        num_steps=config.num_steps,
        method=config.method,
        learning_rate=learning_rate,
    )


class _Target:
    """Pictures to be reached, with their perceptual features, which need computing only once."""

    def __init__(self, images: Tensor, perceptual: Perceptual, config: InversionConfig) -> None:
        self.images = images
        self._perceptual = perceptual
        self._config = config
        with torch.no_grad():
            self._features = perceptual.features(images)

    def __len__(self) -> int:
        return len(self.images)

    def losses(self, generated: Tensor) -> Tensor:
        """Return one loss a picture [N]."""
        l1 = (self.images - generated).abs().mean(dim=(1, 2, 3))
        return self._config.l1_weight * l1 + self._config.perceptual_weight * self._distance(generated)

    @torch.no_grad()
    def quality(self, generator: Generator, ws: Tensor) -> tuple[Tensor, Tensor]:
        """Return SSIM and perceptual distance [N] of the codes' images as they would be saved."""
        clamped = generator.synthesis(ws).clamp(-1, 1)
        return ssim(self.images, clamped), self._distance(clamped)

    def _distance(self, generated: Tensor) -> Tensor:
        return self._perceptual.distance_from_features(self._features, self._perceptual.features(generated))


def _search(
    target: _Target,
    generator: Generator,
    space: LatentSpace,
    num_steps: int,
    learning_rate: float,
    report: Callable[[int, float], None],
) -> tuple[Tensor, Tensor]:
    """Optimise one batch; return the best ws [N, num_ws, w_dim] and the losses [num_steps + 1, N]."""
    offsets = space.start(len(target)).requires_grad_()
    optimizer = torch.optim.Adam([offsets], lr=learning_rate)
    best_offsets = offsets.detach().clone()
    best_loss = offsets.new_full((len(target),), torch.inf)
    losses = []
    for step in range(num_steps + 1):
        is_last = step == num_steps  # only evaluates where the last step arrived
        with torch.set_grad_enabled(not is_last):
            loss = target.losses(generator.synthesis(space.to_ws(offsets)))
        losses.append(loss.detach())
        better = losses[-1] < best_loss  # false for a loss that is not a number
        best_loss = torch.where(better, losses[-1], best_loss)
        best_offsets = torch.where(better[:, None, None], offsets.detach(), best_offsets)
        if not is_last:
            optimizer.param_groups[0]["lr"] = learning_rate * rate_scale(step, num_steps)
            # Gradients of the codes alone: the network's own are neither computed nor touched.
            (offsets.grad,) = torch.autograd.grad(loss.sum(), offsets)
            optimizer.step()
            report(step + 1, losses[-1].mean().item())
    _check_finite(best_loss)
    return space.to_ws(best_offsets).clone(), torch.stack(losses)


def _check_images(images: Tensor, resolution: int) -> None:
    expected = f"float [N, 3, {resolution}, {resolution}] in [-1, 1] with N at least 1"
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, resolution, resolution) or len(images) == 0:
        raise DataError(f"images have shape {list(images.shape)}, expected {expected}; fit them to the model first")
    low, high = images.min().item(), images.max().item()
    if not (images.is_floating_point() and low >= -1.001 and high <= 1.001):
        raise DataError(
            f"images are {images.dtype} from {low:g} to {high:g}, expected {expected}; make them with images.to_tensor"
        )


def _check_finite(best_loss: Tensor) -> None:
    if not best_loss.isfinite().all():
        count = int((~best_loss.isfinite()).sum())
        raise TrainingError(
            f"{count} of {len(best_loss)} pictures never had a finite loss in their inversion, expected finite losses "
            "from the mean image on; check that the generator's weights are finite"
        )
