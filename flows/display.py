"""What a person sees of running stages: bars on a terminal, plain lines elsewhere, nothing under a worker.

Stages are run by Prefect tasks, which must not care who looks on. The command line puts up a display with `shown`,
the tasks report to `current_display()`.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_INTERVAL_SECONDS = 15.0


class Display:
    """Shows nothing; the base of displays that do."""

    def start(self, stage: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """The stage advances."""

    def line(self, text: str) -> None:
        """The stage, or DVC, says something."""

    def message(self, text: str) -> None:
        """Something that people ought to know."""

    def finish(self, stage: str, result: str, seconds: float) -> None:
        """A stage has ended; `result` says how in a word."""


class PlainDisplay(Display):
    """Lines for log files and pipes: one as a stage begins and ends, and one now and then between."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self.stage = ""
        self.printed_at = 0.0

    def start(self, stage: str) -> None:
        self.stage = stage
        self.printed_at = time.monotonic()
        self._print(f"{stage}: started")

    def progress(self, done: int, total: int, note: str = "") -> None:
        if time.monotonic() - self.printed_at >= PLAIN_INTERVAL_SECONDS:
            self.printed_at = time.monotonic()
            self._print(f"{self.stage}: {done:,} of {total:,} {note}".rstrip())

    def line(self, text: str) -> None:
        if self.verbose:
            self._print(f"{self.stage}: {text}")

    def message(self, text: str) -> None:
        self._print(text)

    def finish(self, stage: str, result: str, seconds: float) -> None:
        self._print(f"{stage}: {result}, {duration(seconds)}")

    def _print(self, text: str) -> None:
        print(text, flush=True)


class BarDisplay(Display):
    """A bar for the stage that runs, and a line for each that has ended."""

    def __init__(self, console: "Console", *, verbose: bool = False) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self.verbose = verbose
        self.stage = ""
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
        )

    def start(self, stage: str) -> None:
        self.stage = stage
        self._clear()
        self.bars.add_task(stage, total=None, note="")
        self.bars.start()

    def progress(self, done: int, total: int, note: str = "") -> None:
        for task_id in self.bars.task_ids:
            self.bars.update(task_id, completed=done, total=total, note=note)

    def line(self, text: str) -> None:
        if self.verbose:
            self._print(f"{self.stage}: {text}")

    def message(self, text: str) -> None:
        self._print(text)

    def finish(self, stage: str, result: str, seconds: float) -> None:
        self._clear()
        self.bars.stop()
        self._print(f"{stage}: {result}, {duration(seconds)}")

    def _clear(self) -> None:
        for task_id in self.bars.task_ids:
            self.bars.remove_task(task_id)

    def _print(self, text: str) -> None:
        self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


_current = Display()


def current_display() -> Display:
    """Return the display that is up."""
    return _current


@contextlib.contextmanager
def shown(display: Display) -> Iterator[None]:
    """Put up a display; it is for the whole process, since tasks may run in other threads."""
    global _current
    previous, _current = _current, display
    try:
        yield
    finally:
        _current = previous


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(4.24), duration(200)
    ('4.2 s', '3.3 min')
    """
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
