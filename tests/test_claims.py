"""What the paper says against small tables: which way each difference counts, and what is said of it."""

import collections
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.paper.reproduction import sections, verdicts
from experiments.paper.tables import Cell
from experiments.paper.tables.claims import Case, Claim, of_images, of_runs, of_values
from experiments.paper.tables.controls import unfinished_apart
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.paper_claims import (
    table_1_claims,
    table_2_claims,
    table_3_claims,
)
from experiments.paper.tables.published import read_published
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS
from ui2i.errors import DataError
from ui2i.markdown import wrap_markdown

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "results" / "reproduction.md"
OTHER_RUNS = [REPOSITORY / "docs" / "results" / name for name in ("family", "table1", "seeds")]


def claim(*differences: float | tuple[float, ...], aspects: tuple[str, ...] = (), **columns: Any) -> Claim:
    cases = tuple(
        Case(
            column=f"c{place}",
            differences=value if isinstance(value, tuple) else (value,),
            aspect=aspects[place] if aspects else "",
        )
        for place, value in enumerate(differences)
    )
    return Claim(source="Table I", text="it is so", paper="0.3", cases=cases, **columns)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((), "not measured"),
        ((0.3,), "direction only"),  # one training
        ((-0.3,), "direction only, against"),
        ((0.3, 0.2), "direction only"),  # two, with a t quantile of 12.7
        ((0.30, 0.31, 0.29, 0.3), "holds"),
        ((0.30, 0.31, 0.29, 0.3, 0.29, -0.01), "holds on average"),
        ((-0.30, -0.31, -0.29), "does not hold"),
        ((0.3, -0.3, 0.1), "cannot be told"),
        (((0.3, 0.31), (0.29, 0.3), (0.31, 0.3)), "holds"),
        (((0.3, -0.29), (0.31, -0.3)), "cannot be told"),  # trainings differ by more than columns do
    ],
)
def test_verdicts(differences: tuple[Any, ...], verdict: str) -> None:
    assert claim(*differences).verdict == verdict


def test_a_claim_with_several_aspects_holds_in_part_if_some_do() -> None:
    aspects = ("ssim",) * 3 + ("rmse",) * 3
    assert claim(0.3, 0.31, 0.29, -0.3, -0.31, -0.29, aspects=aspects).verdict == "holds in part"
    assert claim(0.3, 0.31, 0.29, 0.2, 0.21, 0.19, aspects=aspects).verdict == "holds"
    assert claim(0.3, 0.31, 0.29, 0.2, -0.21, 0.19, aspects=aspects).verdict == "holds in part"


def test_a_missing_control_outweighs_any_difference() -> None:
    one = claim(0.3, 0.31, 0.29, missing_control="It is blur")
    assert one.verdict == "control missing" and one.evidence.startswith("+0.3000 (")
    assert one.to_row()["missing_control"] == "It is blur"
    assert claim(missing_control="It is blur").verdict == "not measured"


def test_evidence_lists_columns_and_trainings() -> None:
    assert claim(0.3).evidence == "c0 +0.3000 (one training)"
    text = claim((0.3, 0.32), (0.28, 0.3), (0.31, 0.29)).evidence
    assert re.fullmatch(r"\+0\.3000 \(± 0\.0\d+\), from c0 \+0\.3000 and \+0\.3200, c1 \+0\.2800 and .*", text), text


def test_a_difference_within_its_own_interval_has_no_sign() -> None:
    """Two standard errors of 0.1 are more than 0.15, less than 0.3."""
    cases = {
        (0.3, 0.1): "direction only",
        (0.15, 0.1): "cannot be told",
        (-0.15, 0.1): "cannot be told",
        (-0.3, 0.1): "direction only, against",
    }
    for (difference, error), verdict in cases.items():
        case = of_values("x", difference, 0.0, error=error)
        assert Claim(source="", text="", paper="", cases=(case,)).verdict == verdict, difference
    few, many = (Case(column="x", differences=(0.25,), errors=(0.1,), num_samples=n) for n in (4, 40))
    assert few.signs == [0] and many.signs == [1], "3.2 standard errors of four, 2.0 of forty"
    assert of_values("x", 0.1, 0.0, error=float("nan")).errors == () and of_values("x", 0.1, 0.0).signs == [1]


