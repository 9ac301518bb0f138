"""The paper's claims about its Tables I to III, and what the ground truth adds to them, from measured tables."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, of_images, of_runs, of_values
from experiments.paper.tables.layout import Cell
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.protocols import DATA, check_protocol, check_searches
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS, TABLE_2, TABLE_2_METRICS, TABLE_3, TABLE_3_NAMES

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "CycleGAN"
FIRST, SWAPPED = "FC-FT", "FC-FT-LS16"
"""What translates, and the swap that stands for the paper's FC-FT-LS (its LS3 for anime)."""

CLOSED_FORMS = ("closed_form_mapping", "closed_form")
"""The readings of Eq. 9: V of the mapping network's layers, and of those that SeFa takes."""

PAIR_COLUMNS = {"cartoon2portrait": "cartoon2metface"}
PAPER_COLUMNS = {
    "face2anime": "face2anime",
    "face2cartoon": "face2cartoon",
    "face2portrait": "face2portrait",
    **PAIR_COLUMNS,
    "cat2dog": "cat2dog",
    "cat2wild": "cat2wild",
}
"""Our columns of Table I, in the paper's order, and what the paper calls them."""


SMALL_RISE = 0.1
"""Largest share by which a Frechet distance may rise "a little": twice the largest of the paper's, 1.5 and 5 %."""


def table_1_claims(
    runs: Sequence[Sequence[Cell]], *, missing_control: str = "", unfinished_apart: str = ""
) -> list[Claim]:
    """Return the paper's claims about Table I.

    Args:
        runs: measured cells of each training of the models; any columns.
        missing_control: why the models from random weights say nothing about the method; empty: they do.
        unfinished_apart: the same of models fine-tuned from another base, which take their place where there are any.
    """
    tables = [{(cell.row, cell.column): (cell.value, cell.sem or 0.0) for cell in cells} for cells in runs]
    columns = list(dict.fromkeys(cell.column for cells in runs for cell in cells if cell.column in PAPER_COLUMNS))
    rows = list(TABLE_1)
    is_apart = any(row == APART for table in tables for row, _ in table)

    def step(text: str, pairs: Sequence[tuple[str, str]], missing: str = "") -> Claim:
        cases = [
            case
            for far, near in pairs
            for column in columns
            for case in _between(tables, column, (far, column), (near, column), near if len(pairs) > 1 else "")
        ]
        return Claim(
            source="Table I", text=text, paper=_paper_steps(pairs), cases=tuple(cases), missing_control=missing
        )

    anime, portrait = "face2anime", "face2portrait"
    return [
        step(
            "Fine-tuned models (FT) are nearer to each other than independently trained ones",
            [(APART if is_apart else "w/o FT", "FT")],
            unfinished_apart if is_apart else missing_control,
        ),
        step("A frozen mapping network (FC-FT) brings them nearer than FT", [("FT", "FC-FT")]),
        step("Each further swap of coarse layers (LS) brings them nearer", list(itertools.pairwise(rows[2:]))),
        Claim(
            source="Table I",
            text="Anime is farther from faces than portraits are",
            paper="0.650 against 0.636 (FT), 0.639 against 0.612 (FC-FT)",
            cases=tuple(
                case
                for row in ("FT", FIRST)
                for case in _between(tables, f"{anime} and portrait", (row, anime), (row, portrait), row)
            ),
        ),
        Claim(
            source="Section IV-E",
            text="Cartoon and portrait, both made from the face model, are nearer to each other than if trained apart",
            paper="0.434 against 0.692",
            cases=tuple(
                case
                for row in ("FT", FIRST)
                for column in PAIR_COLUMNS
                for case in _between(tables, column, ("w/o FT", column), (row, column), row)
            ),
            missing_control=missing_control,
        ),
    ]


def table_2_claims(frame: "pd.DataFrame", *, missing_control: str = "") -> list[Claim]:
    """Return the paper's claims about Table II.

    Args:
        frame: rows of `EVALUATION_SCHEMA` for images that were translated, the last of each system and domain; the rows
            of the system `the data itself` are of the domain's own images.
        missing_control: why the baseline says nothing about the method; empty: it does.
    """
    fidelity = "fid" if frame["fid"].notna().all() else "fd"
    label = "FID" if fidelity == "fid" else "Frechet distance"

    def claim(text: str, metric: str, larger: str, smaller: str, cases: Iterable[Case] | None = None) -> Claim:
        return Claim(
            source="Table II",
            text=text,
            paper=_paper_systems(metric, larger, smaller),
            cases=tuple(_systems(frame, metric, larger, smaller) if cases is None else cases),
            missing_control=missing_control if BASELINE in (larger, smaller) else "",
        )

    return [
        claim(f"FC-FT is nearer to the target's images than CycleGAN ({label})", fidelity, BASELINE, FIRST),
        claim(
            "FC-FT's outputs are more diverse than CycleGAN's (LPIPS_d, nearer to that of the target's own images)",
            "lpips_d",
            FIRST,
            BASELINE,
            _diversities(frame),
        ),
        claim("FC-FT's outputs are more like their inputs than CycleGAN's (LPIPS_s)", "lpips_s", BASELINE, FIRST),
        claim(f"Swapped layers ({SWAPPED}) make outputs more like their inputs (LPIPS_s)", "lpips_s", FIRST, SWAPPED),
        claim(
            f"and only a little less like the target's images ({label} rises by less than {SMALL_RISE:.0%})",
            fidelity,
            SWAPPED,
            FIRST,
            _small_rises(frame, fidelity),
        ),
    ]


