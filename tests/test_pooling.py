"""Means over columns and trainings, against closed forms and against draws of which the truth is known."""

import dataclasses
import math

import numpy as np
import pytest

from experiments.paper.tables.claims import Claim, Finding, of_images
from experiments.paper.tables.pooling import pool, t_quantile


def test_single_trainings_are_a_t_test_over_columns() -> None:
    pooled = pool({"a": [1.0], "b": [3.0], "c": [5.0]}, {"a": [0.1], "b": [0.1], "c": [0.1]})
    assert (pooled.mean, pooled.error, pooled.degrees) == pytest.approx((3, 2 / math.sqrt(3), 2))
    assert pooled.half_width == pytest.approx(4.30265 * 2 / math.sqrt(3), rel=1e-5)


def test_columns_that_happen_to_agree_leave_the_errors_that_are_known() -> None:
    pooled = pool({"a": [0.0043], "b": [0.0039]}, {"a": [0.004], "b": [0.002]})
    assert pooled.error == pytest.approx(math.sqrt((0.004**2 + 0.002**2) / 2 / 2))
    assert pooled.half_width > 0.025, "their spread alone would give 0.0025"


def test_one_training_alone_has_no_interval() -> None:
    assert math.isinf(pool({"a": [1.0]}, {"a": [0.01]}).half_width)


def test_one_column_adds_the_errors_of_latents_and_of_trainings() -> None:
    pooled = pool({"a": [1.0, 2.0, 3.0]}, {"a": [0.5, 0.5, 0.5]})
    assert pooled.between_runs == pytest.approx(math.sqrt(1 - 0.25))
    assert pooled.error**2 == pytest.approx((0.25 + 0.75) / 3)
    assert pooled.degrees == 2
    alike = pool({"a": [1.0, 1.0, 1.0]}, {"a": [0.5, 0.5, 0.5]})
    assert alike.error**2 == pytest.approx(0.25 / 3), "trainings that happen to agree leave the error of latents"


@pytest.mark.parametrize("second", [0.0039, 0.0038])
def test_trainings_of_a_column_that_agree_can_be_pooled(second: float) -> None:
    pooled = pool({"a": [-0.0055], "b": [0.0039, second], "c": [0.0015]})
    assert pooled.between_runs <= 0.0002 and pooled.degrees == 2
    assert pooled.mean == pytest.approx((-0.0055 + (0.0039 + second) / 2 + 0.0015) / 3, abs=1e-5)


def test_balanced_data_have_the_variances_of_an_analysis_of_variance() -> None:
    """For a balanced one-way design restricted maximum likelihood is the method of moments."""
    random = np.random.default_rng(0)
    values = {str(column): list(random.normal(0.3, 0.5) + random.normal(0, 0.2, 4)) for column in range(6)}
    table = np.array(list(values.values()))
    within = float(table.var(axis=1, ddof=1).mean())
    between = float(table.mean(axis=1).var(ddof=1)) - within / 4
    pooled = pool(values)
    assert pooled.mean == pytest.approx(table.mean())
    assert pooled.between_runs**2 == pytest.approx(within, rel=1e-3)
    assert pooled.between_columns**2 == pytest.approx(between, rel=1e-3)
    assert pooled.error == pytest.approx(math.sqrt((between + within / 4) / 6), rel=1e-3)


def test_known_errors_are_taken_off_the_spread_of_trainings() -> None:
    random = np.random.default_rng(1)
    values = {str(column): list(random.normal(1, 0.3, 5)) for column in range(8)}
    plain = pool(values)
    known = pool(values, {column: [0.2] * 5 for column in values})
    assert known.between_runs**2 == pytest.approx(plain.between_runs**2 - 0.04, rel=0.02)
    assert known.error == pytest.approx(plain.error, rel=0.01)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random, covered = np.random.default_rng(2), 0
    for _ in range(60):
        values = {
            str(column): list(0.5 + random.normal(0, 0.3) + random.normal(0, 0.4, 1 + column % 2))
            for column in range(6)
        }
        pooled = pool(values)
        covered += abs(pooled.mean - 0.5) < pooled.half_width
    assert covered >= 53  # 57 expected, standard deviation 1.7


