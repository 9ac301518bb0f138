"""Checkpoints of other tools: numbers like theirs, nothing lost there and back, old and odd files, refusal by name."""

import dataclasses
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import (
    CARD,
    ada_content,
    all_modules,
    load_expected,
    module_state,
    raw_tree,
    rosinality_content,
    save_torch,
    tiny_checkpoint,
    write_ada_content,
)

from ui2i.checkpoints import read_card, save_generator
from ui2i.converters import formats
from ui2i.converters.ada import _Network
from ui2i.converters.architecture import WHOLE_BATCH
from ui2i.converters.formats import Checkpoint, differences, read_checkpoint, write_checkpoint
from ui2i.converters.inert import Bystander
from ui2i.converters.pickle_writer import Call
from ui2i.converters.tensor_views import TensorView
from ui2i.errors import CheckpointError
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

GOLDEN = ["ada-auto-64.pkl", "ada-stylegan2-32.pkl", "rosinality-source-32.pt"]
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


# -- architecture from tensors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"img_resolution": 64, "num_mapping_layers": 8},
        {"img_resolution": 128, "channel_base": 300, "channel_max": 512},
        {"channel_base": 96, "channel_max": 7},
        {"z_dim": 12, "w_dim": 12},
    ],
)
@pytest.mark.parametrize("format_", ["rosinality", "ada"])
def test_sizes_come_from_the_tensors(tmp_path: Path, settings: dict[str, Any], format_: str) -> None:
    checkpoint = tiny_checkpoint(**settings)
    config = checkpoint.generator.config
    if format_ == "ada":
        path = write_ada_content(tmp_path / "model.pkl", ada_content(checkpoint))
    else:
        write_checkpoint(tmp_path / "model.pt", checkpoint)
        content = rosinality_content(tmp_path / "model.pt")
        del content["ui2i"]
        path = save_torch(tmp_path / "model.pt", content)
    found = read_checkpoint(path).generator.config
    assert [found.num_channels(size) for size in found.block_resolutions] == [
        config.num_channels(size) for size in config.block_resolutions
    ]
    for name in ("img_resolution", "z_dim", "w_dim", "num_mapping_layers", "conv_clamp", "mbstd_group_size"):
        assert getattr(found, name) == getattr(config, name)
    assert differences(read_checkpoint(path), dataclasses.replace(checkpoint)) in (
        [],
        ["the generators' architectures", "the discriminators' architectures"],  # another base, the same widths
    )


def test_ada_attributes_become_settings(tmp_path: Path) -> None:
    original = tiny_checkpoint(z_dim=12, conv_clamp=0.25, mapping_lr_multiplier=0.5, mbstd_group_size=8)
    read = read_checkpoint(write_ada_content(tmp_path / "model.pkl", ada_content(original)))
    assert read.generator.config.conv_clamp == 0.25
    assert read.generator.config.mapping_lr_multiplier == 0.5
    assert read.discriminator is not None and read.discriminator.config.mbstd_group_size == 8
    assert torch.equal(read.generator(torch.ones(2, 12)), original.generator(torch.ones(2, 12)))


@pytest.mark.parametrize("name", GOLDEN)
def test_both_networks_have_one_architecture(golden: Path, name: str) -> None:
    """As training demands."""
    checkpoint = read_checkpoint(golden / name)
    assert checkpoint.discriminator is not None and checkpoint.discriminator.config == checkpoint.generator.config


def test_the_generator_takes_on_what_the_discriminator_needs(tmp_path: Path) -> None:
    original = tiny_checkpoint(mbstd_group_size=8, conv_clamp=256.0)
    checkpoint = read_checkpoint(write_ada_content(tmp_path / "m.pkl", ada_content(original)))
    assert checkpoint.generator.config.mbstd_group_size == 8
    assert checkpoint.discriminator is not None and checkpoint.discriminator.config == checkpoint.generator.config


