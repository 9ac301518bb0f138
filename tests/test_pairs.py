"""Pairs for translators: whose images they are, what is kept of them, and the maps that they go through."""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import random_generator
from tiny_translators import CONFIG, maker
from tiny_translators import family as family

from ui2i.distillation import pairs as pairs_module
from ui2i.distillation.warping import draw_warps
from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.generator import Generator
from ui2i.settings import TranslatorConfig, from_mapping


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
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:10] + bytes([whole[10] ^ 0x5B]) + whole[11:], b""):
        path.write_bytes(damaged)
        again = maker(family).cached(tmp_path).batch(range(24))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
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


def test_each_latent_code_is_truncated_by_a_psi_of_its_own(family: tuple[Generator, Generator]) -> None:
    source = family[0]
    whole, pulled = (
        maker(family, dataclasses.replace(CONFIG, min_truncation_psi=least))._latents(3) - source.w_avg
        for least in (1.0, 0.6)
    )
    z = torch.randn(pairs_module.PART, source.config.z_dim, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(whole, source.mapping(z) - source.w_avg)
    psi = (pulled * whole).sum(dim=1) / whole.square().sum(dim=1)
    torch.testing.assert_close(pulled, psi[:, None] * whole)
    assert 0.6 <= psi.min() < 0.62 and 0.98 < psi.max() <= 1
    assert psi.mean() == pytest.approx(0.8, abs=0.02), "spread evenly"


def test_no_image_comes_twice_in_whatever_part_or_setting(
    family: tuple[Generator, Generator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_module, "PART", 8)
    makers = [maker(family, dataclasses.replace(CONFIG, num_held_out=20, seed=seed)) for seed in (0, 1)]
    made = [each for it in makers for each in (it.cached(tmp_path / it.identity), it.held_out())]
    assert [[part.shape[1] for part in each.parts] for each in made] == [[8, 8, 8], [8, 8, 4]] * 2
    assert [len(each) for each in made] == [24, 20] * 2
    inputs = torch.cat([each.batch(range(len(each)))[0] for each in made])
    assert len(inputs.flatten(1).unique(dim=0)) == len(inputs) == 88
    first, second = made[0].batch([3, 17]), made[0].batch([17, 3])
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other.flip(0)) and not torch.equal(one[0], one[1])
    assert torch.equal(first[0][1], inputs[17])


@pytest.mark.parametrize(
    "change", [{"source_hash": "c" * 64}, {"target_hash": "c" * 64}, {"min_truncation_psi": 0.5}, {"seed": 1}]
)
def test_pairs_of_other_models_or_settings_have_another_identity(
    family: tuple[Generator, Generator], change: dict[str, Any]
) -> None:
    hashes = {name: value for name, value in change.items() if name.endswith("hash")}
    config = dataclasses.replace(CONFIG, **{name: value for name, value in change.items() if name not in hashes})
    assert maker(family, config, **hashes).identity != maker(family).identity


def test_warps_leave_a_share_alone_and_mirror_the_others() -> None:
    random = torch.Generator().manual_seed(0)
    matrices = draw_warps(400, TranslatorConfig(), random)
    plain = (matrices.abs() - torch.eye(2, 3)).abs().amax(dim=(1, 2)) < 1e-6
    assert 0.4 < plain.float().mean() < 0.6
    assert 0.4 < (matrices[:, 0, 0] < 0).float().mean() < 0.6
    still = draw_warps(8, TranslatorConfig(mirror=False, warp_share=0), random)
    assert torch.equal(still, torch.eye(2, 3).repeat(8, 1, 1))


def test_warps_stay_within_their_bounds() -> None:
    settings = TranslatorConfig(mirror=False, warp_share=1)
    maps = draw_warps(2000, settings, torch.Generator().manual_seed(0)).double()
    a, b, x, c, d, y = maps.flatten(1).T
    torch.testing.assert_close((a, b), (d, -c))  # turned, and scaled alike in both directions
    extents = {
        "angle": torch.atan2(c, a) / math.radians(9),
        "size": ((a * d - b * c).sqrt() - 1) / 0.1,
        "x": x / (2 * 0.04),  # an image is 2 units wide
        "y": y / (2 * 0.04),
    }
    for name, share in extents.items():
        assert -1.001 < share.min() < -0.99 and 0.99 < share.max() < 1.001, name
    assert torch.stack(list(extents.values())).corrcoef().sub(torch.eye(4)).abs().max() < 0.1


def test_mirroring_turns_left_and_right_about_in_half_of_the_pairs_and_nothing_else() -> None:
    plain, mirrored = (
        draw_warps(4000, TranslatorConfig(mirror=mirror), torch.Generator().manual_seed(0)) for mirror in (False, True)
    )
    side = (mirrored[:, 0, 0] / plain[:, 0, 0]).sign()
    torch.testing.assert_close(mirrored[:, :, 0], side[:, None] * plain[:, :, 0])
    assert torch.equal(mirrored[:, :, 1:], plain[:, :, 1:])
    is_turned = (plain - torch.eye(2, 3)).abs().amax(dim=(1, 2)) > 1e-6
    for each in (side[is_turned], side[~is_turned]):
        assert (each < 0).float().mean() == pytest.approx(0.5, abs=0.03)