def test_what_trainings_share_does_not_average_out() -> None:
    """Eight directions with effects of their own, in three columns of four trainings each: as often as it says."""
    rng = np.random.default_rng(3)
    covered, naive, repeats = 0, 0, 200
    for _ in range(repeats):
        directions = rng.normal(0, 0.2, 8)
        values = {name: [rng.normal(0, 0.01) + directions + rng.normal(0, 0.02, 8) for _ in range(4)] for name in "xyz"}
        means = {name: [float(own.mean()) for own in trainings] for name, trainings in values.items()}
        samples = [dict(zip("abcdefgh", own, strict=True)) for trainings in values.values() for own in trainings]
        found, without = pool(means, samples=samples), pool(means)
        covered += abs(found.mean) < t_quantile(7) * found.error
        naive += abs(without.mean) < t_quantile(2) * without.error
    assert covered > 0.9 * repeats and naive < 0.6 * repeats
    assert found.degrees == 2, "of the columns, which are fewer"


def test_quantiles() -> None:
    assert (t_quantile(7), t_quantile(1)) == pytest.approx((2.3646, 12.7062), rel=1e-4)
    assert math.isinf(t_quantile(0))


def test_trainings_count_by_their_own_errors() -> None:
    """Against the literal restricted likelihood of all differences at once: variances around those found have less."""
    values = {"a": [0.1, 0.42, 0.25], "b": [0.75, 0.35], "c": [-0.1]}
    errors = {"a": [0.02, 0.2, 0.1], "b": [0.01, 0.15], "c": [0.1]}
    pooled = pool(values, errors)
    y, own = (np.concatenate(list(each.values())) for each in (values, errors))
    column, ones = np.repeat(range(3), [3, 2, 1]), np.ones(6)

    def literal(between_columns: float, between_runs: float) -> tuple[float, float, float]:
        covariance = np.diag(between_runs**2 + own**2) + between_columns**2 * np.equal.outer(column, column)
        inverse = np.linalg.inv(covariance)
        weight = ones @ inverse @ ones
        mean = ones @ inverse @ y / weight
        loss = np.linalg.slogdet(covariance)[1] + math.log(weight) + (y - mean) @ inverse @ (y - mean)
        return loss, mean, weight**-0.5

    least, *expected = literal(pooled.between_columns, pooled.between_runs)
    assert (pooled.mean, pooled.error) == pytest.approx(expected)
    steps = np.linspace(0.7, 1.3, 13)
    around = [literal(pooled.between_columns * one, pooled.between_runs * other)[0] for one in steps for other in steps]
    assert min(around) > least - 1e-6 and min(pooled.between_columns, pooled.between_runs) > 0.1


def test_images_that_all_columns_share_are_no_further_evidence() -> None:
    """Three domains of the same four images agree because the images do: their own spread stays in the error."""
    by_image = dict(zip("abcd", (0.1, 0.5, 0.2, 0.4), strict=True))
    shared = [of_images(column, by_image, has_trainings=True) for column in ("x", "y", "z")]
    others = [
        of_images(column, {f"{column} {name}": value for name, value in by_image.items()}, has_trainings=True)
        for column in ("x", "y", "z")
    ]
    one, many = (Claim(source="", text="", paper="", cases=tuple(cases)) for cases in (shared, others))
    sem = np.std(list(by_image.values()), ddof=1) / 2
    assert one.findings[0].pooled.error == pytest.approx(sem), "that of one domain"
    assert many.findings[0].pooled.error == pytest.approx(sem / 3**0.5)
    assert one.findings[0].pooled.degrees == 2
    half = [dataclasses.replace(case, samples=()) for case in shared[:1]] + shared[1:]
    assert Finding(aspect="", cases=tuple(half)).pooled.error == pytest.approx(sem / 3**0.5), "not known of all"
