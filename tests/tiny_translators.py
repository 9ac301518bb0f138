"""What tests of translators share: a family of two models, its pairs, and trainings of a few steps."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import random_generator

from ui2i.datasets.prepared import PreparedDataset
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.pairs import PairMaker, Pairs
from ui2i.distillation.training import Domains, train_translator
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import TranslatorConfig

CONFIG = TranslatorConfig(
    total_kimg=0.16,
    num_pairs=24,
    batch_size=8,
    learning_rate=0.04,
    snapshot_kimg=0.04,
    num_held_out=6,
    width=3,
    edge_weight=0.2,
    adversarial_weight=0,
)
CARD = TranslatorCard(
    source="face", domain="cartoon", variant="FC-FT", source_hash="a" * 64, target_hash="b" * 64, img_resolution=32
)


@pytest.fixture(scope="module")
def family() -> tuple[Generator, Generator]:
    """A model and one with the same mapping network and other colours."""
    source = random_generator(7, use_noise=False)
    source.mapping.fc0.weight.mul_(8)  # so that latent codes differ visibly
    source.mapping.fc1.weight.mul_(8)
    for resolution in source.config.block_resolutions:  # and keep within [-1, 1]
        source.synthesis.block(resolution).torgb.weight.div_(4)
        source.synthesis.block(resolution).torgb.bias.div_(4)
    target = copy.deepcopy(source)
    target.synthesis.block(32).torgb.bias.add_(0.5)
    return source, target


def maker(family: tuple[Generator, Generator], config: TranslatorConfig = CONFIG, **hashes: str) -> PairMaker:
    return PairMaker(*family, config, **{"source_hash": "a" * 64, "target_hash": "b" * 64} | hashes)


@pytest.fixture(scope="module")
def pairs(family: tuple[Generator, Generator], tmp_path_factory: pytest.TempPathFactory) -> tuple[Pairs, Pairs]:
    made = maker(family)
    return made.cached(tmp_path_factory.mktemp("pairs")), made.held_out()


@pytest.fixture(scope="module")
def real(tiny_prepared: Path) -> Domains:
    return PreparedDataset(tiny_prepared), PreparedDataset(tiny_prepared, "test")


def train(pairs: tuple[Pairs, Pairs], real: Any, perceptual: Perceptual, **settings: Any) -> Any:
    options = {name: settings.pop(name) for name in ("state_path", "progress") if name in settings}
    return train_translator(*pairs, real, perceptual, dataclasses.replace(CONFIG, **settings), CARD, **options)


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
