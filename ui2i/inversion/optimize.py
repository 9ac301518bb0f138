"""Inversion: the latent codes of images, by search or by an encoder (paper, Eq. 5 and 9, Table III).

Images advance in batches for speed alone. Each has its own latent code, noise maps and loss; losses are summed over a
batch, never averaged, and Adam works element by element. So an image's latent code depends on its neighbours by
rounding alone, which a search amplifies (docs/inversion.md has how much). The generator's weights stay as they are.
"""

import dataclasses
import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.devices import fast_arithmetic
from ui2i.errors import ConfigError, DataError
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.search import Found, search
from ui2i.inversion.spaces import SEARCHES, latent_space
from ui2i.inversion.target import Target
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import InversionConfig, InversionMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionResult:
    """Latent codes found, how good they are, and what they cost. Tensors are on the generator's device."""

    ws: Float[Tensor, "n num_ws w_dim"]  # of the smallest loss seen, image by image
    noise: tuple[Float[Tensor, "n 1 _ _"], ...]  # maps found, lowest resolution first; empty: the generator's own
    losses: Float[Tensor, "evaluations n"]  # before each step and after the last: num_steps + 1 rows
    loss: Float[Tensor, " n"]  # the smallest of `losses`, that of `ws`
    ssim: Float[Tensor, " n"]  # image against reconstruction clamped to [-1, 1]; 1 is perfect
    lpips: Float[Tensor, " n"]  # the same by the perceptual network; 0 is perfect
    seconds: float  # wall time for all images
    num_steps: int
    method: InversionMethod
    learning_rate: float  # 0 for the method encoder


def invert(
    images: Float[Tensor, "n 3 r r"],
    generator: Generator,
    perceptual: Perceptual,
    config: InversionConfig,
    *,
    encoder: Encoder | None = None,
    progress: Progress = no_progress,
) -> InversionResult:
    """Find the latent codes whose images come closest to the given ones: w = Inv(images, generator).

    The loss of an image is l1_weight mean|I - G(w)| + perceptual_weight d(I, G(w)). Nothing is random but the noise
    that `config.seed` draws: equal calls give equal latent codes.

    Args:
        images: float32 in [-1, 1] at the generator's resolution, on any device.
        perceptual: on the generator's device.
        encoder: of this generator, on its device; for the methods `encoder` and `in_domain` and the start `encoder`.
        progress: called after each step of each batch, with the batch's mean loss.

    Raises:
        DataError: there are no images, they have another shape or range, or they are too small for the backbone.
        ConfigError: the method or the start needs an encoder, and there is none.
        TrainingError: no loss of an image was finite.

    Examples:
        >>> from ui2i.perceptual import load_perceptual
        >>> from ui2i.settings import NetworkConfig, PerceptualConfig
        >>> generator = Generator(NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)).requires_grad_(False)
        >>> images = torch.rand(2, 3, 32, 32) * 2 - 1
        >>> perceptual = load_perceptual(PerceptualConfig(backbone="random"))
        >>> found = invert(images, generator, perceptual, InversionConfig(num_steps=2))
        >>> found.ws.shape, found.losses.shape
        (torch.Size([2, 8, 32]), torch.Size([3, 2]))
    """
    _check_images(images, generator.config.img_resolution)
    if config.needs_encoder and encoder is None:
        raise ConfigError(
            f"the method {config.method} from the start {config.start} came without an encoder, expected one of this "
            "generator; train it (ui2i train-encoder) or choose the method w from the start mean"
        )
    batches = images.to(generator.w_avg.device).split(config.batch_size)
    num_steps = 0 if config.method == "encoder" else config.num_steps
    found, qualities = [], []
    start_time = time.perf_counter()
    for index, batch in enumerate(batches):

        def report(done: int, loss: float, before: int = index * num_steps) -> None:
            progress(before + done, len(batches) * num_steps, f"loss {loss:.4f}")

        with fast_arithmetic(generator.w_avg.device):
            target = Target(batch, perceptual, config)
            found.append(_find(target, generator, config, encoder, report))
            qualities.append(target.quality(generator.synthesis(found[-1].ws, noise=found[-1].noise or None)))
    seconds = time.perf_counter() - start_time
    losses = torch.cat([part.losses for part in found], dim=1)
    return InversionResult(
        ws=torch.cat([part.ws for part in found]),
        noise=tuple(torch.cat(maps) for maps in zip(*(part.noise for part in found), strict=True)),
        losses=losses,
        loss=losses.nan_to_num(nan=torch.inf).amin(dim=0),
        ssim=torch.cat([similarity for similarity, _ in qualities]),
        lpips=torch.cat([distance for _, distance in qualities]),
        seconds=seconds,
        num_steps=num_steps,
        method=config.method,
        learning_rate=learning_rate(config),
    )


def learning_rate(config: InversionConfig) -> float:
    """Return Adam's rate at the top of the ramp: the one that is set, else the method's own; 0: no steps are taken."""
    if config.method == "encoder":
        return 0.0
    if config.learning_rate is not None:
        return config.learning_rate
    return SEARCHES[config.method].learning_rate


def _find(
    target: Target,
    generator: Generator,
    config: InversionConfig,
    encoder: Encoder | None,
    report: Callable[[int, float], None],
) -> Found:
    """Return the latent codes of one batch."""
    with torch.no_grad():
        w = encoder(target.images) if config.needs_encoder and encoder is not None else None
        if config.method == "encoder":
            assert w is not None
            ws = generator.broadcast(w)
            return Found(ws, (), target.losses(generator.synthesis(ws))[None])
    space = latent_space(config.method, generator)
    return search(
        target,
        generator,
        space if w is None else space.at(w),
        config,
        learning_rate=learning_rate(config),
        encoder=encoder,
        report=report,
    )


def _check_images(images: Tensor, resolution: int) -> None:
    expected = f"float [N, 3, {resolution}, {resolution}] in [-1, 1] with N at least 1"
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, resolution, resolution) or len(images) == 0:
        raise DataError(f"images have shape {list(images.shape)}, expected {expected}; fit them to the model first")
    low, high = images.min().item(), images.max().item()
    if not (images.is_floating_point() and low >= -1.001 and high <= 1.001):
        raise DataError(
            f"images are {images.dtype} from {low:g} to {high:g}, expected {expected}; make them with images.to_tensor"
        )
