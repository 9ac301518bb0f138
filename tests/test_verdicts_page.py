"""The sections of a page that its verdicts fill: what holds, and what a sceptic would still ask."""

import dataclasses

import pytest
from plain_claims import claim
from scipy.stats import ttest_1samp  # type: ignore[import-untyped]

from experiments.paper.reproduction import verdicts
from experiments.paper.tables.claims import Case, Claim
from ui2i.errors import DataError


def test_a_sceptic_asks_for_controls_that_are_missing_wholly_or_in_part() -> None:
    lacking, partly = claim(0.3, missing_control="It is blur"), claim(0.2, left_out="CycleGAN of dogs")
    asked = verdicts.sceptic([dataclasses.replace(lacking, is_of_the_paper=False), partly, partly])
    assert "1 claim lacks one (3). 2 claims leave out domains that lack one (1, 2)." in asked, "numbers of the page"
    assert "finished control" not in verdicts.sceptic([claim(0.3)])


def test_claims_are_named_by_the_numbers_that_they_have_on_the_page() -> None:
    claims = [claim(0.1 * place) for place in range(1, 8)]
    assert "| 7 | Table I |" in verdicts.verdicts(claims)
    assert verdicts._places([claims[place - 1] for place in (1, 3, 4, 5, 7)], claims) == "1, 3 to 5, 7"


def test_a_sceptic_asks_which_verdicts_survive_that_there_are_many() -> None:
    sure, barely = claim(0.30, 0.31, 0.29, 0.3), claim(0.30, 0.51, 0.21, 0.2)
    assert (sure.verdict, barely.verdict) == ("holds", "holds")
    assert barely.p_value == pytest.approx(ttest_1samp([0.30, 0.51, 0.21, 0.2], 0).pvalue)
    asked = verdicts.sceptic([sure, barely, claim(0.3)])
    assert "for 3 claims at once (Bonferroni) 1 of the 2 that hold or do not would keep their verdict" in asked
    either = dataclasses.replace(sure, cases=tuple(dataclasses.replace(case, aspect="x") for case in barely.cases))
    assert dataclasses.replace(sure, cases=(*sure.cases, *either.cases)).p_value == barely.p_value, "all have to hold"
    assert claim(0.3).p_value == 1, "one training"


def test_a_sceptic_asks_for_more_trainings_of_what_rests_on_one() -> None:
    unsure = Claim(source="Table II", text="so", paper="", cases=(Case(column="c", differences=(0.1,), errors=(1.0,)),))
    assert "too few" not in verdicts.sceptic([claim(0.3, missing_control="It is blur")]), "which lacks more than that"
    assert unsure.verdict == "cannot be told" and "1 claim rests on too few trainings" in verdicts.sceptic([unsure])
    images = Case(column="c", differences=(0.1,), errors=(1.0,), num_images=32)
    assert "too few trainings" not in verdicts.sceptic([dataclasses.replace(unsure, cases=(images,))])


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
