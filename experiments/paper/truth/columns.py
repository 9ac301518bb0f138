"""Attributes of synthetic images as columns, and how a column that was read is compared with the true one.

A column is a number (a length, a factor, an angle of pose: these stay far from a full turn), a hue, which is circular,
or a category. In arrays a number is itself, a hue is in turns, and a category is the place of its class, -1 for one
that is not among them.
"""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

Kind = Literal["number", "hue", "category"]
Values = Float64[np.ndarray, "..."]

NOT_IN_THE_IMAGE = ("texture_seed",)
"""Fields that name no property which could be seen."""
MEASURES: dict[Kind, str] = {"number": "correlation", "hue": "mean cosine", "category": "accuracy"}
"""What `agreement` returns for each kind."""
_TINY = 1e-12  # of a standard deviation: below, a column is constant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One attribute: of what kind it is and which values it takes."""

    name: str
    kind: Kind
    classes: tuple[str, ...] = ()  # of a category, in alphabetical order
    mean: float = 0.0  # of a number
    scale: float = 1.0  # of a number: its standard deviation

    @property
    def num_outputs(self) -> int:
        """How many numbers a network needs to say it: the number; cosine and sine; a logit a class."""
        return {"number": 1, "hue": 2, "category": len(self.classes)}[self.kind]

    def values(self, people: Sequence[object]) -> Float64[np.ndarray, " n"]:
        """Return the attribute of each person or animal."""
        if self.kind != "category":
            return np.array([getattr(person, self.name) for person in people], dtype=np.float64)
        places = {name: place for place, name in enumerate(self.classes)}
        return np.array([places.get(str(getattr(person, self.name)), -1) for person in people], dtype=np.float64)


def attribute_columns(people: Sequence[object]) -> tuple[Column, ...]:
    """Return the columns that vary among `people`: numbers first, then hues, then categories.

    Classes, means and standard deviations are those of `people`.
    """
    hints = typing.get_type_hints(type(people[0]))
    columns = [
        _column(name, hint, [getattr(person, name) for person in people])
        for name, hint in hints.items()
        if name not in NOT_IN_THE_IMAGE
    ]
    order = list(MEASURES)
    varying = [column for column in columns if column.scale > _TINY and len(column.classes) != 1]
    return tuple(sorted(varying, key=lambda column: order.index(column.kind)))


def agreement(kind: Kind, true: Values, read: Values) -> tuple[Values, Values]:
    """Compare a column that was read with the true one, and say what shuffled readings would agree on average.

    A number is compared by correlation, a hue by the mean cosine of the angle between, a category by accuracy. The
    second value is the mean over all orders of the readings, in closed form: no order is drawn.

    Args:
        true: [..., n], as `read`; leading dimensions are separate comparisons.

    Returns:
        Agreement [...], at most 1, and that of shuffled readings [...].
    """
    if kind == "number":
        return _correlation(true, read), np.zeros(true.shape[:-1])
    if kind == "hue":
        phase, read_phase = np.exp(2j * np.pi * true), np.exp(2j * np.pi * read)
        by_chance = phase.mean(axis=-1) * read_phase.mean(axis=-1).conj()
        return (phase * read_phase.conj()).mean(axis=-1).real, by_chance.real
    classes = np.unique(np.concatenate([true.ravel(), read.ravel()]))
    by_chance = sum((true == value).mean(axis=-1) * (read == value).mean(axis=-1) for value in classes)
    return (true == read).mean(axis=-1), np.asarray(by_chance)


def held_out_score(kind: Kind, true: Values, read: Values) -> tuple[float, float]:
    """Return how well a column [n] is read, and how well the best constant would read it.

    Numbers: R^2, against 0. Hues: mean cosine, against that of the mean hue. Categories: accuracy, against the share of
    the most frequent class.
    """
    if kind == "number":
        error, variance = np.square(true - read).mean(), true.var()
        return (float(1 - error / variance) if variance > _TINY else 0.0), 0.0
    if kind == "hue":
        phase, read_phase = np.exp(2j * np.pi * true), np.exp(2j * np.pi * read)
        return float((phase * read_phase.conj()).mean().real), float(np.abs(phase.mean()))
    _, counts = np.unique(true, return_counts=True)
    return float((true == read).mean()), float(counts.max() / len(true))


def _column(name: str, hint: Any, values: Sequence[Any]) -> Column:
    if hint is not float:
        return Column(name=name, kind="category", classes=tuple(sorted({str(value) for value in values})))
    if name.endswith("_hue"):
        return Column(name=name, kind="hue")
    return Column(name=name, kind="number", mean=float(np.mean(values)), scale=float(np.std(values)))


def _correlation(true: Values, read: Values) -> Values:
    """Pearson's coefficient over the last dimension; 0 where either side is constant."""
    x, y = true - true.mean(axis=-1, keepdims=True), read - read.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(x).mean(axis=-1) * np.square(y).mean(axis=-1))
    return np.where(spread > _TINY, (x * y).mean(axis=-1) / np.maximum(spread, _TINY), 0.0)
