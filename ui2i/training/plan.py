"""What a training would do and cost, from a few real steps: for `--dry-run`."""

import dataclasses
import os
import time
from collections.abc import Callable

import torch

from ui2i.errors import is_out_of_memory
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.precision import warn_if_emulated
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.memory import check_batch, more_micro_batches
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState, initial_state, trainable_parameters
from ui2i.training.step import train_step
from ui2i.training.watching import GIB, duration, peak_memory_bytes

NEVER = 10**9  # as an interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What a training needs."""

    num_images: int  # real images to be shown
    num_steps: int
    num_training_images: int  # in the training split
    generator_parameters: int
    discriminator_parameters: int
    trainable_parameters: int
    device: str
    precision: str  # of activations, as chosen
    seconds: float  # of the steps alone, without measurements and snapshots
    memory_bytes: int  # the most that this process had while it tried the steps

    def describe(self) -> str:
        """Return the plan in lines for people."""
        epochs = self.num_images / self.num_training_images
        total = self.generator_parameters + self.discriminator_parameters
        rate = self.num_images / self.seconds if self.seconds else 0.0
        lines = {
            "images": f"{self.num_images:,} in {self.num_steps:,} steps, {epochs:.1f} times "
            f"{self.num_training_images:,} images",
            "parameters": f"{total:,}, of which {self.trainable_parameters:,} are trained (generator "
            f"{self.generator_parameters:,}, discriminator {self.discriminator_parameters:,})",
            "time": f"{duration(self.seconds)} at {rate:.0f} images/s in {self.precision} on {self.device}, as "
            "tried just now",
            "memory": f"{self.memory_bytes / GIB:.1f} GiB",
        }
        return "\n".join(f"{name:<11} {line}" for name, line in lines.items())


def plan_training(
    network_config: NetworkConfig,
    config: TrainingConfig,
    *,
    num_training_images: int,
    base: tuple[Generator, Discriminator | None] | None = None,
    device: torch.device | str = "cpu",
) -> TrainingPlan:
    """Try one step of each kind on noise and add up what the whole training takes. Nothing is written.

    The global random state is changed.

    Raises:
        ConfigError, CheckpointError, DataError, TrainingError: as `ui2i.training.loop.train`.
    """
    check_batch(config, network_config, num_training_images, "the dataset")
    state = initial_state(network_config, config, base=base, device=device)
    warn_if_emulated(state.precision, state.device)
    num_steps = config.num_steps
    plain, path_length, r1 = _seconds_that_fit(state, config)
    seconds = num_steps * plain + num_steps / config.r1_interval * max(0.0, r1 - plain)
    if config.path_length_interval:
        seconds += num_steps / config.path_length_interval * max(0.0, path_length - plain)
    networks = (state.generator, state.discriminator)
    return TrainingPlan(
        num_images=num_steps * config.batch_size,
        num_steps=num_steps,
        num_training_images=num_training_images,
        generator_parameters=sum(parameter.numel() for parameter in networks[0].parameters()),
        discriminator_parameters=sum(parameter.numel() for parameter in networks[1].parameters()),
        trainable_parameters=sum(p.numel() for network in networks for p in trainable_parameters(network)),
        device=_device_name(state.device),
        precision=state.precision,
        seconds=seconds,
        memory_bytes=peak_memory_bytes(state.device),
    )


def _seconds_that_fit(state: TrainingState, config: TrainingConfig) -> tuple[float, float, float]:
    """Return the seconds of steps in as many micro-batches as are set, or, if that is left open, as fit the memory.

    Raises:
        TrainingError: the memory does not suffice.
    """
    num_micro_batches = config.num_micro_batches or 1
    try:
        return _seconds_of_steps(state, config, Sharding(num_micro_batches=num_micro_batches))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return _seconds_of_steps(
        state, config, Sharding(num_micro_batches=more_micro_batches(state, config, num_micro_batches))
    )


def _seconds_of_steps(state: TrainingState, config: TrainingConfig, sharding: Sharding) -> tuple[float, float, float]:
    """Return the seconds of a step without regularisers, with path length, and with R1, after one to warm up."""
    res = state.generator.config.img_resolution
    real_img = torch.rand(config.batch_size, 3, res, res, device=state.device) * 2 - 1

    def seconds(*, r1_interval: int, path_length_interval: int) -> float:
        state.num_steps = 1  # a multiple of an interval of 1 alone
        tried = dataclasses.replace(config, r1_interval=r1_interval, path_length_interval=path_length_interval)
        return _timed(lambda: train_step(state, real_img, tried, sharding), state.device)

    seconds(r1_interval=1, path_length_interval=1)
    return (
        seconds(r1_interval=NEVER, path_length_interval=0),
        seconds(r1_interval=NEVER, path_length_interval=1),
        seconds(r1_interval=1, path_length_interval=0),
    )


def _timed(step: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} of {os.cpu_count()} cores)" if device.type == "cpu" else "mps"
