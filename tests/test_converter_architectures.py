"""Checkpoints of other tools: architectures from tensors, and old and odd files."""

import dataclasses
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_content import GOLDEN, refuse
from foreign_content import content as content
from foreign_files import (
    ada_content,
    all_modules,
    module_state,
    raw_tree,
    rosinality_content,
    save_torch,
    tiny_checkpoint,
    write_ada_content,
)

from ui2i.converters.architecture import WHOLE_BATCH
from ui2i.converters.formats import Checkpoint, differences, read_checkpoint, write_checkpoint
from ui2i.errors import CheckpointError

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