def test_a_discriminator_that_is_clamped_otherwise(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint(conv_clamp=256.0))
    for module in all_modules(content["D"]):
        module_state(module).pop("conv_clamp", None) and module_state(module).update(conv_clamp=None)
    path = write_ada_content(tmp_path / "m.pkl", content)
    assert "conv_clamp None, expected the generator's (256.0)" in refuse(path)
    assert read_checkpoint(path, generator_only=True).generator.config.conv_clamp == 256


def test_a_group_of_the_whole_batch(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())
    module_state(content["D"], "b4.mbstd")["group_size"] = None
    checkpoint = read_checkpoint(write_ada_content(tmp_path / "model.pkl", content))
    assert checkpoint.discriminator is not None
    assert checkpoint.discriminator.config.mbstd_group_size == WHOLE_BATCH
    write_checkpoint(tmp_path / "again.pkl", checkpoint)
    assert (
        raw_tree(tmp_path / "again.pkl")["D"].state["_modules"]["b4"].state["_modules"]["mbstd"].state["group_size"]
        is None
    )
    assert any("of the whole batch here" in remark for remark in write_checkpoint(tmp_path / "m.pt", checkpoint))


def test_switched_off_noise_inputs_of_some_strength(tmp_path: Path) -> None:
    remarks = write_checkpoint(tmp_path / "m.pt", tiny_checkpoint(use_noise=False))
    assert "noise inputs are switched off here and not there" in remarks


def test_networks_without_noise_inputs(tmp_path: Path) -> None:
    original = tiny_checkpoint(use_noise=False)
    content = ada_content(original)
    for module in all_modules(content["G_ema"]):
        state = module_state(module)
        if "use_noise" in state:
            state["use_noise"] = False
            del state["_parameters"]["noise_strength"], state["_buffers"]["noise_const"]
    read = read_checkpoint(write_ada_content(tmp_path / "model.pkl", content)).generator
    assert not read.config.use_noise
    assert torch.equal(read(torch.ones(2, 8)), original.generator(torch.ones(2, 8)))


def test_parameters_that_freeze_d_made_buffers(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())
    state = module_state(content["D"], "b32.conv0")
    state["_buffers"] |= {name: value.arguments[0] for name, value in state["_parameters"].items()}
    state["_parameters"] = {}
    assert differences(read_checkpoint(write_ada_content(tmp_path / "m.pkl", content)), tiny_checkpoint()) in (
        [],
        ["the generators' architectures", "the discriminators' architectures"],
    )


# -- old and odd files ------------------------------------------------------------------------------------------------


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A rosinality file of somebody else: without this project's note."""
    write_checkpoint(tmp_path / "own.pt", tiny_checkpoint())
    loaded = rosinality_content(tmp_path / "own.pt")
    del loaded["ui2i"]
    return loaded


def read_content(tmp_path: Path, content: Any, **settings: Any) -> Checkpoint:
    return read_checkpoint(save_torch(tmp_path / "theirs.pt", content, **settings))


def assert_same_model(read: Checkpoint, *, discriminator: bool = True) -> None:
    expected = tiny_checkpoint(discriminator=discriminator)
    found = [difference for difference in differences(expected, read) if "architectures" not in difference]
    assert found == []


def test_torch_s_old_file_format(tmp_path: Path, content: dict[str, Any]) -> None:
    assert_same_model(read_content(tmp_path, content, old_format=True))


def test_files_without_filters(tmp_path: Path, content: dict[str, Any]) -> None:
    for network in ("g_ema", "d"):
        content[network] = {name: value for name, value in content[network].items() if not name.endswith("kernel")}
    assert_same_model(read_content(tmp_path, content))


def test_converted_files_have_a_generator_and_a_mean_alone(tmp_path: Path, content: dict[str, Any]) -> None:
    read = read_content(tmp_path, {"g_ema": content["g_ema"], "latent_avg": content["latent_avg"]})
    assert_same_model(read, discriminator=False)
    assert read.remarks == ()


def test_converted_files_have_permuted_strides(tmp_path: Path, content: dict[str, Any]) -> None:
    for name, value in content["g_ema"].items():
        content["g_ema"][name] = (
            value.permute(*reversed(range(value.ndim))).contiguous().permute(*reversed(range(value.ndim)))
        )
    assert not content["g_ema"]["convs.0.conv.weight"].is_contiguous()
    assert_same_model(read_content(tmp_path, content))


