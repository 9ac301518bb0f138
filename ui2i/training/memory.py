"""Dividing a batch that does not fit in memory into micro-batches."""

import gc

import torch

from ui2i.errors import ConfigError, TrainingError
from ui2i.settings import TrainingConfig
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState
from ui2i.training.step import train_step

CPU_ALLOCATOR = "DefaultCPUAllocator"


def stopped_by_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)


def fitting_num_micro_batches(state: TrainingState, config: TrainingConfig, num_micro_batches: int) -> int | None:
    """Double `num_micro_batches` until one whole step fits, and return that number.

    Real steps are run, with every regulariser, on `state`, which is unusable afterwards.

    Returns:
        None: not even one minibatch-stddev group at a time fits.
    """
    while True:
        num_micro_batches *= 2
        _free(state)
        try:
            sharding = Sharding(num_micro_batches=num_micro_batches)
            size = sum(map(len, sharding.parts(config.batch_size, state.generator.config.mbstd_group_size)))
            res = state.generator.config.img_resolution
            state.num_steps = 0  # a step at which every regulariser runs
            train_step(state, torch.rand(size, 3, res, res, device=state.device) * 2 - 1, config, sharding)
        except ConfigError:
            return None
        except Exception as error:
            if not stopped_by_memory(error):
                raise
            continue
        _free(state)
        return num_micro_batches


def out_of_memory(config: TrainingConfig, num_micro_batches: int | None) -> TrainingError:
    """Return the error of a batch that fits only in `num_micro_batches` micro-batches; None: in no number of them."""
    came = f"a batch of {config.batch_size} does not fit the memory"
    if num_micro_batches is None:
        return TrainingError(
            f"{came}, nor does one minibatch-stddev group at a time, expected a smaller model; lower the resolution, "
            "channel_base or channel_max, or use precision bf16"
        )
    return TrainingError(
        f"{came}, expected at most {config.batch_size // num_micro_batches} images at a time; set num_micro_batches: "
        f"{num_micro_batches} (the same effective batch), or 0 to have it chosen, or lower batch_size"
    )


def _free(state: TrainingState) -> None:
    for network in (state.generator, state.discriminator):
        network.zero_grad(set_to_none=True)
    gc.collect()
    if state.device.type == "cuda":
        torch.cuda.empty_cache()
