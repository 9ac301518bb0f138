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

    The first of each is of the perceptual backbone, which the page's tables have; the others are of other networks.
    """

    outputs: "Sequence[pd.Series]"
    inputs: "Sequence[pd.Series]"

    @property
    def unfinished(self) -> str:
        """Why it is no control: its inputs are nearer to the domain by one of the networks; empty: it is one."""
        for output in self.outputs:
            for given in self.inputs:
                if _network(output) == _network(given) and output["fd"] >= given["fd"]:
                    by = f" by {_network(output)}" if _network(output) else ""
                    found = f"Frechet distance{by} {output['fd']:.0f} against {given['fd']:.0f}"
                    return f"{found}, {output['core_minutes']:.0f} core minutes"
        return ""


def longest_baselines(curves: "Sequence[pd.DataFrame]") -> dict[tuple[str, str], TrainedLonger]:
    """Return by source and target the baseline that was trained longest, to the end of its budget.

    Images count, of which one processor sees more in a minute than another.

    Args:
        curves: rows of `CURVE_SCHEMA`.
    """
    found = {}
    for curve in curves:
        ordered = curve.sort_values("fd_network", na_position="first", kind="stable")
        for (source, domain), rows in ordered.groupby(["source_domain", "domain"], sort=False):
            done = rows[(rows["system"] == BASELINE) & (rows["mark"] == rows["budget_core_minutes"])]
            inputs = rows[rows["system"] == INPUTS]
            last = done[done["kimg"] == done[done["fd_network"].isna()]["kimg"].max()]
            if len(inputs) and len(last):
                outputs = [row for _, row in last.iterrows()]
                found[str(source), str(domain)] = TrainedLonger(outputs, [row for _, row in inputs.iterrows()])
    return found


def _network(row: "pd.Series") -> str:
    """Return the name of the network of a Frechet distance; empty: the perceptual backbone."""
    return row["fd_network"] if isinstance(row["fd_network"], str) else ""


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
            kept[place] = pd.DataFrame([*(row for _, row in kept[place].iterrows()), baseline.outputs[0]])
    return kept


def _has_pair(evaluations: "pd.DataFrame", pairs: Collection[tuple[str, str]]) -> "pd.Series":
    """Return whether each row is of one of these sources and targets."""
    import pandas as pd

    found = zip(evaluations["source_domain"], evaluations["domain"], strict=True)
    return pd.Series([pair in pairs for pair in found], index=evaluations.index, dtype=bool)
