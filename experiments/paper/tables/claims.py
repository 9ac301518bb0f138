"""What the paper says, as differences that should be above zero, and whether they are.

A case is such a difference with its standard error; a claim is what the paper says of one or several of them. A
difference of less than two standard errors, in either direction, can be told from nothing. Where images are the
same on both sides the difference is taken image by image; elsewhere both sides count as if they were independent,
which is cautious.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from experiments.paper.tables.model_distance import CERTAIN_SEMS
from ui2i.metrics.moments import estimate

Status = Literal["holds", "unsure", "reversed"]
Verdict = Literal["holds", "holds in part", "cannot be told", "does not hold", "not measured"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A difference of which the paper says that it is above zero."""

    where: str  # face2cartoon
    difference: float
    sem: float | None  # None: not known, as of a Frechet distance

    @property
    def status(self) -> Status:
        """What the difference says."""
        margin = CERTAIN_SEMS * (self.sem or 0.0)
        if self.difference > margin:
            return "holds"
        return "reversed" if self.difference < -margin else "unsure"

    def __str__(self) -> str:
        margin = "(no interval)" if self.sem is None else f"± {CERTAIN_SEMS * self.sem:.4f}"
        return f"{self.where} {self.difference:+.4f} {margin}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says of some differences."""

    source: str  # Table I
    text: str
    paper: str  # its own numbers
    cases: tuple[Case, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds here."""
        found = {case.status for case in self.cases}
        if not found:
            return "not measured"
        if found == {"holds"}:
            return "holds"
        if "holds" in found:
            return "holds in part"
        return "does not hold" if "reversed" in found else "cannot be told"

    @property
    def evidence(self) -> str:
        """The differences, by what they say."""
        parts = []
        for status, words in _WORDS.items():
            cases = [str(case) for case in self.cases if case.status == status]
            if cases:
                parts.append(f"{words} {', '.join(cases)}")
        return "; ".join(parts)

    def to_row(self) -> dict[str, str]:
        """Return the claim's evidence in words."""
        return {
            "source": self.source,
            "claim": self.text,
            "paper": self.paper,
            "verdict": self.verdict,
            "evidence": self.evidence,
        }


_WORDS: dict[Status, str] = {"holds": "as claimed:", "unsure": "cannot be told:", "reversed": "the reverse:"}


def unpaired(where: str, larger: tuple[float, float | None], smaller: tuple[float, float | None]) -> Case:
    """Return the case of two independent values, each with its standard error (None: not known)."""
    known = larger[1] is not None and smaller[1] is not None
    sem = math.hypot(larger[1] or 0.0, smaller[1] or 0.0) if known else None
    return Case(where=where, difference=larger[0] - smaller[0], sem=sem)


def paired(where: str, differences: Sequence[float]) -> Case:
    """Return the case of a mean of differences, one an image.

    Raises:
        DataError: there are fewer than two.
    """
    found = estimate(list(differences))
    return Case(where=where, difference=found.mean, sem=found.sem)
