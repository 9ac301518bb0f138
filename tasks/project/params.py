"""The numbers of a project: `params.yaml` as frozen dataclasses.

Every section is one of the library's configs or one of the small classes below; experiments declare theirs
(`tasks.project.experiment`). A key that does not exist, at any depth, is refused: a misspelt setting must not silently
leave the default in place. `tasks.project.register` edits the file.
"""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tasks.project.experiment import installed_experiments
from tasks.project.names import Name
from tasks.project.old_names import old_names
from tasks.project.paths import PARAMS_FILE, Project
from tasks.project.sections import (
    Base,
    Dataset,
    Domain,
    Drift,
    Evaluation,
    Imported,
    SwapParams,
    TrainingSection,
    TranslateParams,
    TranslatorParams,
)
from ui2i.errors import ConfigError
from ui2i.settings import (
    DistanceConfig,
    EncoderConfig,
    IngestConfig,
    InversionConfig,
    Mode,
    NetworkConfig,
    PerceptualConfig,
    TrainingConfig,
    config_of_mode,
    dataclass,
    from_mapping,
    to_mapping,
)
from ui2i.settings.modes import scratch_seed
from ui2i.settings.words import unknown_name

MODES: tuple[Mode, ...] = typing.get_args(Mode)

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    network: NetworkConfig
    perceptual: PerceptualConfig
    ingest: IngestConfig
    pretrain: TrainingSection
    finetune: TrainingSection
    swap: SwapParams
    distance: DistanceConfig
    inversion: InversionConfig
    translate: TranslateParams
    evaluation: Evaluation
    drift: Drift
    datasets: Mapping[Name, Dataset]
    bases: Mapping[Name, Base]
    imported: Mapping[Name, Imported]
    domains: Mapping[Name, Domain]
    encoders: Mapping[Name, EncoderConfig]  # by base
    translators: Mapping[Name, TranslatorParams] = dataclasses.field(default_factory=dict)  # by domain
    experiments: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # by experiment: its sections


def load_params(project: Project) -> Params:
    """Read and check `params.yaml`.

    Raises:
        ConfigError: it is missing, no YAML, or says something that is not allowed; the message names the key.
    """
    try:
        text = project.params_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{project.params_path} cannot be read ({error}), expected the project's settings; restore it"
        ) from error
    return parse_params(text)


def parse_params(text: str) -> Params:
    """Return the params that a text in YAML says.

    Raises:
        ConfigError: as `load_params`.
    """
    values = _parse_yaml(text)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{PARAMS_FILE} is {values!r}, expected settings by name; write them")
    if found := old_names(values):
        raise ConfigError(
            f"{PARAMS_FILE} has names of version 0.1 ({', '.join(found)}), expected today's; run `ui2i upgrade`, which "
            "keeps all that was made"
        )
    types = {experiment.name: experiment.sections() for experiment in installed_experiments() if experiment.sections}
    names = {key: _field_names(each) for key, each in {"": Params, **types}.items()}
    names[""].remove("experiments")
    known = [name for group in names.values() for name in group]
    if unknown := [name for name in values if name not in known]:
        raise ConfigError(f"{PARAMS_FILE} {unknown_name(unknown[0], known)}")
    given = {key: {name: values[name] for name in group if name in values} for key, group in names.items()}
    params = from_mapping(Params, given[""], source=PARAMS_FILE)
    made = {key: from_mapping(each, given[key], source=PARAMS_FILE) for key, each in types.items()}
    params = dataclasses.replace(params, experiments=made)
    for problem in _contradictions(params):
        raise ConfigError(problem)
    _check_overrides(params)
    for sections in made.values():
        sections.check(params)
    return params


def all_sections(params: Params) -> dict[str, Any]:
    """Return all sections as plain values, those of experiments among them."""
    sections = to_mapping(params)
    del sections["experiments"]
    return sections | {key: value for each in params.experiments.values() for key, value in to_mapping(each).items()}


