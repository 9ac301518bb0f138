"""What `--dry-run` says."""

import dataclasses

import pytest
from training_run import CONFIG, Base

from ui2i.settings import NetworkConfig
from ui2i.training import plan
from ui2i.training.plan import plan_training


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
    config = dataclasses.replace(CONFIG, total_kimg=0.048, num_micro_batches=num_micro_batches)
    result = plan_training(network_config, config, num_training_images=100)
    assert result.seconds == pytest.approx(12 * 1 + 4 * 2 + 3 * 3)


def _seconds(scalars: object) -> float:
    assert isinstance(scalars, dict)
    return 1.0 + 2.0 * ("path_length" in scalars) + 3.0 * ("r1" in scalars)