def test_cases() -> None:
    case = of_runs("x", [(0.5, 0.3), (0.6, 0.3)], [(0.4, 0.4), (0.3, 0.4)], aspect="FT")
    assert case.differences == pytest.approx((0.1, 0.3)) and case.errors == pytest.approx((0.5, 0.5))
    assert of_values("x", 0.5, 0.7).differences == pytest.approx((-0.2,)) and not of_values("x", 0.5, 0.7).errors
    values = [0.1, 0.4, 0.3]
    case = of_images("x", values)
    assert case.differences == pytest.approx((np.mean(values),)) and case.num_images == 3
    assert case.errors == pytest.approx((np.std(values, ddof=1) / 3**0.5,))
    assert of_images("x", values, has_trainings=True).num_images is None
    with pytest.raises(DataError, match="expected at least 2"):
        of_images("x", [0.1])


def test_few_images_have_student_s_quantile() -> None:
    """Eight directions: two standard errors would be below the difference, 2.36 are above it."""
    values = [0.1 + 0.1 * place for place in range(-3, 5)]
    mean, sem = np.mean(values), np.std(values, ddof=1) / 8**0.5
    shifted = [value - mean + 2.2 * sem for value in values]
    found = Claim(source="", text="", paper="", cases=(of_images("face", shifted),))
    assert found.verdict == "cannot be told" and 2.36 < found.findings[0].pooled.half_width / sem < 2.37


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
    claims = table_1_claims([table_1()])
    assert [claim.verdict for claim in claims[:3]] == ["holds", "holds", "holds in part"]
    assert [claim.verdict for claim in claims[3:]] == ["direction only"] * 2, "of one training"
    assert [len(claim.cases) for claim in claims] == [6, 6, 18, 2, 2]
    assert claims[1].paper == "+0.002 to +0.068 in 6 columns"


def test_a_table_1_that_contradicts_a_claim() -> None:
    claims = table_1_claims([table_1({("FC-FT", "cat2wild"): 0.6, ("FT", "face2portrait"): 0.66})])
    assert claims[1].verdict == "cannot be told" and "cat2wild -0.0300" in claims[1].evidence
    assert claims[3].verdict == "cannot be told" and "FT: face2anime and portrait -0.0100" in claims[3].evidence


def test_trainings_of_a_column_count_together() -> None:
    again = table_1({("FC-FT", "face2anime"): 0.66})
    (case,) = (case for case in table_1_claims([table_1(), again])[1].cases if case.column == "face2anime")
    assert case.differences == pytest.approx((0.011, -0.01)) and case.errors == pytest.approx((0.0001 * 2**0.5,) * 2)


def test_models_trained_apart_may_be_no_control() -> None:
    claims = table_1_claims([table_1()], missing_control="They are blur")
    assert [claim.verdict == "control missing" for claim in claims] == [True, False, False, False, True]


def test_finished_models_of_another_base_take_the_place_of_unfinished_ones() -> None:
    apart = [cell for cell in table_1() if cell.row == "FT"]
    cells = [*table_1(), *(dataclasses.replace(cell, row=APART, value=cell.value + 0.1) for cell in apart)]
    claim = table_1_claims([cells], missing_control="They are blur")[0]
    assert claim.verdict == "holds" and claim.findings[0].pooled.mean == pytest.approx(0.1)
    modes = {"domain": "cartoon", "seed": 0, "kimg": 10.0}
    curves = [
        pd.DataFrame([{**modes, "mode": "FT", "fd": 20.0}, {**modes, "mode": APART, "fd": fd}]) for fd in (22, 23)
    ]
    assert unfinished_apart(curves[:1]) == {}
    unfinished = unfinished_apart(curves)
    assert unfinished == {"cartoon": "23.0 against 20.0"}
    claim = table_1_claims([cells], unfinished=unfinished)[0]
    assert "cartoon" not in {case.column.rpartition("2")[2] for case in claim.cases} and len(claim.cases) == 5
    assert claim.evidence.endswith(
        "; left out: models of another base that are farther from the domain than FT (Frechet distance: cartoon 23.0 "
        "against 20.0)"
    )
    cells = [cell for cell in cells if cell.row != APART or cell.column == "face2cartoon"]
    claim = table_1_claims([cells], unfinished=unfinished)[0]
    assert claim.verdict == "control missing" and "only models of another base" in claim.missing_control


