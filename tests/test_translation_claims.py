"""What the paper says of translated images (Table II) against small tables, of one training and of several."""

from typing import Any

import pandas as pd
import pytest

from experiments.paper.tables.protocols import DATA, check_protocol, check_searches
from experiments.paper.tables.translation_claims import table_2_claims
from ui2i.errors import DataError


def evaluation(system: str, fd: float, lpips_d: float, lpips_s: float, **columns: Any) -> dict[str, Any]:
    values = {"fd": fd, "lpips_d": lpips_d, "lpips_s": lpips_s, "lpips_d_sem": 0.01, "lpips_s_sem": 0.01, "fid": None}
    return {"source_domain": "face", "domain": "anime", "system": system, **values, **columns}


def test_table_2_counts_each_metric_the_right_way() -> None:
    rows = [
        evaluation("CycleGAN", 30, 0.6, 0.5), evaluation("FC-FT", 20, 0.5, 0.4),
        evaluation("FC-FT-LS16", 21, 0.5, 0.2), evaluation("the data itself", 1, 0.45, 0.0),
    ]  # fmt: skip
    claims = table_2_claims([pd.DataFrame(rows)])
    assert [claim.verdict for claim in claims] == ["direction only"] * 5
    assert [claim.cases[0].differences[0] for claim in claims] == pytest.approx([10, 0.1, 0.1, 0.2, 0.05])
    assert "Frechet distance" in claims[0].text
    assert claims[0].paper == "FID: face2portrait 32.48 against 54.472, face2anime 52.93 against 78.452"
    assert claims[1].paper == "LPIPS_d: face2portrait 0.743 against 0.649, face2anime 0.767 against 0.645"
    swapped = pd.DataFrame([evaluation("CycleGAN", 20, 0.5, 0.4), evaluation("FC-FT", 30, 0.4, 0.5)])
    against = "direction only, against"
    assert [claim.verdict for claim in table_2_claims([swapped])] == [against] * 3 + ["not measured"] * 2


def test_table_2_takes_the_errors_of_each_metric() -> None:
    rows = [
        evaluation("CycleGAN", 22, 0.6, 0.5, fd_sem=3.0), evaluation("FC-FT", 20, 0.5, 0.4, fd_sem=4.0),
        evaluation("FC-FT-LS16", 21, 0.5, 0.2, fd_sem=1.0), evaluation("the data itself", 1, 0.45, 0.0, fd_sem=0.1),
    ]  # fmt: skip
    nearer, diverse, similar, _, little = table_2_claims([pd.DataFrame(rows)])
    assert nearer.cases[0].errors == (5,) and nearer.verdict == "cannot be told", "2 of ± 9.8"
    assert similar.cases[0].errors == pytest.approx((0.01 * 2**0.5,)) and similar.verdict == "direction only"
    assert diverse.cases[0].errors == pytest.approx((0.01 * 2**0.5,)), (
        "both are above the data, whose error cancels out"
    )
    assert little.cases[0].errors == pytest.approx((1.05 * ((1 / 21) ** 2 + (4 / 20) ** 2) ** 0.5,))
    assert little.verdict == "cannot be told"


@pytest.mark.parametrize(
    ("column", "value"), [("fd_network", "efficientnet-lite0"), ("backbone", "st-alex"), ("num_targets", 900)]
)
def test_values_of_other_protocols_are_not_compared(column: str, value: Any) -> None:
    shared = {"fd_network": "other", "backbone": "squeeze", "num_targets": 5000}
    rows = [
        evaluation("CycleGAN", 30, 0.6, 0.5, **shared),
        evaluation("FC-FT", 20, 0.5, 0.4, **shared | {column: value}),
    ]
    with pytest.raises(DataError, match=rf"face2anime: {column} of \w+ differs \(CycleGAN .*, FC-FT .*one protocol"):
        table_2_claims([pd.DataFrame(rows)])


BACKBONE, COUNTS = ["backbone", "backbone_hash"], ["num_outputs", "num_targets", "dataset_hash"]
RESIZED = ["resizer", "img_resolution"]
DECIDES = {
    "fid": ["inception_hash", *RESIZED, *COUNTS],
    "fd": ["fd_network", "fd_network_hash", *BACKBONE, *RESIZED, *COUNTS],
    "lpips_d": [*BACKBONE, *RESIZED],
    "lpips_s": [*BACKBONE, *RESIZED],
}


@pytest.mark.parametrize(("metric", "name"), [(metric, name) for metric, names in DECIDES.items() for name in names])
def test_whatever_decides_a_value_has_to_agree(metric: str, name: str) -> None:
    shared = {"system": "FC-FT", **dict.fromkeys(DECIDES[metric], "1")}
    one, same, other, data = (
        pd.Series(shared | change)
        for change in ({}, {"system": "CycleGAN"}, {"system": "CycleGAN", name: "2"}, {"system": DATA, name: "2"})
    )
    check_protocol("face2anime", metric, one, same, data)
    with pytest.raises(DataError, match=f"{name} of {metric} differs"):
        check_protocol("face2anime", metric, one, other)


