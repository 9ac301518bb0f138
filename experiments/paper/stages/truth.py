"""Stage truth@: a synthetic domain's translations against the truth -> data/tables/truth/<domain>.*."""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.settings import Truth, sections_of
from experiments.synthetic.draw import DRAWN
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.rates import EVALUATED
from tasks.running.stage_cli import Job, Stage, default_device, main

if TYPE_CHECKING:
    import numpy as np

    from experiments.paper.truth import AttributeRegressor, Cases, ImageScore, KeptAttribute
    from ui2i.perceptual import Perceptual

Kept = dict[str, "list[KeptAttribute]"]  # by variant

NUM_SHEET_ROWS = 16


def work(job: Job) -> None:
    """Score the images of data/translations/<domain>, and read which attributes they kept."""
    settings = find_entry(sections_of(job.params).truth, job.name, "truth")
    write_truth(job, load(job, settings), settings, job.project.truth_table(job.name))


def write_truth(job: Job, cases: "Cases", settings: Truth, path: Path) -> None:
    """Compare images with the truth; write a table to `path`, that of attributes, a summary and a sheet beside it."""
    from experiments.paper.truth import score_translations
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import write_text
    from ui2i.images import save_png
    from ui2i.perceptual import load_perceptual
    from ui2i.tables import KEPT_SCHEMA, TRUTH_SCHEMA, write_table

    perceptual = load_perceptual(job.params.perceptual, default_device())
    scores = score_translations(
        cases.inputs,
        cases.outputs,
        cases.counterparts,
        PreparedDataset(job.project.prepared(job.name), "test").images(slice(None)),
        perceptual,
        num_draws=settings.num_draws,
        seed=settings.seed,
        progress=part_of(job.progress, 0, 3, ""),
    )
    style = synthetic_of(job.params)[job.name].style
    regressors = _regressors(job, settings, (style, cases.synthetic[0].style), resolution=cases.inputs.shape[1])
    kept = _kept(cases, settings, *regressors)
    kept_rows = [row for variant in kept for row in _kept_rows(job, cases, variant, kept[variant], regressors)]
    write_table(path, _score_rows(job, cases, style, scores, perceptual), TRUTH_SCHEMA)
    write_table(path.with_suffix(".attributes.parquet"), kept_rows, KEPT_SCHEMA)
    save_png(path.with_suffix(".png"), _sheet(cases, style))
    summary = _summary(cases, scores, kept, perceptual) | {"unreadable": regressors[0].unreadable(settings.min_skill)}
    write_text(path.with_suffix(".json"), json.dumps(summary, indent=2) + "\n")


def load(job: Job, settings: Truth) -> "Cases":
    """Return the translated images with their truth."""
    from experiments.paper.truth import check_unpaired, load_cases, read_drawn
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.errors import ConfigError

    drawn, target = (read_drawn(job.project.raw(name)) for name in (settings.base, job.name))
    style = next(iter(target.values())).style
    dataset = PreparedDataset(job.project.prepared(settings.base), split=None)
    cases = load_cases(job.project.translations(job.name), dataset, drawn, style)
    check_unpaired(cases.synthetic, target)
    if settings.regressor.seed in {image.seed for image in cases.synthetic}:
        raise ConfigError(
            f"truth.{job.name}.regressor.seed is {settings.regressor.seed}, that of the images it would evaluate, "
            "expected another; change it"
        )
    return cases


def _regressors(
    job: Job, settings: Truth, styles: Sequence[str], *, resolution: int
) -> "tuple[AttributeRegressor, ...]":
    """Return what reads images of each style, trained if it is not there yet."""
    from experiments.paper.truth import cached_regressor

    return tuple(
        cached_regressor(
            job.project.regressors,
            style,
            settings.regressor,
            resolution=resolution,
            device=default_device(),
            progress=part_of(job.progress, 1 + place, 1 + len(styles), ""),
        )
        for place, style in enumerate(styles)
    )


def _kept(cases: "Cases", settings: Truth, target: "AttributeRegressor", source: "AttributeRegressor") -> Kept:
    """Return what reconstructions kept, read as images of the source, and translations, as those of the target."""
    from experiments.paper.truth import RECONSTRUCTION, kept_attributes

    options: dict[str, Any] = {"min_skill": settings.min_skill, "seed": settings.seed}
    kept = {RECONSTRUCTION: kept_attributes(source, cases.reconstructions, cases.inputs, cases.people, **options)}
    for variant, images in cases.outputs.items():
        kept[variant] = kept_attributes(target, images, cases.counterparts, cases.people, **options)
    return kept