def test_columns_that_were_not_measured_are_left_out() -> None:
    cells = [cell for cell in table_1() if cell.column == "cat2dog"]
    assert [claim.verdict for claim in table_1_claims([cells])] == ["direction only"] * 3 + ["not measured"] * 2


def evaluation(system: str, fd: float, lpips_d: float, lpips_s: float, **columns: Any) -> dict[str, Any]:
    values = {"fd": fd, "lpips_d": lpips_d, "lpips_s": lpips_s, "lpips_d_sem": 0.01, "lpips_s_sem": 0.01, "fid": None}
    return {"source_domain": "face", "domain": "anime", "system": system, **values, **columns}


def test_table_2_counts_each_metric_the_right_way() -> None:
    rows = [
        evaluation("CycleGAN", 30, 0.6, 0.5), evaluation("FC-FT", 20, 0.5, 0.4),
        evaluation("FC-FT-LS16", 21, 0.5, 0.2), evaluation("the data itself", 1, 0.45, 0.0),
    ]  # fmt: skip
    claims = table_2_claims(pd.DataFrame(rows))
    assert [claim.verdict for claim in claims] == ["direction only"] * 5
    assert [claim.cases[0].differences[0] for claim in claims] == pytest.approx([10, 0.1, 0.1, 0.2, 0.05])
    assert "Frechet distance" in claims[0].text
    assert claims[0].paper == "FID: face2portrait 32.48 against 54.472, face2anime 52.93 against 78.452"
    assert claims[1].paper == "LPIPS_d: face2portrait 0.743 against 0.649, face2anime 0.767 against 0.645"
    swapped = pd.DataFrame([evaluation("CycleGAN", 20, 0.5, 0.4), evaluation("FC-FT", 30, 0.4, 0.5)])
    against = "direction only, against"
    assert [claim.verdict for claim in table_2_claims(swapped)] == [against] * 3 + ["not measured"] * 2


def test_table_2_takes_the_errors_of_each_metric() -> None:
    rows = [
        evaluation("CycleGAN", 22, 0.6, 0.5, fd_sem=3.0), evaluation("FC-FT", 20, 0.5, 0.4, fd_sem=4.0),
        evaluation("FC-FT-LS16", 21, 0.5, 0.2, fd_sem=1.0), evaluation("the data itself", 1, 0.45, 0.0, fd_sem=0.1),
    ]  # fmt: skip
    nearer, diverse, similar, _, little = table_2_claims(pd.DataFrame(rows))
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
        table_2_claims(pd.DataFrame(rows))


def test_more_diverse_than_the_data_is_not_better() -> None:
    rows = [
        evaluation("CycleGAN", 30, 0.9, 0.5),
        evaluation("FC-FT", 20, 0.5, 0.4),
        evaluation("the data itself", 1, 0.45, 0),
    ]
    assert table_2_claims(pd.DataFrame(rows))[1].cases[0].differences[0] == pytest.approx(0.4)


def test_a_little_has_a_bound() -> None:
    rows = [evaluation("FC-FT", 20, 0.5, 0.4), evaluation("FC-FT-LS16", 37, 0.5, 0.2)]
    little = table_2_claims(pd.DataFrame(rows))[4]
    assert little.cases[0].differences[0] == pytest.approx(0.1 - 0.85)
    assert little.verdict == "direction only, against" and "less than 10%" in little.text


def test_table_2_takes_fid_where_all_have_it() -> None:
    rows = [evaluation("CycleGAN", 1, 0.4, 0.5, fid=60.0), evaluation("FC-FT", 2, 0.5, 0.4, fid=50.0)]
    (case,) = table_2_claims(pd.DataFrame(rows))[0].cases
    assert case.differences == (10,) and case.column == "face2anime"


