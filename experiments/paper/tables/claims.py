"""What the paper says, as differences that should be above zero, and whether they are.

A case is such a difference in one column of a table, for each training that was made of it. Another training of the
same models differs from the first by several times the error that latents or images leave, so that a verdict needs
several of them, of one column or of several: their mean and its interval are in `experiments.paper.tables.pooling`. One
training alone says which way the difference points and no more. Where no training takes part in a comparison, images
stand in their place. A comparison with a model or system that is not finished says nothing about the method. Columns
whose fine-tuned models others have, too, are no independent evidence: an interval also has to stand without them.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from experiments.paper.tables.pooling import Pooled, pool, t_quantile
from ui2i.metrics.moments import estimate

INTERVAL_SEMS = 1.96
"""Standard errors on either side of a 95 % interval of what hundreds of latents, images or resamples tell."""

Status = Literal["holds", "holds on average", "as claimed", "unsure", "against", "reversed"]
Verdict = Literal[
    "holds",
    "holds on average",
    "holds in part",
    "direction only",
    "cannot be told",
    "direction only, against",
    "fails in part",
    "does not hold",
    "control missing",
    "not measured",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A difference of which the paper says that it is above zero, in one column."""

    column: str  # face2cartoon
    differences: tuple[float, ...]  # one a training; of images the mean
    errors: tuple[float, ...] = ()  # standard errors over latents or images, or of a bootstrap; empty: not known
    num_samples: int | None = None  # behind each error; None: hundreds
    num_images: int | None = None  # images over which the difference was taken, where no training takes part in it
    samples: tuple[Mapping[str, float], ...] = ()  # behind each difference, by image or direction; empty: not known
    aspect: str = ""  # of what the claim says several times: a metric, a mode
    shares_models: bool = False  # whether other columns have its fine-tuned models, too

    @property
    def mean(self) -> float:
        """The mean over trainings."""
        return math.fsum(self.differences) / len(self.differences)

    @property
    def signs(self) -> list[int]:
        """Of each training's difference: 0 where its own 95 % interval, if it is known, contains zero."""
        quantile = INTERVAL_SEMS if self.num_samples is None else t_quantile(self.num_samples - 1)
        margins = [quantile * error for error in self.errors] or [0.0] * len(self.differences)
        pairs = zip(self.differences, margins, strict=True)
        return [int(math.copysign(1, difference)) if abs(difference) > margin else 0 for difference, margin in pairs]

    def __str__(self) -> str:
        return f"{self.column} " + " / ".join(f"{difference:+.4f}" for difference in self.differences)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What the cases of one aspect say together."""

    aspect: str
    cases: tuple[Case, ...]

    @functools.cached_property
    def pooled(self) -> Pooled:
        """The mean over columns."""
        if self.cases[0].num_images is not None and len(self.cases) == 1:
            case = self.cases[0]
            return Pooled(
                mean=case.mean,
                error=case.errors[0],
                degrees=(case.num_images or 0) - 1,
                between_columns=0.0,
                between_runs=0.0,
            )
        known = all(case.errors for case in self.cases)
        errors = {case.column: case.errors for case in self.cases} if known else None
        samples = [own for case in self.cases for own in case.samples]
        has_all = all(len(case.samples) == len(case.differences) for case in self.cases)
        return pool({case.column: case.differences for case in self.cases}, errors, samples if has_all else ())

    @functools.cached_property
    def independent(self) -> "Finding":
        """The finding without columns whose models others have, too, if there are others."""
        own = tuple(case for case in self.cases if not case.shares_models)
        return dataclasses.replace(self, cases=own) if 0 < len(own) < len(self.cases) else self

    @property
    def is_told(self) -> bool:
        """Whether the interval is on one side of zero, without the columns that share models, too."""
        with_all, without = self.pooled, self.independent.pooled
        is_beyond = [abs(each.mean) > each.half_width for each in (with_all, without)]
        return all(is_beyond) and (with_all.mean > 0) == (without.mean > 0)

    @property
    def p_value(self) -> float:
        """The larger one, of all columns and of those that share no models."""
        return max(self.pooled.p_value, self.independent.pooled.p_value)

    @property
    def status(self) -> Status:
        """What the mean and its interval say."""
        pooled, each = self.pooled, [value for case in self.cases for value in case.differences]
        signs = {sign for case in self.cases for sign in case.signs}
        if self.is_told:
            if pooled.mean < 0:
                return "reversed"
            return "holds" if min(each) > 0 else "holds on average"
        if signs == {1}:
            return "as claimed"
        return "against" if signs == {-1} else "unsure"

    def __str__(self) -> str:
        pooled, margin = self.pooled, _margin(self.pooled)
        listed = ", ".join(str(case) for case in self.cases)
        name = f"{self.aspect}: " if self.aspect else ""
        if len(self.cases) == 1 and len(self.cases[0].differences) == 1:
            return f"{name}{listed} ({margin})"
        return f"{name}{pooled.mean:+.4f} ({margin}), from {listed}{self._without_shared()}"

    def _without_shared(self) -> str:
        """Return what is left without the columns that share models, if that decides."""
        if self.is_told or abs(self.pooled.mean) <= self.pooled.half_width:
            return ""
        left = self.independent.pooled
        shared = " and ".join(case.column for case in self.cases if case.shares_models)
        return f"; without {shared}, whose models others have, too: {left.mean:+.4f} ({_margin(left)})"


def _margin(pooled: Pooled) -> str:
    return "one training" if math.isinf(pooled.half_width) else f"± {pooled.half_width:.4f}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says of some differences."""

    source: str  # Table I
    text: str
    paper: str  # its own numbers
    cases: tuple[Case, ...]
    missing_control: str = ""  # why the comparison says nothing about the method; empty: it does
    left_out: str = ""  # columns whose own control is not finished, and why; empty: none
    is_of_the_paper: bool = True

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """What each aspect says."""
        aspects = dict.fromkeys(case.aspect for case in self.cases)
        return [
            Finding(aspect=aspect, cases=tuple(case for case in self.cases if case.aspect == aspect))
            for aspect in aspects
        ]

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds here."""
        found = {finding.status for finding in self.findings}
        if not found:
            return "not measured"
        if self.missing_control:
            return "control missing"
        if found <= {"holds", "holds on average"}:
            return "holds" if found == {"holds"} else "holds on average"
        if found & {"holds", "holds on average"}:
            return "holds in part"
        if "reversed" in found:
            return "does not hold" if found == {"reversed"} else "fails in part"
        if found == {"as claimed"}:
            return "direction only"
        return "direction only, against" if found == {"against"} else "cannot be told"

    @property
    def p_value(self) -> float:
        """The largest of its aspects, all of which have to hold; 1: there are none."""
        return max((finding.p_value for finding in self.findings), default=1.0)

    @property
    def is_of_one_training(self) -> bool:
        """Whether every aspect rests on a single training."""
        return bool(self.cases) and all(
            case.num_images is None and len(finding.cases) == len(case.differences) == 1
            for finding in self.findings
            for case in finding.cases
        )

    @property
    def evidence(self) -> str:
        """The differences, and what is not among them."""
        parts = [str(finding) for finding in self.findings]
        return "; ".join([*parts, f"left out: {self.left_out}"] if self.left_out else parts)

    def to_row(self) -> dict[str, str]:
        """Return the claim's evidence in words."""
        return {
            "source": self.source,
            "claim": self.text,
            "whose": "the paper's" if self.is_of_the_paper else "ours",
            "paper": self.paper,
            "verdict": self.verdict,
            "evidence": self.evidence,
            "missing_control": self.missing_control,
        }


