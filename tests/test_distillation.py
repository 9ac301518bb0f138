"""Translators: the network, training that resumes, and the file."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_translators import CARD, CONFIG, equal, train
from tiny_translators import family as family
from tiny_translators import pairs as pairs
from tiny_translators import real as real

from ui2i.distillation import training
from ui2i.distillation.evaluation import evaluate_translator
from ui2i.distillation.losses import crop_place, edge_difference, pair_losses
from ui2i.distillation.network import Translator, fold_factor, level_widths
from ui2i.distillation.pairs import Pairs
from ui2i.distillation.plan import plan_distillation
from ui2i.distillation.training import Domains, TranslatorTrainer
from ui2i.distillation.translator_file import load_translator, save_translator
from ui2i.errors import CheckpointError, DataError, TrainingError
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import TranslatorConfig


def test_the_network_has_the_stated_size_and_begins_as_the_identity() -> None:
    card = dataclasses.replace(CARD, img_resolution=64)
    translator = Translator(TranslatorConfig(), card)
    assert sum(parameter.numel() for parameter in translator.parameters()) == pytest.approx(0.84e6, rel=0.02)
    images = torch.rand(2, 3, 64, 80) * 2 - 1
    assert torch.equal(translator(images), images)
    with pytest.raises(DataError, match="images are 64 x 72 px, expected multiples of 16 px, best 64; resize"):
        translator(torch.zeros(1, 3, 72, 64))
    assert [fold_factor(size) for size in (32, 64, 128, 256, 512)] == [2, 2, 2, 4, 8]
    assert level_widths(TranslatorConfig(), 256) == (32, 64, 88, 128)


def test_a_closed_gate_hides_the_input() -> None:
    translator = Translator(CONFIG, CARD)
    with torch.no_grad():
        translator.outlet.bias[3 * translator.fold**2 :] = -1
        translator.outlet.bias[: 3 * translator.fold**2] = 0.25
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(translator(images), torch.full_like(images, 0.25))


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    translator = Translator(CONFIG, CARD)
    for parameter in translator.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    together = translator(images)
    assert not torch.allclose(together, images, atol=0.01)
    torch.testing.assert_close(torch.cat([translator(image[None]) for image in images]), together, atol=1e-5, rtol=0)


def test_edges_see_a_texture_and_no_shift_of_brightness() -> None:
    targets = torch.zeros(1, 3, 8, 8)
    texture = targets.clone()
    texture[..., ::2] = 0.5  # columns
    assert edge_difference(targets + 0.5, targets) == 0
    assert edge_difference(texture, targets) == pytest.approx(0.5)
    assert edge_difference(texture.mT, targets) == pytest.approx(0.5)


def test_lpips_sees_a_quarter_of_the_images_or_what_its_backbone_needs(perceptual: Perceptual) -> None:
    random = torch.Generator().manual_seed(0)
    places = [crop_place(64, random) for _ in range(500)]
    assert {place[2].stop - place[2].start for place in places} == {32}
    assert min(place[2].start for place in places) == 0 and max(place[3].stop for place in places) == 64
    assert crop_place(32, random, min_side=40) == (slice(None), slice(None), slice(0, 32), slice(0, 32))
    targets = torch.rand(2, 3, 64, 64) * 2 - 1
    outputs = targets.clone()
    outputs[:, :, 32:] = 0
    config = dataclasses.replace(CONFIG, edge_weight=0)
    upper, lower = (
        pair_losses(outputs, targets, perceptual, config, (slice(None), slice(None), rows, slice(0, 32)))
        for rows in (slice(0, 32), slice(32, 64))
    )
    assert upper["lpips"] == 0 and lower["lpips"] > 0 and upper["l1"] == lower["l1"] > 0


@pytest.fixture(scope="module")
def trained(pairs: tuple[Pairs, Pairs], real: Domains, perceptual: Perceptual) -> Any:
    return train(pairs, real, perceptual)


def test_it_learns_what_the_models_do(trained: Any, pairs: tuple[Pairs, Pairs], perceptual: Perceptual) -> None:
    assert [row["kimg"] for row in trained.log] == [0.04, 0.08, 0.12, 0.16]
    measures = trained.translator.card.held_out
    assert measures["l1"] < 0.8 * measures["input_l1"]
    inputs, targets = pairs[1].batch(range(6))
    outputs = trained.translator(inputs).clamp(-1, 1)
    assert measures["l1"] == pytest.approx((outputs - targets).abs().mean().item(), abs=1e-5)
    assert measures["lpips"] == pytest.approx(perceptual.distance(outputs, targets).mean().item(), abs=1e-5)
    assert evaluate_translator(trained.translator, pairs[1], perceptual) == measures


@pytest.mark.parametrize("total_kimg", [0.04, 0.048])
def test_a_plan_tries_steps_of_both_kinds(
    family: tuple[Generator, Generator],
    real: Domains,
    perceptual: Perceptual,
    monkeypatch: pytest.MonkeyPatch,
    total_kimg: float,
) -> None:
    tried: list[set[str]] = []
    advance = TranslatorTrainer.advance

    def noting(trainer: TranslatorTrainer) -> None:
        advance(trainer)
        tried.append(set(trainer.last) & {"discriminator", "adversarial"})

    monkeypatch.setattr(TranslatorTrainer, "advance", noting)
    config = dataclasses.replace(CONFIG, total_kimg=total_kimg, adversarial_weight=0.1)
    card = dataclasses.replace(CARD, target_hash="c" * 64)
    plan_distillation(*family, real, perceptual, config, card)
    assert tried[1:] == [set(), {"discriminator", "adversarial"}] * 2, "after one to warm up"


@pytest.mark.parametrize("adversarial_weight", [0.0, 0.1])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    pairs: tuple[Pairs, Pairs],
    real: Domains,
    perceptual: Perceptual,
    tmp_path: Path,
    adversarial_weight: float,
) -> None:
    settings = {"total_kimg": 0.064, "snapshot_kimg": 0.016, "adversarial_weight": adversarial_weight}
    whole = train(pairs, real, perceptual, **settings)
    assert ("adversarial" in whole.log[-1]) == (adversarial_weight > 0)

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 48:  # before the state at 48 is written, so that it goes on from 32
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, real, perceptual, state_path=tmp_path / "state.pt", progress=stop, **settings)
    seen: list[int] = []
    resumed = train(
        pairs,
        real,
        perceptual,
        state_path=tmp_path / "state.pt",
        progress=lambda d, t, n="": seen.append(d),
        **settings,
    )
    assert seen == [40, 48, 56, 64]
    assert resumed.log == whole.log and equal(resumed.translator, whole.translator)


def test_the_adversarial_loss_changes_the_translator(
    pairs: tuple[Pairs, Pairs], real: Domains, perceptual: Perceptual
) -> None:
    random_state = torch.get_rng_state()
    plain, sharp = (train(pairs, real, perceptual, total_kimg=0.032, adversarial_weight=w) for w in (0.0, 0.1))
    assert not equal(plain.translator, sharp.translator)
    assert torch.equal(torch.get_rng_state(), random_state)
    with pytest.raises(TrainingError, match=r"the translator's loss is .* at step"):
        train(pairs, real, perceptual, learning_rate=1e18)


def test_the_adversary_takes_the_domain_s_images_for_real_and_translations_for_fake(
    pairs: tuple[Pairs, Pairs], real: Domains, perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[torch.Tensor, torch.Tensor]] = []
    compared: list[tuple[torch.Tensor, torch.Tensor]] = []
    plain_forward, plain_loss = training.PatchDiscriminator.forward, training.discriminator_loss

    def forward(network: training.PatchDiscriminator, images: torch.Tensor) -> torch.Tensor:
        judged.append((images.detach(), plain_forward(network, images)))
        return judged[-1][1]

    def loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
        compared.append((real_logits, fake_logits))
        return plain_loss(real_logits, fake_logits)

    monkeypatch.setattr(training.PatchDiscriminator, "forward", forward)
    monkeypatch.setattr(training, "discriminator_loss", loss)
    log = train(pairs, real, perceptual, total_kimg=0.032, adversarial_weight=0.1).log
    assert log[-1]["adversarial"] > 0, "softplus of what it is told, which a translator lowers"
    (translations, _), (real_logits, fake_logits) = judged[-3], compared[-1]
    seen = {id(logits): images for images, logits in judged}
    assert torch.equal(seen[id(fake_logits)], translations)
    assert not torch.equal(seen[id(real_logits)], translations)


def test_the_file_gives_the_translator_back(trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "translator.safetensors"
    save_translator(path, trained.translator)
    loaded = load_translator(path)
    images = torch.rand(2, 3, 32, 32)
    assert equal(loaded, trained.translator)
    torch.testing.assert_close(loaded(images), trained.translator(images), atol=1e-6, rtol=0)  # another memory format
    assert loaded.config == trained.translator.config
    assert dict(loaded.card.held_out) == trained.translator.card.held_out
    assert set(loaded.card.provenance) >= {"commit", "versions", "created"}
    loaded.card.check_models(path, source_hash="a" * 64, target_hash="b" * 64)
    with pytest.raises(CheckpointError, match=r"imitates the model b{12} of FC-FT, expected c{12}, which"):
        loaded.card.check_models(path, source_hash="a" * 64, target_hash="c" * 64)
    with pytest.raises(CheckpointError, match="does not exist, expected a translator; train it with ui2i distill"):
        load_translator(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="is not a readable translator"):
        load_translator(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"kind": "generator"}, "it is a generator"),
        ({"format_version": 1}, "format version 1"),
        ({"card": {"img_resolution": 31}}, r"card\.img_resolution is 31"),
        ({"config": {"unknown": 1}}, "unknown"),
        ({"config": {"width": 10**9}}, "fewer than its header says"),
        ({"config": {"width": 4}}, "size mismatch|loading state_dict"),
        ({"card": {"held_out": {"ssim": float("nan")}}}, r"card\.held_out"),
    ],
)
def test_headers_that_lie_are_refused(trained: Any, spoil: dict[str, Any], reason: str, tmp_path: Path) -> None:
    from ui2i.tensor_files import read_tensors, write_tensors

    path = tmp_path / "translator.safetensors"
    save_translator(path, trained.translator)
    stored = read_tensors(path, what="a translator")
    header = {
        name: {**value, **spoil.get(name, {})} if isinstance(value, dict) else spoil.get(name, value)
        for name, value in stored.header.items()
    }
    write_tensors(path, {name: value.clone() for name, value in stored.tensors.items()}, header)
    with pytest.raises(CheckpointError, match=rf"no readable translator \(.*({reason})"):
        load_translator(path)


def test_every_seed_has_random_numbers_of_its_own() -> None:
    """Torch takes 32 bits of a seed: with a step in the lower 20 of them, seeds 4,096 apart were one."""
    drawn = {
        tuple(torch.rand(4, generator=training._random_of(seed, step)).tolist())
        for seed in (0, 1, 4096, 2**32 - 1)
        for step in (0, 1)
    }
    assert len(drawn) == 8
