"""What tests of the baselines share: tiny networks and images, and a training that is stopped."""

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from experiments.paper.baselines.state import Baseline as Model
from experiments.paper.baselines.systems import choose_settings

MODULES = ("networks", "state", "training", "cyclegan", "outputs")


@pytest.fixture(scope="module")
def gan() -> SimpleNamespace:
    """The program's modules by their last names, and `command`."""
    modules = {name: importlib.import_module(f"experiments.paper.baselines.{name}") for name in MODULES}
    return SimpleNamespace(command=importlib.import_module("experiments.paper.baselines.__main__"), **modules)


def settings_of(gan: SimpleNamespace, **changes: Any) -> Any:
    tiny = {"kimg": 0.008, "width": 2, "num_blocks": 1, "patch_size": 16, "batch_size": 2, "precision": "fp32"}
    return gan.cyclegan.CycleGANSettings(**tiny | changes)


def blobs(count: int, seed: int, size: int = 32) -> np.ndarray:
    random = np.random.default_rng(seed)
    levels = [Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(count)]
    return np.stack([np.asarray(level.resize((size, size), Image.Resampling.BICUBIC)) for level in levels])


def write_folder(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


class StopError(Exception):
    pass


def stopping_after(num_reports: int) -> Callable[..., None]:
    seen = iter(range(num_reports - 1))

    def progress(done: int, total: int, note: str = "") -> None:
        if next(seen, None) is None:
            raise StopError

    return progress


MULTI_MODAL = ("munit", "drit")


def tiny(system: str, **changes: Any) -> Any:
    chosen = {"kimg": 0.008, "width": 2, "batch_size": 2, "precision": "fp32", **changes}
    return dataclasses.replace(choose_settings(system, 32, **chosen), num_blocks=1)


def networks(model: Model) -> dict[str, nn.Module]:
    parts = {name: getattr(model, name) for name in model.parts}
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


class Logits(nn.Module):
    """Returns the mean of an image, and twice that, as logits of two scales."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        mean = images.mean(dim=(1, 2, 3))[:, None]
        return [mean, 2 * mean]
