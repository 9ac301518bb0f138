"""Checkpoints that cannot be read are refused by name, and this project's note is kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_content import content as content
from foreign_content import refuse
from foreign_files import (
    CARD,
    ada_content,
    module_state,
    rosinality_content,
    save_torch,
    tiny_checkpoint,
    write_ada_content,
)

from ui2i.checkpoints import read_card, save_generator
from ui2i.converters.formats import read_checkpoint, write_checkpoint
from ui2i.converters.pickle_writer import Call
from ui2i.errors import CheckpointError
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

# -- refused by name --------------------------------------------------------------------------------------------------


def conditional(content: dict[str, Any]) -> None:
    module_state(content["G_ema"])["c_dim"] = 10


def conditional_discriminator(content: dict[str, Any]) -> None:
    module_state(content["D"])["c_dim"] = 10


def resnet_generator(content: dict[str, Any]) -> None:
    for size in (4, 8, 16, 32):
        module_state(content["G_ema"], f"synthesis.b{size}")["architecture"] = "resnet"


def orig_generator(content: dict[str, Any]) -> None:
    for size in (4, 8, 16, 32):
        module_state(content["G_ema"], f"synthesis.b{size}")["architecture"] = "orig"


def skip_discriminator(content: dict[str, Any]) -> None:
    for size in (8, 16, 32):
        module_state(content["D"], f"b{size}")["architecture"] = "skip"
    module_state(content["D"], "b4")["architecture"] = "skip"


def stylegan3(content: dict[str, Any]) -> None:
    module_state(content["G_ema"], "synthesis")["_modules"]["input"] = content["D"]


def two_clamps(content: dict[str, Any]) -> None:
    module_state(content["G_ema"], "synthesis.b8.conv0")["conv_clamp"] = 256


def relu(content: dict[str, Any]) -> None:
    for name in ("fc0", "fc1"):
        module_state(content["G_ema"], f"mapping.{name}")["activation"] = "relu"


def other_filter(content: dict[str, Any]) -> None:
    state = module_state(content["G_ema"], "synthesis.b8.conv0")
    state["_buffers"]["resample_filter"] = state["_buffers"]["noise_const"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (conditional, "conditional G_ema (c_dim 10), expected c_dim 0; train it without --cond"),
        (conditional_discriminator, "conditional D (c_dim 10)"),
        (resnet_generator, "G_ema with architecture 'resnet', expected 'skip'"),
        (orig_generator, "G_ema with architecture 'orig', expected 'skip'"),
        (skip_discriminator, "D with architecture 'skip', expected 'resnet'"),
        (stylegan3, "is a StyleGAN3 generator"),
        (two_clamps, "conv_clamp"),
        (relu, "activation"),
        (other_filter, "another resampling filter in 'synthesis.b8.conv0.resample_filter', expected [1, 3, 3, 1]"),
    ],
)
def test_ada_networks_of_other_kinds(tmp_path: Path, change: Any, message: str) -> None:
    content = ada_content(tiny_checkpoint())
    change(content)
    assert message in refuse(write_ada_content(tmp_path / "m.pkl", content))


def colours(network: Generator, channels: int) -> None:
    for size in network.config.block_resolutions:
        torgb = network.synthesis.block(size).torgb
        torgb.weight.data = torch.randn(channels, torgb.weight.shape[1], 1, 1)
        torgb.bias.data = torch.zeros(channels)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_colours_than_rgb(tmp_path: Path, channels: int) -> None:
    checkpoint = tiny_checkpoint()
    colours(checkpoint.generator, channels)
    path = write_ada_content(tmp_path / "m.pkl", ada_content(checkpoint))
    assert f"makes images of {channels} colour channels, expected 3 (RGB)" in refuse(path)


def test_the_tensorflow_pickle(tmp_path: Path) -> None:
    from ui2i.converters.inert import Global

    networks = tuple(Call(Global("dnnlib.tflib.network", "Network"), ()) for _ in range(3))
    message = refuse(write_ada_content(tmp_path / "ffhq.pkl", networks))
    assert "TensorFlow" in message and "python legacy.py --source FILE --dest NEW.pkl" in message


@pytest.mark.parametrize("size", [4, 16, 2048])
def test_sizes_that_are_not_made(tmp_path: Path, content: dict[str, Any], size: int) -> None:
    levels = size.bit_length() - 3
    state = {name: value for name, value in content["g_ema"].items() if not name.startswith("to_rgbs.")}
    state |= {f"to_rgbs.{level}.conv.weight": torch.zeros(1, 3, 6, 1, 1) for level in range(levels)}
    message = refuse(save_torch(tmp_path / "m.pt", {"g_ema": state}))
    assert f"has {levels} ToRGB layers above 4 px" in message and "32 to 1024 px" in message


def test_a_misfit_is_described_by_size_widths_and_depth(tmp_path: Path, content: dict[str, Any]) -> None:
    content["g_ema"]["convs.3.conv.weight"] = torch.zeros(1, 5, 6, 3, 3)
    message = refuse(save_torch(tmp_path / "m.pt", content))
    assert "widths 6 at 4 px, 6 at 8 px, 5 at 16 px, 4 at 32 px" in message
    content["g_ema"]["convs.3.conv.weight"] = torch.zeros(1, 6, 6, 1, 1)
    message = refuse(save_torch(tmp_path / "m.pt", content))
    assert "synthesis.b16.conv1.weight of shape (6, 6, 1, 1), expected (6, 6, 3, 3)" in message
    assert "32 px with 2 mapping layers, channel_base 128 and channel_max 6" in message


def test_a_discriminator_of_other_widths(tmp_path: Path, content: dict[str, Any]) -> None:
    write_checkpoint(tmp_path / "wide.pt", tiny_checkpoint(channel_base=256, channel_max=9))
    content["d"] = rosinality_content(tmp_path / "wide.pt")["d"]
    path = save_torch(tmp_path / "m.pt", content)
    assert "convert the generator alone with --generator-only" in refuse(path)
    assert read_checkpoint(path, generator_only=True).discriminator is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("convs.0.activate.bias"), "lacks synthesis.b8.conv0.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "additional tensor 'extra'"),
        (lambda state: state.update({"input.input": torch.full((1, 6, 4, 4), torch.nan)}), "not finite"),
        (lambda state: state.update({"input.input": torch.zeros(2, 6, 4, 4)}), "expected 1 ones in front"),
        (lambda state: state.update({"input.input": torch.zeros(1, 6, 4, 4, dtype=torch.int8)}), "torch.int8"),
        (lambda state: state.update({"input.input": [1.0]}), "expected a tensor"),
        (lambda state: state["convs.0.conv.blur.kernel"].mul_(2), "another resampling filter"),
        (lambda state: state.clear(), "expected a network's tensors"),
    ],
)
def test_damaged_states(tmp_path: Path, content: dict[str, Any], change: Any, message: str) -> None:
    change(content["g_ema"])
    assert message in refuse(save_torch(tmp_path / "m.pt", content))


@pytest.mark.parametrize("tree", [{}, {"GAN": {}}, [1, 2], 3.5, {"G_ema": 1}, {"g_ema": 1}, {"state_dict": {}}])
def test_other_content(tmp_path: Path, tree: Any) -> None:
    refuse(save_torch(tmp_path / "m.pt", tree))


def test_modules_that_torch_pickled_whole(tmp_path: Path) -> None:
    message = refuse(save_torch(tmp_path / "m.pt", torch.nn.Linear(2, 2)))
    assert "torch.nn.modules.linear.Linear" in message and "state_dict" in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "begins with b'hello'"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "begins with"),
        (b"(dp0\n.", "begins with"),
        (b"\x80\x01}.", "begins with"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "m.pkl").write_bytes(data)
    assert message in refuse(tmp_path / "m.pkl")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pt", tmp_path):
        with pytest.raises(CheckpointError, match="expected a checkpoint"):
            read_checkpoint(path)


def test_new_names_that_say_no_format(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ends in \.onnx, expected \.pkl"):
        write_checkpoint(tmp_path / "m.onnx", tiny_checkpoint())


def test_what_rosinality_s_format_has_no_place_for(tmp_path: Path) -> None:
    for settings in ({"z_dim": 9}, {"mapping_lr_multiplier": 0.02}):
        with pytest.raises(CheckpointError, match="write ada instead"):
            write_checkpoint(tmp_path / "m.pt", tiny_checkpoint(**settings))
    assert not list(tmp_path.iterdir())


def test_what_rosinality_s_tools_do_differently(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(conv_clamp=256.0, mbstd_group_size=8)
    largest = float(checkpoint.generator(torch.randn(4, 8, generator=torch.Generator().manual_seed(0))).abs().max())
    assert write_checkpoint(tmp_path / "m.pt", checkpoint) == (
        "its widths are not those of rosinality's code, whose own tools need their table changed",
        "activations are clamped at 256 here and not there",
        f"images are the same there in 4 images sampled (psi 1, values up to {largest:.2g})",
        "minibatch-stddev groups are of 8 here and of 4 there",
    )


# -- this project's note ----------------------------------------------------------------------------------------------


def test_a_forged_note(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "own.pt", tiny_checkpoint())
    content = rosinality_content(tmp_path / "own.pt")
    note = content["ui2i"]

    def refuse_note(changed: Any) -> str:
        return refuse(save_torch(tmp_path / "m.pt", content | {"ui2i": changed}))

    for deep in ({"num_mapping_layers": 10**9}, {"img_resolution": 1024}, {"channel_max": 10**9}):
        assert "note of a network of" in refuse_note(note | {"network": note["network"] | deep})
    for changed in (
        7,
        "text",
        {},
        note | {"version": 9},
        note | {"network": {}, "card": {}},
        note | {"card": note["card"] | {"domain": ["x"]}},
        note | {"card": "text"},
        note | {"network": "text"},
        note | {"network": note["network"] | {"z_dim": "8"}},
        note | {"network": note["network"] | {"channel_max": 10**12}},
    ):
        assert "note" in refuse_note(changed)


def test_a_checkpoint_of_this_project_keeps_its_card(tmp_path: Path) -> None:
    save_generator(tmp_path / "g.safetensors", tiny_checkpoint().generator, CARD)
    read = read_checkpoint(tmp_path / "g.safetensors")
    assert read.card == CARD and read.format == "ui2i" and read.discriminator is None
    assert read_card(tmp_path / "g.safetensors")[1] == CARD


def test_evaluation_mode_and_no_gradients(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m.pt", tiny_checkpoint())
    read = read_checkpoint(tmp_path / "m.pt")
    for network, kind in ((read.generator, Generator), (read.discriminator, Discriminator)):
        assert type(network) is kind and not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