def inverted(method: str, ssim: list[float], kind: str = "real", start: str = "mean") -> list[dict[str, Any]]:
    return [
        {"method": method, "kind": kind, "start": start, "image": str(place), "ssim": value}
        for place, value in enumerate(ssim)
    ]


def test_table_3_compares_the_closed_form_on_real_images() -> None:
    rows = [*inverted("closed_form", [0.6, 0.3]), *inverted("w", [0.7, 0.41]), *inverted("encoder", [0.5, 0.21])]
    rows += [*inverted("w", [0.1, 0.1], kind="generated"), *inverted("w", [0.1, 0.1], start="encoder")]
    rows += inverted("closed_form_mapping", [0.7, 0.42])
    claims = {claim.text.split()[-1]: claim for claim in table_3_claims({"face": pd.DataFrame(rows)})}
    mapping, own = claims["(w)"].cases
    assert claims["(w)"].verdict == "does not hold" and own.differences == pytest.approx((-0.105,))
    assert (mapping.aspect, own.aspect) == ("closed_form_mapping", "closed_form"), "both readings of Eq. 9"
    assert mapping.differences == pytest.approx((0.005,))
    assert claims["(encoder)"].verdict == "holds" and claims["(encoder)"].paper == "0.667 against 0.587"
    assert claims["(in_domain)"].verdict == "not measured"


def test_searches_of_different_lengths_are_not_compared() -> None:
    rows = pd.DataFrame([*inverted("closed_form", [0.6, 0.3]), *inverted("encoder", [0.5, 0.21])])
    rows["steps"] = [500, 500, 0, 0]
    assert table_3_claims({"face": rows})[-1].verdict == "holds", "an encoder takes no steps"
    rows["method"] = rows["method"].replace("encoder", "w")
    rows["steps"] = [500, 500, 1000, 1000]
    with pytest.raises(DataError, match=r"face: steps of closed_form and w differs \(1000, 500\), expected one"):
        table_3_claims({"face": rows})


# The page that was kept


def test_every_verdict_of_the_page_follows_from_the_tables_beside_it() -> None:
    published = read_published(PAGE.with_suffix(""), OTHER_RUNS)
    claims = published.claims
    assert json.loads((PAGE.with_suffix("") / verdicts.CLAIMS_FILE).read_text()) == [it.to_row() for it in claims]
    page = PAGE.read_text()
    assert wrap_markdown(verdicts.verdicts(claims)).strip() in page
    assert wrap_markdown(sections.table_3(published.inversions)).strip() in page
    assert page.rstrip().endswith(wrap_markdown(verdicts.sceptic(claims)).strip())
    assert sum(claim.is_of_the_paper for claim in claims) == 20


def test_the_readme_counts_as_the_page_does() -> None:
    rows = json.loads((PAGE.with_suffix("") / verdicts.CLAIMS_FILE).read_text())
    counts = collections.Counter(row["verdict"] for row in rows if row["whose"] == "the paper's")
    sentences = " ".join((REPOSITORY / "README.md").read_text().split()).split(". ")
    (said,) = (sentence for sentence in sentences if "20 claims" in sentence)
    assert f"{counts['holds']} hold " in said and f"{counts['control missing']} have no finished control" in said


def test_a_page_without_a_section_is_refused() -> None:
    with pytest.raises(DataError, match="has no section '## What holds'"):
        verdicts.rewritten("# Another page\n", [])


def test_sections_are_replaced_and_the_rest_stays() -> None:
    page = "# Title\n\n## What holds\n\nstale\n\n## Table I\n\nkept\n"
    once = verdicts.rewritten(page, [claim(0.3)])
    assert "stale" not in once and "kept" in once and "direction only 1" in once
    assert once.index("## Table I") < once.index("## What a sceptic")
    assert verdicts.rewritten(once, [claim(0.3)]) == once
    with_table = page.replace("## Table I\n", f"{verdicts.TABLE_3}\n\nold rows\n\n## Figures\n")
    once = verdicts.rewritten(with_table, [claim(0.3)], "new rows\n")
    assert "old rows" not in once and f"{verdicts.TABLE_3}\n\nnew rows\n\n## Figures\n\nkept\n" in once
