"""The numbers of a project: `params.yaml` as frozen dataclasses.

Every section is one of the library's configs or one of the small classes below. A key that does not exist, at any
depth, is refused: a misspelt setting must not silently leave the default in place. `tasks.project.register` edits the
file.
"""

import dataclasses
import difflib
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, TypeVar

from tasks.project.comparison_params import Baseline, DomainPair, InversionContest, Judged, check_comparisons
from tasks.project.encoder_params import check_encoders, parse_encoder
from tasks.project.figure_params import Figures, check_figures, parse_figures
from tasks.project.measurement_params import Drift, Evaluation, PaperTable, parse_tables
from tasks.project.parsing import as_list, as_mapping, check_keys, is_text_in_yaml, parse_entry, parse_yaml
from tasks.project.paths import PARAMS_FILE, Project
from tasks.project.truth_params import Truth, check_truth, parse_truth
from ui2i.bounds import Bounded, Count, CountOrNone, Seed, Truncation, Weight
from ui2i.config import (
    DistanceConfig,
    EncoderConfig,
    IngestConfig,
    InversionConfig,
    NetworkConfig,
    PerceptualConfig,
    TrainingConfig,
    from_mapping,
    to_mapping,
)
from ui2i.errors import ConfigError
from ui2i.variants import Side, SwapConfig, SwapMode

MODES = ("FC-FT", "FT", "FreezeD", "FreezeG", "scratch")
"""What a domain's training updates: all but the mapping network (freeze-FC); everything; all but the discriminator's
blocks nearest to the image; all but the generator's coarsest blocks; everything, from random weights."""
FREEZE_G_RESOLUTION = 8  # pixels; what FreezeG freezes unless finetune.freeze_generator_resolution says otherwise

MAX_NAME_LENGTH = 64  # names become parts of the names of files, locks and runs
NAME_PATTERN = f"[a-z0-9][a-z0-9-]{{0,{MAX_NAME_LENGTH - 1}}}"
"""Of datasets, bases and domains."""

OPTIONAL = ("inversions", "pairs", "judged", "baselines", "figures")
"""Sections that may be left out of the file; `dvc.yaml` says so too."""

