"""Has a distance changed since it was measured last? The change, in standard errors, and what may have caused it.

Two measurements of one pair of models differ by chance only in what they do not share. With the same weights, latents,
noise and backbone they agree to rounding, so most changes have a cause that the rows themselves name; a change without
one is the interesting case.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CAUSES = {
    "source_hash": "source checkpoint",
    "target_hash": "target checkpoint",
    "source_dataset_hash": "source's training images",
    "dataset_hash": "target's training images",
    "backbone_hash": "perceptual backbone",
    "seed": "latents' seed",
    "num_latents": "number of latents",
    "truncation_psi": "psi",
    "noise_mode": "noise mode",
    "img_resolution": "resolution",
    "device": "device",
    "device_name": "machine",
    "commit": "commit",
}
"""Columns of the distance table that decide a value, and what to call them; the likeliest first."""

ROUNDING = 1e-4
"""Change of a mean that differences between devices and libraries explain by themselves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift:
    """How a distance has changed from one run to the next."""

    source: str
    target: str
    before: float
    after: float
    sem: float  # of the difference: both runs' standard errors, as if their latents were different
    causes: tuple[str, ...]  # what differs between the rows, with both values; empty: nothing that is recorded

    @property
    def change(self) -> float:
        """After - before."""
        return self.after - self.before

    @property
    def num_sems(self) -> float:
        """Size of the change in standard errors; 0 for one within rounding."""
        if abs(self.change) <= ROUNDING:
            return 0.0
        return abs(self.change) / self.sem if self.sem else math.inf

    def exceeds(self, max_sems: float) -> bool:
        """Whether the change is larger than chance would make it."""
        return self.num_sems > max_sems

    def __str__(self) -> str:
        cause = "; ".join(self.causes) or "nothing that the table records has changed"
        return (
            f"{self.source} to {self.target}: {self.before:.4f} -> {self.after:.4f} ({self.num_sems:.1f} standard "
            f"errors; {cause})"
        )


def find_drift(frame: "pd.DataFrame") -> list[Drift]:
    """Compare the last run with the one before in which each of its pairs was measured.

    Args:
        frame: rows of `DISTANCE_SCHEMA` of one table, in their order.

    Returns:
        One comparison a pair that was measured before; the largest change first.
    """
    if frame.empty:
        return []
    is_last = frame["run_id"] == frame["run_id"].iloc[-1]
    earlier = frame[~is_last].drop_duplicates(["source", "target"], keep="last").set_index(["source", "target"])
    drifts = []
    for _, row in frame[is_last].iterrows():
        pair = row["source"], row["target"]
        if pair in earlier.index:
            drifts.append(_compare(earlier.loc[pair], row))
    return sorted(drifts, key=lambda drift: drift.num_sems, reverse=True)


def _compare(before: "pd.Series", after: "pd.Series") -> Drift:
    return Drift(
        source=after["source"],
        target=after["target"],
        before=float(before["mean"]),
        after=float(after["mean"]),
        sem=math.hypot(before["sem"], after["sem"]),
        causes=tuple(_causes(before, after)),
    )


def _causes(before: "pd.Series", after: "pd.Series") -> list[str]:
    causes = [
        f"other {name}: {_short(before[column])} -> {_short(after[column])}"
        for column, name in CAUSES.items()
        if _is_known(before[column]) and _is_known(after[column]) and before[column] != after[column]
    ]
    packages = _changed_packages(json.loads(before["versions"]), json.loads(after["versions"]))
    return causes + ([f"other packages: {', '.join(packages)}"] if packages else [])


def _changed_packages(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    names = [name for name in after if before.get(name) != after[name]]
    return [f"{name} {before.get(name, 'none')} -> {after[name]}" for name in names]


def _is_known(value: Any) -> bool:
    import pandas as pd

    return value is not None and not pd.isna(value)


def _short(value: Any) -> str:
    """Return a value as text, of a hash its beginning."""
    text = str(value)
    return text[:12] if len(text) > 40 else text
