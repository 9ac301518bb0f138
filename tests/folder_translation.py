"""What tests of translation into a folder share: a family of tiny models, images and a call."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import random_generator, random_ws

from ui2i.images import to_uint8
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.translation import TranslationConfig, translate_folder

CONFIG = InversionConfig(method="w", num_steps=2, batch_size=2, seed=5, optimize_noise=False)
SOURCE = random_generator(1)
TARGETS = {"FC-FT": random_generator(2), "ls8": random_generator(3)}
for target in TARGETS.values():  # a family: fine-tuned with the mapping network frozen
    target.mapping.load_state_dict(SOURCE.mapping.state_dict() | {"w_avg": target.w_avg})
HASHES = {"FC-FT": "f" * 64, "ls8": "8" * 64}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three images of the source model."""
    return to_uint8(SOURCE.synthesis(SOURCE.truncate(random_ws(SOURCE, 3), 0.4)))


@pytest.fixture
def pictures(tmp_path: Path, images: np.ndarray) -> Path:
    """A folder of three images, one damaged file, and things that are no images."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    Image.fromarray(images[0]).save(root / "a.png")
    Image.fromarray(np.pad(images[1], ((0, 0), (8, 8), (0, 0)))).save(root / "b.png")  # cropped to its square
    Image.fromarray(images[2]).resize((64, 64)).save(root / "sub" / "a.JPG")
    (root / "aa.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("no image either")
    (root / ".hidden.png").write_bytes(b"")
    return root


@pytest.fixture
def run(perceptual: Perceptual, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def translate(inputs: Any, **changes: Any) -> list[dict[str, Any]]:
        made = {field.name for field in dataclasses.fields(TranslationConfig)} & changes.keys()
        translation = TranslationConfig(**{name: changes.pop(name) for name in made})
        options = {"domain": "anime", "source_hash": "0" * 64, "target_hashes": HASHES, "config": translation} | changes
        source, targets = options.pop("source", SOURCE), options.pop("targets", TARGETS)
        inversion, out_dir = options.pop("inversion", CONFIG), options.pop("out_dir", tmp_path / "out")
        return translate_folder(inputs, source, targets, perceptual, inversion, out_dir, **options)

    return translate
