"""Checkpoints of other tools: numbers like theirs, and nothing lost there and back."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_content import GOLDEN
from foreign_files import load_expected, raw_tree, tiny_checkpoint

from ui2i.converters import formats
from ui2i.converters.ada import _Network
from ui2i.converters.formats import differences, read_checkpoint, write_checkpoint
from ui2i.converters.inert import Bystander
from ui2i.converters.tensor_views import TensorView

EXPECTED = {
    "ada-auto-64.pkl": "ada-auto-64",
    "ada-stylegan2-32.pkl": "ada-stylegan2-32",
    "rosinality-source-32.pt": "rosinality-32",
}
FILES = ["model.pt", "model.pkl", "model"]


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
@torch.no_grad()
def test_parity(golden: Path, name: str) -> None:
    checkpoint, expected = read_checkpoint(golden / name), load_expected(golden, EXPECTED[name])
    generator, z = checkpoint.generator, expected["z"]
    assert checkpoint.discriminator is not None
    ours = {
        "w": generator.mapping(z),
        "w_avg": generator.w_avg,
        "image_psi1": generator(z),
        "image_psi07": generator(z[:1], truncation_psi=0.7),
        "image_no_noise": generator(z[:1], noise_mode="none"),
        "d_logits": checkpoint.discriminator(expected["image_psi1"]),
    }
    for key in set(ours) & set(expected):
        assert ours[key].shape == expected[key].shape
        # Images of random weights span about [-8, 8].
        assert (ours[key] - expected[key]).abs().max() <= (2e-5 if "image" in key else 1e-5), key
    assert len(set(ours) & set(expected)) >= 5
    # Images so alike would make the comparison above mean nothing.
    assert (expected["image_psi1"][:1] - expected["image_psi07"]).abs().max() > 0.1


def test_architectures_of_the_golden_files(golden: Path) -> None:
    auto, paper, rosinality = (read_checkpoint(golden / name).generator.config for name in GOLDEN)
    assert (auto.img_resolution, auto.num_mapping_layers, auto.conv_clamp) == (64, 2, 256.0)
    assert [auto.num_channels(size) for size in auto.block_resolutions] == [32, 32, 32, 32, 16]
    assert (paper.img_resolution, paper.num_mapping_layers, paper.conv_clamp) == (32, 8, None)
    assert (rosinality.img_resolution, rosinality.z_dim, rosinality.w_dim) == (32, 64, 64)


@pytest.mark.parametrize("name", GOLDEN)
def test_what_was_left_out_is_said(golden: Path, name: str) -> None:
    checkpoint = read_checkpoint(golden / name)
    expected = "left out: g, g_optim, d_optim, args, ada_aug_p" if name.endswith(".pt") else "left out: G"
    assert checkpoint.remarks[-1] == expected and all("float16 there" in remark for remark in checkpoint.remarks[:-1])
    assert checkpoint.card.mode == "imported" and checkpoint.card.license.startswith("unknown")
    assert checkpoint.card.provenance["imported"]["file"] == name


def test_torch_reads_the_same_tensors(golden: Path) -> None:
    """Against torch.load(weights_only=True), which needs to be told of argparse."""
    import argparse

    with torch.serialization.safe_globals([argparse.Namespace]):
        theirs = torch.load(golden / "rosinality-source-32.pt", weights_only=True)
    ours = raw_tree(golden / "rosinality-source-32.pt")
    for network in ("g", "d", "g_ema"):
        assert list(ours[network]) == list(theirs[network])
        for key, view in ours[network].items():
            assert torch.equal(view.to_tensor(key), theirs[network][key]) and view.shape == theirs[network][key].shape
    assert ours["ada_aug_p"] == theirs["ada_aug_p"]
    assert type(ours["args"]) is Bystander and ours["args"].state == vars(theirs["args"])


# -- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("file", FILES)
def test_nothing_is_lost_in_any_format(golden: Path, tmp_path: Path, name: str, file: str) -> None:
    original = read_checkpoint(golden / name)
    write_checkpoint(tmp_path / file, original)
    again = read_checkpoint(tmp_path / file)
    assert differences(original, again) == []
    assert again.card == original.card
    assert again.format == {"model.pt": "rosinality", "model.pkl": "ada", "model": "ui2i"}[file]


def test_differences_names_a_single_bit(tmp_path: Path) -> None:
    one, other = tiny_checkpoint(), tiny_checkpoint()
    assert differences(one, other) == []
    other.generator.w_avg[0] = -other.generator.w_avg[0]
    assert differences(one, other) == ["generator mapping.w_avg"]
    other = tiny_checkpoint(conv_clamp=256.0, discriminator=False)
    assert differences(one, other) == ["the generators' architectures", "only one has a discriminator"]


def test_a_rosinality_file_comes_back_as_it_was(golden: Path, tmp_path: Path) -> None:
    """Names, shapes and bits of every tensor of the networks, filters and all."""
    source = golden / "rosinality-source-32.pt"
    write_checkpoint(tmp_path / "folder", read_checkpoint(source))
    write_checkpoint(tmp_path / "back.pt", read_checkpoint(tmp_path / "folder"))
    before, after = raw_tree(source), raw_tree(tmp_path / "back.pt")
    for network in ("g_ema", "d"):
        assert_same_views(before[network], after[network])
    assert_same_views({"": before["latent_avg"]}, {"": after["latent_avg"]})


@pytest.mark.parametrize("name", ["ada-auto-64.pkl", "ada-stylegan2-32.pkl"])
def test_an_ada_file_comes_back_as_it_was(golden: Path, tmp_path: Path, name: str) -> None:
    """Bits of every tensor, and every attribute that decides what a layer computes; activations become float32."""
    write_checkpoint(tmp_path / "folder", read_checkpoint(golden / name))
    write_checkpoint(tmp_path / "back.pkl", read_checkpoint(tmp_path / "folder"))
    before, after = raw_tree(golden / name), raw_tree(tmp_path / "back.pkl")
    precision = {"use_fp16", "num_fp16_res"}
    for network in ("G_ema", "D"):
        old, new = (_Network(tree[network], network) for tree in (before, after))
        assert_same_views(old.views, new.views)
        assert set(old.modules) == set(new.modules)
        for path, module in old.modules.items():
            assert module.class_name == new.modules[path].class_name
            for key, value in plain_attributes(module.state).items():
                assert key in precision or new.modules[path].state[key] == pytest.approx(value, abs=1e-12), (path, key)


def plain_attributes(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if not key.startswith("_")}


def assert_same_views(before: dict[str, TensorView], after: dict[str, TensorView]) -> None:
    assert set(before) == set(after)
    for key, view in before.items():
        assert view.shape == after[key].shape, key
        assert view.to_tensor(key).numpy().tobytes() == after[key].to_tensor(key).numpy().tobytes(), key


@pytest.mark.parametrize("file", ["model.pt", "model.pkl"])
@pytest.mark.parametrize(
    "settings", [{}, {"use_noise": False, "conv_clamp": 0.5, "mbstd_group_size": 2}, {"channel_base": 1 << 20}]
)
def test_a_native_file_comes_back_byte_for_byte(tmp_path: Path, file: str, settings: dict[str, Any]) -> None:
    write_checkpoint(tmp_path / "before", tiny_checkpoint(**settings))
    write_checkpoint(tmp_path / file, read_checkpoint(tmp_path / "before"))
    write_checkpoint(tmp_path / "after", read_checkpoint(tmp_path / file))
    for name in ("generator.safetensors", "discriminator.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


@pytest.mark.parametrize("target", ["out.pkl", "out.pt", "out"])
def test_a_file_s_name_may_be_no_text(golden: Path, tmp_path: Path, target: str) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9.pt")
    shutil.copyfile(golden / GOLDEN[-1], place)
    write_checkpoint(tmp_path / target, read_checkpoint(place))
    assert read_checkpoint(tmp_path / target).card.domain == "caf\\udce9"


def test_a_generator_alone(tmp_path: Path) -> None:
    whole = tiny_checkpoint()
    alone = dataclasses.replace(whole, discriminator=None)
    remarks = write_checkpoint(tmp_path / "g.safetensors", whole)
    assert remarks == ("the discriminator is left out: name a folder to keep it",)
    assert differences(read_checkpoint(tmp_path / "g.safetensors"), alone) == []
    for file in FILES:
        write_checkpoint(tmp_path / file, alone)
        assert differences(read_checkpoint(tmp_path / file), alone) == []
        write_checkpoint(tmp_path / file, whole)
        assert differences(read_checkpoint(tmp_path / file, generator_only=True), alone) == []


def test_an_untrained_discriminator_fills_the_place_in_a_pkl(tmp_path: Path) -> None:
    alone = tiny_checkpoint(discriminator=False)
    torch.manual_seed(5)
    remarks = write_checkpoint(tmp_path / "g.pkl", alone)
    assert torch.equal(torch.rand(1), torch.manual_seed(5) and torch.rand(1))  # nobody's random numbers were used
    assert remarks == ("the discriminator in it is untrained, because the format demands one",)
    assert raw_tree(tmp_path / "g.pkl")["D"].class_name == "Discriminator"
    assert read_checkpoint(tmp_path / "g.pkl").discriminator is None


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for file in ("model.pt", "model.pkl"):
        write_checkpoint(tmp_path / f"1-{file}", tiny_checkpoint())
        write_checkpoint(tmp_path / f"2-{file}", tiny_checkpoint())
        assert (tmp_path / f"1-{file}").read_bytes() == (tmp_path / f"2-{file}").read_bytes()


@pytest.mark.parametrize("file", [*FILES, "model.safetensors"])
def test_what_is_not_equal_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    write_checkpoint(tmp_path / file, tiny_checkpoint(0))
    before = sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    monkeypatch.setattr(formats, "differences", lambda *_: ["a bit"])
    with pytest.raises(AssertionError, match="a bit"):
        write_checkpoint(tmp_path / file, tiny_checkpoint(1))
    assert sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")) == before


def test_a_model_is_trained_on_without_touching_its_file(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model.pt", tiny_checkpoint())
    before = (tmp_path / "model.pt").read_bytes()
    generator = read_checkpoint(tmp_path / "model.pt").generator
    with torch.no_grad():
        for tensor in (*generator.parameters(), *generator.buffers()):
            tensor.add_(1)
    assert (tmp_path / "model.pt").read_bytes() == before
