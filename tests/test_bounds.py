"""Bounds of numbers: every setting of `params.yaml` has some, and nothing outside them is accepted."""

import dataclasses
import math
import typing
from typing import Annotated

import pytest
from tiny_project import PARAMS

from tasks.project.comparison_params import Baseline, InversionContest
from tasks.project.figure_params import Figures
from tasks.project.measurement_params import Drift, Evaluation
from tasks.project.params import Drawn, Params, SwapParams, TranslateParams, parse_params
from tasks.project.truth_params import Truth
from ui2i.bounds import Bounded, Bounds, Resolution, bounds_of
from ui2i.config import (
    DistanceConfig,
    EncoderConfig,
    IngestConfig,
    InversionConfig,
    NetworkConfig,
    RegressorConfig,
    TrainingConfig,
    from_mapping,
)
from ui2i.errors import ConfigError

CONFIGS = [
    *(Baseline, DistanceConfig, Drawn, Drift, EncoderConfig, Evaluation, Figures, IngestConfig, InversionConfig),
    *(InversionContest, NetworkConfig, RegressorConfig, SwapParams, TrainingConfig, TranslateParams, Truth),
]
NEEDED = {Baseline: {"base": "x"}, Truth: {"base": "x"}, Drawn: {"style": "face", "num_images": 2, "seed": 0}}


def members(hint):
    """The types that a hint is made of, at any depth."""
    return {hint}.union(*(members(part) for part in typing.get_args(hint)))


def numeric_fields(config_type):
    hints = typing.get_type_hints(config_type)
    is_list = {name: any(typing.get_origin(part) is tuple for part in members(hint)) for name, hint in hints.items()}
    return [name for name, hint in hints.items() if {int, float} & members(hint) and not is_list[name]]


def settings_below(config_type):
    """The dataclasses that the type of all settings is made of."""
    found = set()
    for hint in typing.get_type_hints(config_type).values():
        for part in members(hint):
            if dataclasses.is_dataclass(part):
                found |= {part} | settings_below(part)
    return found


SETTINGS = [(config_type, name) for config_type in CONFIGS for name in numeric_fields(config_type)]


def test_the_list_of_configs_is_that_of_the_settings():
    assert {config for config in settings_below(Params) if numeric_fields(config)} == set(CONFIGS)
    assert len(SETTINGS) > 100


@pytest.mark.parametrize(("config_type", "name"), SETTINGS, ids=lambda value: getattr(value, "__name__", value))
def test_every_number_is_bounded(config_type, name):
    needed = NEEDED.get(config_type, {})
    for value in (-7, math.nan, math.inf, -math.inf, 10**400):
        with pytest.raises(ConfigError, match=rf"^somewhere\.{name} is -?[\dina]+.*, expected .+; correct it"):
            from_mapping(config_type, needed | {name: value}, section="somewhere")
    with pytest.raises(ConfigError, match=f"{name} is -7, expected"):
        config_type(**needed | {name: -7})


def test_a_penalty_is_never_a_reward():
    with pytest.raises(ConfigError) as error:
        parse_params(PARAMS.replace("finetune: {", "finetune: {r1_gamma: -0.5, "))
    assert str(error.value) == "finetune.r1_gamma is -0.5, expected at least 0; correct it in params.yaml"


def test_overrides_are_bounded_too():
    with pytest.raises(
        ConfigError, match=r"domains\.cartoon\.finetune\.learning_rate is nan, expected a number above 0"
    ):
        parse_params(PARAMS.replace("[FC-FT, FT]}", "[FT], finetune: {learning_rate: .nan}}"))


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("1.0e1", 10), ("8.0", 8), ("8", 8)])
def test_whole_numbers_may_be_written_in_any_way(text, value):
    number = parse_params(PARAMS.replace("num_latents: 4", f"num_latents: {text}")).distance.num_latents
    assert (number, type(number)) == (value, int)


@pytest.mark.parametrize("text", ["8.5", "'8'", "true", "1e300", ".inf"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ConfigError, match=r"distance\.num_latents is"):
        parse_params(PARAMS.replace("num_latents: 4", f"num_latents: {text}"))


@pytest.mark.parametrize("resolutions", ["[8, 64]", "[8, 12]", "[2]", "[-8]", "[0]"])
def test_a_swap_where_no_model_has_a_block_is_refused(resolutions):
    with pytest.raises(
        ConfigError, match=r"swap\.resolutions has -?\d+, expected some of 4, 8, 16, 32: models have 32"
    ):
        parse_params(PARAMS.replace("[8, 16]", resolutions))
    assert parse_params(PARAMS.replace("[8, 16]", "[4, 32]")).swap.resolutions == (4, 32)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        (Bounds(low=0, is_low_open=True), [1e-30, 1], [0, -1, math.inf], "a number above 0"),
        (Bounds(low=2), [2, 9], [1, -2], "at least 2"),
        (Bounds(low=0, high=1, is_high_open=True), [0, 0.5], [1, -0.1], "a number from 0 to below 1"),
        (Bounds(low=-1, high=1), [-1, 1], [-1.1, 1.1, math.nan], "a number from -1 to 1"),
        (typing.get_args(Resolution)[1], [4, 8, 1024], [2, 12, 2048, -8], "a power of two from 4 to 1024"),
    ],
)
def test_intervals(bounds, inside, outside, words):
    assert all(value in bounds for value in inside)
    assert not any(value in bounds for value in outside)
    assert str(bounds) == words


def test_what_may_be_absent_may_be_absent():
    @dataclasses.dataclass(frozen=True)
    class Some(Bounded):
        limit: Annotated[int, Bounds(low=1)] | None = None
        name: str = "x"

    assert Some().limit is None
    assert list(bounds_of(Some)) == ["limit"]
    with pytest.raises(ConfigError, match="limit is 0, expected at least 1"):
        Some(limit=0)
