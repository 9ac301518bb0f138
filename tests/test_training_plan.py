"""What `--dry-run` says."""

import dataclasses
from typing import Any

import pytest
from training_run import CONFIG, Base

from ui2i.errors import ConfigError, DataError, TrainingError
from ui2i.settings import NetworkConfig
from ui2i.training import memory, plan
from ui2i.training.plan import plan_training
from ui2i.training.sharding import Sharding
from ui2i.training.step import train_step


def test_plan_counts(base: Base, network_config: NetworkConfig) -> None:
    config = dataclasses.replace(CONFIG, total_kimg=0.5, freeze_mapping=True)
    result = plan_training(network_config, config, num_training_images=100, base=base)
    assert (result.num_steps, result.num_images) == (125, 500)
    generator = sum(parameter.numel() for parameter in base[0].parameters())
    discriminator = sum(parameter.numel() for parameter in base[1].parameters())
    frozen = sum(parameter.numel() for parameter in base[0].mapping.parameters())
    assert (result.generator_parameters, result.discriminator_parameters) == (generator, discriminator)
    assert result.trainable_parameters == generator + discriminator - frozen
    assert result.seconds > 0 and result.memory_bytes > 1 << 20
    text = result.describe()
    assert "500 in 125 steps, 5.0 times 100 images" in text and f"{result.trainable_parameters:,} are trained" in text
    assert "on cpu (1 of " in text


@pytest.mark.parametrize("num_micro_batches", [0, 2])
def test_seconds_add_up(network_config: NetworkConfig, monkeypatch: pytest.MonkeyPatch, num_micro_batches: int) -> None:
    """A step takes 1 s, path length 2 s more and R1 3 s more: 12 steps with 4 and 3 of them."""
    monkeypatch.setattr(plan, "_timed", lambda step, _device: _seconds(step()))
    tried: list[int] = []

    def step(state: Any, real_img: Any, config: Any, sharding: Sharding) -> Any:
        tried.append(sharding.num_micro_batches)
        return train_step(state, real_img, config, sharding)

    monkeypatch.setattr(plan, "train_step", step)
    config = dataclasses.replace(CONFIG, total_kimg=0.048, batch_size=4, num_micro_batches=num_micro_batches)
    network = dataclasses.replace(network_config, mbstd_group_size=2)
    result = plan_training(network, config, num_training_images=100)
    assert result.seconds == pytest.approx(12 * 1 + 4 * 2 + 3 * 3)
    assert set(tried) == {num_micro_batches or 1}, "as the training will"


@pytest.mark.parametrize(("num_micro_batches", "tried"), [(1, [1, 2, 4]), (0, [1, 2, 4, 4, 4, 4, 4])])
def test_a_batch_that_does_not_fit_is_told_or_mended_as_in_training(
    network_config: NetworkConfig, monkeypatch: pytest.MonkeyPatch, num_micro_batches: int, tried: list[int]
) -> None:
    found: list[int] = []

    def step(state: Any, real_img: Any, config: Any, sharding: Sharding) -> Any:
        found.append(sharding.num_micro_batches)
        if sharding.num_micro_batches < 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return train_step(state, real_img, config, sharding)

    for module in (plan, memory):
        monkeypatch.setattr(module, "train_step", step)
    config = dataclasses.replace(CONFIG, batch_size=8, num_micro_batches=num_micro_batches)
    network = dataclasses.replace(network_config, mbstd_group_size=2)
    if num_micro_batches:
        with pytest.raises(TrainingError, match=r"a batch of 8 does not fit the memory, expected at most 2 images"):
            plan_training(network, config, num_training_images=100)
    else:
        assert plan_training(network, config, num_training_images=100).seconds > 0
    assert found == tried


def test_a_plan_refuses_what_the_training_would(network_config: NetworkConfig) -> None:
    with pytest.raises(DataError, match="the dataset has 3 training images, expected at least one batch of 4"):
        plan_training(network_config, CONFIG, num_training_images=3)
    with pytest.raises(ConfigError, match="parts at most, expected 64"):
        plan_training(network_config, dataclasses.replace(CONFIG, num_micro_batches=64), num_training_images=100)


def _seconds(scalars: object) -> float:
    assert isinstance(scalars, dict)
    return 1.0 + 2.0 * ("path_length" in scalars) + 3.0 * ("r1" in scalars)
