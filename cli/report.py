"""What commands print at the end: tables, and the paths of their results."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.display import duration
from ui2i.names import printable
from ui2i.translation_files import SHEET_NAME

if TYPE_CHECKING:
    from flows.services.runs import Run
    from tasks.project.paths import Project
    from tasks.running.dvc_stage import StageOutcome


def print_outcomes(outcomes: "Iterable[StageOutcome]") -> None:
    """Print how long each stage took."""
    results = {"ran": "done", "skipped": "up to date"}
    rows = [(outcome.stage, results[outcome.status], duration(outcome.seconds)) for outcome in outcomes]
    print_table("Stages", ("stage", "result", "time"), rows)


def print_results(project: "Project", domain: str) -> None:
    """Print a domain's distances and the paths of its results."""
    print_distances(project, domain)
    print_paths(
        {
            "distance table": project.distance_table(domain),
            "same latents, all models": project.shared_samples(domain),
            "contact sheet": project.translations(domain) / SHEET_NAME,
            "checkpoints": project.checkpoint(domain),
            "variants": project.variants(domain),
        }
    )


def print_distances(project: "Project", domain: str) -> None:
    """Print a domain's most recently measured distances.

    Raises:
        DataError: the domain was not measured yet.
    """
    from flows.distances import COLUMNS, read_distances

    table = read_distances(project, domain)
    print_table(table.title, COLUMNS, table.rows)


def when(time: datetime | None) -> str:
    """Return a time as tables show it, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else ""


def print_runs(runs: "Iterable[Run]") -> None:
    """Print which runs there are."""
    rows = [(run.id, run.name, run.started) for run in runs]
    if rows:
        print_table("Running", ("run", "name", "since (UTC)"), rows)
    else:
        print("nothing is running")


def print_paths(paths: dict[str, Path]) -> None:
    """Print labelled paths, relative to the current folder where they are below it."""
    width = max(map(len, paths))
    for label, path in paths.items():
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        print(f"{label:<{width}}  {printable(str(shown))}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in which nothing is cut, however narrow the terminal (`cli.layout`).

    Values may come from a stranger's file, so control characters and markup in them are escaped.
    """
    from cli import layout

    heads = [printable(column) for column in columns]
    cells = [[printable(value, keep="\n") for value in row] for row in rows]
    print_bold(layout.wrapped(printable(title)))
    room = layout.terminal_width()
    for part in [cells] if layout.column_widths(heads, cells, room) else layout.apart(cells):
        widths = layout.column_widths(heads, part, room)
        if part and widths is None:
            print(layout.blocks(heads, part, room or 0), end="\n\n")
        elif part and widths is not None:
            _print_side_by_side(heads, part, widths)


def _print_side_by_side(heads: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cli import layout

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, layout.GAP - 1, 0, 0))
    for head, width, column in zip(heads, widths, zip(*cells, strict=True), strict=True):
        table.add_column(Text(head), width=width, justify="right" if all(map(layout.is_number, column)) else "left")
    for row in cells:
        table.add_row(*map(Text, row))
    Console(width=sum(widths) + layout.GAP * len(widths)).print(table, "")


def print_bold(text: str) -> None:
    """Print a heading."""
    print(f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text)


def print_wrapped(text: str, *, indent: int = 2) -> None:
    """Print a line, broken between words where the terminal is narrower; what goes on below it is indented."""
    from cli import layout

    width = layout.terminal_width() or sys.maxsize
    print(textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False))


def print_translation(translations: Path) -> None:
    """Print what a run of `translate` did, what came of its images, and what to do next."""
    from tasks.requests.translation_summary import read_summary

    for line in read_summary(translations).lines():
        print_wrapped(printable(line))
