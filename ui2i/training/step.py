"""One training step: discriminator, generator, their lazy regularisers, and the moving average. No I/O."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.augmentation import AugmentationDraws, augment, draw_augmentation, update_probability
from ui2i.errors import TrainingError
from ui2i.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from ui2i.precision import DTYPES
from ui2i.settings import TrainingConfig
from ui2i.training.draws import LatentDraws, NoiseDraws, draw_latents, draw_noise
from ui2i.training.sharding import Part, Sharding
from ui2i.training.state import TrainingState, trainable_parameters

Phase = Literal["update_generator", "regularize_generator", "update_discriminator", "regularize_discriminator"]
MIXING_PHASES: tuple[Phase, ...] = ("update_generator", "regularize_generator", "update_discriminator")
"""Phases that draw latents, and with them the layer of style mixing."""

NUM_LOW_PRECISION_RESOLUTIONS_ON_GPU = 4
"""Resolutions, from the top, with half precision on a GPU, as in stylegan2-ada-pytorch; those below cost little."""


def train_step(
    state: TrainingState,
    real_img: Float[Tensor, "n 3 r r"],
    config: TrainingConfig,
    sharding: Sharding | None = None,
    *,
    run: Callable[[Phase, Float[Tensor, "n 3 r r"]], dict[str, Float[Tensor, ""]]] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Advance `state` by one batch and return the step's scalars, means over the whole batch.

    On an accelerator nothing waits for the device: whether the scalars are finite is for the caller to look at.

    Args:
        real_img: [n, 3, R, R] in [-1, 1]: the images that this process computes, `sharding.positions` of the batch.
        sharding: None: this process computes the whole batch at once.
        run: computes the phases in the place of `Step.run`, for the whole batch.

    Raises:
        TrainingError: a loss is not finite; `state` is not to be used any more.
        ConfigError: the batch cannot be cut as `sharding` asks.
    """
    run = run or Step(state, config, sharding or Sharding()).run
    scalars = run("update_generator", real_img)
    if config.path_length_interval and state.num_steps % config.path_length_interval == 0:
        scalars |= run("regularize_generator", real_img)
    scalars |= run("update_discriminator", real_img)
    if state.num_steps % config.r1_interval == 0:
        scalars |= run("regularize_discriminator", real_img)
    state.num_steps += 1
    _update_ema(state, config)
    _adjust_augmentation(state, config)
    if state.device.type == "cpu":
        require_finite(scalars, state.num_steps)
    return scalars


