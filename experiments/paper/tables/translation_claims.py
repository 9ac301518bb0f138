"""The paper's claims about its Table II, translated images, from the rows of one or more trainings."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, of_differences
from experiments.paper.tables.controls import NOTHING, SMALL_RISE, Control, control_baseline
from experiments.paper.tables.protocols import DATA, check_protocol
from experiments.paper.tables.values import TABLE_2, TABLE_2_METRICS

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "CycleGAN"
BASELINES = (BASELINE, "MUNIT", "DRIT++")
"""The paper's; what `ui2i reproduce` trains is the first."""
FIRST, SWAPPED = "FC-FT", "FC-FT-LS16"
"""What translates, and the swap that stands for the paper's FC-FT-LS (its LS3 for anime)."""


def table_2_claims(
    frames: "Sequence[pd.DataFrame]", *, unfinished: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> list[Claim]:
    """Return the paper's claims about Table II; those about MUNIT and DRIT++ only where there are rows of them.

    Args:
        frames: of each training of the models, rows of `EVALUATION_SCHEMA` for images that were translated, the last of
            each system and domain; the rows of the system `the data itself` are of the domain's own images.
        unfinished: by baseline and domain, why it says nothing about the method there. Where it does in others, these
            are left out.
    """
    fidelity = "fid" if all(frame["fid"].notna().all() for frame in frames) else "fd"
    label = "FID" if fidelity == "fid" else "Frechet distance"
    trained = [name for name in BASELINES if any(frame["system"].eq(name).any() for frame in frames)]
    claims = [
        claim
        for name in dict.fromkeys((BASELINE, *trained))
        for claim in _baseline_claims(frames, name, fidelity, label, unfinished.get(name, NOTHING))
    ]
    return [
        *claims,
        _claim(
            f"Swapped layers ({SWAPPED}) make outputs more like their inputs (LPIPS_s)",
            ("lpips_s", FIRST, SWAPPED),
            _systems(frames, "lpips_s", FIRST, SWAPPED),
        ),
        _claim(
            f"Swapped layers cost little: with {SWAPPED} the {label} rises by less than {SMALL_RISE:.0%} "
            f"(differences: {SMALL_RISE:.0%} less the rise)",
            (fidelity, SWAPPED, FIRST),
            _small_rises(frames, fidelity),
        ),
    ]


def _baseline_claims(
    frames: "Sequence[pd.DataFrame]", name: str, fidelity: str, label: str, unfinished: Mapping[str, str]
) -> list[Claim]:
    """Return what the paper says of its method and one baseline."""
    trained = [column for column, runs in _by_column(frames) if any(name in systems for systems in runs)]
    control = control_baseline(name, trained, unfinished)
    if control.left_out:
        frames = [frame[(frame["system"] != name) | ~frame["domain"].isin(unfinished)] for frame in frames]
    return [
        _claim(
            f"FC-FT is nearer to the target's images than {name} ({label})",
            (fidelity, name, FIRST),
            _systems(frames, fidelity, name, FIRST),
            control,
        ),
        _claim(
            f"FC-FT's outputs are more diverse than {name}'s (LPIPS_d, nearer to that of the target's own images)",
            ("lpips_d", FIRST, name),
            _diversities(frames, name),
            control,
        ),
        _claim(
            f"FC-FT's outputs are more like their inputs than {name}'s (LPIPS_s)",
            ("lpips_s", name, FIRST),
            _systems(frames, "lpips_s", name, FIRST),
            control,
        ),
    ]


def _claim(text: str, compared: tuple[str, str, str], cases: Iterable[Case], control: Control | None = None) -> Claim:
    """Return a claim that a metric is larger for one system than for another, in this order."""
    return Claim(
        source="Table II",
        text=text,
        paper=_paper_systems(*compared),
        cases=tuple(cases),
        missing_control=control.missing_control if control else "",
        left_out=control.left_out if control else "",
    )


def _systems(frames: "Sequence[pd.DataFrame]", metric: str, larger: str, smaller: str) -> Iterator[Case]:
    """Yield for each domain how much larger a metric is for one system than for another.

    The error is that of independent values, which is too large where both are compared with the same images.
    """
    for column, runs in _by_column(frames):
        found = []
        for row, other in _having(runs, larger, smaller):
            check_protocol(column, metric, row, other)
            error = math.hypot(_error(row, metric), _error(other, metric))
            found.append((float(row[metric]) - float(other[metric]), error))
        yield from of_differences(column, found)


def _small_rises(frames: "Sequence[pd.DataFrame]", metric: str) -> Iterator[Case]:
    """Yield for each domain how far the rise of a distance by swapped layers is below the bound, as a share of it."""
    for column, runs in _by_column(frames):
        found = []
        for rows in _having(runs, SWAPPED, FIRST):
            check_protocol(column, metric, *rows)
            swapped, plain = (float(row[metric]) for row in rows)
            shares = [_error(row, metric) / float(row[metric]) for row in rows]
            ratio = swapped / plain
            found.append((SMALL_RISE - (ratio - 1), ratio * math.hypot(*shares)))
        yield from of_differences(column, found)


def _diversities(frames: "Sequence[pd.DataFrame]", baseline: str) -> Iterator[Case]:
    """Yield how much nearer FC-FT's diversity is to that of the domain's images than a baseline's is."""
    for column, runs in _by_column(frames):
        known, plain = [], []
        for by_system in runs:
            if {FIRST, baseline} <= set(by_system):
                rows = [by_system[system] for system in (FIRST, baseline, DATA) if system in by_system]
                check_protocol(column, "lpips_d", *rows)
                own, other, *data = (float(row["lpips_d"]) for row in rows)
                errors = [_error(row, "lpips_d") for row in rows]
                if data:
                    is_between = (own > data[0]) != (other > data[0])  # else the data's error cancels out
                    error = math.hypot(errors[0], errors[1], 2 * errors[2] if is_between else 0.0)
                    known.append((abs(other - data[0]) - abs(own - data[0]), error))
                else:  # more is not better, but nothing else is known
                    plain.append((own - other, math.hypot(*errors)))
        yield from of_differences(column, known)
        yield from of_differences(column, plain, aspect="plain difference")


def _error(row: "pd.Series", metric: str) -> float:
    """Return the standard error of a row's metric; NaN: not known."""
    value = row.get(f"{metric}_sem")
    return float("nan") if value is None else float(value)


def _by_column(frames: "Sequence[pd.DataFrame]") -> "Iterator[tuple[str, list[dict[str, pd.Series]]]]":
    """Yield each column's name and its rows by system, of each training that has the column."""
    found: dict[str, list[dict[str, pd.Series]]] = {}
    for frame in frames:
        for (source, domain), rows in frame.groupby(["source_domain", "domain"], sort=False):
            by_system = {str(row["system"]): row for _, row in rows.iterrows()}
            found.setdefault(f"{source}2{domain}", []).append(by_system)
    yield from found.items()


def _having(runs: "Sequence[Mapping[str, pd.Series]]", *systems: str) -> "Iterator[tuple[pd.Series, ...]]":
    """Yield the rows of these systems, of each training that has all of them."""
    for by_system in runs:
        if set(systems) <= set(by_system):
            yield tuple(by_system[system] for system in systems)


def _paper_systems(metric: str, larger: str, smaller: str) -> str:
    """Return the paper's values of the two systems, the one that the claim speaks of first."""
    place = {"fd": 0, "fid": 0, "lpips_d": 1, "lpips_s": 2}[metric]
    names = {FIRST: "Ours (FC-FT)", SWAPPED: "Ours (FC-FT-LS)"}
    better, worse = (
        names.get(name, name) for name in ((larger, smaller) if metric == "lpips_d" else (smaller, larger))
    )
    values = [
        f"{column} {TABLE_2[better][column][place]:g} against {TABLE_2[worse][column][place]:g}"
        for column in TABLE_2[BASELINE]
    ]
    return f"{TABLE_2_METRICS[place]}: {', '.join(values)}"
