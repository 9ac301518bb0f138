"""All measurements of a project -> one HTML page."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.experiment import installed_experiments
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.requests.browsing import translated_variants
from tasks.requests.shown_pages import shown_at, translations_link
from ui2i.errors import DataError
from ui2i.translation_files import SHEET_NAME

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from ui2i.report import Link, Section

MAX_CARD_BYTES = 60_000  # of each image of a gallery

_Read = Callable[..., "pd.DataFrame"]  # `ui2i.tables.read_table`
_DISTANCE_HEADER = ("domain", "model", "from", "distance", "95 % interval", "backbone", "measured (UTC)")
_HISTORY = ["run_id", "measured_at", "source", "target", "mean", "sem"]


def write_report(project: Project, path: Path) -> None:
    """Write the page, atomically; see `render_report`.

    Raises:
        ConfigError: `path` is no place for a page, or has a file that is no earlier report.
    """
    from ui2i.files import check_replaceable, write_text
    from ui2i.report import is_report

    check_replaceable(path, ".html", is_report)
    write_text(path, render_report(project, shown_at(project)))


def render_report(project: Project, pages: str | None) -> str:
    """Return the page.

    Args:
        pages: address of the pages of `ui2i serve`, to which numbers link, empty: this is one of them; None: no links.

    Raises:
        DataError: nothing was measured yet, or a table is damaged.
    """
    from ui2i.provenance import code_commit
    from ui2i.report import render

    params = load_params(project)
    sections = [section for section in _sections(project, params, pages) if section.parts]
    if not sections:
        raise DataError("nothing was measured yet, expected at least one table below data/tables; run `ui2i demo`")
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {code_commit()}"
    return render(project.root.name, f"Made {made}.", sections)


def _sections(project: Project, params: Params, pages: str | None) -> "Iterator[Section]":
    from ui2i.report import Section
    from ui2i.tables import read_table

    read = functools.cache(read_table)
    yield Section("Domains", tuple(_overview(project, params, read, pages)))
    for domain in params.domains:
        yield Section(f"Domain {domain}", tuple(_domain_parts(project, params, domain, read)))
    for experiment in installed_experiments():
        if experiment.report_sections is not None:
            yield from (Section(title, tuple(parts)) for title, parts in experiment.report_sections(project, params))
    yield Section("Provenance", tuple(_provenance(project, params, read)))


def _overview(project: Project, params: Params, read: _Read, pages: str | None) -> "Iterator[Markup]":
    """Yield what most people open the page for: each domain's images, and the newest distances from its base."""
    from ui2i.report import image, table
    from ui2i.tables import DISTANCE_SCHEMA

    rows: list[tuple[str | Link, ...]] = []
    for domain in params.domains:
        sheet = project.translations(domain) / SHEET_NAME
        if sheet.is_file():
            yield image(sheet, f"{domain}: images, their reconstructions and translations; click to enlarge")
        if project.distance_table(domain).is_file():
            frame = read(project.distance_table(domain), DISTANCE_SCHEMA)
            link = functools.partial(_linked, pages=pages, domain=domain, variants=translated_variants(project, domain))
            rows += [_distance_line(row, link) for row in _last_from_base(frame).to_dict("records")]
    if rows:
        yield table("Newest distances", _DISTANCE_HEADER, rows)


