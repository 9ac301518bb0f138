"""The paper's claims about its Figures 6 to 8, from the tables behind them (`experiments.paper.figures.schemas`)."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.across import Across, never_finished
from experiments.paper.tables.claims import INTERVAL_SEMS, Case, Claim, of_images, of_several_trainings, of_values
from experiments.paper.tables.controls import control_apart, without_another_base
from experiments.paper.tables.model_distance import APART

if TYPE_CHECKING:
    import pandas as pd

CONTROL, SOURCE = "scratch", "source"
"""Modes of the models that were not made from the base, and of the base's own images."""
FIRST, SWAPPED, DIRECT = "FC-FT", "FC-FT-LS8", "Direct-LS8"


def figure_6_claims(
    agreement: "pd.DataFrame",
    across: Sequence[Across] = (),
    *,
    missing_control: str = "",
) -> list[Claim]:
    """Return the paper's claims about Figure 6, over the directions.

    Args:
        agreement: rows of `AGREEMENT_SCHEMA`; those of the bases themselves are passed over.
        across: other trainings, with models of another base (`APART`), which take the place of the models from random
            weights.
        missing_control: why the models from random weights say nothing about the method; empty: they do.
    """
    tables = [(each.agreement, each.unfinished) for each in across if each.agreement is not None]
    had = {str(domain) for table, _ in tables for domain in table[table["mode"] == APART]["domain"]}
    control = control_apart(had, never_finished(across), missing_control)
    if control.row == APART:
        finished = [table[~table["domain"].isin(unfinished)] for table, unfinished in tables]
        above_control = of_several_trainings([list(_agreeing(table, APART)) for table in finished])
        made = agreement[(agreement["domain"] != agreement["base"]) & ~agreement["domain"].isin(had)]
        lacking = without_another_base(str(domain) for domain in made["domain"].unique())
        left_out = " and ".join(reason for reason in (control.left_out, lacking) if reason)
    else:
        left_out = ""
        above_control = list(_agreeing(agreement, CONTROL))
    return [
        Claim(
            source="Fig. 6",
            text="A direction of the base moves the same attributes in the models made from it (cosine, above chance)",
            paper="shown, for one direction",
            cases=tuple(_agreeing(agreement, None)),
        ),
        Claim(
            source="Fig. 6",
            text="because they were made from it: more so than in models trained apart",
            paper="shown, for one direction",
            cases=tuple(above_control),
            missing_control=control.missing_control,
            left_out=left_out,
        ),
    ]


def _agreeing(agreement: "pd.DataFrame", control: str | None) -> Iterator[Case]:
    """Yield how much better each model agrees with its base than the domain's control does; None: than chance."""
    for (base, domain), rows in agreement.groupby(["base", "domain"], sort=False):
        by_mode = {str(mode): own.set_index("direction") for mode, own in rows.groupby("mode", sort=False)}
        for mode, own in by_mode.items():
            if domain == base or mode in (CONTROL, APART) or len(own) < 2 or control not in (None, *by_mode):
                continue
            other = own["chance"] if control is None else by_mode[control]["cosine"]
            differences = {f"{base} {name}": value for name, value in (own["cosine"] - other).items()}
            yield of_images(str(domain), differences, aspect=mode, has_trainings=True)


def figure_7_claims(measures: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Figure 7.

    Args:
        measures: rows of `MEASURES_SCHEMA`.
    """
    return [
        Claim(source="Fig. 7", text=text, paper="shown", cases=tuple(_compared(measures, "traits", modes)))
        for text, modes in (
            ("FC-FT keeps more of the source's attributes than FT", (FIRST, "FT")),
            ("and with swapped layers (FC-FT-LS8) most of all", (SWAPPED, FIRST)),
        )
    ]


def figure_8_claims(measures: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Figure 8; rows as in `figure_7_claims`.

    That swapping without fine-tuning ruins images shows only in models that were good before: in other bases, which
    never shared weights with the base. Their distance rises with any image of the base in it; what is ruined is farther
    from the domain than intact images of the base are.
    """
    return [
        Claim(
            source="Fig. 8",
            text="Layers swapped without fine-tuning (Direct-LS8) ruin images: those of a finished model get farther "
            "from its domain than intact images of the other model are (Frechet distance; of a pair the smaller)",
            paper="shown",
            cases=tuple(_ruined(measures)),
        ),
        Claim(
            source="Fig. 8",
            text="With more swapped layers (LS32 against LS8) outputs leave the target domain",
            paper="shown, for anime and dogs",
            cases=tuple(_compared(measures, "fd", ("FC-FT-LS32", SWAPPED))),
        ),
    ]


def unfinished_control(measures: "pd.DataFrame") -> str:
    """Return why the models trained apart are no control: the base's own images are nearer to the domain; empty if not.

    Args:
        measures: as `figure_8_claims` takes them.
    """
    worse = [
        f"{domain} {by_mode[CONTROL]:.0f} against {by_mode[SOURCE]:.0f}"
        for domain, by_mode in _by_domain(measures, "fd")
        if {CONTROL, SOURCE, FIRST} <= set(by_mode) and by_mode[CONTROL] > by_mode[SOURCE]
    ]
    if not worse:
        return ""
    return (
        "The models trained apart are not finished: they are farther from the domain than the base's own images are "
        f"(Frechet distance: {', '.join(worse)})"
    )


def _ruined(measures: "pd.DataFrame") -> Iterator[Case]:
    """Yield how much farther swapped images are than intact ones; of two models swapped with each other the less."""
    errors, base_of = (
        dict(_by_domain(measures, "fd", _error)),
        dict(zip(measures["domain"], measures["base"], strict=True)),
    )
    by_pair: dict[frozenset[str], list[Case]] = {}
    for domain, own in _by_domain(measures, "fd"):
        is_finished = CONTROL in own and SOURCE in own and own[CONTROL] < own[SOURCE] and FIRST not in own
        if is_finished and DIRECT in own:
            pair = frozenset((domain, base_of[domain]))
            error = math.hypot(*(errors[domain][mode] for mode in (DIRECT, SOURCE)))
            case = of_values(" and ".join(sorted(pair)), own[DIRECT], own[SOURCE], error=error)
            by_pair.setdefault(pair, []).append(case)
    for cases in by_pair.values():
        yield min(cases, key=lambda case: case.mean)


def _compared(measures: "pd.DataFrame", metric: str, modes: tuple[str, str]) -> Iterator[Case]:
    """Yield how much larger a metric is for the first of two modes, domain by domain."""
    errors = dict(_by_domain(measures, metric, _error))
    for domain, by_mode in _by_domain(measures, metric):
        if set(modes) <= set(by_mode):
            error = math.hypot(*(errors[domain][mode] for mode in modes))
            yield of_values(domain, by_mode[modes[0]], by_mode[modes[1]], error=error)


def _by_domain(
    measures: "pd.DataFrame", metric: str, read: "Callable[[pd.Series], float]" = lambda row: float(row["value"])
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield what is read of each domain's rows of a metric, by default the value, by mode."""
    found = measures[(measures["metric"] == metric) & measures["attribute"].isna()]
    for domain, rows in found.groupby("domain", sort=False):
        yield str(domain), {str(row["mode"]): read(row) for _, row in rows.iterrows()}


def _error(row: "pd.Series") -> float:
    """Return the standard error of a row's value; NaN: not known."""
    low, high = row["ci95_low"], row["ci95_high"]
    return float("nan") if low is None or high is None else float(high - low) / (2 * INTERVAL_SEMS)
