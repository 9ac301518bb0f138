"""Trainings of several domains' models with one seed, models of another base among them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.controls import SMALL_RISE
from experiments.paper.tables.layout import Cell
from experiments.paper.tables.model_distance import APART

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, kw_only=True)
class Across:
    """What was measured of one training of several domains."""

    cells: Sequence[Cell] = ()  # distances between two domains' models
    agreement: "pd.DataFrame | None" = None  # of directions (Fig. 6), rows of `AGREEMENT_SCHEMA`
    doubts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why the model of another base is no control, by domain; empty where it is one."""

    @property
    def unfinished(self) -> dict[str, str]:
        """Why a model of another base is no control, by domain."""
        return {domain: why for domain, why in self.doubts.items() if why}


def doubts_of(models: "pd.DataFrame") -> dict[str, str]:
    """Return, by domain, how near the model of another base is where it is farther than FT; empty where it is not.

    Args:
        models: of one training of each domain, columns `domain`, `mode`, `kimg`, `fd`.
    """
    doubts = {}
    for domain, rows in models.groupby("domain", sort=False):
        last = rows.sort_values("kimg").groupby("mode")["fd"].last()
        if {APART, "FT"} <= set(last.index):
            is_farther = last[APART] > (1 + SMALL_RISE) * last["FT"]
            doubts[str(domain)] = f"{last[APART]:.1f} against {last['FT']:.1f}" if is_farther else ""
    return doubts


def never_finished(trainings: Sequence[Across]) -> dict[str, str]:
    """Return the domains that have no finished model of another base in any training, and why in the last one."""
    finished = {domain for each in trainings for domain, why in each.doubts.items() if not why}
    return {domain: why for each in trainings for domain, why in each.unfinished.items() if domain not in finished}
