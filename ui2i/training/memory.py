"""Whether a batch can be had, and dividing one that does not fit in memory into micro-batches."""

import gc

import torch

from ui2i.errors import ConfigError, DataError, TrainingError, is_out_of_memory
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.processes import process_count, process_rank
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState
from ui2i.training.step import train_step


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
            if not is_out_of_memory(error):
                raise
            continue
        _free(state)
        return num_micro_batches


def more_micro_batches(state: TrainingState, config: TrainingConfig, num_micro_batches: int) -> int:
    """Return the number of micro-batches in which a batch fits, if the settings leave it open.

    Args:
        state: unusable afterwards.
        num_micro_batches: in which it does not fit.

    Raises:
        TrainingError: they do not, or no number fits.
    """
    fitting = fitting_num_micro_batches(state, config, num_micro_batches)
    if config.num_micro_batches or fitting is None:
        raise out_of_memory(config, fitting)
    return fitting


def check_batch(config: TrainingConfig, network_config: NetworkConfig, num_images: int, dataset: str) -> None:
    """Refuse a batch that cannot be filled, or not be divided as asked.

    Args:
        num_images: to train on.
        dataset: what to call them.

    Raises:
        DataError: there are fewer images than one batch has.
        ConfigError: the batch has too few groups for its parts.
    """
    if num_images < config.batch_size:
        raise DataError(
            f"{dataset} has {num_images} training images, expected at least one batch of {config.batch_size}; add "
            "images or lower batch_size"
        )
    Sharding(rank=process_rank(), num_processes=process_count(), num_micro_batches=config.num_micro_batches or 1).parts(
        config.batch_size, network_config.mbstd_group_size
    )


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
