"""Bounds of numeric settings, declared in the types of a config's fields and checked whenever one is made.

    seed: Seed = 0
    patience: Count | None = None

NaN and infinity lie outside all of them.
"""

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from ui2i.errors import ConfigError

_MOST = 2**31 - 1


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """An interval of numbers, with its ends unless they are open."""

    low: float = -math.inf
    high: float = math.inf
    is_low_open: bool = False
    is_high_open: bool = False
    is_power_of_two: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a number is allowed."""
        above = self.low < value if self.is_low_open else self.low <= value
        below = value < self.high if self.is_high_open else value <= self.high
        return above and below and _is_finite(value) and (not self.is_power_of_two or math.log2(value).is_integer())

    def __str__(self) -> str:
        kind = "a power of two" if self.is_power_of_two else "a number"
        if self.high in (math.inf, _MOST):
            return f"{kind} above {self.low:g}" if self.is_low_open else f"at least {self.low:g}"
        low = f"above {self.low:.10g}" if self.is_low_open else f"from {self.low:.10g}"
        return f"{kind} {low} to {'below ' if self.is_high_open else ''}{self.high:.10g}"


Count = Annotated[int, Bounds(low=1, high=_MOST)]
CountOrNone = Annotated[int, Bounds(low=0, high=_MOST)]  # 0: none, or what the field says
Sample = Annotated[int, Bounds(low=2, high=_MOST)]  # that has a spread
Seed = Annotated[int, Bounds(low=0, high=2**32 - 1)]
Resolution = Annotated[int, Bounds(low=4, high=1024, is_power_of_two=True)]  # pixels, of a block
Positive = Annotated[float, Bounds(low=0, is_low_open=True)]
Weight = Annotated[float, Bounds(low=0)]
Share = Annotated[float, Bounds(low=0, high=1)]
ShareBelowOne = Annotated[float, Bounds(low=0, high=1, is_high_open=True)]
Truncation = Annotated[float, Bounds(low=0, high=2)]  # psi; 1 changes nothing


class Bounded:
    """Base of configs whose numbers are checked when they are made."""

    def __post_init__(self) -> None:
        """Refuse a number outside its bounds.

        Raises:
            ConfigError: there is one.
        """
        for name, bounds in bounds_of(type(self)).items():
            check_bounds(getattr(self, name), bounds, where=name)


def check_bounds(value: Any, bounds: Bounds, *, where: str) -> None:
    """Raise ConfigError if a number lies outside its bounds; what is no number is not judged here."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value not in bounds:
        raise ConfigError(f"{where} is {value}, expected {bounds}; correct it in params.yaml")


def bounds_of(config_type: type) -> Mapping[str, Bounds]:
    """Return the bounds of a config's fields by name."""
    key: Any = config_type  # mypy does not believe that a type is hashable
    return _bounds_of(key)


@functools.cache
def _bounds_of(config_type: type) -> Mapping[str, Bounds]:
    hints = typing.get_type_hints(config_type, include_extras=True)
    found = {name: _bounds(hint) for name, hint in hints.items()}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def _bounds(hint: Any) -> Bounds | None:
    options = (hint, *typing.get_args(hint))  # of a union, that of one of its members
    extras = [extra for option in options for extra in getattr(option, "__metadata__", ())]
    return next((extra for extra in extras if isinstance(extra, Bounds)), None)
