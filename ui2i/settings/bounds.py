"""Types of settings with bounds, for the fields of configs.

    seed: Seed = 0
    patience: Count | None = None

NaN and infinity lie outside all of them. A whole number may be written in any way, such as 1e3; True is no number.
"""

import numbers
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from ui2i.settings.words import MOST, Described

_T = TypeVar("_T")


def _as_int(value: Any) -> Any:
    """Turn what means a whole number into one, such as YAML's 1e3 or NumPy's integers; leave everything else."""
    if type(value) is float and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else value


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("no power of two")
    return value


def _different(values: Any) -> Any:
    """Turn a list into a tuple; refuse equal items."""
    if not isinstance(values, list | tuple) or any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("no list of different items")
    return tuple(values)


Whole = Annotated[int, BeforeValidator(_as_int)]
PowerOfTwo = Annotated[Whole, Described("a power of two"), AfterValidator(_power_of_two)]
Count = Annotated[Whole, Field(ge=1, le=MOST)]
CountOrNone = Annotated[Whole, Field(ge=0, le=MOST)]  # 0: none, or what the field says
Sample = Annotated[Whole, Field(ge=2, le=MOST)]  # that has a spread
Quartet = Annotated[Whole, Field(ge=4, le=MOST)]  # that can be split into halves with a spread
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]
Resolution = Annotated[PowerOfTwo, Field(ge=4, le=1024)]  # pixels, of a block
ImageResolution = Annotated[PowerOfTwo, Field(ge=32, le=1024)]  # pixels, of a model's images
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Truncation = Annotated[float, Field(ge=0, le=2)]  # psi; 1 changes nothing
Strength = Annotated[float, Field(ge=-100, le=100)]  # of an edit, in standard deviations of w
Different = Annotated[tuple[_T, ...], BeforeValidator(_different)]
SomeDifferent = Annotated[tuple[_T, ...], Field(min_length=1), BeforeValidator(_different)]
