"""Table I of the paper: how far each model is from the base, and whether the rows keep the paper's order.

A column is a pair of domains. In `face2cartoon` the source is the base; in `cat2wild`, of two domains that were both
fine-tuned from a third, both sides are of the row's mode, as in the paper's `cartoon2metface`.
"""

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from experiments.paper.tables.layout import Cell, PaperTable
from experiments.paper.tables.values import table_1_cells

if TYPE_CHECKING:
    import pandas as pd

METRIC = "model distance"
ROW_LABELS = {"scratch": "w/o FT"}
ROW_ORDER = ("w/o FT", "FT", "FC-FT", "FC-FT-LS4", "FC-FT-LS8", "FC-FT-LS16", "FC-FT-LS32", "FC-FT-LS64", "FC-FT-LS128")
"""From far to near, as the paper has it: its LS1, LS3 and LS5 are swaps through 8, 16 and 32 px."""

APART = "FT of another base"
"""Row of a finished model of the domain that shares no weights with the base (`experiments.paper.seeds --apart`)."""

CERTAIN_SEMS = 2.0
"""Standard errors by which two rows must differ for their order to count."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderFault:
    """Two neighbouring rows of a column that are not in the paper's order, or too near to tell."""

    column: str
    farther: str  # row that should have the larger distance
    nearer: str
    difference: float  # farther - nearer; should be above 0
    sem: float  # of the difference, as if the two were measured with different latents, which is cautious

    @property
    def is_reversed(self) -> bool:
        """Whether the order is reversed, not merely uncertain."""
        return self.difference < -CERTAIN_SEMS * self.sem

    def __str__(self) -> str:
        what = "is below" if self.is_reversed else "cannot be told from"
        return f"{self.farther} {what} {self.nearer} (difference {self.difference:+.4f}, standard error {self.sem:.4f})"


def model_distance_table(frame: "pd.DataFrame") -> PaperTable:
    """Return Table I.

    Args:
        frame: rows of `DISTANCE_SCHEMA` from any number of tables and runs; the last row of each pair of models counts,
            and of each column only those with its last backbone.
    """
    comparable = of_last_backbone(frame, ["source_domain", "target_domain"])
    last = comparable.drop_duplicates(["source", "target"], keep="last")
    rows = [row for _, row in last.iterrows() if _belongs(row)]
    cells = [_cell(row) for row in rows]
    return PaperTable(
        number="1",
        title="Table I. Model distance: mean perceptual distance on the same latents (± standard error)",
        row_title="target model",
        cells=(*cells, *(Cell(metric=METRIC, origin="paper", **cell) for cell in table_1_cells())),
        row_order=ROW_ORDER,
        notes=(*_order_notes(cells), *_protocol_notes(rows), _REFERENCE_NOTE),
    )


def of_last_backbone(frame: "pd.DataFrame", group: list[str]) -> "pd.DataFrame":
    """Return the rows of each group whose backbone is its last row's; values of another one do not compare."""
    return frame[frame["backbone"] == frame.groupby(group)["backbone"].transform("last")]


def order_faults(cells: list[Cell]) -> list[OrderFault]:
    """Return where measured values are not in the paper's order, column by column."""
    faults = []
    for column in dict.fromkeys(cell.column for cell in cells):
        by_row = {cell.row: cell for cell in cells if cell.column == column}
        present = [by_row[row] for row in ROW_ORDER if row in by_row]
        for farther, nearer in itertools.pairwise(present):
            sem = math.hypot(farther.sem or 0.0, nearer.sem or 0.0)
            difference = farther.value - nearer.value
            if difference < CERTAIN_SEMS * sem:
                faults.append(
                    OrderFault(column=column, farther=farther.row, nearer=nearer.row, difference=difference, sem=sem)
                )
    return faults


def _belongs(row: "pd.Series") -> bool:
    """Whether a row is a cell of Table I: from the base, or between equal modes of two domains."""
    is_from_base = row["source"] == row["source_domain"]
    is_of_equal_modes = row["source_mode"] == row["mode"] and row["source_domain"] != row["target_domain"]
    return row["target"] != row["target_domain"] and (is_from_base or is_of_equal_modes)


def _cell(row: "pd.Series") -> Cell:
    return Cell(
        row=ROW_LABELS.get(row["mode"], row["mode"]),
        column=f"{row['source_domain']}2{row['target_domain']}",
        metric=METRIC,
        value=float(row["mean"]),
        sem=float(row["sem"]),
        count=int(row["num_latents"]),
        run_id=row["run_id"],
    )


def _order_notes(cells: list[Cell]) -> list[str]:
    faults = order_faults(cells)
    notes = []
    for column in dict.fromkeys(cell.column for cell in cells):
        own = [str(fault) for fault in faults if fault.column == column]
        present = {cell.row for cell in cells if cell.column == column}
        order = " > ".join(row for row in ROW_ORDER if row in present)
        notes.append(f"{column}: " + ("; ".join(own) if own else f"in the paper's order, {order}") + ".")
    return notes


def _protocol_notes(rows: "list[pd.Series]") -> list[str]:
    notes: dict[str, None] = {}
    for row in rows:
        column = f"{row['source_domain']}2{row['target_domain']}"
        notes[
            f"{column}: backbone {row['backbone']}, {row['num_latents']:,} latents, psi {row['truncation_psi']:g}, "
            f"noise {row['noise_mode']}, {row['img_resolution']} px, measured {row['measured_at']:%Y-%m-%d}."
        ] = None
    return list(notes)


_REFERENCE_NOTE = (
    'Columns headed "paper:" are the authors\' own values, of their models, images and perceptual network; compare '
    "orders with them, not sizes. Their LS1, LS3 and LS5 are LS8, LS16 and LS32 here."
)