@pytest.mark.parametrize("shape", [(1, 8), (8, 8)])
def test_a_mean_for_each_layer(tmp_path: Path, content: dict[str, Any], shape: tuple[int, int]) -> None:
    content["latent_avg"] = content["latent_avg"].expand(shape).contiguous()
    assert_same_model(read_content(tmp_path, content))


def test_different_means_for_each_layer(tmp_path: Path, content: dict[str, Any]) -> None:
    content["latent_avg"] = torch.randn(8, 8)
    with pytest.raises(CheckpointError, match="8 different rows, expected one mean of w"):
        read_content(tmp_path, content)


def test_without_a_mean_it_is_computed(tmp_path: Path, content: dict[str, Any]) -> None:
    del content["latent_avg"]
    read = read_content(tmp_path, content)
    assert any("the mean of w was taken over 10,000 fixed latents" in remark for remark in read.remarks)
    w = read.generator.mapping(torch.randn(20_000, 8))
    assert (read.generator.w_avg - w.mean(dim=0)).norm() < 0.05 * w.std(dim=0).norm()
    assert torch.equal(read.generator.w_avg, read_content(tmp_path, content).generator.w_avg)


def test_encoders_have_the_generator_in_them(tmp_path: Path, content: dict[str, Any]) -> None:
    state = {f"decoder.{name}": value for name, value in content["g_ema"].items()}
    state["encoder.input_layer.0.weight"] = torch.zeros(3)
    read = read_content(tmp_path, {"state_dict": state, "latent_avg": content["latent_avg"], "opts": {"n_styles": 18}})
    assert_same_model(read, discriminator=False)
    assert read.remarks == ("left out: the encoder",)


def test_a_state_dict_by_itself(tmp_path: Path, content: dict[str, Any]) -> None:
    read = read_content(tmp_path, content["g_ema"] | {"latent_avg": content["latent_avg"]})
    assert_same_model(read, discriminator=False)


def test_data_parallel_prefixes_and_half_precision(tmp_path: Path, content: dict[str, Any]) -> None:
    content["g_ema"] = OrderedDict((f"module.{name}", value.half()) for name, value in content["g_ema"].items())
    read = read_content(tmp_path, content).generator
    expected = tiny_checkpoint().generator.state_dict()
    assert torch.equal(read.synthesis.b8.conv0.weight, expected["synthesis.b8.conv0.weight"].half().float())


def test_files_without_noise_maps(tmp_path: Path, content: dict[str, Any]) -> None:
    content["g_ema"] = {name: value for name, value in content["g_ema"].items() if "noises" not in name}
    read = read_content(tmp_path, content)
    assert "has no noise maps: fixed random ones were taken" in read.remarks
    noise = read.generator.synthesis.b32.conv1.noise_const
    assert noise.shape == (32, 32) and 0.9 < noise.std() < 1.1


def test_options_of_a_training_are_passed_over(tmp_path: Path, content: dict[str, Any]) -> None:
    import argparse

    content["args"] = argparse.Namespace(path=Path("/data"), sizes=[1, 2], device=torch.device("cpu"), name="x" * 9000)
    moments = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    content["g_optim"] = {"state": {0: moments}, "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99), "params": [0]}]}
    assert_same_model(read_content(tmp_path, content))


def test_a_generator_that_was_pickled_by_itself(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())["G_ema"]
    read = read_checkpoint(write_ada_content(tmp_path / "g.pkl", content))
    assert_same_model(read, discriminator=False)


def test_packages_that_carry_nvidia_s_code(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())
    for module in [*all_modules(content["G_ema"]), *all_modules(content["D"])]:
        label = dataclasses.replace(module.function, module=f"somewhere.{module.function.module}")
        object.__setattr__(module, "function", label)
    assert_same_model(read_checkpoint(write_ada_content(tmp_path / "m.pkl", content)))


# -- refused by name --------------------------------------------------------------------------------------------------


def refuse(path: Path, **settings: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **settings)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and "expected" in message and ";" in message
    return message


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
