"""The paper's claims about its Tables I and III, from measured tables."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.across import Across, never_finished
from experiments.paper.tables.claims import Case, Claim, of_images, of_runs
from experiments.paper.tables.controls import FROM_SCRATCH, control_apart, domain_of
from experiments.paper.tables.layout import Cell
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.protocols import check_searches
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS, TABLE_3, TABLE_3_NAMES
from ui2i.settings import InversionConfig, InversionMethod

if TYPE_CHECKING:
    import pandas as pd

CLOSED_FORMS = ("closed_form_mapping", "closed_form")
"""The readings of Eq. 9: V of the mapping network's layers, and of those that SeFa takes."""

COMPARED: tuple[InversionMethod, ...] = ("w", "in_domain", "w_plus", "encoder")
"""What Table III compares them with."""

PAIR_COLUMNS = {"cartoon2portrait": "cartoon2metface"}
PAIRS_APART = (*PAIR_COLUMNS, "portrait2cartoon")
"""The same pairs in both orders: of models trained apart, the second is made from another base."""

PAPER_COLUMNS = {
    "face2anime": "face2anime",
    "face2cartoon": "face2cartoon",
    "face2portrait": "face2portrait",
    **PAIR_COLUMNS,
    "cat2dog": "cat2dog",
    "cat2wild": "cat2wild",
}
"""Our columns of Table I, in the paper's order, and what the paper calls them."""


def table_1_claims(
    runs: Sequence[Sequence[Cell]],
    *,
    across: Sequence[Across] = (),
    missing_control: str = "",
    apart: Sequence[Case] = (),
    left_out: str = "",
) -> list[Claim]:
    """Return the paper's claims about Table I.

    Args:
        runs: measured cells of each training of the models; any columns.
        across: trainings of two domains' models with models of another base, for section IV-E.
        missing_control: why the models from random weights say nothing about the method; empty: they do.
        apart: how much nearer FT is than models of another base are at the same Frechet distance; they take the place
            of the models from random weights.
        left_out: which domains these have not, and why.
    """
    had = {cell.column for each in across for cell in each.cells if cell.row == APART}
    tables = [_table_of(cells) for cells in runs]
    columns = list(dict.fromkeys(cell.column for cells in runs for cell in cells if cell.column in PAPER_COLUMNS))
    rows = list(TABLE_1)
    apart_in_pairs = control_apart(had & set(PAIRS_APART), never_finished(across), missing_control)
    is_apart = apart_in_pairs.row == APART
    tables_across = [_table_of(each.cells, each.unfinished) for each in across] if is_apart else tables

    def step(text: str, pairs: Sequence[tuple[str, str]]) -> Claim:
        cases = [
            case
            for far, near in pairs
            for column in columns
            for case in _between(
                tables,
                column,
                (far, column),
                (near, column),
                near if len(pairs) > 1 else "",
                shares_models=column in PAIR_COLUMNS,  # those of both domains' own columns
            )
        ]
        return Claim(
            source="Table I",
            text=text,
            paper=_paper_steps(pairs),
            cases=tuple(cases),
        )

    nearer = step(
        "Fine-tuned models (FT) are nearer to each other than independently trained ones", [(FROM_SCRATCH, "FT")]
    )
    anime, portrait = "face2anime", "face2portrait"
    return [
        dataclasses.replace(nearer, cases=tuple(apart), left_out=left_out)
        if apart
        else dataclasses.replace(nearer, missing_control=missing_control, left_out=left_out),
        step("A frozen mapping network (FC-FT) brings them nearer than FT", [("FT", "FC-FT")]),
        step("Each further swap of coarse layers (LS) brings them nearer", list(itertools.pairwise(rows[2:]))),
        Claim(
            source="Table I",
            text="Anime is farther from faces than portraits are",
            paper="0.650 against 0.636 (FT), 0.639 against 0.612 (FC-FT)",
            cases=tuple(
                case
                for row in ("FT", "FC-FT")
                for case in _between(tables, f"{anime} and portrait", (row, anime), (row, portrait), row)
            ),
        ),
        Claim(
            source="Section IV-E",
            text="Cartoon and portrait, both made from the face model, are nearer to each other than if trained apart",
            paper="0.434 against 0.692",
            cases=tuple(
                case
                for row in ("FT", "FC-FT")
                for column in PAIRS_APART
                for case in _between(
                    tables_across,
                    column,
                    (apart_in_pairs.row, column),
                    (row, column),
                    row,
                    shares_models=column not in PAIR_COLUMNS,  # the other order has the same models of one base
                )
            ),
            missing_control=apart_in_pairs.missing_control,
            left_out=apart_in_pairs.left_out,
        ),
    ]


def table_3_claims(frames: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the paper's claims about Table III: its own method reconstructs images best (SSIM, real images).

    Both readings of Eq. 9 are judged, an aspect each. A method with an encoder rests on that encoder's training, the
    searches without one on images.

    Args:
        frames: rows of `INVERTED_SCHEMA` by base.
    """
    return [
        Claim(
            source="Table III",
            text=f"The closed form reconstructs images better than {TABLE_3_NAMES[other]} ({other})",
            paper=f"{TABLE_3['closed_form']:.3f} against {TABLE_3[other]:.3f}",
            cases=tuple(
                case
                for own in CLOSED_FORMS
                for base, frame in frames.items()
                for case in _reconstructions(base, frame, own, other)
            ),
        )
        for other in COMPARED
    ]


def _reconstructions(base: str, frame: "pd.DataFrame", own: str, other: InversionMethod) -> Iterator[Case]:
    """Yield how much better real images are reconstructed by one method than by another."""
    found = frame[(frame["kind"] == "real") & (frame["start"] == "mean") & frame["method"].isin((own, other))]
    check_searches(base, found)
    ours, theirs = (found[found["method"] == name].set_index("image")["ssim"] for name in (own, other))
    differences = (ours - theirs).dropna()  # of the images that both have
    if len(differences) > 1:
        has_encoder = InversionConfig(method=other).needs_encoder
        by_image = {f"{base} {image}": value for image, value in differences.items()}
        yield of_images(base, by_image, aspect=own, has_trainings=has_encoder)


def _paper_steps(pairs: Sequence[tuple[str, str]]) -> str:
    rows = [(TABLE_1[far], TABLE_1[near]) for far, near in pairs]
    differences = [one - other for far, near in rows for one, other in zip(far, near, strict=True)]
    return f"{min(differences):+.3f} to {max(differences):+.3f} in {len(TABLE_1_COLUMNS)} columns"


def _table_of(cells: Sequence[Cell], unfinished: Collection[str] = ()) -> dict[tuple[str, str], tuple[float, float]]:
    """Return values and their errors by row and column, without models of another base of unfinished domains."""
    return {
        (cell.row, cell.column): (cell.value, cell.sem or 0.0)
        for cell in cells
        if cell.row != APART or domain_of(cell.column) not in unfinished
    }


def _between(
    tables: Sequence[Mapping[tuple[str, str], tuple[float, float]]],
    column: str,
    far: tuple[str, str],
    near: tuple[str, str],
    aspect: str,
    *,
    shares_models: bool = False,
) -> Iterator[Case]:
    """Yield how much farther one cell is than another in all trainings that have both."""
    having = [table for table in tables if far in table and near in table]
    if having:
        values = [[table[cell] for table in having] for cell in (far, near)]
        yield of_runs(column, *values, aspect=aspect, shares_models=shares_models)
