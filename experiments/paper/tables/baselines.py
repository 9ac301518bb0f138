"""The baseline that was trained longest, from curves over compute, in the place of one that was trained for less."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.protocols import INPUTS
from experiments.paper.tables.translation_claims import BASELINE

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class TrainedLonger:
    """A baseline at the end of its largest budget, and the inputs that it translated; rows of Table II.

    Both have the Frechet distance on the perceptual backbone's features, by which the page compares; what other
    networks say stands in the table of the curves.
    """

    outputs: "pd.Series"
    inputs: "pd.Series"

    @property
    def unfinished(self) -> str:
        """Why it is no control: its inputs are nearer to the domain; empty: it is one."""
        if self.outputs["fd"] < self.inputs["fd"]:
            return ""
        found = f"Frechet distance {self.outputs['fd']:.0f} against {self.inputs['fd']:.0f}"
        return f"{found}, {self.outputs['core_minutes']:.0f} core minutes"


def longest_baselines(curves: "Sequence[pd.DataFrame]") -> dict[tuple[str, str], TrainedLonger]:
    """Return by source and target the baseline that was trained longest, to the end of its budget.

    Images count, of which one processor sees more in a minute than another.

    Args:
        curves: rows of `CURVE_SCHEMA`.
    """
    found = {}
    for curve in curves:
        own = curve[curve["fd_network"].isna()]
        for (source, domain), rows in own.groupby(["source_domain", "domain"], sort=False):
            done = rows[(rows["system"] == BASELINE) & (rows["mark"] == rows["budget_core_minutes"])]
            inputs = rows[rows["system"] == INPUTS]
            if len(inputs) and len(done):
                found[str(source), str(domain)] = TrainedLonger(done.iloc[int(done["kimg"].argmax())], inputs.iloc[0])
    return found


def with_baselines(
    evaluations: "Sequence[pd.DataFrame]", baselines: Mapping[tuple[str, str], TrainedLonger]
) -> "list[pd.DataFrame]":
    """Return rows of Table II with those of baselines that were trained longer in the place of shorter ones'.

    Args:
        evaluations: of each training of the models; a baseline goes to the last that has its domain.
    """
    import pandas as pd

    kept = [frame[~(_has_pair(frame, baselines) & frame["system"].eq(BASELINE))] for frame in evaluations]
    for pair, baseline in baselines.items():
        place = max((place for place, frame in enumerate(kept) if _has_pair(frame, [pair]).any()), default=None)
        if place is not None:
            kept[place] = pd.DataFrame([*(row for _, row in kept[place].iterrows()), baseline.outputs])
    return kept


def _has_pair(evaluations: "pd.DataFrame", pairs: Collection[tuple[str, str]]) -> "pd.Series":
    """Return whether each row is of one of these sources and targets."""
    import pandas as pd

    found = zip(evaluations["source_domain"], evaluations["domain"], strict=True)
    return pd.Series([pair in pairs for pair in found], index=evaluations.index, dtype=bool)
