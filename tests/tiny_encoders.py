"""What tests of encoders share: a model, images, and trainings of a few steps."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tiny_models import random_generator

from ui2i.datasets.prepared import PreparedDataset
from ui2i.inversion import train_encoder
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import EncoderConfig

CONFIG = EncoderConfig(
    total_kimg=0.24, batch_size=8, learning_rate=0.01, snapshot_kimg=0.08, num_held_out=6, precision="fp32", seed=3
)


@pytest.fixture(scope="module")
def model() -> Generator:
    generator = random_generator(7, use_noise=False)
    for layer in (generator.mapping.fc0, generator.mapping.fc1):  # so that codes differ visibly
        layer.weight.mul_(8)
    return generator


@pytest.fixture(scope="module")
def pictures(tiny_prepared: Path) -> dict[str, PreparedDataset]:
    return {split: PreparedDataset(tiny_prepared, split) for split in ("train", "test")}  # type: ignore[arg-type]


def train(model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual, **settings: Any) -> Any:
    options = {name: settings.pop(name) for name in ("state_path", "progress", "base_hash") if name in settings}
    config = dataclasses.replace(CONFIG, **settings)
    return train_encoder(model, pictures["train"], pictures["test"], perceptual, config, **options)
