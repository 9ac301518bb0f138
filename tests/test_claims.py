"""What the paper says against small tables: which way each difference counts, and what is said of it."""

import collections
import dataclasses
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plain_claims import claim

from experiments.paper.reproduction import sections, verdicts
from experiments.paper.tables import Cell
from experiments.paper.tables.across import Across, doubts_of, never_finished
from experiments.paper.tables.claims import Case, Claim, Finding, of_images, of_runs, of_values
from experiments.paper.tables.equal_fidelity import nearer_than_apart
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.paper_claims import table_1_claims, table_3_claims
from experiments.paper.tables.published import read_published
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS
from ui2i.errors import DataError
from ui2i.markdown import wrap_markdown

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "results" / "reproduction.md"
OTHER_RUNS = [
    REPOSITORY / "docs" / "results" / name
    for name in ("family", "table1", "seeds", "across", "across-2", "across-3", "baselines")
]


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


def test_a_claim_fails_in_part_if_some_aspects_do_and_the_others_cannot_be_told() -> None:
    aspects = ("one",) * 3 + ("other",) * 3
    assert claim(-0.3, -0.31, -0.29, -0.3, -0.31, -0.29, aspects=aspects).verdict == "does not hold"
    assert claim(-0.3, -0.31, -0.29, 0.3, -0.31, 0.29, aspects=aspects).verdict == "fails in part"
    assert claim(-0.3, -0.31, -0.29, -0.1, -0.5, -0.01, aspects=aspects).verdict == "fails in part", "-0.2 ± 0.65"


def test_what_is_not_known_has_no_sign() -> None:
    assert claim(math.nan).verdict == "cannot be told"


def test_columns_that_share_models_decide_nothing_alone() -> None:
    apart = [Case(column=f"{place}", differences=(value,)) for place, value in enumerate((0.1, 0.2, 0.3, -0.02))]
    shared = Case(column="cartoon2portrait", differences=(0.3,), shares_models=True)
    counted = Finding(aspect="", cases=(*apart, dataclasses.replace(shared, shares_models=False)))
    finding = Finding(aspect="", cases=(*apart, shared))
    assert (counted.status, finding.status) == ("holds on average", "unsure")
    assert finding.pooled == counted.pooled and finding.p_value == Finding(aspect="", cases=(*apart,)).pooled.p_value
    left = "; without cartoon2portrait, whose models others have, too: +0.1450 (± 0.2180)"
    assert str(finding) == f"{counted}{left}"
    alike = [dataclasses.replace(case, differences=(0.3 + 0.01 * place,)) for place, case in enumerate(apart)]
    agreeing = Finding(aspect="", cases=(*alike, shared))
    assert agreeing.status == "holds" and "without" not in str(agreeing)
    of_one = Finding(aspect="", cases=(apart[2], dataclasses.replace(shared, differences=(0.3, 0.31, 0.3))))
    assert str(of_one).endswith("too: +0.3000 (one training)")
    alone = dataclasses.replace(shared, differences=(0.3, 0.31, 0.3))
    assert Finding(aspect="", cases=(alone,)).status == "holds", "there are no others"


def test_a_pair_of_domains_has_the_models_of_two_columns() -> None:
    claims = table_1_claims([table_1()])
    shared = [{case.column for case in claim.cases if case.shares_models} for claim in claims]
    assert shared == [{"cartoon2portrait"}, {"cartoon2portrait"}, {"cartoon2portrait"}, set(), set()]


def test_a_missing_control_outweighs_any_difference() -> None:
    one = claim(0.3, 0.31, 0.29, missing_control="It is blur")
    assert one.verdict == "control missing" and one.evidence.startswith("+0.3000 (")
    assert one.to_row()["missing_control"] == "It is blur"
    assert claim(missing_control="It is blur").verdict == "not measured"


