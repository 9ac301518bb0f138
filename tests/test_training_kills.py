"""Killed for real, again and again, a run ends as if nothing had happened."""

import dataclasses
import multiprocessing
import os
import random
import signal
from pathlib import Path

import pytest
import torch
from training_run import CONFIG, differences, snapshot
from training_run import dense_snapshots as dense_snapshots

from ui2i.datasets.prepared import PreparedDataset
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training import loop
from ui2i.training.loop import train

LONG = dataclasses.replace(
    CONFIG,
    augment="ada",
    ada_target=-0.9,
    ada_speed_kimg=0.5,
    evaluation_kimg=0.05,
)


def brightness(generator: torch.nn.Module) -> dict[str, float]:
    """Stands for a measurement: a number that depends on the generator alone."""
    return {"fd": float(generator(torch.ones(1, 10)).mean()) + 10}


@pytest.mark.parametrize("num_kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_steps(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, num_kills: int
) -> None:
    """Optimisers, averages, augmentation, order of images, measurements, best state: all of it survives SIGKILL."""
    num_steps = 15 + 3 * num_kills  # more than the kills reach
    config = dataclasses.replace(LONG, total_kimg=num_steps * CONFIG.batch_size / 1000)
    tiny_dataset.images([0])  # decodes all of them, so that forked processes need no thread of their parent
    undisturbed = train(tiny_dataset, tmp_path / "a", network_config, config, evaluator=brightness)
    assert undisturbed.augment_probability > 0
    steps = random.Random(7)
    for _ in range(num_kills):
        process = multiprocessing.get_context("fork").Process(
            target=train_and_die, args=(tiny_dataset, tmp_path / "b", network_config, config, steps.randint(1, 5))
        )
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    reached = torch.load(tmp_path / "b" / "state.pt", weights_only=True)["num_steps"]
    assert 0 < reached < num_steps
    killed = train(tiny_dataset, tmp_path / "b", network_config, config, evaluator=brightness)
    assert differences(snapshot(undisturbed), snapshot(killed)) == []
    best = [torch.load(tmp_path / run / "state-best.pt", weights_only=True) for run in "ab"]
    assert differences(*best) == []
    images = [sorted(path.name for path in (tmp_path / run).glob("*.png")) for run in "ab"]
    assert images[0] == images[1]


def train_and_die(
    dataset: PreparedDataset, run_dir: Path, network_config: NetworkConfig, config: TrainingConfig, num_steps: int
) -> None:
    """Resume, and die without notice in the middle of the step after `num_steps` more."""
    torch.manual_seed(os.getpid())  # another process starts with another random state
    train_step, count = loop.train_step, 0

    def last_step(*args: object, **options: object) -> object:
        nonlocal count
        count += 1
        result = train_step(*args)  # type: ignore[arg-type]
        if count > num_steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    loop.train_step = last_step  # type: ignore[assignment]
    train(dataset, run_dir, network_config, config, evaluator=brightness)
