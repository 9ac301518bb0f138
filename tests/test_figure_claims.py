"""The paper's claims about figures 6 to 8, judged by tables of known content."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from experiments.paper.tables.across import Across
from experiments.paper.tables.figure_claims import figure_6_claims, figure_7_claims, figure_8_claims, unfinished_control
from experiments.paper.tables.model_distance import APART


def agreement(domain: str, mode: str, cosines: list[float]) -> list[dict[str, Any]]:
    return [
        {"base": "face", "domain": domain, "mode": mode, "direction": place, "cosine": value, "chance": 0.1}
        for place, value in enumerate(cosines, 1)
    ]


def test_figure_6_takes_the_models_made_from_the_base() -> None:
    rows = [*agreement("face", "scratch", [0.1, 0.1]), *agreement("anime", "FC-FT", [0.8, 0.9])]
    rows += agreement("anime", "scratch", [0.2, 0.31])
    above_chance, above_control = figure_6_claims(pd.DataFrame(rows), missing_control="It is blur")
    assert [(case.column, case.aspect) for case in above_chance.cases] == [("anime", "FC-FT")]
    assert above_chance.cases[0].differences == pytest.approx((0.75,))
    assert above_control.cases[0].differences == pytest.approx((0.595,))
    assert above_control.cases[0].errors == pytest.approx((0.005,)), "direction by direction"
    assert list(above_control.cases[0].samples[0]) == ["face 1", "face 2"], "which other domains of the base share"
    assert above_control.verdict == "control missing"


def test_figure_6_is_judged_by_models_of_another_base_where_there_are_any() -> None:
    published = pd.DataFrame([*agreement("anime", "FC-FT", [0.8, 0.9]), *agreement("anime", "scratch", [0.2, 0.3])])
    rows = [*agreement("anime", "FC-FT", [0.7, 0.9]), *agreement("anime", APART, [0.4, 0.5])]
    rows += agreement("face", "scratch", [0.9, 0.9])
    other = Across(agreement=pd.DataFrame(rows))
    above_chance, above_control = figure_6_claims(published, [other], missing_control="It is blur")
    assert above_chance.cases[0].differences == pytest.approx((0.75,)), "of the page's own models"
    (case,) = above_control.cases
    assert case.differences == pytest.approx((0.35,)) and above_control.verdict != "control missing"
    unfinished = dataclasses.replace(other, doubts={"anime": "30 against 20"})
    claims = figure_6_claims(published, [unfinished])
    assert claims[1].verdict == "control missing"
    again = pd.DataFrame([*agreement("anime", "FC-FT", [0.8, 0.9, 0.7]), *agreement("anime", APART, [0.3, 0.3, 0.3])])
    finished = Across(agreement=again, doubts={"anime": ""})
    (case,) = figure_6_claims(published, [unfinished, finished])[1].cases
    assert case.differences == pytest.approx((0.5,)), "of the training whose control is finished"
    (case,) = figure_6_claims(published, [other, finished])[1].cases
    assert case.differences == pytest.approx((0.35, 0.5)) and len(case.errors) == 2 and case.num_samples == 2


def test_figure_6_names_domains_that_no_model_of_another_base_was_made_of() -> None:
    own = [*agreement("anime", "FC-FT", [0.8, 0.9]), *agreement("dog", "FC-FT", [0.8, 0.9])]
    apart = pd.DataFrame([*own[:2], *agreement("anime", APART, [0.4, 0.5])])
    (_, claim) = figure_6_claims(pd.DataFrame([*own, *agreement("face", "scratch", [1, 1])]), [Across(agreement=apart)])
    assert claim.left_out == "domains without a model of another base (dog)"


def measure(
    metric: str, domain: str, mode: str, value: float, half: float | None = 0.1, **columns: Any
) -> dict[str, Any]:
    low, high = (None, None) if half is None else (value - half, value + half)
    ends = {"ci95_low": low, "ci95_high": high}
    return {"metric": metric, "domain": domain, "mode": mode, "value": value, "attribute": None, **ends, **columns}


def test_figure_7_compares_modes() -> None:
    rows = [
        measure("traits", "anime", "FT", 0.3), measure("traits", "anime", "FC-FT", 0.6),
        measure("traits", "anime", "FC-FT-LS8", 0.62), measure("traits", "anime", "FC-FT", 0.0, attribute="smile"),
    ]  # fmt: skip
    frozen, swapped = figure_7_claims(pd.DataFrame(rows))
    assert frozen.cases[0].differences == pytest.approx((0.3,)) and swapped.cases[0].differences == pytest.approx(
        (0.02,)
    )


def figure_8(**others: float) -> pd.DataFrame:
    """A base face, a dog of it, blurred if trained apart, and the finished bases cat and face with layers swapped."""
    dog = {"source": 90, "scratch": 600, "Direct-LS8": 610, "FC-FT": 20, "FC-FT-LS8": 30, "FC-FT-LS32": 60} | others
    cat = {"source": 310, "scratch": 16, "Direct-LS8": 340}
    face = {"source": 300, "scratch": 6, "Direct-LS8": 360}
    rows = [measure("fd", "dog", mode, fd, None, base="face") for mode, fd in dog.items()]
    rows += [measure("fd", "cat", mode, fd, None, base="face") for mode, fd in cat.items()]
    return pd.DataFrame([*rows, *(measure("fd", "face", mode, fd, None, base="cat") for mode, fd in face.items())])


def test_figure_8_takes_models_that_were_good_before_the_swap() -> None:
    direct, more = figure_8_claims(figure_8())
    assert [case.column for case in direct.cases] == ["cat and face"], "nothing can ruin the dog that is blur"
    assert direct.cases[0].differences == (340 - 310,), "two models swapped with each other are one case, the worse one"
    assert direct.verdict == "direction only" and more.cases[0].differences == (30,)


def test_intact_images_of_another_base_are_not_ruined() -> None:
    """They are as far from the domain as anything, which says nothing about the swap."""
    measures = figure_8()
    intact = measures.assign(
        value=measures["value"].mask(
            measures["mode"] == "Direct-LS8", measures["domain"].map({"cat": 310.0, "face": 300.0, "dog": 90.0})
        )
    )
    assert figure_8_claims(intact)[0].cases[0].differences == (0.0,)
    assert figure_8_claims(intact)[0].verdict == "cannot be told"


def test_figures_take_the_intervals_of_their_measures() -> None:
    rows = [measure("fd", "dog", "FC-FT-LS8", 30, 3 * 1.96), measure("fd", "dog", "FC-FT-LS32", 39, 4 * 1.96)]
    more = figure_8_claims(pd.DataFrame(rows).assign(base="face"))[1]
    assert more.cases[0].errors == pytest.approx((5,)) and more.verdict == "cannot be told", "9 of ± 9.8"
    known = figure_8().assign(ci95_low=lambda it: it["value"] - 9.8, ci95_high=lambda it: it["value"] + 9.8)
    direct, _ = figure_8_claims(known)
    assert direct.cases[0].errors == pytest.approx((5 * 2**0.5,)), "of two distances"


def test_only_finished_models_of_another_base_can_be_ruined() -> None:
    values = {
        "dog": {"FC-FT": (20, 1), "FC-FT-LS8": (50, 2), "scratch": (15, 9), "source": (90, 9), "Direct-LS8": (99, 9)},
        "cat": {"scratch": (16, 4), "source": (310, 8), "Direct-LS8": (340, 6)},
        "bird": {"scratch": (400, 9), "source": (310, 9), "Direct-LS8": (500, 9)},  # not finished
    }
    rows = [
        measure("fd", domain, mode, fd, 1.96 * error, base="face")
        for domain, modes in values.items()
        for mode, (fd, error) in modes.items()
    ]
    (case,) = figure_8_claims(pd.DataFrame(rows))[0].cases
    assert (case.column, case.differences) == ("cat and face", (30,)), "of the dog's own base FC-FT was made"
    assert case.errors == pytest.approx((10,))


def test_a_control_is_finished_if_it_is_nearer_than_the_base() -> None:
    assert "dog 600 against 90" in unfinished_control(figure_8())
    assert "cat" not in unfinished_control(figure_8()).split("(")[1]
    assert unfinished_control(figure_8(scratch=30)) == ""
