"""Several processes that train one model, as `torchrun` starts them."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import distributed

from ui2i.errors import ConfigError

ResultT = TypeVar("ResultT")


def process_rank() -> int:
    """Return this process's number, 0 if it is alone. It alone writes files and reports progress if it is 0."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Return how many processes train together, 1 if `torchrun` did not start this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def joined_processes(device: torch.device | str) -> Iterator[None]:
    """Let the processes that `torchrun` started find each other: NCCL between GPUs, gloo between CPUs.

    On one machine gloo talks over the loopback interface only.
    """
    if process_count() == 1 or distributed.is_initialized():
        yield
        return
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif os.environ.get("LOCAL_WORLD_SIZE") == str(process_count()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def wait_for_all() -> None:
    """Return when every process got here."""
    if process_count() > 1:
        distributed.barrier()


def from_first_process(compute: Callable[[], ResultT]) -> ResultT:
    """Return what `compute` gives in the first process; the others wait for it."""
    if process_count() == 1:
        return compute()
    values = [compute() if process_rank() == 0 else None]
    distributed.broadcast_object_list(values, src=0)
    assert values[0] is not None
    return values[0]


def local_device(device_type: str) -> str:
    """Return the device of this process: the GPU of its number on this machine, or `device_type` itself.

    Raises:
        ConfigError: there are more processes on this machine than GPUs.
    """
    if device_type != "cuda" or process_count() == 1:
        return device_type
    local_rank, num_devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local_rank >= num_devices:
        raise ConfigError(
            f"process {local_rank} of this machine has no GPU, expected at most {num_devices} processes; "
            f"use torchrun --nproc-per-node {num_devices}"
        )
    return f"cuda:{local_rank}"
