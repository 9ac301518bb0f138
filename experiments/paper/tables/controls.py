"""What stands for models trained apart, and for baselines, and when it is finished enough to say anything."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from experiments.paper.tables.model_distance import APART

NOTHING: Mapping[str, str] = MappingProxyType({})

SMALL_RISE = 0.1
"""Largest share by which a Frechet distance may rise "a little": twice the largest of the paper's, 1.5 and 5 %."""


FROM_SCRATCH = "w/o FT"
"""Row of Table I of models from random weights."""


@dataclasses.dataclass(frozen=True)
class Control:
    """What a claim has to say of what it is compared with."""

    row: str = FROM_SCRATCH  # of Table I, for models trained apart
    missing_control: str = ""  # why it says nothing; empty: it does
    left_out: str = ""  # what of it is not finished; empty: nothing


def domain_of(column: str) -> str:
    """Return the target of a column: cartoon of face2cartoon, and of cartoon."""
    return column.rpartition("2")[2]


def control_apart(columns: Collection[str], unfinished: Mapping[str, str], missing_control: str) -> Control:
    """Return models of another base if some of these columns have finished ones, else those from random weights.

    Args:
        columns: that have models of another base.
        unfinished: by domain, why a model of another base is no control there.
        missing_control: why the models from random weights say nothing; empty: they do.
    """
    dropped = dict.fromkeys(domain_of(column) for column in columns if domain_of(column) in unfinished)
    said = ", ".join(f"{domain} {unfinished[domain]}" for domain in dropped)
    words = f"models of another base that are farther from the domain than FT (Frechet distance: {said})"
    if any(domain_of(column) not in unfinished for column in columns):
        return Control(APART, left_out=words if dropped else "")
    return Control(missing_control=f"Of another base there are only {words}" if dropped else missing_control)


def without_another_base(domains: Iterable[str]) -> str:
    """Return in words which domains no model of another base was made of; empty: none."""
    named = ", ".join(domains)
    return f"domains without a model of another base ({named})" if named else ""


def control_baseline(name: str, columns: Collection[str], unfinished: Mapping[str, str]) -> Control:
    """Return what a claim about a baseline has to say of its columns.

    Args:
        name: of the baseline.
        columns: that have it.
        unfinished: by domain, why it is no control there.
    """
    dropped = dict.fromkeys(domain_of(column) for column in columns if domain_of(column) in unfinished)
    said = ", ".join(f"{domain}: {unfinished[domain]}" for domain in dropped)
    words = f"{name} is not finished where its outputs are farther from their goal than its inputs ({said})"
    if not dropped:
        return Control()
    if any(domain_of(column) not in unfinished for column in columns):
        return Control(left_out=words)
    return Control(missing_control=words)
