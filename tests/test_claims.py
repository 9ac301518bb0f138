"""What the paper says against small tables: which way each difference counts, and what is said of it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.paper.tables import Cell
from experiments.paper.tables.claims import Case, Claim, paired, unpaired
from experiments.paper.tables.figure_claims import figure_6_claims, figure_7_claims, figure_8_claims
from experiments.paper.tables.paper_claims import table_1_claims, table_2_claims, table_3_claims, truth_claims
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS
from ui2i.errors import DataError


def claim(*differences: float, sem: float | None = 0.1) -> Claim:
    cases = tuple(Case(where=f"c{place}", difference=value, sem=sem) for place, value in enumerate(differences))
    return Claim(source="Table I", text="it is so", paper="0.3", cases=cases)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((), "not measured"),
        ((0.21, 0.3), "holds"),
        ((0.21, 0.19), "holds in part"),
        ((0.3, -0.3), "holds in part"),
        ((0.19, -0.19), "cannot be told"),
        ((0.19, -0.21), "does not hold"),
    ],
)
def test_verdicts(differences: tuple[float, ...], verdict: str) -> None:
    assert claim(*differences).verdict == verdict


def test_evidence_groups_differences_by_what_they_say() -> None:
    assert claim(0.3, -0.3, 0.05, 0.4).evidence == (
        "as claimed: c0 +0.3000 ± 0.2000, c3 +0.4000 ± 0.2000; cannot be told: c2 +0.0500 ± 0.2000; "
        "the reverse: c1 -0.3000 ± 0.2000"
    )
    assert claim(0.001, sem=None).evidence == "as claimed: c0 +0.0010 (no interval)"


def test_cases() -> None:
    assert unpaired("x", (0.5, 0.3), (0.4, 0.4)).sem == pytest.approx(0.5)
    assert unpaired("x", (0.5, None), (0.7, 0.4)) == Case(where="x", difference=0.5 - 0.7, sem=None)
    values = [0.1, 0.4, 0.3]
    case = paired("x", values)
    assert case.difference == pytest.approx(np.mean(values))
    assert case.sem == pytest.approx(np.std(values, ddof=1) / 3**0.5)
    with pytest.raises(DataError, match="expected at least 2"):
        paired("x", [0.1])


def table_1(change: dict[tuple[str, str], float] | None = None) -> list[Cell]:
    """The paper's own values as if they were measured, some changed."""
    values = {
        (row, column): value for row in TABLE_1 for column, value in zip(TABLE_1_COLUMNS, TABLE_1[row], strict=True)
    }
    values = {(row, column.replace("metface", "portrait")): value for (row, column), value in values.items()}
    return [
        Cell(row=row, column=column, metric="d", value=value, sem=0.0001)
        for (row, column), value in (values | (change or {})).items()
    ]


def test_the_paper_s_own_table_1_bears_its_claims_out() -> None:
    claims = table_1_claims(table_1())
    assert [claim.verdict for claim in claims] == ["holds"] * 5
    assert [len(claim.cases) for claim in claims] == [6, 6, 18, 2, 2]
    assert claims[1].paper == "+0.002 to +0.068 in 6 columns"


def test_a_table_1_that_contradicts_a_claim() -> None:
    claims = table_1_claims(table_1({("FC-FT", "cat2wild"): 0.6, ("FT", "face2portrait"): 0.66}))
    assert claims[1].verdict == "holds in part" and "the reverse: cat2wild -0.0300" in claims[1].evidence
    assert claims[3].verdict == "holds in part" and "the reverse: FT -0.0100" in claims[3].evidence
    assert claims[2].verdict == "holds", "0.6 is still above the swaps"


def test_columns_that_were_not_measured_are_left_out() -> None:
    cells = [cell for cell in table_1() if cell.column == "cat2dog"]
    assert [claim.verdict for claim in table_1_claims(cells)] == ["holds"] * 3 + ["not measured"] * 2


def evaluation(system: str, fd: float, lpips_d: float, lpips_s: float, **columns: Any) -> dict[str, Any]:
    values = {"fd": fd, "lpips_d": lpips_d, "lpips_s": lpips_s, "lpips_d_sem": 0.01, "lpips_s_sem": 0.01, "fid": None}
    return {"source_domain": "face", "domain": "anime", "system": system, **values, **columns}


def test_table_2_counts_each_metric_the_right_way() -> None:
    rows = [
        evaluation("CycleGAN", 30, 0.4, 0.5), evaluation("FC-FT", 20, 0.5, 0.4), evaluation("FC-FT-LS16", 25, 0.5, 0.2),
    ]  # fmt: skip
    claims = table_2_claims(pd.DataFrame(rows))
    assert [claim.verdict for claim in claims] == ["holds"] * 5
    assert "(no interval)" in claims[0].evidence and "Frechet distance" in claims[0].text
    assert claims[0].paper == "FID: face2portrait 32.48 against 54.472, face2anime 52.93 against 78.452"
    assert claims[1].paper == "LPIPS_d: face2portrait 0.743 against 0.649, face2anime 0.767 against 0.645"
    swapped = pd.DataFrame([evaluation("CycleGAN", 20, 0.5, 0.4), evaluation("FC-FT", 30, 0.4, 0.5)])
    verdicts = [claim.verdict for claim in table_2_claims(swapped)]
    assert verdicts == ["does not hold"] * 3 + ["not measured"] * 2


