"""Every number of `params.yaml` has bounds, nothing outside them is accepted, and types are strict."""

import dataclasses
import math
import typing
from typing import Annotated, Any

import pytest
from pydantic import Field
from tiny_project import PARAMS

from experiments.paper.settings import Baseline, DomainPair, Evaluated, PaperSections, PaperTable, Truth
from experiments.synthetic.settings import SyntheticSections, SyntheticSet
from tasks.project.experiment import installed_experiments
from tasks.project.params import Params, parse_params
from tasks.project.sections import Dataset, Domain, Imported, Start, TranslatorParams
from ui2i.errors import ConfigError
from ui2i.settings import TrainingConfig, dataclass, from_mapping
from ui2i.settings.bounds import Count, Positive, Resolution, ShareBelowOne, Whole
from ui2i.translation import TranslationConfig

NEEDED = {
    Dataset: {"images": "x"},
    Imported: {"checkpoint": "x"},
    DomainPair: {"source": "x", "target": "x"},
    PaperTable: {"source": "x"},
    Start: {"model": "x", "sha256": "0" * 64},
    SyntheticSet: {"style": "face", "num_images": 2, "seed": 0},
} | {config: {"base": "x"} for config in (Baseline, Domain, Evaluated, TranslatorParams, Truth)}


def members(hint):
    """The types that a hint is made of, at any depth."""
    return {hint}.union(*(members(part) for part in typing.get_args(hint)))


def has_list(hint):
    return any(typing.get_origin(part) is tuple for part in members(hint))


def fields_of(config_type, *kinds):
    """Fields that are of one of these types, or may be absent; not lists."""
    hints = typing.get_type_hints(config_type)
    return [name for name, hint in hints.items() if not has_list(hint) and set(kinds) & members(hint)]


def settings_below(config_type):
    """The dataclasses that the type of all settings is made of."""
    found = {config_type}
    for hint in typing.get_type_hints(config_type).values():
        for part in members(hint):
            if dataclasses.is_dataclass(part):
                found |= settings_below(part)
    return found


CONFIGS = sorted(
    set().union(*map(settings_below, (Params, PaperSections, SyntheticSections, TranslationConfig)))
    - {Params, PaperSections, SyntheticSections},
    key=lambda config: config.__name__,
)
NUMBERS = [(config_type, name) for config_type in CONFIGS for name in fields_of(config_type, int, float)]
LISTS = [(config, name) for config in CONFIGS for name, hint in typing.get_type_hints(config).items() if has_list(hint)]


def name_of(value):
    return getattr(value, "__name__", value)


def refused(config_type, name, value):
    """The message that refuses a value from a file; from Python it is refused too."""
    values = NEEDED.get(config_type, {}) | {name: value}
    with pytest.raises(ConfigError, match=rf"^{name}\b"):
        config_type(**values)
    with pytest.raises(ConfigError) as caught:
        from_mapping(config_type, values, section="somewhere.deep", source="params.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_section_is_among_the_settings():
    sections = {experiment.sections() for experiment in installed_experiments() if experiment.sections}
    assert sections == {PaperSections, SyntheticSections}
    assert len(CONFIGS) > 20 and len(NUMBERS) > 100


@pytest.mark.parametrize(("config_type", "name"), NUMBERS, ids=name_of)
def test_every_number_is_bounded(config_type, name):
    for value in (-7, math.nan, math.inf, -math.inf, 10**400, True, "3", [3], b"3"):
        message = refused(config_type, name, value)
        assert message.startswith(f"somewhere.deep.{name} is ")
        assert ", expected " in message and message.endswith("; correct it in params.yaml")


@pytest.mark.parametrize(("config_type", "name"), LISTS, ids=name_of)
def test_every_list_is_one_of_what_it_says(config_type, name):
    for value in ("8", 8, {"a": 1}, [None], [True], [math.nan], [[8]]):
        assert refused(config_type, name, value).startswith(f"somewhere.deep.{name}")


@pytest.mark.parametrize("config_type", CONFIGS, ids=name_of)
def test_truths_and_texts_are_of_their_types(config_type):
    for kind, strange in ((bool, (1, "yes", None, 0.0)), (str, (3, True, b"x", ["x"]))):
        for name in fields_of(config_type, kind):
            may_be_null = name in fields_of(config_type, type(None))
            for value in (value for value in strange if value is not None or not may_be_null):
                assert refused(config_type, name, value).startswith(f"somewhere.deep.{name} is {value!r}, expected ")


@pytest.mark.parametrize("config_type", CONFIGS, ids=name_of)
def test_no_key_is_unknown(config_type):
    with pytest.raises(ConfigError, match=r"^somewhere has the unknown key 'sead', expected one of \d+ settings; "):
        from_mapping(config_type, NEEDED.get(config_type, {}) | {"sead": 1}, section="somewhere")
    with pytest.raises(ConfigError, match="has the unknown key 'sead'"):
        config_type(**NEEDED.get(config_type, {}), sead=1)


def test_a_penalty_is_never_a_reward():
    with pytest.raises(ConfigError) as error:
        parse_params(PARAMS.replace("finetune: {", "finetune: {r1_gamma: -0.5, "))
    assert str(error.value) == "finetune.r1_gamma is -0.5, expected at least 0; correct it in params.yaml"
    with pytest.raises(ConfigError, match=r"^r1_gamma is -1, expected at least 0; correct it$"):
        TrainingConfig(r1_gamma=-1)
    with pytest.raises(ConfigError, match=r"^r1_gamma is -1, expected at least 0"):
        dataclasses.replace(TrainingConfig(), r1_gamma=-1)


def test_overrides_are_bounded_too():
    with pytest.raises(
        ConfigError, match=r"domains\.cartoon\.finetune\.learning_rate is nan, expected a number above 0"
    ):
        parse_params(PARAMS.replace("[FC-FT, FT]}", "[FT], finetune: {learning_rate: .nan}}"))


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("1.0e1", 10), ("8.0", 8), ("8", 8)])
def test_whole_numbers_may_be_written_in_any_way(text, value):
    number = parse_params(PARAMS.replace("num_latents: 4", f"num_latents: {text}")).distance.num_latents
    assert (number, type(number)) == (value, int)


