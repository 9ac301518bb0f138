"""Streaming statistics against scipy, whatever the batches."""

import numpy as np
import pytest
from scipy import stats

from ui2i.errors import DataError
from ui2i.metrics.moments import Moments, estimate

VALUES = np.random.default_rng(0).normal(1e6, 1, size=101)  # far from 0, where the textbook formula loses all digits


@pytest.mark.parametrize("sizes", [[101], [1] * 101, [1, 60, 40], [50, 51]])
def test_equals_scipy_whatever_the_batches(sizes: list[int]) -> None:
    moments = Moments(keep_values=True)
    for part in np.split(VALUES, np.cumsum(sizes)[:-1]):
        moments.add(part)
    found = moments.estimate()
    assert found.count == 101
    assert found.mean == pytest.approx(VALUES.mean(), rel=1e-14)
    assert found.std == pytest.approx(VALUES.std(ddof=1), rel=1e-8)
    assert found.sem == pytest.approx(stats.sem(VALUES), rel=1e-8)
    interval = stats.t.interval(0.95, df=100, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert (found.ci95_low, found.ci95_high) == pytest.approx(interval, rel=1e-14)
    assert np.array_equal(moments.values, VALUES)
    assert found == estimate(VALUES) or found.mean == pytest.approx(estimate(VALUES).mean)


def test_values_are_dropped_unless_asked_for() -> None:
    moments = Moments()
    moments.add(VALUES)
    assert moments.values is None


@pytest.mark.parametrize("values", [[], [1.0]])
def test_too_few_values(values: list[float]) -> None:
    with pytest.raises(DataError, match=f"there is {len(values)} value"):
        estimate(values)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        found = estimate(random.normal(3, 2, size=5))
        covered += found.ci95_low < 3 < found.ci95_high
    assert 0.935 < covered / 2000 < 0.965