def test_evidence_lists_columns_and_trainings() -> None:
    assert claim(0.3).evidence == "c0 +0.3000 (one training)"
    text = claim((0.3, 0.32), (0.28, 0.3), (0.31, 0.29)).evidence
    assert re.fullmatch(r"\+0\.3000 \(± 0\.0\d+\), from c0 \+0\.3000 / \+0\.3200, c1 \+0\.2800 / .*", text), text


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
    few, many = (Case(column="x", differences=(0.26,), errors=(0.1,), num_samples=n) for n in (5, 40))
    assert few.signs == [0] and many.signs == [1], "2.8 standard errors of five, 2.0 of forty"
    assert of_values("x", 0.1, 0.0, error=float("nan")).errors == () and of_values("x", 0.1, 0.0).signs == [1]


def test_cases() -> None:
    case = of_runs("x", [(0.5, 0.3), (0.6, 0.3)], [(0.4, 0.4), (0.3, 0.4)], aspect="FT")
    assert case.differences == pytest.approx((0.1, 0.3)) and case.errors == pytest.approx((0.5, 0.5))
    assert of_values("x", 0.5, 0.7).differences == pytest.approx((-0.2,)) and not of_values("x", 0.5, 0.7).errors
    values = [0.1, 0.4, 0.3]
    by_image = dict(zip("abc", values, strict=True))
    case = of_images("x", by_image | {"not measured": float("nan")})
    assert case.differences == pytest.approx((np.mean(values),)) and case.num_images == 3
    assert case.errors == pytest.approx((np.std(values, ddof=1) / 3**0.5,))
    assert of_images("x", by_image, has_trainings=True).num_images is None and case.samples == (by_image,)
    with pytest.raises(DataError, match="expected at least 2"):
        of_images("x", {"a": 0.1})


def test_few_images_have_student_s_quantile() -> None:
    """Eight directions: two standard errors would be below the difference, 2.36 are above it."""
    values = [0.1 + 0.1 * place for place in range(-3, 5)]
    mean, sem = np.mean(values), np.std(values, ddof=1) / 8**0.5
    shifted = {str(place): value - mean + 2.2 * sem for place, value in enumerate(values)}
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
    assert [claim.verdict for claim in claims[:3]] == ["holds", "direction only", "direction only"]
    assert claims[1].findings[0].pooled.p_value < 0.05 < claims[1].findings[0].independent.pooled.p_value
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


def training(mode: str, fd: Sequence[float], d: Sequence[float], domain: str = "cartoon") -> pd.DataFrame:
    values = {"base": "face", "domain": domain, "seed": 0, "mode": mode, "kimg": range(len(fd)), "d_sem": 0.003}
    return pd.DataFrame({**values, "fd": fd, "d": d})


def test_models_of_another_base_are_compared_at_the_same_frechet_distance() -> None:
    own, apart = training("FT", [90, 50, 30, 25], [0.0, 0.1, 0.2, 0.3]), training(APART, [200, 40], [0.5, 0.4])
    cases, left_out = nearer_than_apart([pd.concat([own, apart])])
    (case,) = cases
    assert case.column == "face2cartoon" and case.aspect == "FT at least as near to the domain" and not left_out
    assert case.differences == pytest.approx((0.4 - 0.2,)), "FT was measured at 30, and not at 40"
    assert case.errors == pytest.approx((0.003 * 2**0.5,))
    claim = table_1_claims([table_1()], missing_control="They are blur", apart=cases)[0]
    assert claim.verdict == "direction only" and claim.cases == (case,)
    better = training(APART, [60, 27, 20], [0.6, 0.5, 0.4])
    assert nearer_than_apart([pd.concat([own, better])])[0][0].differences == pytest.approx((0.5 - 0.3,)), "never at 20"
    for folders in ([own, pd.concat([own, apart])], [pd.concat([own, apart]), own]):
        assert nearer_than_apart(folders) == (cases, ""), "in whichever folder the other base's model is"
    early = training(APART, [24, 20], [0.4, 0.4])
    assert nearer_than_apart([pd.concat([own, early])]) == ([], ""), "better than FT ever was from the first on"
    blur = [training(mode, fd, [0.0, 0.1], "anime") for mode, fd in (("FT", [90, 50]), (APART, [200, 95]))]
    cases, left_out = nearer_than_apart([pd.concat([own, apart, *blur])])
    assert cases == [case] and left_out.endswith("(Frechet distance: anime 95.0, of the base's own images 90.0)")
    claim = table_1_claims([table_1()], missing_control="They are blur", apart=cases, left_out=left_out)[0]
    assert claim.evidence.endswith(f"left out: {left_out}")


