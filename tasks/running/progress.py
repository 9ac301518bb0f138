"""How a stage reports progress: a bar for people, lines for programs."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ui2i.progress import Progress

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

PREFIX = "::progress "
INTERVAL_SECONDS = 1.0


@contextlib.contextmanager
def report_progress(stage: str) -> Iterator[Progress]:
    """Yield a `Progress` that draws a bar if stdout is a terminal, and else prints lines for `parse_progress`."""
    if sys.stdout.isatty():
        with _bar(stage) as progress:
            yield progress
        return
    lines = _Lines(stage)
    try:
        yield lines
    finally:
        lines.flush()


def parse_progress(line: str) -> tuple[int, int, str] | None:
    """Return (done, total, note) of a progress line, or None for any other line."""
    if not line.startswith(PREFIX):
        return None
    try:
        values = json.loads(line.removeprefix(PREFIX))
        return int(values["done"]), int(values["total"]), str(values["note"])
    except (ValueError, KeyError, TypeError):
        return None


def part_of(progress: Progress, index: int, num_parts: int, label: str) -> Progress:
    """Return a `Progress` for part `index` of several equal ones, which together fill `progress` once."""

    def report(done: int, total: int, note: str = "") -> None:
        progress(index * total + done, num_parts * total, f"{label} {note}".strip())

    return report


class _Lines:
    """Prints the newest report at most once per interval, and the last one always."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.waiting: dict[str, Any] | None = None
        self.printed_at = -INTERVAL_SECONDS

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self.waiting = {"stage": self.stage, "done": done, "total": total, "note": note}
        if time.monotonic() - self.printed_at >= INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.waiting is not None:
            print(PREFIX + json.dumps(self.waiting), flush=True)
            self.waiting = None
            self.printed_at = time.monotonic()


def bar_columns() -> "tuple[ProgressColumn, ...]":
    """Return the columns of a bar: count, percent and time stay whole on a narrow terminal, the note gives way first.

    A name that is too long for its line goes on in the next one.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return (
        TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
        BarColumn(bar_width=10, table_column=Column(no_wrap=True)),
        TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
    )


@contextlib.contextmanager
def _bar(stage: str) -> Iterator[Progress]:
    from rich.progress import Progress as RichProgress

    with RichProgress(*bar_columns(), expand=True) as display:
        task = display.add_task(stage, total=None, note="")

        def report(done: int, total: int, note: str = "") -> None:
            display.update(task, completed=done, total=total, note=note)

        yield report
