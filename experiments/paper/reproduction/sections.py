"""The sections of a reproduction's page, in Markdown: our values beside the paper's, and what holds."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paper.reproduction.project import experiment_of
from experiments.paper.reproduction.results import Results
from experiments.paper.settings import sections_of
from experiments.paper.tables.claims import INTERVAL_SEMS

if TYPE_CHECKING:
    import pandas as pd

NOT_YET = "Not measured yet.\n"

_CAPTIONS = {
    "4": "test images in every domain of their family, there also with sampled appearances.",
    "5": "translations with the appearance of reference images of the target domain.",
    "6": "one latent moved along directions of the base, in the base and in every model made from it.",
    "7": "the same latents in FT, FC-FT and FC-FT-LS.",
    "8": "layers swapped without fine-tuning (Direct-LS) and after it, through 8, 16 and 32 px.",
}


def head(results: Results) -> str:
    """Return the title, and a summary of the settings."""
    params = results.params
    quick = experiment_of(results.project).endswith("-quick")
    backbone = (
        "an untrained perceptual network (`random`), whose distances are comparable only with one another"
        if params.perceptual.backbone == "random"
        else f"the perceptual backbone `{Path(params.perceptual.weights or params.perceptual.backbone).stem}`"
    )
    return (
        f"# The paper, reproduced on synthetic domains{' (quick)' if quick else ''}\n\n"
        f"Made by `ui2i reproduce{' --quick' if quick else ''}`, {datetime.now(UTC):%Y-%m-%d}: Tables I to III and "
        "Figures 4 to 8 of Huang, Liao and Kwong (arXiv 2010.05713), with synthetic images "
        f"({params.ingest.img_resolution} px), {len(params.imported)} bases trained on other synthetic images, "
        f"fine-tuning on {params.finetune.total_kimg * 1000:,.0f} images per model, and {backbone}. Because the images "
        "are synthetic, each has a true counterpart in every other style, which the paper's images do not have.\n"
    )


def table_1(results: Results) -> str:
    """Return model distances next to the paper's."""
    from experiments.paper.tables import TABLE_1, TABLE_1_COLUMNS
    from experiments.paper.tables.paper_claims import PAPER_COLUMNS
    from ui2i.markdown import markdown_table

    if not results.distances:
        return NOT_YET
    columns = [name for name in PAPER_COLUMNS if any(cell.column == name for cell in results.distances)]
    by_place = {(cell.row, cell.column): cell for cell in results.distances}
    rows = []
    for row, values in TABLE_1.items():
        cells = [by_place.get((row, column)) for column in columns]
        own = ["" if cell is None else _with_interval(cell.value, cell.sem) for cell in cells]
        paper = [f"({values[TABLE_1_COLUMNS.index(PAPER_COLUMNS[column])]:.3f})" for column in columns]
        rows.append([row, *(f"{ours} {theirs}".strip() for ours, theirs in zip(own, paper, strict=True))])
    return (
        f"{markdown_table(('', *columns), rows)}\n"
        f"Mean distance over {results.distances[0].count:,} shared latents, ± half of the 95 % interval; in "
        "parentheses the paper's value, for other models, images and backbone: compare orders, not sizes. Its LS1, "
        "LS3 and LS5 are LS8, LS16 and LS32 (pixels) here. `w/o FT` are models trained from random weights on as many "
        "images as the others were fine-tuned on, so their distances show only that an unfinished model is far away. "
        "cartoon2portrait compares the two domains' models of the same modes. Next to it is the paper's "
        "cartoon2metface, whose models were fine-tuned one from the other (for two models fine-tuned from the face "
        "model, the paper has 0.434).\n"
    )


