"""What the tests of training share: a run of nine tiny steps, and how to compare what runs lead to."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import TrainingConfig
from ui2i.training import loop
from ui2i.training.state import TrainingState, state_to_dict
from ui2i.training.step import train_step

CONFIG = TrainingConfig(
    precision="fp32",  # the same on every machine
    total_kimg=0.036,  # 9 steps
    batch_size=4,
    learning_rate=0.01,
    r1_interval=4,
    path_length_interval=3,
    ema_half_life_kimg=0.02,
    snapshot_kimg=0.012,  # 3 steps, with the three log rows below
    seed=3,
)
NUM_STEPS = 9
SNAPSHOT_STEPS = 3

Base = tuple[Generator, Discriminator]


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def snapshot(state: TrainingState) -> dict[str, Any]:
    return copy.deepcopy(state_to_dict(state))


def real_batch(num_images: int = 4) -> Tensor:
    return torch.rand(num_images, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1


def advance(state: TrainingState, config: TrainingConfig, num_steps: int) -> list[dict[str, Tensor]]:
    return [train_step(state, real_batch(config.batch_size), config) for _ in range(num_steps)]


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Names of what is not bit for bit equal in two nested results; times are not compared."""
    if isinstance(a, Tensor):
        return [] if isinstance(b, Tensor) and torch.equal(a, b) else [path]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [path]
        keys = [key for key in a if key not in ("seconds", "data_seconds", "images_per_second", "memory_gib")]
        return [name for key in keys for name in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [path]
        return [name for index in range(len(a)) for name in differences(a[index], b[index], f"{path}/{index}")]
    return [] if a == b else [path]


def changed_names(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(autouse=True)
def dense_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """One log row a step, a snapshot every third."""
    monkeypatch.setattr(loop, "LOG_ROWS_PER_SNAPSHOT", SNAPSHOT_STEPS)
