"""Shapes in signatures are true: in a process of its own, every call of the library is checked against them."""

import os
import subprocess
import sys
from pathlib import Path

# Beartype knows no `Self` outside of a class that it decorates, and jaxtyping's wrapper hides a generator function from
# `torch.no_grad`; so `augmentation.draws` and `metrics.model_distance` are left out.
CHECKED = [
    *(
        f"ui2i.{name}"
        for name in ("networks", "ops", "losses", "perceptual", "factorization", "layer_swap", "inversion")
    ),
    *(f"ui2i.distillation.{name}" for name in ("network", "losses", "warping")),
    *(f"ui2i.augmentation.{name}" for name in ("matrices", "warp", "ada", "diffaugment")),
    *(f"ui2i.metrics.{name}" for name in ("evaluation", "frechet", "image_sets", "moments", "ssim")),
    *(f"ui2i.training.{name}" for name in ("draws", "sharding", "step", "watching")),
    *(f"ui2i.translation.{name}" for name in ("edits", "outputs", "styles")),
]
CALLS = """
import doctest, importlib, sys
import torch
from jaxtyping import TypeCheckError, install_import_hook

install_import_hook(sys.argv[1:], "beartype.beartype")
from ui2i.augmentation import augment, draw_augmentation
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.losses import PatchDiscriminator, crop_place, pair_losses
from ui2i.distillation.network import Translator
from ui2i.distillation.warping import draw_warps
from ui2i.losses import generator_loss
from ui2i.metrics.ssim import ssim
from ui2i.perceptual import load_perceptual
from ui2i.settings import NetworkConfig, PerceptualConfig, TrainingConfig, TranslatorConfig
from ui2i.training.state import initial_state
from ui2i.training.step import train_step
from ui2i.training.watching import diversity, fixed_samples, sample_grid

for name in ("layer_swap", "inversion.optimize", "translation.folder", "translation.edits"):
    result = doctest.testmod(importlib.import_module(f"ui2i.{name}"))
    assert result.attempted and not result.failed, name

real = torch.rand(4, 3, 32, 32) * 2 - 1
for kind in ("ada", "diffaugment"):
    augment(real, draw_augmentation(kind, 4, resolution=32, probability=1.0))
ssim(real, real)

tiny = NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)
config = TrainingConfig(batch_size=4, augment="ada", num_micro_batches=2)
state = initial_state(tiny, config)
train_step(state, real, config)  # the first step has every phase
sample_grid(state.generator, num_images=4)
diversity(fixed_samples(state.generator, num_images=4))

names = ("source", "domain", "variant", "source_hash", "target_hash")
card = TranslatorCard(**dict.fromkeys(names, "a"), img_resolution=32)
translated = Translator(TranslatorConfig(width=3), card)(real)
backbone = load_perceptual(PerceptualConfig(backbone="random"))
pair_losses(translated, real, backbone, TranslatorConfig(), crop_place(32, torch.Generator(), min_side=17))
PatchDiscriminator()(translated)
draw_warps(4, TranslatorConfig(), torch.Generator())

try:
    generator_loss(torch.zeros(4))
except TypeCheckError as error:
    assert "fake_logits" in str(error)
else:
    raise AssertionError("nothing is checked")
"""


def test_shapes_are_those_of_the_signatures(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", CALLS, *CHECKED]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-6000:]
