"""Models compared where their trainings have the same Frechet distance to the domain, and not after as many images.

A model that has moved less is nearer to its source, and farther from the domain. Curves of repeated trainings
(`experiments.paper.seeds`) have both distances at some points along each training. Between the base itself and the
first of them nothing is known: a training changes most there.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.paper.tables.claims import Case
from experiments.paper.tables.controls import without_another_base
from experiments.paper.tables.model_distance import APART

if TYPE_CHECKING:
    import pandas as pd

ASPECT = "at equal Frechet distance"
AS_NEAR = "FT at least as near to the domain"


def distance_at(curve: "pd.DataFrame", fd: float) -> float:
    """Return the model distance at which a training first passes a Frechet distance, between two measurements.

    NaN if it never does, or did so before it was first measured.

    Args:
        curve: rows of one training, with `kimg`, `fd` and `d`.
    """
    rows = curve[curve["kimg"] > 0].sort_values("kimg")
    better = rows[rows["fd"] < rows["fd"].astype(float).cummin().shift(fill_value=np.inf)]  # than ever before
    found, distances = (better[name].to_numpy(float) for name in ("fd", "d"))
    if not len(found) or not found[-1] <= fd <= found[0]:
        return float("nan")
    return float(np.interp(-fd, -found, distances))


def distances_around(curve: "pd.DataFrame", fd: float) -> tuple[float, float]:
    """Return a training's model distances at the last measurement before it passed a Frechet distance, and the next.

    NaN for either that there is not: it was passed before it was measured, or never.
    """
    rows = curve[curve["kimg"] > 0].sort_values("kimg")
    passed = rows["fd"].to_numpy(float) <= fd
    first = int(passed.argmax()) if passed.any() else len(rows)
    distances = [float("nan"), *rows["d"].astype(float), float("nan")]
    return distances[first], distances[first + 1]


def nearer_than_apart(curves: "Sequence[pd.DataFrame]") -> tuple[list[Case], str]:
    """Return how much nearer to the base FT is than a model of another base that is no nearer to the domain.

    The other base's model is taken at the lowest Frechet distance that FT reached, too, and FT at its first measurement
    that is at least as near to the domain. FT moves away from the base as it comes nearer, so this favours the other.

    Args:
        curves: of each folder of trainings, columns `base`, `domain`, `seed`, `mode`, `kimg`, `fd`, `d`, `d_sem`. Of
            trainings with one seed in several folders the first with both counts.

    Returns:
        A case for each domain; and which domains have none, because the other base's model is no nearer to them than
        the base's own images are or because there is none, in words; empty: none.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    unfinished = {}
    seen = set()
    for frame in curves:
        for key, rows in frame.groupby(["base", "domain", "seed"], sort=False):
            if key in seen:  # the same training, shorter or longer
                continue
            base, domain, _ = key
            own, apart = (rows[rows["mode"] == mode].sort_values("kimg") for mode in ("FT", APART))
            if not len(own) or not len(apart):
                continue
            seen.add(key)
            start, last = float(own["fd"].iloc[0]), float(apart["fd"].min())
            if last >= start:
                unfinished[str(domain)] = f"{last:.1f}, of the base's own images {start:.1f}"
            elif difference := _farther(own[own["kimg"] > 0], apart):
                found.setdefault((str(base), str(domain)), []).append(difference)
    cases = [
        Case(
            column=f"{base}2{domain}",
            differences=tuple(difference for difference, _ in values),
            errors=tuple(error for _, error in values),
            aspect=AS_NEAR,
        )
        for (base, domain), values in found.items()
    ]
    known = {name for _, name in found}
    said = ", ".join(f"{domain} {why}" for domain, why in unfinished.items() if domain not in known)
    too_far = f"models of another base that are too far from the domain (Frechet distance: {said})" if said else ""
    trained = dict.fromkeys(str(domain) for frame in curves for domain in frame["domain"])
    compared = {str(domain) for frame in curves for domain in frame[frame["mode"] == APART]["domain"]}
    lacking = without_another_base(domain for domain in trained if known and domain not in compared)
    return cases, " and ".join(reason for reason in (too_far, lacking) if reason)


def _farther(own: "pd.DataFrame", apart: "pd.DataFrame") -> tuple[float, float] | None:
    """Return how much farther the other base's model is, with the error of latents; None: FT was never as near."""
    reached = apart[apart["fd"] >= own["fd"].min()]
    if not len(reached):
        return None
    other = reached.loc[reached["fd"].idxmin()]
    first = own[own["fd"] <= other["fd"]].iloc[0]
    return float(other["d"] - first["d"]), math.hypot(other["d_sem"], first["d_sem"])