def _score_rows(
    job: Job, cases: "Cases", style: str, scores: "list[ImageScore]", perceptual: "Perceptual"
) -> list[dict[str, Any]]:
    from ui2i.provenance import code_commit

    shared = {
        "domain": job.name,
        "style": style,
        "seed": sections_of(job.params).truth[job.name].seed,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "commit": code_commit(),
    }
    rows = []
    for score in scores:
        values = dataclasses.asdict(score)
        place = values.pop("image")
        drawn = cases.synthetic[place]
        values |= {"score": score.score, "copy_score": score.copy_score}
        values |= {"index": cases.indices[place], "input_path": cases.input_paths[place]}
        values |= {"synthetic_seed": drawn.seed, "synthetic_index": drawn.index}
        rows.append(values | shared | {"checkpoint_hash": cases.checkpoint_hashes[score.variant]})
    return rows


def _kept_rows(
    job: Job,
    cases: "Cases",
    variant: str,
    kept: "list[KeptAttribute]",
    regressors: "tuple[AttributeRegressor, ...]",
) -> list[dict[str, Any]]:
    from experiments.paper.truth import RECONSTRUCTION, settings_hash
    from ui2i.provenance import code_commit

    regressor = regressors[variant == RECONSTRUCTION]
    shared = {
        "domain": job.name,
        "variant": variant,
        "checkpoint_hash": cases.checkpoint_hashes[variant],
        "style": regressor.style,
        "regressor": settings_hash(regressor.style, regressor.config, cases.inputs.shape[1]),
        "commit": code_commit(),
    }
    return [dataclasses.asdict(attribute) | shared for attribute in kept]


def _summary(cases: "Cases", scores: "list[ImageScore]", kept: Kept, perceptual: "Perceptual") -> dict[str, Any]:
    """Return the mean scores of a copy and of each variant, by metric, and what each variant kept."""
    from experiments.paper.truth import METRICS

    def means(variant: str, value: "Callable[[ImageScore], float]") -> dict[str, dict[str, float]]:
        return {metric: _mean([value(score) for score in _of(scores, variant, metric)]) for metric in METRICS}

    return {
        "backbone": perceptual.name,
        "num_images": len(cases.people),
        "copy": means(next(iter(cases.outputs)), lambda score: score.copy_score),
        "variants": {variant: means(variant, lambda score: score.score) for variant in cases.outputs},
        "gain_over_copy": {variant: means(variant, lambda s: s.score - s.copy_score) for variant in cases.outputs},
        "kept": {variant: {it.attribute: it.kept for it in attributes} for variant, attributes in kept.items()},
    }


def _of(scores: "list[ImageScore]", variant: str, metric: str) -> "list[ImageScore]":
    return [score for score in scores if (score.variant, score.metric) == (variant, metric)]


def _mean(values: Sequence[float]) -> dict[str, float]:
    from experiments.paper.truth import summarize

    summary = dataclasses.asdict(summarize(values))
    del summary["num_images"]
    return summary


def _sheet(cases: "Cases", style: str) -> "np.ndarray":
    """Return inputs, their translations and the truth, one image a row."""
    import numpy as np

    from ui2i.contact_sheet import Row, contact_sheet

    columns = [cases.inputs, cases.reconstructions, *cases.outputs.values(), cases.counterparts]
    rows = [
        Row(path, np.stack([images[place] for images in columns]))
        for place, path in enumerate(cases.input_paths[:NUM_SHEET_ROWS])
    ]
    labels = ["input", "reconstruction", *cases.outputs, "truth"]
    return contact_sheet(rows, labels, upscale=max(1, 128 // cases.inputs.shape[1]), title=f"to {style}, and the truth")


READ = 1200.0  # images a second, by an attribute regressor in training; measured as `tasks.running.rates`


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    truth = sections_of(params).truth[name]
    num_variants = 1 + len(params.swap.resolutions)
    regressors = truth.regressor.num_drawings * (1 / DRAWN + truth.regressor.num_epochs / READ)
    return 1.5 * regressors + params.translate.num_images * (num_variants + truth.num_draws) / EVALUATED


STAGE = Stage(
    name="truth",
    summary="Compare the translations to the synthetic domain NAME with the same people drawn in its style, and report "
    "which attributes are kept.",
    option="domain",
    output=Project.truth_table,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
