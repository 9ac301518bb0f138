"""The paper's claims about its Figures 6 to 8, from the tables behind them (`experiments.paper.figures.schemas`)."""

from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, paired, unpaired

if TYPE_CHECKING:
    import pandas as pd

INTERVAL_SEMS = 1.96  # standard errors on either side of a 95 % interval
CONTROL = "scratch"
"""Mode of the models that were not made from the base."""


def figure_6_claims(agreement: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Figure 6, over the directions.

    Args:
        agreement: rows of `AGREEMENT_SCHEMA`; those of the bases themselves are passed over.
    """
    above_chance, above_control = [], []
    for (base, domain), rows in agreement.groupby(["base", "domain"], sort=False):
        by_mode = {str(mode): own.set_index("direction") for mode, own in rows.groupby("mode", sort=False)}
        for mode, own in by_mode.items():
            if domain == base or mode == CONTROL or len(own) < 2:
                continue
            above_chance.append(paired(f"{domain}/{mode}", _numbers(own["cosine"] - own["chance"])))
            if CONTROL in by_mode:
                differences = _numbers(own["cosine"] - by_mode[CONTROL]["cosine"])
                above_control.append(paired(f"{domain}/{mode}", differences))
    return [
        Claim(
            source="Fig. 6",
            text="A direction of the base moves the same attributes in the models made from it (cosine, above chance)",
            paper="shown, for one direction",
            cases=tuple(above_chance),
        ),
        Claim(
            source="Fig. 6",
            text="because they were made from it: more so than in models trained apart (w/o FT)",
            paper="shown, for one direction",
            cases=tuple(above_control),
        ),
    ]


def figure_7_claims(measures: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Figure 7.

    Args:
        measures: rows of `MEASURES_SCHEMA`.
    """
    return [
        _claim(
            measures,
            "Fig. 7",
            "FC-FT keeps more of the source's attributes than FT",
            "traits",
            ("FC-FT", "FT"),
            "shown",
        ),
        _claim(
            measures,
            "Fig. 7",
            "and with swapped layers (FC-FT-LS8) most of all",
            "traits",
            ("FC-FT-LS8", "FC-FT"),
            "shown",
        ),
    ]


def figure_8_claims(measures: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Figure 8; rows as in `figure_7_claims`."""
    return [
        _claim(
            measures,
            "Fig. 8",
            "Layers swapped without fine-tuning (Direct-LS8) ruin images: farther from the domain's than FC-FT-LS8's",
            "fd",
            ("Direct-LS8", "FC-FT-LS8"),
            "shown",
        ),
        _claim(
            measures,
            "Fig. 8",
            "With more swapped layers (LS32 against LS8) outputs leave the target domain",
            "fd",
            ("FC-FT-LS32", "FC-FT-LS8"),
            "shown, for anime and dogs",
        ),
    ]


def _claim(measures: "pd.DataFrame", source: str, text: str, metric: str, modes: tuple[str, str], paper: str) -> Claim:
    """Return the claim that a metric is larger for the first of two modes, domain by domain."""
    found = measures[(measures["metric"] == metric) & measures["attribute"].isna()]
    cases: list[Case] = []
    for domain, rows in found.groupby("domain", sort=False):
        by_mode = {row["mode"]: _value(row) for _, row in rows.iterrows()}
        if set(modes) <= set(by_mode):
            cases.append(unpaired(str(domain), by_mode[modes[0]], by_mode[modes[1]]))
    return Claim(source=source, text=text, paper=paper, cases=tuple(cases))


def _numbers(values: "pd.Series") -> list[float]:
    return [float(value) for value in values.dropna()]


def _value(row: "pd.Series") -> tuple[float, float | None]:
    """Return a value and its standard error."""
    low, high = row["ci95_low"], row["ci95_high"]
    known = low == low and high == high and low is not None and high is not None  # NaN is not equal to itself
    return float(row["value"]), float(high - low) / (2 * INTERVAL_SEMS) if known else None
