"""The baseline that was trained longest, from curves over compute, in the place of one that was trained for less."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.paper_claims import BASELINE
from experiments.paper.tables.protocols import INPUTS

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class TrainedLonger:
    """A baseline at the end of its largest budget, and the inputs that it translated; rows of Table II."""

    outputs: "pd.Series"
    inputs: "pd.Series"

    @property
    def unfinished(self) -> str:
        """Why it is no control: its inputs are nearer to the domain; empty: it is one."""
        found, inputs = float(self.outputs["fd"]), float(self.inputs["fd"])
        if found < inputs:
            return ""
        return f"Frechet distance {found:.0f} against {inputs:.0f}, {self.outputs['core_minutes']:.0f} core minutes"


def longest_baselines(curves: "Sequence[pd.DataFrame]") -> dict[tuple[str, str], TrainedLonger]:
    """Return by source and target the baseline that was trained longest, to the end of its budget.

    Args:
        curves: rows of `CURVE_SCHEMA`, of which those on the perceptual backbone count, as in a page's tables.
    """
    found = {}
    for curve in curves:
        own = curve[curve["fd_network"].isna()]
        for (source, domain), rows in own.groupby(["source_domain", "domain"], sort=False):
            done = rows[(rows["system"] == BASELINE) & (rows["mark"] == rows["budget_core_minutes"])]
            inputs = rows[rows["system"] == INPUTS]
            if len(done) and len(inputs):
                last = done.sort_values("core_minutes").iloc[-1]
                found[str(source), str(domain)] = TrainedLonger(last, inputs.iloc[-1])
    return found


def with_baselines(evaluations: "pd.DataFrame", baselines: Mapping[tuple[str, str], TrainedLonger]) -> "pd.DataFrame":
    """Return rows of Table II with those of baselines that were trained longer in the place of shorter ones'."""
    import pandas as pd

    if not baselines:
        return evaluations
    pairs = zip(evaluations["source_domain"], evaluations["domain"], strict=True)
    is_longer = pd.Series([pair in baselines for pair in pairs], index=evaluations.index)
    kept = evaluations[~(is_longer & evaluations["system"].eq(BASELINE))]
    return pd.DataFrame([*(row for _, row in kept.iterrows()), *(each.outputs for each in baselines.values())])
