"""One training step: discriminator, generator, their lazy regularisers, and the moving average. No I/O."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ui2i.config import TrainingConfig
from ui2i.errors import TrainingError
from ui2i.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from ui2i.networks.generator import Generator
from ui2i.training.state import TrainingState, trainable_parameters

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def train_step(state: TrainingState, real_img: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    """Advance `state` by one step.

    The order is StyleGAN2's: generator loss, path length, discriminator loss, R1, moving average.

    Args:
        real_img: [N, 3, R, R] in [-1, 1] on the state's device.

    Returns:
        Detached scalars: `loss_generator`, `loss_discriminator`, `logits_real`, `logits_fake`, and `path_length` and
        `r1` on the steps that compute them.

    Raises:
        TrainingError: a loss is not finite.
    """
    scalars = _update_generator(state, len(real_img), config)
    if config.path_length_interval and state.num_steps % config.path_length_interval == 0:
        scalars |= _regularize_generator(state, len(real_img), config)
    scalars |= _update_discriminator(state, real_img, config)
    if state.num_steps % config.r1_interval == 0:
        scalars |= _regularize_discriminator(state, real_img, config)
    state.num_steps += 1
    _update_ema(state, len(real_img), config)
    _require_finite(scalars, state.num_steps)
    return scalars


def sample_ws(generator: Generator, num_images: int, config: TrainingConfig, *, update_w_avg: bool = False) -> Tensor:
    """Map random z to ws [N, num_ws, w_dim], mixing two codes at a random layer (arXiv 1812.04948, section 3.1)."""
    device = generator.w_avg.device
    z = torch.randn(2, num_images, generator.config.z_dim, device=device)
    num_ws = generator.config.num_ws
    cutoff = num_ws
    if torch.rand([]).item() < config.style_mixing_prob:
        cutoff = int(torch.randint(1, num_ws, []).item())
    if cutoff == num_ws:
        w = generator.mapping(z[0])
        ws = generator.broadcast(w)
    else:
        w, w_mixed = generator.mapping(z.flatten(0, 1)).unflatten(0, (2, num_images))
        is_mixed = (torch.arange(num_ws, device=device) >= cutoff)[:, None]
        ws = torch.where(is_mixed, w_mixed[:, None], w[:, None])
    if update_w_avg and not config.freeze_mapping:
        generator.mapping.update_w_avg(w)
    return ws


def _update_generator(state: TrainingState, num_images: int, config: TrainingConfig) -> dict[str, Tensor]:
    dtype = DTYPES[config.precision]
    with _frozen(state.discriminator):
        ws = sample_ws(state.generator, num_images, config, update_w_avg=True)
        fake_img = state.generator.synthesis(ws, noise_mode="random", dtype=dtype)
        loss = generator_loss(state.discriminator(fake_img, dtype=dtype))
        loss.backward()
    _apply(state.generator_optimizer)
    return {"loss_generator": loss.detach()}


def _regularize_generator(state: TrainingState, num_images: int, config: TrainingConfig) -> dict[str, Tensor]:
    ws = sample_ws(state.generator, max(1, num_images // config.path_length_batch_shrink), config)
    # Under freeze-FC no gradient reaches the mapping network, and ws must become a leaf that takes one.
    ws = ws.detach().requires_grad_() if config.freeze_mapping else ws.contiguous()
    fake_img = state.generator.synthesis(ws, noise_mode="random", dtype=DTYPES[config.precision])
    lengths = path_lengths(fake_img, ws)
    mean = state.path_length_mean.lerp(lengths.detach().mean(), config.path_length_decay)
    state.path_length_mean.copy_(mean)
    penalty = (lengths - mean).square().mean()
    (penalty * (config.path_length_weight * config.path_length_interval)).backward()
    _apply(state.generator_optimizer)
    return {"path_length": lengths.detach().mean()}


def _update_discriminator(state: TrainingState, real_img: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    dtype = DTYPES[config.precision]
    with torch.no_grad():
        ws = sample_ws(state.generator, len(real_img), config)
        fake_img = state.generator.synthesis(ws, noise_mode="random", dtype=dtype)
    fake_logits = state.discriminator(fake_img, dtype=dtype)
    real_logits = state.discriminator(real_img, dtype=dtype)
    loss = discriminator_loss(real_logits, fake_logits)
    loss.backward()
    _apply(state.discriminator_optimizer)
    return {
        "loss_discriminator": loss.detach(),
        "logits_real": real_logits.detach().mean(),
        "logits_fake": fake_logits.detach().mean(),
    }


def _regularize_discriminator(state: TrainingState, real_img: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    real_img = real_img.detach().requires_grad_()
    penalty = r1_penalty(real_img, state.discriminator(real_img, dtype=DTYPES[config.precision]))
    (penalty * (config.r1_gamma / 2 * config.r1_interval)).backward()
    _apply(state.discriminator_optimizer)
    return {"r1": penalty.detach()}


@torch.no_grad()
def _update_ema(state: TrainingState, num_images: int, config: TrainingConfig) -> None:
    """Move the averaged generator; frozen parameters are not touched, so they stay bit-identical to the source's."""
    half_life = config.ema_half_life_kimg * 1000
    if config.ema_rampup is not None:
        half_life = min(half_life, state.num_steps * num_images * config.ema_rampup)
    weight = 1 - 0.5 ** (num_images / max(half_life, 1e-8))
    pairs = zip(state.generator_ema.parameters(), state.generator.parameters(), strict=True)
    averaged, current = zip(*((ema, now) for ema, now in pairs if now.requires_grad), strict=True)
    torch._foreach_lerp_(averaged, current, weight)
    if not config.freeze_mapping:
        state.generator_ema.mapping.w_avg.copy_(state.generator.mapping.w_avg)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through `module` without computing those of its parameters."""
    parameters = trainable_parameters(module)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _apply(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _require_finite(scalars: dict[str, Tensor], num_steps: int) -> None:
    broken = [name for name, value in scalars.items() if not torch.isfinite(value)]
    if broken:
        raise TrainingError(
            f"{', '.join(broken)} became infinite or NaN at step {num_steps}, expected finite losses; "
            "resume from the last saved state with a lower learning_rate or a higher r1_gamma"
        )