def test_diversities_and_small_rises_are_of_one_protocol() -> None:
    rows = [evaluation(name, 30, 0.6, 0.5, fid=60.0, backbone=name) for name in ("CycleGAN", "FC-FT")]
    with pytest.raises(DataError, match="backbone of lpips_d differs"):
        table_2_claims([pd.DataFrame(rows)])
    rows = [evaluation(name, 30, 0.6, 0.5, fd_network=name) for name in ("FC-FT", "FC-FT-LS16")]
    with pytest.raises(DataError, match="fd_network of fd differs"):
        table_2_claims([pd.DataFrame(rows)])


@pytest.mark.parametrize("name", ["steps", "base_hash", "backbone_hash", "perceptual_loss", "img_resolution"])
def test_whatever_decides_a_search_has_to_agree(name: str) -> None:
    rows = pd.DataFrame({"method": ["w", "directions"], name: ["1", "2"]})
    with pytest.raises(DataError, match=f"face: {name} of w and directions differs"):
        check_searches("face", rows)


def test_more_diverse_than_the_data_is_not_better() -> None:
    rows = [
        evaluation("CycleGAN", 30, 0.9, 0.5),
        evaluation("FC-FT", 20, 0.5, 0.4),
        evaluation("the data itself", 1, 0.45, 0),
    ]
    assert table_2_claims([pd.DataFrame(rows)])[1].cases[0].differences[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("data", "difference", "error"),
    [
        (0.42, 0.08 - 0.02, (1 + 4 + (2 * 3) ** 2) ** 0.5),  # between both: its error counts twice
        (0.3, 0.2 - 0.1, (1 + 4) ** 0.5),  # below both: it cancels out
        (None, 0.4 - 0.5, (1 + 4) ** 0.5),
    ],
)
def test_diversities_have_the_errors_of_all_that_is_compared(
    data: float | None, difference: float, error: float
) -> None:
    rows = [evaluation("CycleGAN", 30, 0.5, 0.5, lpips_d_sem=1), evaluation("FC-FT", 20, 0.4, 0.4, lpips_d_sem=2)]
    rows += [] if data is None else [evaluation("the data itself", 1, data, 0.0, lpips_d_sem=3)]
    (case,) = table_2_claims([pd.DataFrame(rows)])[1].cases
    assert case.differences == pytest.approx((difference,)) and case.errors == pytest.approx((error,))
    assert case.aspect == ("plain difference" if data is None else "")


def test_a_little_has_a_bound() -> None:
    rows = [evaluation("FC-FT", 20, 0.5, 0.4), evaluation("FC-FT-LS16", 37, 0.5, 0.2)]
    little = table_2_claims([pd.DataFrame(rows)])[4]
    assert little.cases[0].differences[0] == pytest.approx(0.1 - 0.85)
    assert little.verdict == "direction only, against" and "less than 10%" in little.text


def test_table_2_takes_fid_where_all_have_it() -> None:
    rows = [evaluation("CycleGAN", 1, 0.4, 0.5, fid=60.0), evaluation("FC-FT", 2, 0.5, 0.4, fid=50.0)]
    (case,) = table_2_claims([pd.DataFrame(rows)])[0].cases
    assert case.differences == (10,) and case.column == "face2anime"
    frames = [pd.DataFrame(rows), pd.DataFrame(rows).assign(fid=None)]
    assert table_2_claims(frames)[0].cases[0].differences == (-1, -1), "fd, which both have"


def test_trainings_of_a_column_are_pooled() -> None:
    first = [evaluation("CycleGAN", 30, 0.6, 0.5), evaluation("FC-FT", 20, 0.5, 0.40, fd_sem=0.5)]
    second = [evaluation("FC-FT", 22, 0.5, 0.42, fd_sem=0.5)]
    others = [evaluation("FC-FT", 24, 0.5, 0.43), evaluation("FC-FT-LS16", 25, 0.5, 0.3)]
    first, second = ([*rows, evaluation("FC-FT-LS16", 21, 0.5, 0.2, fd_sem=0.5)] for rows in (first, second))
    portrait = [{**row, "domain": "portrait"} for row in others]
    frames = [pd.DataFrame(rows) for rows in (first, second, portrait)]
    nearer, _, _, similar, little = table_2_claims(frames)
    assert [case.differences for case in nearer.cases] == [(10,)], "the baseline was trained once"
    by_column = {case.column: case for case in similar.cases}
    assert by_column["face2anime"].differences == pytest.approx((0.2, 0.22))
    assert len(by_column["face2anime"].errors) == 2 and by_column["face2portrait"].differences == pytest.approx((0.13,))
    assert similar.verdict == "direction only", "two columns: 0.17 with an interval of one degree of freedom"
    by_column = {case.column: case for case in little.cases}
    assert by_column["face2anime"].differences == pytest.approx((0.05, 0.1 + 1 / 22))
    assert len(by_column["face2anime"].errors) == 2 and not by_column["face2portrait"].errors, "unknown"