def of_values(column: str, larger: float, smaller: float, *, error: float | None = None, aspect: str = "") -> Case:
    """Return the case of two values of one training each.

    Args:
        error: standard error of their difference; None or NaN: not known.
    """
    (case,) = of_differences(column, [(larger - smaller, math.nan if error is None else error)], aspect=aspect)
    return case


def of_differences(column: str, found: Sequence[tuple[float, float]], *, aspect: str = "") -> Iterator[Case]:
    """Yield the case of differences, each of a training, with their standard errors; nothing of none.

    Args:
        found: an error of NaN is not known; without one of them the others are not used.
    """
    if found:
        errors = tuple(error for _, error in found if not math.isnan(error))
        yield Case(
            column=column,
            differences=tuple(difference for difference, _ in found),
            errors=errors if len(errors) == len(found) else (),
            aspect=aspect,
        )


def of_runs(
    column: str,
    larger: Sequence[tuple[float, float]],
    smaller: Sequence[tuple[float, float]],
    *,
    aspect: str = "",
    shares_models: bool = False,
) -> Case:
    """Return the case of two values, each with its standard error, in as many trainings."""
    pairs = list(zip(larger, smaller, strict=True))
    return Case(
        column=column,
        differences=tuple(one[0] - other[0] for one, other in pairs),
        errors=tuple(math.hypot(one[1], other[1]) for one, other in pairs),
        aspect=aspect,
        shares_models=shares_models,
    )


def of_images(column: str, differences: Mapping[str, float], *, aspect: str = "", has_trainings: bool = False) -> Case:
    """Return the case of a mean of differences, one an image or a direction, by its name.

    Args:
        differences: what is NaN was not measured.
        has_trainings: that the difference is one between trained models, of which another training would give another.

    Raises:
        DataError: there are fewer than two images.
    """
    known = {name: float(value) for name, value in differences.items() if not math.isnan(value)}
    found = estimate(list(known.values()))
    return Case(
        column=column,
        differences=(found.mean,),
        errors=(found.sem,),
        samples=(known,),
        num_samples=found.count,
        num_images=None if has_trainings else found.count,
        aspect=aspect,
    )


def of_several_trainings(trainings: Sequence[Sequence[Case]]) -> list[Case]:
    """Return the cases of several trainings as one for each column and aspect, with a difference of each training."""
    together: dict[tuple[str, str], list[Case]] = {}
    for case in itertools.chain.from_iterable(trainings):
        together.setdefault((case.column, case.aspect), []).append(case)
    return [
        dataclasses.replace(
            cases[0],
            differences=tuple(difference for case in cases for difference in case.differences),
            errors=tuple(error for case in cases for error in case.errors)
            if all(case.errors for case in cases)
            else (),
            num_samples=min((case.num_samples for case in cases if case.num_samples is not None), default=None),
            samples=tuple(own for case in cases for own in case.samples),
        )
        for cases in together.values()
    ]
