"""Baselines that were trained longest, from curves over compute, in the place of those that were trained for less."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.protocols import DATA, INPUTS
from experiments.paper.tables.translation_claims import BASELINES

if TYPE_CHECKING:
    import pandas as pd

WITHOUT_END = ("MUNIT",)
"""Systems whose learning rate does not depend on the budget: any mark is what a training of that budget ends with."""


@dataclasses.dataclass(frozen=True)
class TrainedLonger:
    """A baseline at the end of its largest budget, the inputs that it translated, and the domain; rows of Table II.

    All have the Frechet distance on the perceptual backbone's features, by which the page compares; what other
    networks say stands in the table of the curves.
    """

    outputs: "pd.Series"
    inputs: "pd.Series"
    data: "pd.Series"

    @property
    def unfinished(self) -> str:
        """Why it is no control: its inputs are nearer to the domain; empty: it is one."""
        if self.outputs["fd"] < self.inputs["fd"]:
            return ""
        found = f"Frechet distance {self.outputs['fd']:.0f} against {self.inputs['fd']:.0f}"
        return f"{found}, {self.outputs['core_minutes']:.0f} core minutes"


def longest_baselines(curves: "Sequence[pd.DataFrame]") -> dict[tuple[str, str, str], TrainedLonger]:
    """Return by source, target and system the baseline that was trained longest, to the end of a budget.

    Images count, of which one processor sees more in a minute than another.

    Args:
        curves: rows of `CURVE_SCHEMA`.
    """
    found: dict[tuple[str, str, str], TrainedLonger] = {}
    for curve in curves:
        own = curve[curve["fd_network"].isna()]
        for (source, domain), rows in own.groupby(["source_domain", "domain"], sort=False):
            inputs, data = (rows[rows["system"] == name] for name in (INPUTS, DATA))
            is_end = (rows["mark"] == rows["budget_core_minutes"]) | rows["system"].isin(WITHOUT_END)
            ended = rows[rows["system"].isin(BASELINES) & rows["mark"].notna() & is_end]
            for system, done in ended.groupby("system", sort=False):
                if len(inputs) and len(data):
                    key, longest = (str(source), str(domain), str(system)), done.iloc[int(done["kimg"].argmax())]
                    if key not in found or longest["kimg"] > found[key].outputs["kimg"]:
                        found[key] = TrainedLonger(longest, inputs.iloc[0], data.iloc[0])
    return found


def with_baselines(
    evaluations: "Sequence[pd.DataFrame]", baselines: Mapping[tuple[str, str, str], TrainedLonger]
) -> "list[pd.DataFrame]":
    """Return rows of Table II with those of baselines that were trained longer in the place of shorter ones'.

    Args:
        evaluations: of each training of the models; a baseline goes to the last that has its domain, and so does the
            domain's own row where there is none.
    """
    import pandas as pd

    kept = [frame[[key not in baselines for key in _keys(frame)]] for frame in evaluations]
    for (source, domain, _), baseline in baselines.items():
        having = (place for place, frame in enumerate(kept) if (source, domain) in {key[:2] for key in _keys(frame)})
        if (place := max(having, default=None)) is not None:
            known = (
                [baseline.outputs]
                if (source, domain, DATA) in _keys(kept[place])
                else [baseline.outputs, baseline.data]
            )
            kept[place] = pd.DataFrame([*(row for _, row in kept[place].iterrows()), *known])
    return kept


def _keys(evaluations: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """Return the source, target and system of each row."""
    return list(zip(*(evaluations[name] for name in ("source_domain", "domain", "system")), strict=True))
