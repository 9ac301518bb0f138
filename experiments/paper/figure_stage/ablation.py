"""Figures 7 and 8: the same latents in all models of each family, and their distance to the base and the domain."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.paper import paper_paths
from experiments.paper.figure_stage.setup import Setup, regressors
from tasks.running.progress import part_of
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

    from experiments.paper.figures.models import Family, FigureModel
    from experiments.paper.figures.shared_latents import KeptTraits, Measures
    from ui2i.metrics.frechet import Features

Row = dict[str, Any]

SOURCE = "source"
"""The mode under which tables have the base's own images, measured as if they were the domain's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """One model on the shared latents."""

    model: "FigureModel"
    measures: "Measures"
    kept: "KeptTraits | None"  # None: attributes cannot be read
    num_targets: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablation:
    """The measurements and the images of one family."""

    family: "Family"
    direct: "dict[str, list[FigureModel]]"  # by domain
    others: "list[list[FigureModel]]"  # other bases, each followed by itself with layers of this base
    measured: dict[str, list[Measured]]  # by domain, the source first; other bases among them
    images: "dict[str, np.ndarray]"  # by model


def make_figures7_and_8(setup: Setup, progress: Progress) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write Figures 7 and 8 with their tables, and return the numbers of each by base and domain."""
    from experiments.paper.figures.ablation import ablation_sheet, swap_sheet
    from experiments.paper.figures.schemas import MEASURES_SCHEMA
    from experiments.paper.figures.sheets import below, beside, save_webp
    from ui2i.tables import write_table

    project, count = setup.job.project, len(setup.families)
    ablations = [
        _measure_family(setup, family, part_of(progress, place, count, family.base.domain))
        for place, family in enumerate(setup.families)
    ]
    save_webp(
        paper_paths.figure(project, "7"), beside([ablation_sheet(each.family, each.images) for each in ablations])
    )
    sheets = [swap_sheet(each.family, each.direct, each.others, each.images) for each in ablations]
    save_webp(paper_paths.figure(project, "8"), below(sheets))
    numbers: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for place, (figure, choose) in enumerate((("7", _of_figure7), ("8", _of_figure8))):
        rows = []
        for each in ablations:
            chosen = {domain: choose(each, domain) for domain in each.measured}
            rows += [row for models in chosen.values() for it in models for row in _rows(setup, each, it, figure)]
            numbers[place][each.family.base.domain] = {
                domain: _numbers(models) for domain, models in chosen.items() if models
            }
        write_table(paper_paths.figure(project, figure).with_suffix(".parquet"), rows, MEASURES_SCHEMA)
    return numbers


def _measure_family(setup: Setup, family: "Family", progress: Progress) -> Ablation:
    from experiments.paper.figures.models import SCRATCH, direct_swaps, of_mode
    from experiments.paper.figures.shared_latents import images_of

    settings = setup.settings
    resolutions = setup.job.params.swap.resolutions
    independent = {domain: of_mode(models, SCRATCH) for domain, models in family.domains.items()}
    direct = {
        domain: [] if model is None else direct_swaps(family.base, model, resolutions)
        for domain, model in independent.items()
    }
    bases = [other.base for other in setup.families if other is not family]
    others = [[base, *swaps] for base in bases if (swaps := direct_swaps(family.base, base, resolutions))]
    z = setup.latents(settings.num_latents, family.base.generator.config.z_dim)
    of_base = images_of(family.base.generator, z, settings.truncation_psi)
    ablation = Ablation(
        family=family,
        direct=direct,
        others=others,
        measured={},
        images={family.base.name: of_base[: settings.num_shown]},
    )
    lists = {domain: [*models, *direct[domain]] for domain, models in family.domains.items()}
    lists |= {models[0].domain: models for models in others}
    for place, (domain, models) in enumerate(lists.items()):
        part = part_of(progress, place, len(lists), domain)
        _measure_domain(setup, ablation, domain, models, z, of_base, part)
    return ablation


def _measure_domain(
    setup: Setup,
    ablation: Ablation,
    domain: str,
    models: "Sequence[FigureModel]",
    z: Any,
    of_base: "np.ndarray",
    progress: Progress,
) -> None:
    """Measure the models of a domain, the base's own images first, and keep the first images of each."""
    from experiments.paper.figures.shared_latents import images_of, kept_traits, measure_images

    settings, family = setup.settings, ablation.family
    found = regressors(setup, family, no_progress) if domain in family.domains else {}
    target = _target_features(setup, domain)
    source = dataclasses.replace(family.base, domain=domain, mode=SOURCE)
    measured = ablation.measured.setdefault(domain, [])
    for place, model in enumerate([source, *models]):
        images = of_base if model is source else images_of(model.generator, z, settings.truncation_psi)
        kept = None
        if found and model is not source:
            kept = kept_traits(
                of_base,
                images,
                found[family.base.domain],
                found[domain],
                min_skill=settings.min_skill,
                seed=settings.seed,
            )
            kept = kept if kept.attributes else None
        measures = measure_images(images, of_base, target, setup.perceptual)
        measured.append(Measured(model=model, measures=measures, kept=kept, num_targets=len(target)))
        if model is not source:
            ablation.images[model.name] = images[: settings.num_shown]
        progress(place + 1, 1 + len(models), model.mode)


