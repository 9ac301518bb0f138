"""Mean, spread and uncertainty of a stream of numbers, in float64, without keeping them."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Num

from ui2i.errors import DataError

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and how well its sample determines it."""

    mean: float
    std: float  # of single values, n - 1 in the denominator
    sem: float  # std / sqrt(count)
    ci95_low: float  # 95 % interval of the mean: Student's t with count - 1 degrees of freedom
    ci95_high: float
    count: int


class Moments:
    """Mean and sum of squared deviations of a stream of batches (Chan et al. 1979, Eq. 2.1).

    Attributes:
        kept: the batches themselves, if they are to be kept.
    """

    def __init__(self, *, keep_values: bool = False):
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0
        self.kept: list[np.ndarray] | None = [] if keep_values else None

    def add(self, values: Float64[np.ndarray, " n"]) -> None:
        """Take in a batch [N] float64, N at least 1."""
        mean = float(values.mean())
        delta = mean - self.mean
        total = self.count + len(values)
        self.squares += float(np.square(values - mean).sum()) + delta**2 * self.count * len(values) / total
        self.mean += delta * len(values) / total
        self.count = total
        if self.kept is not None:
            self.kept.append(values)

    @property
    def values(self) -> Float64[np.ndarray, " count"] | None:
        """All values [count] float64; None: they were not to be kept."""
        return None if self.kept is None else np.concatenate(self.kept)

    def estimate(self) -> Estimate:
        """Return what is known now.

        Raises:
            DataError: there are fewer than two values.
        """
        from scipy.special import stdtrit  # type: ignore[import-untyped]

        if self.count < 2:
            raise DataError(
                f"there is {self.count} value, expected at least 2 for a mean with an interval; measure more images"
            )
        std = math.sqrt(self.squares / (self.count - 1))
        sem = std / math.sqrt(self.count)
        half_width = float(stdtrit(self.count - 1, (1 + CONFIDENCE) / 2)) * sem
        return Estimate(
            mean=self.mean,
            std=std,
            sem=sem,
            ci95_low=self.mean - half_width,
            ci95_high=self.mean + half_width,
            count=self.count,
        )


def estimate(values: Sequence[float] | Num[np.ndarray, " n"]) -> Estimate:
    """Return the mean of `values` [N] and how well they determine it.

    Raises:
        DataError: there are fewer than two.
    """
    moments = Moments()
    if len(values):
        moments.add(np.asarray(values, np.float64))
    return moments.estimate()
