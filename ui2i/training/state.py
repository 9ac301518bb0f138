"""What training carries from one step to the next, and what is frozen in it."""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.precision import choose_precision
from ui2i.settings import NetworkConfig, TrainingConfig


@dataclasses.dataclass(kw_only=True)
class TrainingState:
    """Networks, optimisers and counters. `generator_ema` is the product; the others exist to make it."""

    generator: Generator
    discriminator: Discriminator
    generator_ema: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    precision: str  # of activations: fp32, bf16 or fp16
    path_length_mean: Tensor  # moving mean that path lengths are drawn to, a scalar
    augment_probability: float = 0.0  # of ADA, 0 to 1
    real_signs: Tensor  # signs of the logits of real images since ADA's last adjustment: their sum and count [2]
    num_steps: int = 0
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)
    measured_by: str | None = None  # identity of what made the measurements in the log; None: not recorded

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.path_length_mean.device


def initial_state(
    network_config: NetworkConfig,
    config: TrainingConfig,
    *,
    base: tuple[Generator, Discriminator | None] | None = None,
    device: torch.device | str = "cpu",
) -> TrainingState:
    """Return the state before the first step.

    Args:
        base: generator and discriminator of the source domain to fine-tune; a missing discriminator starts fresh.
            None trains from scratch.

    Raises:
        CheckpointError: the base has another architecture than `network_config`.
    """
    torch.manual_seed(config.seed)
    generator, discriminator = Generator(network_config), Discriminator(network_config)
    if base is not None:
        check_architecture(base[0].config, network_config)
        generator.load_state_dict(base[0].state_dict())
        if base[1] is not None:
            discriminator.load_state_dict(base[1].state_dict())
    freeze(generator, discriminator, config)
    generator.to(device)
    discriminator.to(device)
    return TrainingState(
        generator=generator,
        discriminator=discriminator,
        generator_ema=copy.deepcopy(generator).eval().requires_grad_(False),
        generator_optimizer=_lazy_adam(generator, config, config.path_length_interval),
        discriminator_optimizer=_lazy_adam(discriminator, config, config.r1_interval),
        precision=choose_precision(config.precision, device),
        path_length_mean=torch.zeros([], device=device),
        real_signs=torch.zeros(2, device=device),
    )


def freeze(generator: Generator, discriminator: Discriminator, config: TrainingConfig) -> None:
    """Switch off, for good, the gradients of what takes no update: it enters no optimiser and no moving average.

    Raises:
        ConfigError: a resolution is not one of the network's blocks, or nothing is left to train.
    """
    generator.mapping.requires_grad_(not config.freeze_mapping)
    resolutions = generator.config.block_resolutions
    for name in ("freeze_generator_resolution", "freeze_discriminator_resolution"):
        frozen = getattr(config, name)
        allowed = resolutions[:-1] if name == "freeze_generator_resolution" else resolutions[1:]
        if frozen is not None and frozen not in allowed:
            raise ConfigError(f"{name} is {frozen}, expected one of {', '.join(map(str, allowed))} or null; correct it")
    for resolution in resolutions:
        if resolution <= (config.freeze_generator_resolution or 0):
            generator.synthesis.block(resolution).requires_grad_(False)
        if config.freeze_discriminator_resolution is not None and resolution >= config.freeze_discriminator_resolution:
            discriminator.block(resolution).requires_grad_(False)


def check_architecture(base: NetworkConfig, wanted: NetworkConfig) -> None:
    """Raise CheckpointError, naming the differing fields, unless both describe the same networks."""
    fields = [field.name for field in dataclasses.fields(NetworkConfig)]
    different = [name for name in fields if getattr(base, name) != getattr(wanted, name)]
    if different:
        came = ", ".join(f"{name} {getattr(base, name)}" for name in different)
        expected = ", ".join(f"{name} {getattr(wanted, name)}" for name in different)
        raise CheckpointError(
            f"the base model has {came}, expected {expected}; train at the base model's settings or choose another base"
        )


def trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that take updates; frozen ones have `requires_grad` off for good."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def state_to_dict(state: TrainingState) -> dict[str, Any]:
    """Return all that a resumed run needs, random states included, as tensors and plain values."""
    return {
        "generator": state.generator.state_dict(),
        "discriminator": state.discriminator.state_dict(),
        "generator_ema": state.generator_ema.state_dict(),
        "generator_optimizer": state.generator_optimizer.state_dict(),
        "discriminator_optimizer": state.discriminator_optimizer.state_dict(),
        "precision": state.precision,
        "path_length_mean": state.path_length_mean,
        "augment_probability": state.augment_probability,
        "real_signs": state.real_signs,
        "num_steps": state.num_steps,
        "log": state.log,
        "measured_by": state.measured_by,
        "rng_cpu": torch.get_rng_state(),
        "rng_device": _device_rng_state(state.device),
    }


def restore_state(state: TrainingState, values: dict[str, Any]) -> None:
    """Overwrite `state` and the random states in place with what `state_to_dict` returned."""
    state.generator.load_state_dict(values["generator"])
    state.discriminator.load_state_dict(values["discriminator"])
    state.generator_ema.load_state_dict(values["generator_ema"])
    state.generator_optimizer.load_state_dict(values["generator_optimizer"])
    state.discriminator_optimizer.load_state_dict(values["discriminator_optimizer"])
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        for group in optimizer.param_groups:  # which may come from a run on another kind of device
            group["capturable"] = state.device.type == "cuda"
    state.precision = values["precision"]
    state.path_length_mean.copy_(values["path_length_mean"])
    state.augment_probability = values["augment_probability"]
    state.real_signs.copy_(values["real_signs"])
    state.num_steps = values["num_steps"]
    state.log = values["log"]
    state.measured_by = values.get("measured_by")  # which earlier states did not record
    torch.set_rng_state(values["rng_cpu"])
    if values["rng_device"] is not None and state.device.type != "cpu":
        getattr(torch, state.device.type).set_rng_state(values["rng_device"])


def _device_rng_state(device: torch.device) -> Tensor | None:
    """Return the random state of an accelerator; every process of a run has the same."""
    return None if device.type == "cpu" else getattr(torch, device.type).get_rng_state()


def _lazy_adam(module: nn.Module, config: TrainingConfig, interval: int) -> torch.optim.Adam:
    """Adam corrected for a regulariser that runs every `interval` steps (arXiv 1912.04958, appendix B)."""
    ratio = interval / (interval + 1) if interval else 1.0
    parameters = trainable_parameters(module)
    return torch.optim.Adam(
        parameters,
        lr=config.learning_rate * ratio,
        betas=(0.0, config.adam_beta2**ratio),
        eps=1e-8,
        fused=True,
        capturable=parameters[0].is_cuda,  # by a CUDA graph
    )
