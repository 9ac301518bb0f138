"""A table as the paper lays it out: rows of models or systems, columns of domains, and the paper's values marked.

Cells are kept one by one, which is how the Parquet file and the CSV have them; for reading they are laid out in rows
and columns. A column of the paper's own values is headed by `paper:` and comes after all measured ones.
"""

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ui2i.markdown import markdown_table

Origin = Literal["measured", "paper"]

MORE_IS_BETTER = ("LPIPS_d", "SSIM")  # of the other metrics less is better


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One value."""

    row: str
    column: str  # face2cartoon, ...
    metric: str
    value: float
    sem: float | None = None
    count: int | None = None  # of latents or images
    origin: Origin = "measured"
    run_id: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperTable:
    """A table of the paper, with what was measured here."""

    number: Literal["1", "2", "3"]
    title: str
    row_title: str  # heading of the first column
    cells: tuple[Cell, ...]
    row_order: tuple[str, ...] = ()  # rows that come first; the others follow as they came
    notes: tuple[str, ...] = ()  # one a paragraph

    @property
    def rows(self) -> list[str]:
        """Labels of the rows, in their order."""
        there = dict.fromkeys(cell.row for cell in self.cells)
        return [row for row in self.row_order if row in there] + [row for row in there if row not in self.row_order]

    @property
    def columns(self) -> list[tuple[Origin, str, str]]:
        """Origin, column and metric of each column, measured ones first."""
        there = dict.fromkeys((cell.origin, cell.column, cell.metric) for cell in self.cells)
        return [key for origin in ("measured", "paper") for key in there if key[0] == origin]

    @property
    def header(self) -> list[str]:
        """Headings of all columns, that of the rows first."""
        several_metrics = len({metric for _, _, metric in self.columns}) > 1
        return [self.row_title, *(_heading(*key, with_metric=several_metrics) for key in self.columns)]

    def in_parts(self, fits: Callable[["PaperTable"], bool]) -> "list[PaperTable]":
        """Return tables of as many columns as fit, the paper's values of each beside the measured; the first is titled.

        Args:
            fits: whether there is room for a table. One of a single column is returned even if there is not.
        """
        parts: list[list[str]] = []
        for name in dict.fromkeys(column for _, column, _ in self.columns):
            if parts and fits(self._of_columns([*parts[-1], name])):
                parts[-1].append(name)
            else:
                parts.append([name])
        tables = [self._of_columns(names) for names in parts]
        return [dataclasses.replace(table, title="") if number else table for number, table in enumerate(tables)]

    def _of_columns(self, names: Sequence[str]) -> "PaperTable":
        return dataclasses.replace(self, cells=tuple(cell for cell in self.cells if cell.column in names))

    def text_rows(self) -> list[list[str]]:
        """Return the table as it is read: one list a row, label first, empty where there is no value."""
        by_place = {(cell.row, cell.origin, cell.column, cell.metric): cell for cell in self.cells}
        return [[row, *(_text(by_place.get((row, *key))) for key in self.columns)] for row in self.rows]

    def to_markdown(self) -> str:
        """Return title, table and notes in Markdown."""
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"**{self.title}**\n\n{markdown_table(self.header, self.text_rows())}{notes}"

    def to_csv(self) -> str:
        """Return the measured values, one a line, for `dvc plots`."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["column", "row", "metric", "value"])
        for cell in self.cells:
            if cell.origin == "measured":
                writer.writerow([cell.column, cell.row, cell.metric, f"{cell.value:.6g}"])
        return buffer.getvalue()

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row of `PAPER_TABLE_SCHEMA` for each value."""
        return [{"table": self.number, **dataclasses.asdict(cell)} for cell in self.cells]


def _heading(origin: Origin, column: str, metric: str, *, with_metric: bool) -> str:
    arrow = "↑" if metric.startswith(MORE_IS_BETTER) else "↓"
    name = f"{column} {metric} {arrow}" if with_metric else column
    return name if origin == "measured" else f"paper: {name}"


def _text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.origin == "paper":
        return f"{cell.value:.3f}"
    return f"{cell.value:.4f}" if cell.sem is None else f"{cell.value:.4f} ± {cell.sem:.4f}"
