"""A latent code is found again for what it is of, and for nothing else: pixels, model, settings, networks."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import random_generator

from ui2i.images import to_uint8
from ui2i.inversion import Inverter
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.translation import NamedImages
from ui2i.translation.references import find_references

CONFIG = InversionConfig(method="w", num_steps=1)
MODEL = random_generator(1)
IMAGE = to_uint8(MODEL(torch.zeros(1, MODEL.config.z_dim)))


def inverter(perceptual: Perceptual, store: Path, config: InversionConfig = CONFIG, **options: Any) -> Inverter:
    return Inverter(MODEL, perceptual, config, **{"base_hash": "0"} | options, store=store)


def test_a_code_is_of_one_image_model_encoder_loss_and_setting(perceptual: Perceptual, tmp_path: Path) -> None:
    (found,) = inverter(perceptual, tmp_path).find(IMAGE)
    assert dataclasses.replace(found, noise=np.ones(5, np.float32)).sha256 != found.sha256
    other_size = dataclasses.replace(CONFIG, batch_size=7)
    assert inverter(perceptual, tmp_path, other_size, encoder_hash="of one that is not used").known(IMAGE)
    pixels, backbone = IMAGE.copy(), copy.copy(perceptual)
    pixels[..., -1, -1, -1] ^= 1
    backbone.weights_hash = "another"
    assert not inverter(perceptual, tmp_path).known(pixels)
    assert not inverter(backbone, tmp_path).known(IMAGE)
    assert not inverter(perceptual, tmp_path, base_hash="1").known(IMAGE)
    assert not inverter(perceptual, tmp_path, dataclasses.replace(CONFIG, seed=1)).known(IMAGE)
    started = dataclasses.replace(CONFIG, start="encoder")
    assert inverter(perceptual, tmp_path, started, encoder_hash="1").columns["encoder_hash"] == "1"


@pytest.mark.parametrize("name", [min(MODEL.state_dict()), max(MODEL.state_dict())])
def test_a_reference_s_code_is_of_every_weight_of_its_model(perceptual: Perceptual, tmp_path: Path, name: str) -> None:
    model, counts = copy.deepcopy(MODEL), []
    for change in (0, 0, 1e-3):
        model.state_dict()[name].view(-1)[-1] += change
        find_references(NamedImages(names=["guide.png"], images=IMAGE), model, perceptual, CONFIG, store=tmp_path)
        counts.append(len(list(tmp_path.rglob("*.parquet"))))
    assert counts == [1, 1, 2]
