"""Drift: changes against their standard error, and the cause that the rows name."""

import json
from typing import Any

import pandas as pd
import pytest

from ui2i.metrics.drift import CAUSES, find_drift
from ui2i.tables import DISTANCE_SCHEMA

VERSIONS = json.dumps({"torch": "2.0"})


def row(run_id: str, target: str, mean: float, **columns: Any) -> dict[str, Any]:
    decides = dict.fromkeys(CAUSES, "same")
    return {
        "run_id": run_id, "source": "face", "target": target, "mean": mean, "sem": 0.003, "versions": VERSIONS,
        **decides, **columns,
    }  # fmt: skip


def test_causes_are_columns_of_the_table() -> None:
    assert set(CAUSES) <= set(DISTANCE_SCHEMA.names)


def test_changes_are_measured_in_standard_errors_of_the_difference() -> None:
    rows = [row("1", "a", 0.4), row("1", "b", 0.3), row("2", "a", 0.43, sem=0.004), row("2", "b", 0.3)]
    first, second = find_drift(pd.DataFrame(rows))
    assert (first.target, first.change) == ("a", pytest.approx(0.03))
    assert first.sem == pytest.approx(0.005)
    assert first.num_sems == pytest.approx(6)
    assert first.exceeds(5.9) and not first.exceeds(6.1)
    assert (second.num_sems, second.exceeds(0.1)) == (0, False)
    assert "nothing that the table records has changed" in str(first)


def test_a_change_down_counts_as_one_up() -> None:
    (drift,) = find_drift(pd.DataFrame([row("1", "a", 0.43), row("2", "a", 0.4)]))
    assert drift.exceeds(5)


def test_rounding_is_no_change() -> None:
    rows = [row("1", "a", 0.4, sem=1e-9), row("2", "a", 0.40005, sem=1e-9), row("3", "a", 0.41, sem=0.0)]
    assert not find_drift(pd.DataFrame(rows[:2]))[0].exceeds(4)
    assert find_drift(pd.DataFrame([rows[0] | {"sem": 0.0}, rows[2]]))[0].exceeds(1e9)


def test_each_pair_is_compared_with_its_own_last_run() -> None:
    rows = [row("1", "a", 0.1), row("1", "b", 0.2), row("2", "a", 0.3), row("3", "a", 0.3), row("3", "b", 0.3),
            row("3", "new", 0.9)]  # fmt: skip
    found = {drift.target: drift.before for drift in find_drift(pd.DataFrame(rows))}
    assert found == {"a": 0.3, "b": 0.2}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("target_hash", "other target checkpoint: same -> changed"),
        ("dataset_hash", "other target's training images: same -> changed"),
        ("backbone_hash", "other perceptual backbone: same -> changed"),
        ("seed", "other latents' seed: same -> changed"),
    ],
)
def test_the_cause_is_named(column: str, expected: str) -> None:
    (drift,) = find_drift(pd.DataFrame([row("1", "a", 0.4), row("2", "a", 0.5, **{column: "changed"})]))
    assert drift.causes == (expected,)
    assert expected in str(drift)


def test_packages_and_unknown_values() -> None:
    old = row("1", "a", 0.4, device_name=None)
    new = row("2", "a", 0.5, versions=json.dumps({"torch": "3.0"}))
    (drift,) = find_drift(pd.DataFrame([old, new]))
    assert drift.causes == ("other packages: torch 2.0 -> 3.0",)
    hashes = row("1", "a", 0.4, target_hash="a" * 64), row("2", "a", 0.5, target_hash="b" * 64)
    assert "aaaaaaaaaaaa -> bbbbbbbbbbbb" in find_drift(pd.DataFrame(hashes))[0].causes[0]


def test_nothing_to_compare() -> None:
    assert find_drift(pd.DataFrame([row("1", "a", 0.4)])) == []
    assert find_drift(pd.DataFrame([row("1", "a", 0.4)]).iloc[:0]) == []