def test_domains_that_no_model_of_another_base_was_made_of_are_named() -> None:
    apart = [training("FT", [90, 50], [0.0, 0.1]), training(APART, [200, 60], [0.5, 0.4])]
    dog = training("FT", [80, 40], [0.0, 0.1], "dog")
    assert nearer_than_apart([pd.concat(apart), dog])[1] == "domains without a model of another base (dog)"
    blur = [training(mode, fd, [0.0, 0.1], "anime") for mode, fd in (("FT", [90, 50]), (APART, [200, 95]))]
    left_out = nearer_than_apart([pd.concat([*apart, *blur, dog])])[1]
    assert left_out.startswith("models of another base that") and left_out.endswith(" base (dog)")
    assert nearer_than_apart([dog]) == ([], ""), "what has no such model at all leaves none out"


def test_models_of_another_base_stand_for_pairs_trained_apart_once_they_are_as_good() -> None:
    apart = [cell for cell in table_1() if (cell.row, cell.column) == ("FT", "cartoon2portrait")]
    cells = [*table_1(), *(dataclasses.replace(cell, row=APART, value=cell.value + 0.1) for cell in apart)]
    claim = table_1_claims([cells], across=[Across(cells=cells)], missing_control="They are blur")[4]
    assert claim.cases[0].differences == pytest.approx((0.1,)) and claim.verdict == "direction only"
    assert table_1_claims([cells], missing_control="They are blur")[4].verdict == "control missing"
    modes = {"domain": "portrait", "seed": 0, "kimg": 10.0}
    finished, unfinished = (
        Across(
            cells=cells,
            doubts=doubts_of(pd.DataFrame([{**modes, "mode": "FT", "fd": 20.0}, {**modes, "mode": APART, "fd": fd}])),
        )
        for fd in (22, 23)
    )
    assert finished.doubts == {"portrait": ""} and finished.unfinished == {}
    assert unfinished.unfinished == {"portrait": "23.0 against 20.0"}
    claim = table_1_claims([cells], across=[unfinished, unfinished])[4]
    assert claim.verdict == "control missing" and "only models of another base" in claim.missing_control
    case = table_1_claims([cells], across=[unfinished, finished])[4].cases[0]
    assert case.differences == pytest.approx((0.1,)), "of the training whose control is finished, and of no other"
    elsewhere = Across(doubts={"cartoon": ""})
    assert never_finished([unfinished, elsewhere]) == unfinished.unfinished, "who lacks a domain says nothing of it"
    assert never_finished([finished, unfinished]) == {}


def test_columns_that_were_not_measured_are_left_out() -> None:
    cells = [cell for cell in table_1() if cell.column == "cat2dog"]
    assert [claim.verdict for claim in table_1_claims([cells])] == ["direction only"] * 3 + ["not measured"] * 2


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
    assert claims["(w)"].verdict == "fails in part" and own.differences == pytest.approx((-0.105,))
    assert (mapping.aspect, own.aspect) == ("closed_form_mapping", "closed_form"), "both readings of Eq. 9"
    assert mapping.differences == pytest.approx((0.005,))
    assert claims["(encoder)"].verdict == "direction only" and claims["(encoder)"].paper == "0.667 against 0.587"
    assert claims["(in_domain)"].verdict == "not measured"


def test_methods_with_an_encoder_rest_on_its_one_training_and_searches_on_images() -> None:
    rows = inverted("closed_form", [0.20, 0.21, 0.22])
    for method in ("w", "in_domain", "w_plus", "encoder"):
        rows += inverted(method, [0.9, 0.9, 0.9])
    verdicts_by_method = [claim.verdict for claim in table_3_claims({"face": pd.DataFrame(rows)})]
    assert verdicts_by_method == ["does not hold", "direction only, against"] * 2