def test_table_2_takes_fid_where_all_have_it() -> None:
    rows = [evaluation("CycleGAN", 1, 0.4, 0.5, fid=60.0), evaluation("FC-FT", 2, 0.5, 0.4, fid=50.0)]
    (case,) = table_2_claims(pd.DataFrame(rows))[0].cases
    assert case.difference == 10 and case.where == "face2anime"


def truth(variant: str, distances: list[float], copy: float = 0.6) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": variant, "metric": "lpips", "input_path": str(place), "distance": value, "copy_distance": copy}
            for place, value in enumerate(distances)
        ]
    )


def test_the_truth_decides_image_by_image() -> None:
    """Images differ by far more than systems do, so that only pairs show which is nearer."""
    own = [0.1, 0.5, 0.3, 0.9]
    others = truth("CycleGAN", [value + 0.02 + 0.001 * place for place, value in enumerate(own)])
    nearer, than_inputs, swapped = truth_claims({"anime": truth("FC-FT", own)}, {"anime": others.iloc[::-1]})
    assert nearer.verdict == "holds" and nearer.cases[0].where == "anime lpips"
    assert nearer.cases[0].difference == pytest.approx(0.0215)
    assert than_inputs.verdict == "cannot be told"
    assert swapped.verdict == "not measured"
    (farther, *_) = truth_claims({"anime": truth("FC-FT", [0.2, 0.3])}, {"anime": truth("CycleGAN", [0.1, 0.21])})
    assert farther.verdict == "does not hold"


def inverted(method: str, ssim: list[float], kind: str = "real", start: str = "mean") -> list[dict[str, Any]]:
    return [
        {"method": method, "kind": kind, "start": start, "image": str(place), "ssim": value}
        for place, value in enumerate(ssim)
    ]


def test_table_3_compares_the_closed_form_on_real_images() -> None:
    rows = [*inverted("closed_form", [0.6, 0.3]), *inverted("w", [0.7, 0.41]), *inverted("encoder", [0.5, 0.21])]
    rows += [*inverted("w", [0.1, 0.1], kind="generated"), *inverted("w", [0.1, 0.1], start="encoder")]
    claims = {claim.text.split()[-1]: claim for claim in table_3_claims({"face": pd.DataFrame(rows)})}
    assert claims["(w)"].verdict == "does not hold" and claims["(w)"].cases[0].difference == pytest.approx(-0.105)
    assert claims["(encoder)"].verdict == "holds" and claims["(encoder)"].paper == "0.667 against 0.587"
    assert claims["(in_domain)"].verdict == "not measured"


def agreement(domain: str, mode: str, cosines: list[float]) -> list[dict[str, Any]]:
    return [
        {"base": "face", "domain": domain, "mode": mode, "direction": place, "cosine": value, "chance": 0.1}
        for place, value in enumerate(cosines, 1)
    ]


def test_figure_6_takes_the_models_made_from_the_base() -> None:
    rows = [*agreement("face", "scratch", [0.1, 0.1]), *agreement("anime", "FC-FT", [0.8, 0.9])]
    rows += agreement("anime", "scratch", [0.2, 0.31])
    above_chance, above_control = figure_6_claims(pd.DataFrame(rows))
    assert [case.where for case in above_chance.cases] == ["anime/FC-FT"]
    assert above_chance.cases[0].difference == pytest.approx(0.75)
    assert above_control.cases[0].difference == pytest.approx(0.595)


def measure(
    metric: str, domain: str, mode: str, value: float, half: float | None = 0.1, **columns: Any
) -> dict[str, Any]:
    low, high = (None, None) if half is None else (value - half, value + half)
    ends = {"ci95_low": low, "ci95_high": high}
    return {"metric": metric, "domain": domain, "mode": mode, "value": value, "attribute": None, **ends, **columns}


def test_figures_7_and_8_compare_modes() -> None:
    rows = [
        measure("traits", "anime", "FT", 0.3), measure("traits", "anime", "FC-FT", 0.6),
        measure("traits", "anime", "FC-FT-LS8", 0.62), measure("traits", "anime", "FC-FT", 0.0, attribute="smile"),
    ]  # fmt: skip
    frozen, swapped = figure_7_claims(pd.DataFrame(rows))
    assert frozen.verdict == "holds" and frozen.cases[0].difference == pytest.approx(0.3)
    assert frozen.cases[0].sem == pytest.approx(2**0.5 * 0.1 / 1.96)
    assert swapped.verdict == "cannot be told"
    rows = [measure("fd", "dog", mode, fd, None) for mode, fd in {"Direct-LS8": 300, "FC-FT-LS8": 30}.items()]
    direct, more = figure_8_claims(pd.DataFrame(rows))
    assert direct.verdict == "holds" and direct.cases[0] == Case(where="dog", difference=270, sem=None)
    assert more.verdict == "not measured"