def _last_from_base(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows of the last run whose source is the base, the nearest model first."""
    last = frame[frame["run_id"] == frame["run_id"].iloc[-1]]
    return last[last["source"] == last["source_domain"].iloc[0]].sort_values("mean")


def _distance_line(row: Mapping[Any, Any], link: "Callable[[str, str], str | Link]") -> "tuple[str | Link, ...]":
    interval = f"{row['ci95_low']:z.4f} to {row['ci95_high']:z.4f}"
    measured = f"{row['measured_at']:%Y-%m-%d %H:%M}"
    distance = link(f"{row['mean']:.4f}", row["target"].partition("/")[2])
    return row["domain"], row["target"], row["source"], distance, interval, row["backbone"], measured


def _linked(text: str, variant: str, *, pages: str | None, domain: str, variants: Collection[str]) -> "str | Link":
    """Return a number with a link to the images behind it, where there are any to look at."""
    from ui2i.report import Link

    return text if pages is None or variant not in variants else Link(text, translations_link(pages, domain, variant))


def _domain_parts(project: Project, params: Params, domain: str, read: _Read) -> "Iterator[Markup]":
    from ui2i.report import curves, heat_map, image, paragraph
    from ui2i.tables import DISTANCE_SCHEMA

    if project.shared_samples(domain).is_file():
        yield image(project.shared_samples(domain), "The same latents in every model; click to enlarge")
    if project.distance_table(domain).is_file():
        frame = read(project.distance_table(domain), DISTANCE_SCHEMA)
        last = frame[frame["run_id"] == frame["run_id"].iloc[-1]]
        first = last.iloc[0]
        base = first["source_domain"]
        yield curves(f"Distance from {base}, all runs", *_history(frame, base), value="mean distance")
        names = list(dict.fromkeys([*last["source"], *last["target"]]))
        values = {(row["source"], row["target"]): float(row["mean"]) for _, row in last.iterrows()}
        yield heat_map("Model distance, every pair", names, values)
        yield paragraph(
            f"Perceptual backbone {first['backbone']}, {first['num_latents']:,} latents, psi "
            f"{first['truncation_psi']:g}."
        )
    choice = project.swap_choice(domain)
    if choice.is_file():
        yield image(choice.with_suffix(".png"), "Choosing the swap: fidelity against similarity to the input")
        yield paragraph(choice.with_suffix(".md").read_text(encoding="utf-8").strip().splitlines()[-1])
    if project.truth_sheet(domain).is_file():
        yield image(project.truth_sheet(domain), "Translations beside the truth; click to enlarge")
    yield from _worst_first(project, params, domain)


def _worst_first(project: Project, params: Params, domain: str) -> "Iterator[Markup]":
    from tasks.requests.worst_translations import worst_translations
    from ui2i.data_uris import image_uri
    from ui2i.report import gallery

    worst, count = worst_translations(project, params, domain)
    if not worst:
        return
    cards = []
    for shown in worst:
        images: list[tuple[str, Path | bytes]] = [] if shown.png is None else [("input", shown.png)]
        images += shown.outputs
        cards.append((shown.caption, [(name, image_uri(it, max_bytes=MAX_CARD_BYTES)) for name, it in images]))
    by = "reconstruction (SSIM)" if worst[0].score is None else "score against the truth"
    yield gallery(f"Translations, the worst {by} first: {len(worst)} of {count:,}", cards)


def _history(frame: "pd.DataFrame", base: str) -> tuple[list[str], dict[str, list[tuple[int, float, float]]]]:
    """Return when each run was, and for each target its place, mean and standard error in every run."""
    frame = frame[_HISTORY]  # of the twenty and more columns each step would copy all
    runs = frame.drop_duplicates("run_id")
    places = {run: place for place, run in enumerate(runs["run_id"])}
    lines: dict[str, list[tuple[int, float, float]]] = {}
    for _, row in frame[frame["source"] == base].iterrows():
        lines.setdefault(row["target"], []).append((places[row["run_id"]], float(row["mean"]), float(row["sem"])))
    return [f"{when:%m-%d %H:%M}" for when in runs["measured_at"]], lines


def _provenance(project: Project, params: Params, read: _Read) -> "Iterator[Markup]":
    from ui2i.report import table
    from ui2i.tables import DISTANCE_SCHEMA, EVALUATION_SCHEMA

    runs, models = [], []
    for domain in params.domains:
        if project.distance_table(domain).is_file():
            frame = read(project.distance_table(domain), DISTANCE_SCHEMA)
            runs += [_run_line("distance", domain, row) for _, row in frame.drop_duplicates("run_id").iterrows()]
            last = frame[frame["run_id"] == frame["run_id"].iloc[-1]].drop_duplicates("target", keep="first")
            models += [
                (row["target"], row["target_hash"][:12], _text(row["dataset_hash"])[:12], row["source_hash"][:12])
                for _, row in last.iterrows()
            ]
        if project.evaluation_table(domain).is_file():
            frame = read(project.evaluation_table(domain), EVALUATION_SCHEMA)
            runs += [_run_line("evaluation", domain, row) for _, row in frame.drop_duplicates("run_id").iterrows()]
    if runs:
        header = (
            "table",
            "domain",
            "run",
            "measured (UTC)",
            "commit",
            "backbone",
            "backbone hash",
            "seed",
            "device",
            "s",
        )
        yield table("Runs", header, runs)
    if models:
        yield table("Models, as measured last", ("model", "checkpoint", "its images", "first compared with"), models)


def _text(value: Any) -> str:
    """Return a cell of a column of texts; where no row has one, pandas reads NaN."""
    return value if isinstance(value, str) else ""


def _run_line(kind: str, domain: str, row: "pd.Series") -> tuple[str, ...]:
    return (
        kind,
        domain,
        row["run_id"][:8],
        f"{row['measured_at']:%Y-%m-%d %H:%M}",
        row["commit"],
        row["backbone"],
        row["backbone_hash"][:12],
        str(row["seed"]),
        row["device"],
        f"{row['seconds']:.1f}",
    )