def _target_features(setup: Setup, domain: str) -> "Features":
    """Return the features of the first images of a domain."""
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.metrics.evaluation import embed_set
    from ui2i.metrics.image_sets import of_dataset

    images = of_dataset(PreparedDataset(setup.job.project.prepared(domain), split=None), setup.device)
    images = dataclasses.replace(images, count=min(images.count, setup.settings.num_targets))
    return embed_set(images, setup.perceptual).backbone


def _of_figure7(ablation: Ablation, domain: str) -> list[Measured]:
    """Return what Figure 7 compares; of another base nothing."""
    from experiments.paper.figures.ablation import ablation_models

    if domain not in ablation.family.domains:
        return []
    return _chosen(ablation, domain, ablation_models(ablation.family.domains[domain]))


def _of_figure8(ablation: Ablation, domain: str) -> list[Measured]:
    """Return what Figure 8 compares: the base's own images, and all ways to swap layers or not to."""
    from experiments.paper.figures.ablation import swap_models

    if domain not in ablation.family.domains:
        return ablation.measured[domain]
    models = swap_models(ablation.family.domains[domain], ablation.direct[domain])
    return [ablation.measured[domain][0], *_chosen(ablation, domain, models)]


def _chosen(ablation: Ablation, domain: str, models: "Sequence[FigureModel]") -> list[Measured]:
    by_name = {each.model.name: each for each in ablation.measured[domain]}
    return [by_name[model.name] for model in models]


def _rows(setup: Setup, ablation: Ablation, measured: Measured, figure: str) -> list[Row]:
    """Return the rows of one model."""
    from experiments.paper.tables.claims import INTERVAL_SEMS
    from ui2i.metrics.moments import estimate

    lpips, fd = estimate(measured.measures.lpips), measured.measures.fd
    half_width = INTERVAL_SEMS * measured.measures.fd_sem
    fd_ends = {"ci95_low": fd - half_width, "ci95_high": fd + half_width}
    values: list[Row] = [
        {"metric": "lpips", "value": lpips.mean, "ci95_low": lpips.ci95_low, "ci95_high": lpips.ci95_high},
        {"metric": "fd", "value": fd, **fd_ends, "num_targets": measured.num_targets},
        {"metric": "kd", "value": measured.measures.kd, "num_targets": measured.num_targets},
    ]
    if measured.kept is not None and figure == "7":
        values += _trait_rows(measured.kept)
    shared = {
        **setup.made,
        "figure": figure,
        "base": ablation.family.base.domain,
        "domain": measured.model.domain,
        "mode": measured.model.mode,
        "checkpoint_hash": measured.model.hash,
        "base_hash": ablation.family.base.hash,
        "swap_resolution": measured.model.swap_resolution,
        "num_latents": len(measured.measures.lpips),
        "backbone": setup.perceptual.name,
        "backbone_hash": setup.perceptual.weights_hash,
    }
    return [{**shared, **row} for row in values]


def _trait_rows(kept: "KeptTraits") -> list[Row]:
    """Return the mean over the attributes, then each."""
    places = [None, *range(len(kept.attributes))]
    rows = []
    for place in places:
        low, high = kept.interval(place)
        value = kept.mean if place is None else float(kept.values[place])
        attribute = None if place is None else kept.attributes[place]
        rows.append({"metric": "traits", "attribute": attribute, "value": value, "ci95_low": low, "ci95_high": high})
    return rows


def _numbers(models: list[Measured]) -> dict[str, Any]:
    """Return the means by mode, and how FC-FT differs from FT, latent by latent."""
    numbers: dict[str, Any] = {
        each.model.mode: {
            "lpips": float(each.measures.lpips.mean()),
            "fd": each.measures.fd,
            "kd": each.measures.kd,
            **({} if each.kept is None else {"traits": each.kept.mean}),
        }
        for each in models
    }
    by_mode = {each.model.mode: each for each in models}
    if {"FT", "FC-FT"} <= set(by_mode):
        numbers["FC-FT minus FT"] = _difference(by_mode["FC-FT"], by_mode["FT"])
    return numbers


def _difference(first: Measured, second: Measured) -> dict[str, Any]:
    """Return the difference of the means with its 95 % interval over latents: [mean, low, high]."""
    import numpy as np

    from ui2i.metrics.moments import estimate

    lpips = estimate(first.measures.lpips - second.measures.lpips)
    numbers = {"lpips": [lpips.mean, lpips.ci95_low, lpips.ci95_high]}
    if first.kept is not None and second.kept is not None:
        again = first.kept.resampled.mean(axis=0) - second.kept.resampled.mean(axis=0)
        low, high = np.quantile(again, [0.025, 0.975])
        numbers["traits"] = [first.kept.mean - second.kept.mean, float(low), float(high)]
    return numbers