def test_methods_are_compared_on_the_images_that_both_have() -> None:
    rows = pd.DataFrame([*inverted("closed_form", [0.2, 0.2, 0.2]), *inverted("w", [0.9, 0.8, 0.9])])
    rows["image"] = ["a", "b", "c", "a", "b", "d"]
    (case,) = table_3_claims({"face": rows})[0].cases
    assert case.differences == pytest.approx((-0.65,)) and case.num_images == 2
    rows["image"] = ["a", "b", "c", "d", "e", "f"]
    assert table_3_claims({"face": rows})[0].verdict == "not measured"


def test_searches_of_different_lengths_are_not_compared() -> None:
    rows = pd.DataFrame([*inverted("closed_form", [0.6, 0.3]), *inverted("encoder", [0.5, 0.21])])
    rows["steps"] = [500, 500, 0, 0]
    assert table_3_claims({"face": rows})[-1].verdict == "direction only", "an encoder takes no steps"
    rows["method"] = rows["method"].replace("encoder", "w")
    rows["steps"] = [500, 500, 1000, 1000]
    with pytest.raises(DataError, match=r"face: steps of closed_form and w differs \(1000, 500\), expected one"):
        table_3_claims({"face": rows})


# The page that was kept


def test_model_distances_of_different_backbones_are_refused(tmp_path: Path) -> None:
    family = OTHER_RUNS[0]
    for name, backbone in (("one", "a" * 64), ("other", "b" * 64)):
        (tmp_path / name).mkdir()
        table = pd.read_parquet(family / "distance-cartoon.parquet")
        table.assign(trunk_hash=backbone).to_parquet(tmp_path / name / "distance-cartoon.parquet")
    with pytest.raises(DataError, match=r"different backbones \(one a+, other b+\), expected one; leave out --run"):
        read_published(tmp_path / "one", [tmp_path / "other"])


def test_tables_of_version_0_1_are_read() -> None:
    (cells,) = read_published(PAGE.with_name("first-run")).distances
    assert {(cell.row, round(cell.value, 4)) for cell in cells} >= {("FT", 0.3097), ("FC-FT", 0.3094)}


def test_every_verdict_of_the_page_follows_from_the_tables_beside_it() -> None:
    published = read_published(PAGE.with_suffix(""), OTHER_RUNS)
    claims = published.claims
    assert json.loads((PAGE.with_suffix("") / verdicts.CLAIMS_FILE).read_text()) == [it.to_row() for it in claims]
    page = PAGE.read_text()
    assert wrap_markdown(verdicts.verdicts(claims)).strip() in page
    assert wrap_markdown(sections.table_3(published.inversions)).strip() in page
    assert page.rstrip().endswith(wrap_markdown(verdicts.sceptic(claims)).strip())
    assert sum(claim.is_of_the_paper for claim in claims) == 26


def test_the_readme_counts_as_the_page_does() -> None:
    rows = json.loads((PAGE.with_suffix("") / verdicts.CLAIMS_FILE).read_text())
    counts = collections.Counter(row["verdict"] for row in rows if row["whose"] == "the paper's")
    sentences = " ".join((REPOSITORY / "README.md").read_text().split()).split(". ")
    (said,) = (sentence for sentence in sentences if f"{sum(counts.values())} claims" in sentence)
    assert f"{counts['holds']} hold " in said
    verb = "does" if counts["does not hold"] == 1 else "do"
    assert f"{counts['does not hold']} {verb} not and {counts['fails in part']} fails in part" in said
    directions = counts["direction only"], counts["direction only, against"]
    assert f"{sum(directions)} show a direction only ({directions[0]} the claimed one)" in said
    assert f"{counts['cannot be told']} cannot be told" in said
    lacking = f"for {counts['control missing']} the control is missing"
    assert (lacking in said) == (counts["control missing"] > 0)
