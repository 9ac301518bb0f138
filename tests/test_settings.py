"""Settings: defaults, ranges, and what a section of `params.yaml` may hold."""

import copy
import dataclasses
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest

from ui2i import settings
from ui2i.errors import ConfigError, UI2IError
from ui2i.settings import (
    DistanceConfig,
    IngestConfig,
    InversionConfig,
    Mode,
    NetworkConfig,
    TrainingConfig,
    config_of_mode,
    from_mapping,
    to_mapping,
)

CONFIGS = [value for value in vars(settings).values() if dataclasses.is_dataclass(value)]


@pytest.mark.parametrize("config_type", CONFIGS)
def test_round_trip_and_frozen(config_type: type[Any]) -> None:
    config = config_type()
    values = to_mapping(config)
    assert from_mapping(config_type, values, section="x") == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, next(iter(values)), 1)


@pytest.mark.parametrize("config_type", CONFIGS)
def test_empty_section_gives_the_defaults(config_type: type[Any]) -> None:
    assert from_mapping(config_type, {}, section="x") == config_type()


def test_defaults_are_the_papers() -> None:
    training = TrainingConfig()
    assert (training.total_kimg, training.batch_size) == (12 * 16, 16)
    assert (training.r1_gamma, training.r1_interval, training.path_length_weight, training.path_length_interval) == (
        10.0,
        16,
        2.0,
        4,
    )
    assert (training.style_mixing_prob, training.learning_rate, training.adam_beta2) == (0.9, 0.002, 0.99)
    assert DistanceConfig().num_latents == 2000
    assert InversionConfig().num_steps == 1000


@pytest.mark.parametrize(("resolution", "num_ws"), [(32, 8), (64, 10), (128, 12), (256, 14), (512, 16), (1024, 18)])
def test_layers_of_a_resolution(resolution: int, num_ws: int) -> None:
    config = NetworkConfig(img_resolution=resolution)
    assert config.num_ws == num_ws
    assert config.block_resolutions[0] == 4 and config.block_resolutions[-1] == resolution
    assert len(config.block_resolutions) == num_ws // 2


def test_channels_of_config_f() -> None:
    config = NetworkConfig(img_resolution=1024)
    widths = [config.num_channels(resolution) for resolution in config.block_resolutions]
    assert widths == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert NetworkConfig(channel_base=16).num_channels(64) == 1


@pytest.mark.parametrize("resolution", [0, 4, 16, 48, 2048, -32])
def test_resolutions_that_do_not_exist(resolution: int) -> None:
    with pytest.raises(ConfigError, match=rf"img_resolution is {resolution}, expected a power of two from 32 to 1024"):
        NetworkConfig(img_resolution=resolution)


@pytest.mark.parametrize(
    ("config_type", "name", "value"),
    [
        (NetworkConfig, "w_dim", 0),
        (NetworkConfig, "channel_base", -1),
        (NetworkConfig, "mbstd_group_size", 0),
        (TrainingConfig, "batch_size", 0),
        (TrainingConfig, "learning_rate", 0.0),
        (TrainingConfig, "learning_rate", float("nan")),
        (TrainingConfig, "r1_interval", 0),
        (TrainingConfig, "path_length_interval", -1),
        (TrainingConfig, "path_length_batch_shrink", 0),
        (TrainingConfig, "adam_beta2", 1.0),
        (TrainingConfig, "snapshot_kimg", -2.0),
        (TrainingConfig, "style_mixing_prob", 1.1),
        (TrainingConfig, "style_mixing_prob", -0.1),
        (DistanceConfig, "num_latents", 1),
        (DistanceConfig, "batch_size", 0),
        (InversionConfig, "num_steps", 0),
        (IngestConfig, "test_share", 1.0),
        (IngestConfig, "max_images", 0),
    ],
)
def test_out_of_range(config_type: type[Any], name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is {value}, expected"):
        config_type(**{name: value})


def test_a_notebook_asks_for_the_modes_of_the_paper() -> None:
    config = TrainingConfig(total_kimg=3)
    modes = {mode: config_of_mode(config, mode, img_resolution=64) for mode in typing.get_args(Mode)}
    changed = {
        mode: {key: value for key, value in to_mapping(made).items() if value != to_mapping(config)[key]}
        for mode, made in modes.items()
    }
    assert changed == {
        "FC-FT": {"freeze_mapping": True},
        "FT": {},
        "FreezeD": {"freeze_discriminator_resolution": 32},
        "FreezeG": {"freeze_generator_resolution": 8},
        "scratch": {},
    }
    chosen = TrainingConfig(freeze_discriminator_resolution=16, freeze_generator_resolution=4)
    assert config_of_mode(chosen, "FreezeD", 64) == config_of_mode(chosen, "FreezeG", 64) == chosen


def test_settings_are_the_same_after_a_trip_through_another_process() -> None:
    config = TrainingConfig(total_kimg=3)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    assert {config: 1}[TrainingConfig(total_kimg=3.0)] == 1


def test_what_is_imported_is_neither_torch_nor_an_orchestrator() -> None:
    code = "import sys, ui2i.settings; print({'torch', 'prefect', 'dvc', 'ruamel', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_path_length_may_be_off() -> None:
    assert TrainingConfig(path_length_interval=0).path_length_interval == 0


def test_whole_numbers_serve_as_floats() -> None:
    config = from_mapping(TrainingConfig, {"total_kimg": 2, "ema_rampup": 1}, section="finetune")
    assert type(config.total_kimg) is float and config.total_kimg == 2.0
    assert type(config.ema_rampup) is float


def test_null_where_it_is_allowed() -> None:
    assert from_mapping(NetworkConfig, {"conv_clamp": None}, section="network").conv_clamp is None
    assert from_mapping(IngestConfig, {"max_images": None}, section="ingest").max_images is None


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"finetune has the unknown key 'batchsize'.*did you mean 'batch_size'\?"):
        from_mapping(TrainingConfig, {"batchsize": 8}, section="finetune")
    with pytest.raises(ConfigError, match="known keys: batch_size, noise_mode, num_latents"):
        from_mapping(DistanceConfig, {"qqq": 8}, section="distance")


@pytest.mark.parametrize("values", [None, [], "x", 3])
def test_section_that_is_no_mapping(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"distance is .*, expected settings as key: value; write \{\}"):
        from_mapping(DistanceConfig, values, section="distance")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"batch_size": 8.5}, "a whole number"),
        ({"batch_size": "8"}, "a whole number"),
        ({"batch_size": True}, "a whole number"),
        ({"batch_size": None}, "a whole number"),
        ({"learning_rate": "2e-3"}, "a number"),
        ({"learning_rate": True}, "a number"),
        ({"mirror": 1}, "true or false or null"),
        ({"mirror": "yes"}, "true or false or null"),
        ({"precision": "tf32"}, "one of auto, fp32, bf16, fp16"),
        ({"precision": ["fp32"]}, "one of auto, fp32, bf16, fp16"),
        ({"ema_rampup": "auto"}, "a number or null"),
    ],
)
def test_wrong_types(values: dict[str, Any], expected: str) -> None:
    (name, value), *_ = values.items()
    with pytest.raises(ConfigError) as caught:
        from_mapping(TrainingConfig, values, section="finetune")
    assert f"finetune.{name} is {value!r}, expected {expected};" in str(caught.value)
    assert isinstance(caught.value, UI2IError)