_NAME = re.compile(NAME_PATTERN)
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn(Bounded):
    """A set of drawn images (`drawn.<name>`)."""

    style: str
    num_images: Count
    seed: Seed
    resolution: Count = 64  # pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Where raw images lie (`datasets.<name>`)."""

    images: str  # folder or .zip, relative to the project


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """A model trained from scratch (`bases.<name>`)."""

    pretrain: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # overrides of the section pretrain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
    """A ready model (`imported.<name>`)."""

    checkpoint: str  # folder, relative to the project


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domain:
    """A target domain (`domains.<name>`)."""

    base: str
    modes: tuple[str, ...] = ("FC-FT",)  # of MODES; variants are made from the first
    finetune: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # overrides of the section finetune
    scratch: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # further overrides for the mode scratch


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwapParams(Bounded):
    """Layer swapping (`swap`)."""

    resolutions: tuple[int, ...] = (8, 16, 32)  # pixels; one variant each
    mode: Literal["weights", "blend"] = "weights"
    torgb_from: Side = "target"
    blend_width: Weight = 1.0  # blocks; only for the mode blend

    def at(self, resolution: int, mode: SwapMode | None = None) -> SwapConfig:
        """Return the swap through a resolution; `mode` replaces the section's."""
        return SwapConfig(
            resolution=resolution,
            mode=mode or self.mode,
            torgb_from=self.torgb_from,
            blend_width=self.blend_width,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslateParams(Bounded):
    """Which images the stage translate@ translates (`translate`)."""

    num_images: Count = 12  # the first of the split; all if it has fewer
    truncation_psi: Truncation = 1.0  # below 1 pulls the codes towards the targets' mean
    num_styles: CountOrNone = 0  # further versions of each image with sampled appearance (paper, Eq. 10)
    num_style_layers: CountOrNone = 4  # style inputs that a sampled appearance takes over


@dataclasses.dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    network: NetworkConfig
    perceptual: PerceptualConfig
    ingest: IngestConfig
    pretrain: TrainingConfig
    finetune: TrainingConfig
    swap: SwapParams
    distance: DistanceConfig
    inversion: InversionConfig
    translate: TranslateParams
    evaluation: Evaluation
    drift: Drift
    drawn: Mapping[str, Drawn]
    datasets: Mapping[str, Dataset]
    bases: Mapping[str, Base]
    imported: Mapping[str, Imported]
    domains: Mapping[str, Domain]
    truth: Mapping[str, Truth]
    encoders: Mapping[str, EncoderConfig]  # by base
    inversions: Mapping[str, InversionContest]  # by base; this and what follows but the tables may be left out
    pairs: Mapping[str, DomainPair]
    judged: Mapping[str, Judged]  # by domain
    baselines: Mapping[str, Baseline]  # by domain
    tables: Mapping[str, PaperTable]
    figures: Mapping[str, Figures]


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
    sections = {**{key: {} for key in OPTIONAL}, **as_mapping(parse_yaml(text), where=PARAMS_FILE)}
    check_keys(sections, [field.name for field in dataclasses.fields(Params)], where=PARAMS_FILE, need_all=True)
    values = {name: as_mapping(section, where=name) for name, section in sections.items()}
    params = Params(
        network=from_mapping(NetworkConfig, values["network"], section="network"),
        perceptual=from_mapping(PerceptualConfig, values["perceptual"], section="perceptual"),
        ingest=from_mapping(IngestConfig, values["ingest"], section="ingest"),
        pretrain=_training(values["pretrain"], where="pretrain"),
        finetune=_training(values["finetune"], where="finetune"),
        swap=_swap(values["swap"]),
        distance=from_mapping(DistanceConfig, values["distance"], section="distance"),
        inversion=from_mapping(InversionConfig, values["inversion"], section="inversion"),
        translate=from_mapping(TranslateParams, values["translate"], section="translate"),
        evaluation=from_mapping(Evaluation, values["evaluation"], section="evaluation"),
        drift=from_mapping(Drift, values["drift"], section="drift"),
        drawn={name: parse_entry(Drawn, entry, where) for name, entry, where in _entries(values, "drawn")},
        datasets={name: _dataset(entry, where) for name, entry, where in _entries(values, "datasets")},
        bases={name: _base(entry, where) for name, entry, where in _entries(values, "bases")},
        imported={name: _imported(entry, where) for name, entry, where in _entries(values, "imported")},
        domains={name: _domain(entry, where) for name, entry, where in _entries(values, "domains")},
        truth={name: parse_truth(entry, where) for name, entry, where in _entries(values, "truth")},
        encoders={name: parse_encoder(entry, where) for name, entry, where in _entries(values, "encoders")},
        inversions=_comparisons(InversionContest, values, "inversions"),
        pairs=_comparisons(DomainPair, values, "pairs"),
        judged=_comparisons(Judged, values, "judged"),
        baselines=_comparisons(Baseline, values, "baselines"),
        tables=parse_tables(values["tables"]),
        figures={name: parse_figures(entry, where) for name, entry, where in _entries(values, "figures")},
    )
    _check_references(params)
    _check_resolutions(params)
    check_truth(params)
    check_encoders(params)
    check_figures(params)
    check_comparisons(params)
    _check_overrides(params)
    return params


def training_config(params: Params, name: str, mode: str) -> TrainingConfig:
    """Return the settings of one training.

    A base takes the section `pretrain`, a domain the section `finetune`; each with its own overrides. A domain trained
    from scratch gets a seed of its own: models that begin with the same weights stay related.

    Args:
        name: a base (its only mode is scratch) or a domain.
        mode: one of `MODES`.

    Raises:
        ConfigError: there is no such base or domain, or no such mode.
    """
    _check_mode(mode, where=name)
    if name in params.bases:
        if mode != "scratch":
            raise ConfigError(f"{name} is a base, expected the mode scratch, got {mode}; name a domain to fine-tune")
        return _override(params.pretrain, params.bases[name].pretrain, where=f"bases.{name}.pretrain")
    domain = find_entry(params.domains, name, "domains")
    config = _override(params.finetune, domain.finetune, where=f"domains.{name}.finetune")
    if mode == "scratch":
        config = dataclasses.replace(config, seed=config.seed + scratch_seed(name))
        return _override(config, domain.scratch, where=f"domains.{name}.scratch")
    return _frozen_as(mode, config, params.ingest.img_resolution)


def scratch_seed(domain: str) -> int:
    """Return what a domain's name adds to the seed of its training from scratch, at least 1."""
    return 1 + zlib.crc32(domain.encode()) % 1_000_000


def _frozen_as(mode: str, config: TrainingConfig, img_resolution: int) -> TrainingConfig:
    """Return the settings with what a mode of fine-tuning freezes; by default FreezeD from half the resolution up."""
    if mode == "FreezeD":
        resolution = config.freeze_discriminator_resolution or img_resolution // 2
        return dataclasses.replace(config, freeze_discriminator_resolution=resolution)
    if mode == "FreezeG":
        resolution = config.freeze_generator_resolution or FREEZE_G_RESOLUTION
        return dataclasses.replace(config, freeze_generator_resolution=resolution)
    return dataclasses.replace(config, freeze_mapping=mode == "FC-FT")


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


def check_name(name: Any, *, where: str) -> None:
    """Raise ConfigError unless `name` may name a dataset, base or domain, for every tool that reads `params.yaml`."""
    check_key(name, where=where)
    if not is_text_in_yaml(name):
        raise ConfigError(
            f"{where} has the name {name}, which YAML takes for a number, a date or a word such as true, expected a "
            f"name in letters; rename it, for example to {name}-images"
        )


def check_key(name: Any, *, where: str) -> None:
    """Raise ConfigError unless `name` is safe as a part of a path and of a command."""
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigError(
            f"{where} has the name {repr(name)[:200]}, expected lower-case letters, digits and dashes, not "
            f"beginning with a dash, at most {MAX_NAME_LENGTH}; rename it"
        )


def check_path(path: Any, *, where: str) -> None:
    """Raise ConfigError unless `path` is a path inside the project as `params.yaml` writes it."""
    inside = isinstance(path, str) and path not in ("", ".") and "\\" not in path
    parts = PurePosixPath(path).parts if inside else ()
    if not inside or path.startswith("/") or ".." in parts or PureWindowsPath(path).drive:
        raise ConfigError(
            f"{where} is {path!r}, expected a path inside the project, relative to it, with forward slashes; "
            "copy the files into data/ and name them there"
        )


def _entries(values: Mapping[str, Mapping[str, Any]], section: str) -> Iterable[tuple[str, Mapping[str, Any], str]]:
    for name, entry in values[section].items():
        check_name(name, where=section)
        where = f"{section}.{name}"
        yield name, as_mapping(entry, where=where), where


def _comparisons(entry_type: type[_T], values: Mapping[str, Mapping[str, Any]], section: str) -> dict[str, _T]:
    return {name: parse_entry(entry_type, entry, where) for name, entry, where in _entries(values, section)}


def _dataset(values: Mapping[str, Any], where: str) -> Dataset:
    dataset = parse_entry(Dataset, values, where)
    check_path(dataset.images, where=f"{where}.images")
    return dataset


def _imported(values: Mapping[str, Any], where: str) -> Imported:
    imported = parse_entry(Imported, values, where)
    check_path(imported.checkpoint, where=f"{where}.checkpoint")
    return imported


def _base(values: Mapping[str, Any], where: str) -> Base:
    check_keys(values, ["pretrain"], where=where)
    return Base(pretrain=_overrides(values, "pretrain", where))


def _domain(values: Mapping[str, Any], where: str) -> Domain:
    check_keys(values, [field.name for field in dataclasses.fields(Domain)], where=where)
    if not isinstance(values.get("base"), str):
        raise ConfigError(f"{where}.base is {values.get('base')!r}, expected the name of a base; add it")
    modes = as_list(values.get("modes", ["FC-FT"]), str, where=f"{where}.modes")
    for mode in modes:
        _check_mode(mode, where=f"{where}.modes")
    return Domain(
        base=values["base"],
        modes=modes,
        finetune=_overrides(values, "finetune", where),
        scratch=_overrides(values, "scratch", where),
    )


def _swap(values: Mapping[str, Any]) -> SwapParams:
    plain = {key: value for key, value in values.items() if key != "resolutions"}
    swap = from_mapping(SwapParams, plain, section="swap")
    if "resolutions" not in values:
        return swap
    return dataclasses.replace(swap, resolutions=as_list(values["resolutions"], int, where="swap.resolutions"))


def _check_resolutions(params: Params) -> None:
    """Refuse blocks that no model has: every model has the resolution of the prepared images."""
    most = params.ingest.img_resolution
    allowed = [2**power for power in range(2, most.bit_length()) if 2**power <= most]
    for resolution in params.swap.resolutions if params.domains else ():
        if resolution not in allowed:
            raise ConfigError(
                f"swap.resolutions has {resolution}, expected some of {', '.join(map(str, allowed))}: models have "
                f"{most} pixels as ingest.img_resolution; correct it in {PARAMS_FILE}"
            )


def _check_mode(mode: str, *, where: str) -> None:
    if mode not in MODES:
        raise ConfigError(f"{where} has the unknown mode {mode!r}, expected one of {', '.join(MODES)}; correct it")


def _training(values: Mapping[str, Any], *, where: str) -> TrainingConfig:
    _check_freeze(values, where=where)
    return from_mapping(TrainingConfig, values, section=where)


def _overrides(values: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    overrides = as_mapping(values.get(key, {}), where=f"{where}.{key}")
    _check_freeze(overrides, where=f"{where}.{key}")
    return dict(overrides)


def _check_freeze(values: Mapping[str, Any], *, where: str) -> None:
    if "freeze_mapping" in values:
        raise ConfigError(f"{where}.freeze_mapping is set, expected the mode to decide it (FC-FT freezes); remove it")


def _override(config: TrainingConfig, overrides: Mapping[str, Any], *, where: str) -> TrainingConfig:
    return from_mapping(TrainingConfig, to_mapping(config) | dict(overrides), section=where)


def _check_references(params: Params) -> None:
    """Refuse names that mean two models, and entries that refer to nothing."""
    models = [*params.bases, *params.imported, *params.domains]
    for name in models:
        if models.count(name) > 1:
            raise ConfigError(
                f"{name} is named twice among bases, imported and domains, expected one model a name; rename one"
            )
        if name not in params.datasets:
            raise ConfigError(
                f"{name} has no images, expected datasets.{name} in {PARAMS_FILE}; "
                f"add {name}: {{images: data/raw/{name}}} there"
            )
    for name, domain in params.domains.items():
        if domain.base not in params.bases and domain.base not in params.imported:
            known = ", ".join([*params.bases, *params.imported]) or "none"
            raise ConfigError(
                f"domains.{name}.base is {domain.base!r}, expected one of bases or imported ({known}); add it there or "
                "correct it"
            )


def _check_overrides(params: Params) -> None:
    for name in params.bases:
        training_config(params, name, "scratch")
    for name, domain in params.domains.items():
        for mode in {*domain.modes, "scratch"}:
            training_config(params, name, mode)
