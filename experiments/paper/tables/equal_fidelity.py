"""Models compared where their trainings have the same Frechet distance to the domain, and not after as many images.

A model that has moved less is nearer to its source, and farther from the domain. Curves of repeated trainings
(`experiments.paper.seeds`) have both distances at some points along each training; between them they are interpolated.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.paper.tables.claims import Case
from experiments.paper.tables.model_distance import APART

if TYPE_CHECKING:
    import pandas as pd

ASPECT = "at equal Frechet distance"


def distance_at(curve: "pd.DataFrame", fd: float, column: str = "d") -> float:
    """Return the model distance at which a training passes a Frechet distance; NaN if it never does.

    Args:
        curve: rows of one training, with `kimg`, `fd` and the column.
        column: what to read instead of the model distance.
    """
    rows = curve.sort_values("kimg")
    lowest = np.minimum.accumulate(rows["fd"].to_numpy(float))
    if not lowest[-1] <= fd <= lowest[0]:
        return float("nan")
    return float(np.interp(-fd, -lowest, rows[column].to_numpy(float)))


def nearer_than_apart(curves: "Sequence[pd.DataFrame]") -> tuple[list[Case], str]:
    """Return how much nearer to the base FT is than a model of another base that is as far from the domain.

    Both are taken at the larger of their two last Frechet distances.

    Args:
        curves: of each folder of trainings, columns `base`, `domain`, `seed`, `mode`, `kimg`, `fd`, `d`, `d_sem`. Of
            trainings with one seed in several folders the first counts.

    Returns:
        A case for each domain; and which domains have none because the other base's model is no nearer to them than
        the base's own images are, in words; empty: none.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    unfinished = {}
    seen = set()
    for frame in curves:
        for key, rows in frame.groupby(["base", "domain", "seed"], sort=False):
            if key in seen:  # the same training, shorter or longer
                continue
            seen.add(key)
            base, domain, _ = key
            own, apart = (rows[rows["mode"] == mode] for mode in ("FT", APART))
            if not len(own) or not len(apart):
                continue
            start, last = float(own.sort_values("kimg")["fd"].iloc[0]), float(apart["fd"].min())
            if last >= start:
                unfinished[str(domain)] = f"{last:.1f}, of the base's own images {start:.1f}"
                continue
            fd = max(float(own["fd"].min()), last)
            difference = distance_at(apart, fd) - distance_at(own, fd)
            error = math.hypot(distance_at(apart, fd, "d_sem"), distance_at(own, fd, "d_sem"))
            if not math.isnan(difference):  # one of them was better from its first measurement on
                found.setdefault((str(base), str(domain)), []).append((difference, error))
    cases = [
        Case(
            column=f"{base}2{domain}",
            differences=tuple(difference for difference, _ in values),
            errors=tuple(error for _, error in values),
            aspect=ASPECT,
        )
        for (base, domain), values in found.items()
    ]
    said = ", ".join(
        f"{domain} {why}" for domain, why in unfinished.items() if domain not in {name for _, name in found}
    )
    return cases, f"models of another base that are too far from the domain (Frechet distance: {said})" if said else ""