def table_2(results: Results) -> str:
    """Return the evaluation of translations, and their distances to the ground truth."""
    from experiments.paper.tables.translation import frechet_name
    from ui2i.markdown import markdown_table

    if results.evaluations is None:
        return NOT_YET
    parts = []
    in_order = results.evaluations.sort_values("inputs", key=lambda inputs: inputs != "images", kind="stable")
    for domain, frame in in_order.groupby("domain", sort=False):
        rows = [_system_row(results, str(domain), row) for _, row in frame.iterrows()]
        first = frame.iloc[0]
        metrics = (f"{frechet_name(first)} ↓", "FID ↓", "LPIPS_d ↑", "LPIPS_s ↓", "distance to the truth ↓", "score ↑")
        table = markdown_table(("system", "inputs", *metrics), rows)
        parts.append(f"**{first['source_domain']}2{domain}**\n\n{table}")
    parts.append(_paper_table_2())
    of_images = results.evaluations[results.evaluations["inputs"] == "images"]
    counts = " or ".join(f"{count:,}" for count in dict.fromkeys(of_images["num_outputs"])) or "no"
    inversion = results.params.inversion
    parts.append(
        f"`images`: {counts} test images, inverted by {inversion.method} ({inversion.num_steps} steps) and "
        "translated; `generated`: images that the models generate from the same latents, without inversion. "
        "LPIPS_d, LPIPS_s and distances are on the perceptual backbone, with 95 % intervals; fd is a Frechet distance "
        "on the features of the network it names, not an FID; it is biased upwards for few outputs, and has an "
        "interval only on efficientnet-lite0. The truth is the same person drawn in the target's style, which no "
        f"training saw; its score is 1, that of a random image of the domain 0. {_training_times(results)}\n"
    )
    return "\n".join(parts)


def _training_times(results: Results) -> str:
    """Return how long the baselines and our models were trained."""
    from experiments.paper.stages.baseline import training_minutes

    times = []
    for name, baseline in sections_of(results.params).baselines.items():
        domain = results.params.domains[name]
        ours = training_minutes(results.project, name, domain.modes[0])
        times.append(f"{baseline.minutes or ours:.1f} minutes ({domain.base}2{name}; {domain.modes[0]}: {ours:.1f})")
    return (
        f"CycleGAN was trained on the same images for {' and '.join(times)}. The hours spent on training the base are "
        "not included; one base serves all domains."
    )


def translations(link: str) -> str:
    """Return a sheet of translations to a domain, whose name is the last part of the file's."""
    domain = Path(link).stem.removeprefix("translations-")
    return (
        f"The first test images (not cherry-picked), translated to {domain}:\n\n![translations to {domain}]({link})\n"
    )


def table_3(inversions: "Mapping[str, pd.DataFrame]") -> str:
    """Return how well each inversion method reconstructs images.

    Args:
        inversions: rows of `INVERTED_SCHEMA` by base.
    """
    from experiments.paper.tables import TABLE_3, inversion_label
    from ui2i.markdown import markdown_table

    if not inversions:
        return NOT_YET
    header = (
        "method",
        "steps",
        "SSIM, real ↑",
        "distance, real ↓",
        "SSIM, generated ↑",
        "seconds per image",
        "paper: SSIM",
    )
    parts = []
    for base, frame in inversions.items():
        rows = []
        for (method, start), own in frame.groupby(["method", "start"], sort=False):
            paper = f"{TABLE_3[method]:.3f}" if start == "mean" and method in TABLE_3 else ""
            label = inversion_label(str(method), str(start))
            rows.append((label, str(own["steps"].max()), *_inversion_values(own), paper))
        counts = frame.groupby("kind", sort=False)["image"].nunique()
        said = " and ".join(f"{count} {kind}" for kind, count in counts.items())
        parts.append(f"**{base}**\n\n{markdown_table(header, rows)}")
        parts.append(
            f"{said} images, the same for all methods; the real ones are held-out images of the base's dataset. Each "
            f"method has its own learning rate; 95 % intervals. The distance is LPIPS by {frame['backbone'].iloc[0]}. "
            "Seconds are by the clock, with whatever else ran. The paper uses 1000 steps. The rows were measured by "
            f"commit {_codes(frame['commit'].unique())}.\n"
        )
    return "\n".join(parts)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def figures(links: Sequence[str]) -> str:
    """Return the figures with their captions; their measurements are among the claims.

    Args:
        links: files of the figures, as the page links to them.
    """
    lines = []
    for link in links:
        number = Path(link).stem.removeprefix("figure")
        lines += [f"**Figure {number}**: {_CAPTIONS.get(number, '')}", "", f"![Figure {number}]({link})", ""]
    return "\n".join(lines) if lines else NOT_YET


