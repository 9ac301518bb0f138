"""The paper's claims about its Tables I to III, and what the ground truth adds to them, from measured tables."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, of_images, of_runs, of_values
from experiments.paper.tables.controls import NOTHING, SMALL_RISE, Control, control_apart, control_baseline, domain_of
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


def table_1_claims(
    runs: Sequence[Sequence[Cell]], *, missing_control: str = "", unfinished: Mapping[str, str] = NOTHING
) -> list[Claim]:
    """Return the paper's claims about Table I.

    Args:
        runs: measured cells of each training of the models; any columns.
        missing_control: why the models from random weights say nothing about the method; empty: they do.
        unfinished: the same, by domain, of models fine-tuned from another base (`unfinished_apart`). The others of them
            take the place of the models from random weights where there are any.
    """
    had = {cell.column for cells in runs for cell in cells if cell.row == APART}
    tables = [
        {
            (cell.row, cell.column): (cell.value, cell.sem or 0.0)
            for cell in cells
            if cell.row != APART or domain_of(cell.column) not in unfinished
        }
        for cells in runs
    ]
    columns = list(dict.fromkeys(cell.column for cells in runs for cell in cells if cell.column in PAPER_COLUMNS))
    rows = list(TABLE_1)
    apart, apart_in_pairs = (
        control_apart(had & set(names), unfinished, missing_control) for names in (PAPER_COLUMNS, PAIR_COLUMNS)
    )

    def step(text: str, pairs: Sequence[tuple[str, str]], control: Control | None = None) -> Claim:
        cases = [
            case
            for far, near in pairs
            for column in columns
            for case in _between(tables, column, (far, column), (near, column), near if len(pairs) > 1 else "")
        ]
        return Claim(
            source="Table I",
            text=text,
            paper=_paper_steps(pairs),
            cases=tuple(cases),
            missing_control=control.missing_control if control else "",
            left_out=control.left_out if control else "",
        )

    anime, portrait = "face2anime", "face2portrait"
    return [
        step(
            "Fine-tuned models (FT) are nearer to each other than independently trained ones",
            [(apart.row, "FT")],
            apart,
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
                for case in _between(tables, column, (apart_in_pairs.row, column), (row, column), row)
            ),
            missing_control=apart_in_pairs.missing_control,
            left_out=apart_in_pairs.left_out,
        ),
    ]


def table_2_claims(frame: "pd.DataFrame", *, unfinished: Mapping[str, str] = NOTHING) -> list[Claim]:
    """Return the paper's claims about Table II.

    Args:
        frame: rows of `EVALUATION_SCHEMA` for images that were translated, the last of each system and domain; the rows
            of the system `the data itself` are of the domain's own images.
        unfinished: by domain, why the baseline says nothing about the method there. Where it does in others, these
            are left out.
    """
    control = control_baseline([column for column, systems in _by_column(frame) if BASELINE in systems], unfinished)
    if control.left_out:
        frame = frame[(frame["system"] != BASELINE) | ~frame["domain"].isin(unfinished)]
    fidelity = "fid" if frame["fid"].notna().all() else "fd"
    label = "FID" if fidelity == "fid" else "Frechet distance"

    def claim(text: str, metric: str, larger: str, smaller: str, cases: Iterable[Case] | None = None) -> Claim:
        return Claim(
            source="Table II",
            text=text,
            paper=_paper_systems(metric, larger, smaller),
            cases=tuple(_systems(frame, metric, larger, smaller) if cases is None else cases),
            missing_control=control.missing_control if BASELINE in (larger, smaller) else "",
            left_out=control.left_out if BASELINE in (larger, smaller) else "",
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