def training_config(params: Params, name: str, mode: str) -> TrainingConfig:
    """Return the settings of one training.

    A base takes the section `pretrain`, a domain the section `finetune`; each with its own overrides.

    Args:
        name: a base (its only mode is scratch) or a domain.
        mode: one of `MODES`.

    Raises:
        ConfigError: there is no such base or domain, or no such mode.
    """
    checked = check_mode(mode, where=name)
    if name in params.bases:
        if mode != "scratch":
            raise ConfigError(f"{name} is a base, expected the mode scratch, got {mode}; name a domain to fine-tune")
        return _override(params.pretrain, params.bases[name].pretrain, section=f"bases.{name}.pretrain")
    domain = find_entry(params.domains, name, "domains")
    config = _override(params.finetune, domain.finetune, section=f"domains.{name}.finetune")
    if checked == "scratch":
        config = dataclasses.replace(config, seed=scratch_seed(config.seed, name))
        return _override(config, domain.scratch, section=f"domains.{name}.scratch")
    return config_of_mode(config, checked, params.ingest.img_resolution)


def num_models(params: Params, domain: str) -> int:
    """Return how many models a domain is compared among: its base, its modes, the variants of the first."""
    return 1 + len(params.domains[domain].modes) + len(params.swap.resolutions)


def check_mode(mode: str, *, where: str) -> Mode:
    """Return the mode.

    Raises:
        ConfigError: there is no such mode.
    """
    for known in MODES:
        if mode == known:
            return known
    raise ConfigError(f"{where} has the unknown mode {mode!r}, expected one of {', '.join(MODES)}; correct it")


def find_entry(section: Mapping[str, _T], name: str, section_name: str) -> _T:
    """Return the entry `name` of a section.

    Raises:
        ConfigError: there is none.
    """
    if name not in section:
        known = ", ".join(sorted(section)) or "none"
        close = difflib.get_close_matches(name, section, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "add it there or correct the name"
        raise ConfigError(f"{PARAMS_FILE} has no {section_name}.{name}, expected one of: {known}; {hint}")
    return section[name]


def _parse_yaml(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem).split())
        raise ConfigError(f"{PARAMS_FILE} line {line}: {problem}, expected valid YAML; correct it") from error
    except (YAMLError, ValueError) as error:  # ValueError: a number of thousands of digits, a day that does not exist
        raise ConfigError(f"{PARAMS_FILE} cannot be read ({error}), expected valid YAML; correct it") from error


def _field_names(config_type: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(config_type)]


def _override(config: TrainingConfig, overrides: Mapping[str, Any], *, section: str) -> TrainingConfig:
    return from_mapping(TrainingConfig, to_mapping(config) | dict(overrides), section=section, source=PARAMS_FILE)


def _check_overrides(params: Params) -> None:
    for name in params.bases:
        training_config(params, name, "scratch")
    for name, domain in params.domains.items():
        for mode in {*domain.modes, "scratch"}:
            training_config(params, name, mode)


def _contradictions(params: Params) -> Iterator[str]:
    """Say where sections do not fit each other: names of two models, entries that refer to nothing, absent blocks."""
    bases = [*params.bases, *params.imported]
    models = [*bases, *params.domains]
    known = ", ".join(bases) or "none"
    for name in models:
        if models.count(name) > 1:
            yield f"{name} is named twice among bases, imported and domains, expected one model a name; rename one"
        if name not in params.datasets:
            yield (
                f"{name} has no images, expected datasets.{name} in {PARAMS_FILE}; "
                f"add {name}: {{images: data/raw/{name}}} there"
            )
    for name, domain in params.domains.items():
        if domain.base not in bases:
            yield (
                f"domains.{name}.base is {domain.base!r}, expected one of bases or imported ({known}); add it there or "
                "correct it"
            )
    for name in params.encoders:  # a base's domains share its latent codes, and need no encoder of their own
        if name not in bases:
            yield f"encoders.{name} names no base, expected one of bases or imported ({known}); correct or remove it"
    for name, translator in params.translators.items():
        base = params.domains[name].base if name in params.domains else None
        if translator.base != base:
            domains = ", ".join(params.domains) or "none"
            wanted = f"domains.{name}.base, {base}" if base else f"one of domains ({domains})"
            where, came = (f"translators.{name}.base", translator.base) if base else ("translators", name)
            yield f"{where} names {came}, expected {wanted}; correct or remove it"
    most = params.ingest.img_resolution
    allowed = [2**power for power in range(2, most.bit_length()) if 2**power <= most]
    for resolution in params.swap.resolutions if params.domains else ():
        if resolution not in allowed:
            yield (
                f"swap.resolutions has {resolution}, expected some of {', '.join(map(str, allowed))}: models have "
                f"{most} pixels as ingest.img_resolution; correct it in {PARAMS_FILE}"
            )