class Step:
    """The phases of one step. Each draws its random numbers for the whole batch and computes its parts of it."""

    def __init__(
        self, state: TrainingState, config: TrainingConfig, sharding: Sharding, *, cutoff: Tensor | None = None
    ):
        """Set up.

        Args:
            cutoff: the layer of style mixing, on the device; None: each phase draws its own.
        """
        self.state = state
        self.config = config
        self.sharding = sharding
        self.cutoff = cutoff
        self.network = state.generator.config
        self.dtype = DTYPES[state.precision]
        self.parts = sharding.parts(config.batch_size, self.network.mbstd_group_size)
        is_mixed = state.device.type == "cuda" and self.dtype != torch.float32
        self.low_resolutions = NUM_LOW_PRECISION_RESOLUTIONS_ON_GPU if is_mixed else None

    def run(self, phase: Phase, real_img: Float[Tensor, "n 3 r r"]) -> dict[str, Float[Tensor, ""]]:
        """Compute one phase and return its scalars."""
        if phase == "update_generator":
            return self.update_generator()
        if phase == "regularize_generator":
            return self.regularize_generator()
        if phase == "update_discriminator":
            return self.update_discriminator(real_img)
        return self.regularize_discriminator(real_img)

    def update_generator(self) -> dict[str, Float[Tensor, ""]]:
        """Lower the generator's loss, and move the truncation mean."""
        state, num_images = self.state, self.config.batch_size
        latents, noise, draws = self._latents(num_images), self._noise(num_images), self._augmentation()

        def backward(part: Part) -> dict[str, Tensor]:
            w, ws = latents.map(state.generator, part.indices)
            fake_img = self._synthesize(ws, noise.take(part.indices))
            loss = generator_loss(self._logits(fake_img, draws, part))
            (loss * part.share).backward()
            return {"loss_generator": loss, "w": w.mean(dim=0)}

        with _frozen(state.discriminator):
            means = self.sharding.mean(self.parts, backward)
        w_mean = means.pop("w")
        if not self.config.freeze_mapping:
            state.generator.mapping.update_w_avg(w_mean[None])
        self._apply(state.generator_optimizer)
        return means

    def regularize_generator(self) -> dict[str, Float[Tensor, ""]]:
        """Draw the path lengths of some images to their moving mean."""
        state, config = self.state, self.config
        # Each part needs an image, however small the batch.
        num_images = max(self.sharding.num_parts, config.batch_size // config.path_length_batch_shrink)
        latents, noise = self._latents(num_images), self._noise(num_images)
        res = self.network.img_resolution
        img_noise = torch.randn(num_images, 3, res, res, device=state.device)
        parts = self.sharding.parts(num_images)

        def lengths(part: Part, *, create_graph: bool) -> Tensor:
            _, ws = latents.map(state.generator, part.indices)
            # Under freeze-FC no gradient reaches the mapping network, and ws must become a leaf that takes one.
            ws = ws.detach().requires_grad_() if config.freeze_mapping else ws.contiguous()
            fake_img = self._synthesize(ws, noise.take(part.indices))
            part_noise = img_noise if part.indices is None else img_noise[part.indices.to(img_noise.device)]
            return path_lengths(fake_img, ws, part_noise, create_graph=create_graph)

        # All lengths must be known before the first penalty. Several parts are worth a second pass: one alone keeps
        # its graph, and all of them together would take the memory that parts are there to save.
        known = {id(part): lengths(part, create_graph=len(parts) == 1) for part in parts}
        means = self.sharding.mean(parts, lambda part: {"path_length": known[id(part)].mean()})
        mean = state.path_length_mean.lerp(means["path_length"], config.path_length_decay)
        state.path_length_mean.copy_(mean)
        for part in parts:
            part_lengths = known[id(part)] if len(parts) == 1 else lengths(part, create_graph=True)
            penalty = (part_lengths - mean).square().mean()
            (penalty * (part.share * config.path_length_weight * config.path_length_interval)).backward()
        self._apply(state.generator_optimizer)
        return means

    def update_discriminator(self, real_img: Float[Tensor, "n 3 r r"]) -> dict[str, Float[Tensor, ""]]:
        """Lower the discriminator's loss, and count the signs that adaptive augmentation goes by."""
        state, num_images = self.state, self.config.batch_size
        latents, noise = self._latents(num_images), self._noise(num_images)
        fake_draws, real_draws = self._augmentation(), self._augmentation()

        def backward(part: Part) -> dict[str, Tensor]:
            with torch.no_grad():
                _, ws = latents.map(state.generator, part.indices)
                fake_img = self._synthesize(ws, noise.take(part.indices))
            fake_logits = self._logits(fake_img, fake_draws, part)
            real_logits = self._logits(self._own(real_img, part), real_draws, part)
            loss = discriminator_loss(real_logits, fake_logits)
            (loss * part.share).backward()
            return {
                "loss_discriminator": loss,
                "logits_real": real_logits.mean(),
                "logits_fake": fake_logits.mean(),
                "real_sign": real_logits.sign().mean(),
            }

        means = self.sharding.mean(self.parts, backward)
        state.real_signs += torch.stack([means["real_sign"], torch.ones_like(means["real_sign"])])
        self._apply(state.discriminator_optimizer)
        return means

    def regularize_discriminator(self, real_img: Float[Tensor, "n 3 r r"]) -> dict[str, Float[Tensor, ""]]:
        """Lower R1, at the images as the discriminator sees them: augmented, if they are."""
        config, draws = self.config, self._augmentation()

        def backward(part: Part) -> dict[str, Tensor]:
            img = self._augmented(self._own(real_img, part), draws, part).detach().requires_grad_()
            penalty = r1_penalty(img, self._discriminate(img))
            (penalty * (part.share * config.r1_gamma / 2 * config.r1_interval)).backward()
            return {"r1": penalty}

        means = self.sharding.mean(self.parts, backward)
        self._apply(self.state.discriminator_optimizer)
        return means

    def _latents(self, num_images: int) -> LatentDraws:
        return draw_latents(
            self.network, num_images, self.config.style_mixing_prob, self.state.device, cutoff=self.cutoff
        )

    def _noise(self, num_images: int) -> NoiseDraws:
        return draw_noise(self.network, num_images, self.state.device)

    def _augmentation(self) -> AugmentationDraws | None:
        if self.config.augment == "none":
            return None
        return draw_augmentation(
            self.config.augment,
            self.config.batch_size,
            resolution=self.network.img_resolution,
            probability=self.state.augment_probability,
            device=self.state.device,
        )

    def _synthesize(self, ws: Tensor, noise: list[Tensor] | None) -> Tensor:
        return self.state.generator.synthesis(
            ws,
            noise_mode="random",
            noise=noise,
            dtype=self.dtype,
            num_low_precision_resolutions=self.low_resolutions,
        )

    def _augmented(self, img: Tensor, draws: AugmentationDraws | None, part: Part) -> Tensor:
        if draws is None:
            return img
        return augment(img, draws if part.indices is None else draws[part.indices])

    def _logits(self, img: Tensor, draws: AugmentationDraws | None, part: Part) -> Tensor:
        return self._discriminate(self._augmented(img, draws, part))

    def _discriminate(self, img: Tensor) -> Tensor:
        return self.state.discriminator(img, dtype=self.dtype, num_low_precision_resolutions=self.low_resolutions)

    def _own(self, real_img: Tensor, part: Part) -> Tensor:
        """Return a part's images from those of this process, which lie in the order of its parts."""
        start = sum(len(earlier) for earlier in self.parts[: self.parts.index(part)])
        return real_img[start : start + len(part)]

    def _apply(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.sharding.sum_gradients(parameters)
        if self.dtype == torch.float16:  # a gradient that overflows is cut instead of spoiling the weights
            for parameter in parameters:
                if parameter.grad is not None:
                    torch.nan_to_num_(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def _update_ema(state: TrainingState, config: TrainingConfig) -> None:
    """Move the averaged generator; frozen parameters are not touched, so they stay bit-identical to the source's."""
    half_life, num_images = config.ema_half_life_kimg * 1000, config.batch_size
    if config.ema_rampup is not None:
        half_life = min(half_life, state.num_steps * num_images * config.ema_rampup)
    weight = 1 - 0.5 ** (num_images / max(half_life, 1e-8))
    pairs = zip(state.generator_ema.parameters(), state.generator.parameters(), strict=True)
    averaged, current = zip(*((ema, now) for ema, now in pairs if now.requires_grad), strict=True)
    torch._foreach_lerp_(averaged, current, weight)
    if not config.freeze_mapping:
        state.generator_ema.mapping.w_avg.copy_(state.generator.mapping.w_avg)


def _adjust_augmentation(state: TrainingState, config: TrainingConfig) -> None:
    """Move ADA's probability towards its target, every few steps (arXiv 2006.06676, section 3)."""
    if state.num_steps % config.ada_interval:
        return
    if config.augment == "ada":
        total, count = state.real_signs.tolist()
        state.augment_probability = update_probability(
            state.augment_probability,
            total / max(count, 1),
            target=config.ada_target,
            num_images=config.ada_interval * config.batch_size,
            speed_kimg=config.ada_speed_kimg,
        )
    state.real_signs.zero_()


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


def require_finite(scalars: dict[str, Float[Tensor, ""]], num_steps: int) -> None:
    """Raise TrainingError, naming the scalars, unless all of them are finite."""
    if bool(torch.stack(list(scalars.values())).isfinite().all()):
        return
    broken = [name for name, value in scalars.items() if not torch.isfinite(value)]
    raise TrainingError(
        f"{', '.join(broken)} became infinite or NaN at step {num_steps}, expected finite losses; "
        "resume from the last saved state with a lower learning_rate or a higher r1_gamma"
    )