def truth_claims(frames: "Mapping[str, pd.DataFrame]", baselines: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the ground truth's verdict on the paper's central claim. The paper could not measure it.

    Args:
        frames: rows of `TRUTH_SCHEMA` of each domain's own translations.
        baselines: the same of its baseline's, as far as there is one.
    """

    def claim(text: str, cases: Iterable[Case], missing: str = "") -> Claim:
        return Claim(
            source="Ground truth",
            text=text,
            paper="no such measurement",
            cases=tuple(cases),
            missing_control=missing,
            is_of_the_paper=False,
        )

    both = {name: (frame, baselines[name]) for name, frame in frames.items() if name in baselines}
    own = {name: _distances(frame, FIRST) for name, frame in frames.items()}
    return [
        claim(
            "FC-FT's translations are nearer to the true counterparts than CycleGAN's",
            (
                case
                for name, (_, other) in both.items()
                for case in _nearer(name, _distances(other, BASELINE), own[name])
            ),
            unfinished_baseline(frames, baselines),
        ),
        claim(
            "FC-FT's translations are nearer to the true counterparts than the inputs themselves are",
            (
                case
                for name, frame in frames.items()
                for case in _nearer(name, _distances(frame, FIRST, "copy_distance"), own[name])
            ),
        ),
        claim(
            f"Swapped layers ({SWAPPED}) bring translations nearer to the true counterparts",
            (case for name, frame in frames.items() for case in _nearer(name, own[name], _distances(frame, SWAPPED))),
        ),
    ]


def unfinished_baseline(frames: "Mapping[str, pd.DataFrame]", baselines: "Mapping[str, pd.DataFrame]") -> str:
    """Return why the baseline is no control: its outputs are farther from the truth than its inputs; empty if not.

    Args:
        frames, baselines: as `truth_claims` takes them.
    """
    worse = []
    for name, frame in baselines.items():
        if name in frames:
            outputs = _distances(frame, BASELINE).get("lpips")
            inputs = _distances(frame, BASELINE, "copy_distance").get("lpips")
            if outputs is not None and inputs is not None and outputs.mean() > inputs.mean():
                worse.append(f"{name} {outputs.mean():.3f} against {inputs.mean():.3f}")
    return unfinished_words(worse)


def unfinished_apart(curves: "Sequence[pd.DataFrame]") -> str:
    """Return why models of another base are no control: they are farther from the domain than FT; empty: none is.

    Args:
        curves: of each folder of trainings, columns `domain`, `seed`, `mode`, `kimg`, `fd`.
    """
    worse = []
    for frame in curves:
        for (domain, _), rows in frame.groupby(["domain", "seed"], sort=False):
            last = rows.sort_values("kimg").groupby("mode")["fd"].last()
            if {APART, "FT"} <= set(last.index) and last[APART] > (1 + SMALL_RISE) * last["FT"]:
                worse.append(f"{domain} {last[APART]:.1f} against {last['FT']:.1f}")
    if not worse:
        return ""
    return (
        "Models of another base are not as good as FT: they are farther from the domain (Frechet distance: "
        f"{', '.join(worse)})"
    )


def unfinished_words(worse: Sequence[str]) -> str:
    """Return the reason in words, of the domains with both distances."""
    if not worse:
        return ""
    return f"CycleGAN is not finished: its outputs are farther from the truth than its inputs ({', '.join(worse)})"


def table_3_claims(frames: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the paper's claims about Table III: its own method reconstructs images best (SSIM, real images).

    Both readings of Eq. 9 are judged, an aspect each.

    Args:
        frames: rows of `INVERTED_SCHEMA` by base.
    """
    return [
        Claim(
            source="Table III",
            text=f"The closed form reconstructs images better than {TABLE_3_NAMES[other]} ({other})",
            paper=f"{TABLE_3['closed_form']:.3f} against {TABLE_3[other]:.3f}",
            cases=tuple(
                case
                for own in CLOSED_FORMS
                for base, frame in frames.items()
                for case in _reconstructions(base, frame, own, other)
            ),
        )
        for other in ("w", "in_domain", "w_plus", "encoder")
    ]


def _reconstructions(base: str, frame: "pd.DataFrame", own: str, other: str) -> Iterator[Case]:
    """Yield how much better real images are reconstructed by one method than by another."""
    found = frame[(frame["kind"] == "real") & (frame["start"] == "mean") & frame["method"].isin((own, other))]
    check_searches(base, found)
    ours, theirs = (found[found["method"] == name].set_index("image")["ssim"] for name in (own, other))
    if len(ours) > 1 and len(theirs) > 1:
        yield of_images(base, list((ours - theirs).astype(float)), aspect=own)


def _paper_steps(pairs: Sequence[tuple[str, str]]) -> str:
    rows = [(TABLE_1["w/o FT" if far == APART else far], TABLE_1[near]) for far, near in pairs]
    differences = [one - other for far, near in rows for one, other in zip(far, near, strict=True)]
    return f"{min(differences):+.3f} to {max(differences):+.3f} in {len(TABLE_1_COLUMNS)} columns"


def _between(
    tables: Sequence[Mapping[tuple[str, str], tuple[float, float]]],
    column: str,
    far: tuple[str, str],
    near: tuple[str, str],
    aspect: str,
) -> Iterator[Case]:
    """Yield how much farther one cell is than another in all trainings that have both."""
    having = [table for table in tables if far in table and near in table]
    if having:
        yield of_runs(column, [table[far] for table in having], [table[near] for table in having], aspect=aspect)


def _systems(frame: "pd.DataFrame", metric: str, larger: str, smaller: str) -> Iterator[Case]:
    """Yield for each domain how much larger a metric is for one system than for another.

    The error is that of independent values, which is too large where both are compared with the same images.
    """
    for column, by_system in _by_column(frame):
        if {larger, smaller} <= set(by_system):
            rows = by_system[larger], by_system[smaller]
            check_protocol(column, metric, *rows)
            error = math.hypot(*(_error(row, metric) for row in rows))
            yield of_values(column, *(float(row[metric]) for row in rows), error=error)


def _small_rises(frame: "pd.DataFrame", metric: str) -> Iterator[Case]:
    """Yield for each domain how far the rise of a distance by swapped layers is below the bound, as a share of it."""
    for column, by_system in _by_column(frame):
        if {SWAPPED, FIRST} <= set(by_system):
            rows = by_system[SWAPPED], by_system[FIRST]
            check_protocol(column, metric, *rows)
            values = [float(row[metric]) for row in rows]
            shares = [_error(row, metric) / value for row, value in zip(rows, values, strict=True)]
            ratio = values[0] / values[1]
            yield of_values(column, SMALL_RISE, ratio - 1, error=ratio * math.hypot(*shares))


def _diversities(frame: "pd.DataFrame") -> Iterator[Case]:
    """Yield how much nearer FC-FT's diversity is to that of the domain's images than the baseline's is."""
    for column, by_system in _by_column(frame):
        if {FIRST, BASELINE} <= set(by_system):
            rows = [by_system[system] for system in (FIRST, BASELINE, DATA) if system in by_system]
            check_protocol(column, "lpips_d", *rows)
            own, other, *data = (float(row["lpips_d"]) for row in rows)
            errors = [_error(row, "lpips_d") for row in rows]
            if data:
                is_between = (own > data[0]) != (other > data[0])  # else the data's error cancels out
                error = math.hypot(errors[0], errors[1], 2 * errors[2] if is_between else 0.0)
                yield of_values(column, abs(other - data[0]), abs(own - data[0]), error=error)
            else:  # more is not better, but nothing else is known
                yield of_values(column, own, other, error=math.hypot(*errors), aspect="plain difference")


def _error(row: "pd.Series", metric: str) -> float:
    """Return the standard error of a row's metric; NaN: not known."""
    value = row.get(f"{metric}_sem")
    return float("nan") if value is None else float(value)


def _by_column(frame: "pd.DataFrame") -> "Iterator[tuple[str, dict[str, pd.Series]]]":
    """Yield each column's name and its rows by system."""
    for domain, rows in frame.groupby("domain", sort=False):
        by_system = {str(row["system"]): row for _, row in rows.iterrows()}
        yield f"{rows.iloc[0]['source_domain']}2{domain}", by_system


def _paper_systems(metric: str, larger: str, smaller: str) -> str:
    """Return the paper's values of the two systems, the one that the claim speaks of first."""
    place = {"fd": 0, "fid": 0, "lpips_d": 1, "lpips_s": 2}[metric]
    names = {BASELINE: BASELINE, FIRST: "Ours (FC-FT)", SWAPPED: "Ours (FC-FT-LS)"}
    better, worse = (larger, smaller) if metric == "lpips_d" else (smaller, larger)
    values = [
        f"{column} {TABLE_2[names[better]][column][place]:g} against {TABLE_2[names[worse]][column][place]:g}"
        for column in TABLE_2[BASELINE]
    ]
    return f"{TABLE_2_METRICS[place]}: {', '.join(values)}"


def _distances(frame: "pd.DataFrame", variant: str, column: str = "distance") -> "dict[str, pd.Series]":
    """Return by metric the distance of each input's output, or of the input, to the truth."""
    own = frame[frame["variant"] == variant]
    return {str(metric): rows.set_index("input_path")[column] for metric, rows in own.groupby("metric", sort=False)}


def _nearer(name: str, farther: "dict[str, pd.Series]", nearer: "dict[str, pd.Series]") -> Iterator[Case]:
    for metric, distances in farther.items():
        if metric in nearer:
            differences = (distances - nearer[metric]).dropna()
            yield of_images(name, list(differences.astype(float)), aspect=metric, has_trainings=True)
