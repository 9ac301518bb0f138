"""Which models translate: any domain of a family to any other, with variants made before or now."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.models.domain_models import Model, base_model, first_model, named_model, target_models
from tasks.project.params import Params
from tasks.project.paths import Project
from ui2i.errors import ConfigError
from ui2i.tables import SWAP_CHOICE_SCHEMA, read_rows
from ui2i.variants import SwapConfig, SwapMode, VariantName

if TYPE_CHECKING:
    from ui2i.networks.generator import Generator


BEST = "best"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translator:
    """A model and what a translation's manifest says of it."""

    domain: str
    variant: str  # becomes part of file names
    generator: "Generator"
    own_generator: "Generator"  # of the domain itself, before layers were swapped
    hash: str  # of the checkpoint
    base_hash: str | None  # of the model that it was fine-tuned from


def choose_source(project: Project, params: Params, domain: str, source: str | None, *, device: str) -> Model:
    """Return the model that inverts the images: of a base, or the first of a domain.

    Args:
        domain: the target.
        source: None: the target's base.

    Raises:
        ConfigError: there is no such model, or the target is a base and no source is named.
    """
    if source is None:
        if domain not in params.domains:
            known = ", ".join(params.domains) or "none"
            raise ConfigError(
                f"the target {domain} is no domain with a base, expected to be told what the images are of; name "
                f"their domain with --from, one of: {known}"
            )
        return base_model(project, params, domain, device=device)
    if source in params.domains:
        return first_model(project, params, source, device=device)
    return named_model(project, params, source, device=device)


def choose_targets(
    project: Project,
    params: Params,
    domain: str,
    *,
    variants: Sequence[str] = (),
    swap_resolutions: Sequence[int] = (),
    swap_mode: SwapMode | None = None,
    device: str,
) -> list[Translator]:
    """Return the models that translate: those named, and those whose layers are swapped now.

    Args:
        variants: empty: the first mode and all its variants, unless layers are swapped now.
        swap_resolutions: pixels up to which the base's layers go in front of the first mode's.
        swap_mode: None: as the section `swap` says, which also says whose ToRGB layers are taken.

    Raises:
        ConfigError: a model or resolution does not exist, or a base is to have layers swapped.
    """
    if domain not in params.domains:
        model = named_model(project, params, domain, device=device)
        if variants or swap_resolutions:
            raise ConfigError(f"{domain} is a base, expected a domain for variants and swapped layers; leave them out")
        return [_translator(model, variant=domain)]
    models = target_models(project, params, domain, device=device)
    chosen = [_translator(model) for model in _named(models, variants)] if variants or not swap_resolutions else []
    if swap_resolutions:
        base = base_model(project, params, domain, device=device)
        chosen += [_swapped(base, models[0], params.swap.at(size, swap_mode)) for size in swap_resolutions]
    return [dataclasses.replace(target, own_generator=models[0].generator) for target in chosen]


def choose_only(project: Project, params: Params, domain: str, only: str, *, device: str) -> list[Translator]:
    """Return the one model of a variant, or for `best` the one that was recommended.

    Raises:
        ConfigError: there is no such variant, or none has been recommended.
    """
    if only != BEST:
        variants = () if only == domain else (only,)  # of a base, whose one model is called as it is
        return choose_targets(project, params, domain, variants=variants, device=device)
    path = project.swap_choice(domain)
    if not path.is_file():
        raise ConfigError(
            f"no variant of {domain} is known to be the best, expected {project.relative(path)}; compare them with "
            f"ui2i choose-swap {domain}, or name one"
        )
    row = next(row for row in read_rows(path, SWAP_CHOICE_SCHEMA) if row["is_recommended"])
    if row["swap_resolution"] is None:
        return choose_targets(project, params, domain, variants=(row["variant"],), device=device)
    resolutions = (row["swap_resolution"],)
    return choose_targets(
        project, params, domain, swap_resolutions=resolutions, swap_mode=row["swap_mode"], device=device
    )


def are_related(source: Model, target: Translator) -> bool:
    """Return whether a target was fine-tuned from the source, by its card; or shares its mapping network."""
    from ui2i.translation import share_mapping

    return target.base_hash == source.hash or share_mapping(source.generator, target.generator)


def _named(models: list[Model], variants: Sequence[str]) -> list[Model]:
    """Return the models named, or the first mode and all its variants."""
    if not variants:
        return [model for model in models if model == models[0] or model.card.swap_resolution is not None]
    by_name = {model.card.mode: model for model in models}
    for variant in variants:
        if variant not in by_name:
            raise ConfigError(
                f"{models[0].domain} has no variant {variant!r}, expected some of {', '.join(by_name)}; "
                "correct the name, or add the mode or resolution to params.yaml and run the domain again"
            )
    return [by_name[variant] for variant in dict.fromkeys(variants)]


def _translator(model: Model, variant: str | None = None) -> Translator:
    return Translator(
        domain=model.domain,
        variant=variant or model.card.mode,
        generator=model.generator,
        own_generator=model.generator,
        hash=model.hash,
        base_hash=model.card.base_hash,
    )


def _swapped(base: Model, model: Model, config: SwapConfig) -> Translator:
    """Return a variant whose layers are swapped in memory."""
    from ui2i.layer_swap import swap

    plain = _translator(model, variant=str(VariantName(mode=model.card.mode, swap=config)))
    return dataclasses.replace(plain, generator=swap(base.generator, model.generator, config))