def costs(results: Results) -> str:
    """Return what each stage cost."""
    from ui2i.markdown import markdown_table

    if not results.costs:
        return NOT_YET
    rows = [
        (
            stage,
            f"{cost.seconds / 60:.1f}",
            f"{cost.processor_seconds / 60:.1f}",
            f"{cost.peak_gib:.2f}",
            "" if cost.gpu_gib is None else f"{cost.gpu_gib:.2f}",
            cost.device,
            f"`{cost.commit}`",
            str(cost.num_runs),
        )
        for stage, cost in results.costs.items()
    ]
    found = list(results.costs.values())
    totals = (
        f"{sum(cost.seconds for cost in found) / 60:.1f}",
        f"{sum(cost.processor_seconds for cost in found) / 60:.1f}",
        f"{max(cost.peak_gib for cost in found):.2f}",
    )
    header = ("stage", "minutes", "processor minutes", "peak GiB", "GPU GiB", "device", "commit", "runs")
    return (
        f"{markdown_table(header, [*rows, ('all', *totals, '', '', '', '')])}\n"
        "Measured by the stages themselves: wall-clock time, processor time of all cores, and resident memory of the "
        "largest process. DVC's own time between stages is not included, and energy was not measured. If `runs` is "
        "above 1, the stage was interrupted and resumed.\n"
    )


def _system_row(results: Results, domain: str, row: "pd.Series") -> tuple[str, ...]:
    from experiments.paper.tables.model_distance import ROW_LABELS
    from experiments.paper.tables.translation import is_own

    system = str(row["system"])
    return (
        f"Ours ({ROW_LABELS.get(system, system)})" if is_own(system) else system,
        row["inputs"],
        f"{row['fd']:.2f}" + (f" ± {INTERVAL_SEMS * row['fd_sem']:.2f}" if row["fd_sem"] >= 0 else ""),  # or NaN
        f"{row['fid']:.2f}" if row["fid"] == row["fid"] else "",  # NaN: not measured
        _with_interval(row["lpips_d"], row["lpips_d_sem"]),
        _with_interval(row["lpips_s"], row["lpips_s_sem"]),
        *(_truth_values(results, domain, system) if row["inputs"] == "images" else ("", "")),
    )


def _truth_values(results: Results, domain: str, system: str) -> tuple[str, str]:
    """Return the mean distance to the truth and score of a system, in LPIPS; empty if they are not known."""
    for tables in (results.truth, results.baseline_truth):
        if domain in tables:
            frame = tables[domain]
            own = frame[(frame["variant"] == system) & (frame["metric"] == "lpips")]
            if len(own) > 1:
                return _mean(own["distance"]), _mean(own["score"])
    return "", ""


def _paper_table_2() -> str:
    from experiments.paper.tables import TABLE_2, TABLE_2_METRICS
    from ui2i.markdown import markdown_table

    columns = ("face2portrait", "face2anime")
    rows = [
        (name, *(f"{value:.3f}" for column in columns for value in values[column])) for name, values in TABLE_2.items()
    ]
    header = ("the paper's", *(f"{column} {metric}" for column in columns for metric in TABLE_2_METRICS))
    return markdown_table(header, rows)


def _inversion_values(frame: "pd.DataFrame") -> Iterable[str]:
    for kind, metric in (("real", "ssim"), ("real", "lpips"), ("generated", "ssim")):
        yield _mean(frame[frame["kind"] == kind][metric])
    yield f"{frame['seconds_per_image'].mean():.2f}"


def _mean(values: "pd.Series") -> str:
    """Return a mean with half of its 95 % interval (Student's t); empty of fewer than two."""
    from ui2i.metrics.moments import estimate

    if len(values) < 2:
        return ""
    found = estimate(values.to_numpy(dtype=float))
    return f"{found.mean:.4f} ± {(found.ci95_high - found.ci95_low) / 2:.4f}"


def _with_interval(value: float, sem: float | None) -> str:
    if value != value:  # NaN: not measured
        return ""
    return f"{value:.4f}" if sem is None else f"{value:.4f} ± {INTERVAL_SEMS * sem:.4f}"
