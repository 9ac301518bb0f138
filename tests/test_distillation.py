"""Translators: the network, the pairs, training that resumes, and the file."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import random_generator

from ui2i.datasets.prepared import PreparedDataset
from ui2i.distillation import training
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.evaluation import evaluate_translator
from ui2i.distillation.losses import crop_place, edge_difference, pair_losses
from ui2i.distillation.network import Translator, fold_factor, level_widths
from ui2i.distillation.pairs import PairMaker, Pairs
from ui2i.distillation.plan import plan_distillation
from ui2i.distillation.training import Domains, TranslatorTrainer, train_translator
from ui2i.distillation.translator_file import load_translator, save_translator
from ui2i.distillation.warping import draw_warps
from ui2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import TranslatorConfig, from_mapping

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


def test_pairs_are_of_one_latent_code_and_are_kept(family: tuple[Generator, Generator], tmp_path: Path) -> None:
    seen: list[int] = []
    made = maker(family).cached(tmp_path, lambda done, total, note="": seen.append(done))
    sources, targets = made.batch([3, 23])
    assert seen == [24] and sources.shape == (2, 3, 32, 32)
    inside = (targets < 0.9) & (sources > -0.9)
    assert (targets - sources)[inside].mean() == pytest.approx(0.5, abs=0.02), "the models differ by this bias alone"
    again = maker(family).cached(tmp_path, lambda done, total, note="": seen.append(done))
    more = maker(family, dataclasses.replace(CONFIG, num_pairs=30)).cached(tmp_path)
    assert seen == [24] and len(more) == 30
    for other in (again, more):
        assert all(torch.equal(a, b) for a, b in zip(other.batch([3, 23]), (sources, targets), strict=True))


def test_damaged_or_other_pairs_are_made_again(family: tuple[Generator, Generator], tmp_path: Path) -> None:
    first = [image.clone() for image in maker(family).cached(tmp_path).batch(range(24))]
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:-5])
    assert all(torch.equal(a, b) for a, b in zip(first, maker(family).cached(tmp_path).batch(range(24)), strict=True))
    maker(family, target_hash="c" * 64).cached(tmp_path)
    assert not path.exists() and len(list(tmp_path.rglob("*.npy"))) == 1, "of the models that are there now"
    held_out = maker(family).held_out().batch(range(6))[0]
    assert not torch.equal(held_out, first[0][:6])


def test_models_that_make_no_pairs_are_refused(family: tuple[Generator, Generator]) -> None:
    with pytest.raises(CheckpointError, match="has another mapping network than the source"):
        maker((family[0], random_generator(8, use_noise=False)))
    with pytest.raises(ConfigError, match="the target is the source itself"):
        maker(family, target_hash="a" * 64)
    with pytest.raises(ConfigError, match="the target is the source itself"):
        maker((family[0], copy.deepcopy(family[0])))  # a file of another hash, with the same weights
    with pytest.raises(ConfigError, match=r"num_pairs is 0, expected"):
        from_mapping(TranslatorConfig, {"num_pairs": 0}, section="translators.cartoon")
    with pytest.raises(ConfigError, match="l1_weight and perceptual_weight are 0, expected one of them above 0"):
        TranslatorConfig(l1_weight=0, perceptual_weight=0)


def test_warps_leave_a_share_alone_and_mirror_the_others() -> None:
    random = torch.Generator().manual_seed(0)
    matrices = draw_warps(400, TranslatorConfig(), random)
    plain = (matrices.abs() - torch.eye(2, 3)).abs().amax(dim=(1, 2)) < 1e-6
    assert 0.4 < plain.float().mean() < 0.6
    assert 0.4 < (matrices[:, 0, 0] < 0).float().mean() < 0.6
    still = draw_warps(8, TranslatorConfig(mirror=False, warp_share=0), random)
    assert torch.equal(still, torch.eye(2, 3).repeat(8, 1, 1))


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
