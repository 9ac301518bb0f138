"""A difference that was measured in several columns and, in each, on several trainings: its mean and its error.

The model is `difference ~ 1 + (1 | column) + (1 | column:run)`: columns differ, and so do two trainings of one column,
by much more than the choice of latents explains. Both variances are estimated by restricted maximum likelihood; the
error of latents or images is known and is added to that of each training. Where trainings were measured on the same
images or along the same directions, what these have in common does not average out, and its error is added to the mean.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

CONFIDENCE = 0.95
LEAST_SPREAD = 1e-6
"""Of trainings of one column, as a share of the spread of all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled:
    """A mean over columns."""

    mean: float
    error: float  # standard error; infinite where one training is all there is
    degrees: int  # of freedom: columns less one, or trainings less one where there is a single column
    between_columns: float  # standard deviation
    between_runs: float  # standard deviation, that of latents not among it

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval (Student's t)."""
        return t_quantile(self.degrees) * self.error

    @property
    def p_value(self) -> float:
        """Two-sided p-value of a true mean of zero (Student's t); 1 without a degree of freedom."""
        from scipy.special import stdtr  # type: ignore[import-untyped]

        if self.degrees < 1:
            return 1.0
        return 2 * float(stdtr(self.degrees, -abs(self.mean) / self.error if self.error else -math.inf))


def pool(
    differences: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]] | None = None,
    samples: Sequence[Mapping[str, float]] = (),
) -> Pooled:
    """Return the mean of differences over columns.

    Args:
        differences: one for each training, by column.
        errors: standard errors over latents or images, in the same places; None: zero.
        samples: of all trainings the differences behind theirs, by the name of an image or a direction; empty: not
            known. They take the place of errors where several trainings have the same names.
    """
    counts = collections.Counter(name for own in samples for name in own)
    if max(counts.values(), default=1) == 1:
        return _over_columns(differences, errors)
    found = _over_columns(differences)
    return dataclasses.replace(
        found,
        error=math.hypot(found.error, shared_error(samples)),
        degrees=min(found.degrees, len(counts) - 1),
    )


def shared_error(samples: Sequence[Mapping[str, float]]) -> float:
    """Return the standard error that the choice of images leaves of the mean over trainings.

    An image counts once, however many trainings were measured on it: it is clustered by image (Liang and Zeger 1986).

    Args:
        samples: as `pool` takes them; two or more names.
    """
    influence: dict[str, float] = collections.defaultdict(float)
    for own in samples:
        mean = math.fsum(own.values()) / len(own)
        for name, value in own.items():
            influence[name] += (value - mean) / (len(own) * len(samples))
    count = len(influence)
    return math.sqrt(count / (count - 1) * math.fsum(share**2 for share in influence.values()))


def t_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; infinite without a degree of freedom."""
    from scipy.special import stdtrit

    return math.inf if degrees < 1 else float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def _over_columns(
    differences: Mapping[str, Sequence[float]], errors: Mapping[str, Sequence[float]] | None = None
) -> Pooled:
    num_columns = len(differences)
    runs = {column: np.asarray(values, np.float64) for column, values in differences.items()}
    known = {
        column: np.zeros(len(values)) if errors is None else np.asarray(errors[column], np.float64)
        for column, values in runs.items()
    }
    mean = float(np.mean(np.concatenate(list(runs.values()))))
    if max(len(values) for values in runs.values()) == 1:
        return _of_single_runs(np.concatenate(list(runs.values())), np.concatenate(list(known.values())))
    if num_columns == 1:
        (values,), (own,) = runs.values(), known.values()
        spread = _run_spread(values, own)
        error = math.sqrt((spread**2 + float(np.mean(own**2))) / len(values))
        return Pooled(mean=mean, error=error, degrees=len(values) - 1, between_columns=0.0, between_runs=spread)
    return _reml(list(runs.values()), list(known.values()))


def _of_single_runs(values: Float64[np.ndarray, " n"], errors: Float64[np.ndarray, " n"]) -> Pooled:
    """Return the mean of columns with a training each, whose spread is that of columns and trainings together.

    A few columns may agree by chance: their spread counts for no less than the errors that are known.
    """
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.inf
    spread = max(spread, math.sqrt(float(np.mean(errors**2))))
    return Pooled(
        mean=float(values.mean()),
        error=spread / math.sqrt(len(values)),
        degrees=len(values) - 1,
        between_columns=spread,
        between_runs=math.nan,
    )


def _run_spread(values: Float64[np.ndarray, " n"], errors: Float64[np.ndarray, " n"]) -> float:
    """Return the standard deviation of trainings that the errors of latents do not explain."""
    return math.sqrt(max(0.0, float(np.var(values, ddof=1)) - float(np.mean(errors**2))))


def _reml(runs: Sequence[np.ndarray], errors: Sequence[np.ndarray]) -> Pooled:
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    scale = float(np.std(np.concatenate(runs))) or 1.0

    def variances(deviations: np.ndarray) -> tuple[float, float]:
        columns, trainings = np.square(scale * deviations).tolist()
        return columns, max(trainings, (LEAST_SPREAD * scale) ** 2)  # alike, they still leave a matrix to invert

    def loss(deviations: np.ndarray) -> float:
        return _restricted_loss(runs, errors, *variances(deviations))[0]

    starts = [(0.1, 1.0), (1.0, 0.1), (0.7, 0.7)]
    found = min(
        (minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}) for start in starts),
        key=lambda result: float(result.fun),
    )
    columns, trainings = variances(found.x)
    _, mean, variance = _restricted_loss(runs, errors, columns, trainings)
    return Pooled(
        mean=mean,
        error=math.sqrt(variance),
        degrees=len(runs) - 1,
        between_columns=math.sqrt(columns),
        between_runs=math.sqrt(trainings),
    )


def _restricted_loss(
    runs: Sequence[np.ndarray], errors: Sequence[np.ndarray], between_columns: float, between_runs: float
) -> tuple[float, float, float]:
    """Return minus twice the restricted log likelihood, the mean by generalised least squares and its variance."""
    weights, weighted, squares, log_determinant = 0.0, 0.0, 0.0, 0.0
    for values, own in zip(runs, errors, strict=True):
        covariance = np.diag(between_runs + own**2) + between_columns
        inverse = np.linalg.inv(covariance)
        weights += float(inverse.sum())
        weighted += float(inverse.sum(axis=0) @ values)
        squares += float(values @ inverse @ values)
        log_determinant += float(np.linalg.slogdet(covariance)[1])
    mean = weighted / weights
    return log_determinant + math.log(weights) + squares - weighted * mean, mean, 1 / weights
