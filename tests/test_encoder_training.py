"""What an encoder's training shows and weighs, and what it is measured on."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_encoders import CONFIG, train
from tiny_encoders import model as model
from tiny_encoders import pictures as pictures
from torch import Tensor

import ui2i.inversion.encoder_training as training_module
from ui2i.datasets.prepared import PreparedDataset
from ui2i.images import to_tensor
from ui2i.inversion import code_spread
from ui2i.inversion.encoder_state import settings_of
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.samples import HELD_OUT, step_seed


@pytest.mark.parametrize("share", [0.0, 0.97])
def test_of_any_share_of_real_images_some_are_generated(
    model: Generator,
    pictures: dict[str, PreparedDataset],
    perceptual: Perceptual,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    monkeypatch.setattr(training_module, "measure_encoder", lambda *_args: {})
    assert train(model, pictures, perceptual, total_kimg=0.016, real_share=share).log[0]["latent_error"] > 0


def test_no_image_that_measures_was_trained_on(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Tensor, Tensor]] = []
    generate = training_module._generated
    monkeypatch.setattr(training_module, "_generated", lambda *args: made.append(generate(*args)) or made[-1])
    encoders = [train(model, pictures, perceptual, total_kimg=0.016, seed=seed).encoder for seed in (0, 1)]
    assert [len(w) for w, _ in made] == [4, 4, 6] * 2
    assert len(torch.cat([w for w, _ in made]).unique(dim=0)) == 28
    w, images = made[2]
    codes = encoders[0](images)
    error = (codes - w).square().mean().item() / code_spread(model).variance
    assert encoders[0].held_out["generated_code_error"] == pytest.approx(error, rel=1e-4)
    quality = perceptual.distance(images, model.synthesis(model.broadcast(codes)).clamp(-1, 1)).mean().item()
    assert encoders[0].held_out["generated_lpips"] == pytest.approx(quality, abs=1e-5)


def test_no_step_of_any_training_draws_what_measures() -> None:
    """48,574 steps of seed 1 are fewer than the default training has."""
    steps = {step_seed(seed, step) for seed in (0, 1, 2) for step in (0, 48_574, 1_000_002)}
    assert len(steps) == 9 and not steps & {step_seed(seed + HELD_OUT, 0) for seed in (0, 1, 2)}
    assert step_seed(1, 48_574) == 1 + HELD_OUT, "as a seed of its own it would be drawn"


def test_the_loss_weighs_latent_codes_and_images_as_set(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_module, "measure_encoder", lambda *_args: {})

    def first(**weights: float) -> dict[str, float]:
        return train(model, pictures, perceptual, total_kimg=0.008, **weights).log[0]

    levels, features = (first(l1_weight=w, perceptual_weight=1 - w, latent_weight=0.0) for w in (1.0, 0.0))
    both = first(l1_weight=2.0, perceptual_weight=0.5, latent_weight=3.0)
    assert both["image_loss"] == pytest.approx(2 * levels["image_loss"] + 0.5 * features["image_loss"], rel=1e-4)
    assert both["loss"] == pytest.approx(3 * both["latent_error"] + both["image_loss"], rel=1e-4)
    assert levels["loss"] == levels["image_loss"]


def trainer_of(model: Generator, dataset: PreparedDataset, perceptual: Perceptual) -> Any:
    return training_module._Trainer(model, dataset, perceptual, CONFIG, "a" * 64)


def test_the_errors_of_codes_are_in_variances_of_w(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual
) -> None:
    trainer = trainer_of(model, pictures["train"], perceptual)
    w, _ = training_module._generated(model, CONFIG, 4, CONFIG.seed * 1_000_003)
    images = torch.cat([model.synthesis(model.broadcast(w)).clamp(-1, 1), trainer._real()])
    error = (trainer.encoder(images)[:4] - w).square().mean().item() / code_spread(model).variance
    trainer.advance()
    trainer.note_down()
    assert trainer.log[0]["latent_error"] == pytest.approx(error, rel=1e-3)


def test_real_images_are_mirrored_unless_they_look_one_way(
    model: Generator, tiny_prepared: Path, perceptual: Perceptual
) -> None:
    dataset = PreparedDataset(tiny_prepared)

    def mirrored() -> list[bool]:
        trainer, flags = trainer_of(model, dataset, perceptual), []
        for trainer.step in range(8):
            plain = to_tensor(dataset.images(trainer._sampler.indices(trainer.step)))
            for shown, image in zip(trainer._real(), plain, strict=True):
                flags.append(torch.equal(shown, image.flip(-1)))
                assert flags[-1] != torch.equal(shown, image)
        return flags

    assert 8 < sum(mirrored()) < 24 and len(mirrored()) == 32
    dataset.manifest.statistics["facing_share"] = 1.0
    assert not any(mirrored())


def test_generated_codes_are_truncated_as_set(model: Generator) -> None:
    (whole, _), (pulled, images) = (
        training_module._generated(model, dataclasses.replace(CONFIG, truncation_psi=psi), 4, 5) for psi in (1.0, 0.5)
    )
    torch.testing.assert_close(pulled, model.w_avg + 0.5 * (whole - model.w_avg))
    assert torch.equal(images, model.synthesis(model.broadcast(pulled)).clamp(-1, 1))


def test_a_state_is_of_its_generator_images_and_backbone(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual
) -> None:
    expected = settings_of(CONFIG, "a" * 64, pictures["train"].hash, perceptual.weights_hash)
    assert trainer_of(model, pictures["train"], perceptual).settings == expected