@pytest.mark.parametrize("text", ["8.5", "'8'", "true", "1e300", ".inf", "9" * 400, "!!binary OA=="])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ConfigError, match=r"distance\.num_latents is"):
        parse_params(PARAMS.replace("num_latents: 4", f"num_latents: {text}"))


@pytest.mark.parametrize("text", ["9" * 5000, "2024-13-45"])
def test_what_yaml_cannot_make_a_value_of_is_refused(text):
    with pytest.raises(ConfigError, match=r"params\.yaml cannot be read|distance\.num_latents is"):
        parse_params(PARAMS.replace("num_latents: 4", f"num_latents: {text}"))


@pytest.mark.parametrize("resolutions", ["[8, 64]", "[8, 12]", "[2]", "[-8]", "[0]"])
def test_a_swap_where_no_model_has_a_block_is_refused(resolutions):
    with pytest.raises(
        ConfigError, match=r"swap\.resolutions has -?\d+, expected some of 4, 8, 16, 32: models have 32"
    ):
        parse_params(PARAMS.replace("[8, 16]", resolutions))
    assert parse_params(PARAMS.replace("[8, 16]", "[4, 32]")).swap.resolutions == (4, 32)


@pytest.mark.parametrize(
    ("hint", "inside", "outside", "words"),
    [
        (Positive, [1e-30, 1], [0, -1, math.inf], "a number above 0"),
        (Annotated[Whole, Field(ge=2)], [2, 9], [1, -2], "at least 2"),
        (Count, [1, 9], [0], "at least 1"),
        (Count, [1], [2**31, 10**400], "a number from 1 to 2147483647"),
        (ShareBelowOne, [0, 0.5], [1, -0.1], "a number from 0 to below 1"),
        (Annotated[float, Field(ge=-1, le=1)], [-1, 1], [-1.1, 1.1, math.nan], "a number from -1 to 1"),
        (Annotated[float, Field(gt=0, lt=1)], [0.5], [0, 1], "a number above 0 to below 1"),
        (float, [-1e30], [math.nan, math.inf], "a finite number"),
        (Resolution, [4, 8, 1024], [2, 12, 2048, -8], "a power of two from 4 to 1024"),
    ],
)
def test_intervals(hint, inside, outside, words):
    @dataclass(frozen=True, kw_only=True)
    class Some:
        limit: hint | None = None

    assert Some().limit is None
    assert [Some(limit=value).limit for value in inside] == inside
    for value in outside:
        with pytest.raises(ConfigError, match=f"^limit is .*, expected {words}; correct it$"):
            Some(limit=value)


def test_the_path_of_a_setting_is_told_at_any_depth():
    @dataclass(frozen=True, kw_only=True)
    class Inner:
        rates: tuple[Positive, ...] = ()

    @dataclass(frozen=True, kw_only=True)
    class Outer:
        entries: typing.Mapping[str, Inner | None]

    def message(values: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            from_mapping(Outer, values, section="outer")
        return str(caught.value)

    assert message({"entries": {"a": {"rates": (1.0, -1.0)}}}).startswith("outer.entries.a.rates.1 is -1.0, expected a")
    assert message({"entries": {"a": {"rate": 1}}}).endswith("expected one of 1 settings; did you mean 'rates'?")
    assert message({"entries": {"a": 3}}) == (
        "outer.entries.a is 3, expected settings as key: value; write {} for the defaults"
    )
    assert message({"entries": {3: {}}}) == "outer.entries has the key 3, expected text; rename it"
    assert message({"entries": None}) == "outer.entries is None, expected settings by name; write them, or {} for none"
    assert message({}) == "outer lacks 'entries', expected entries; add it ({} if it is empty)"
    assert message({3: 1}).startswith("outer has the unknown key 3")
