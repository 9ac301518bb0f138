"""How running stages are shown: bars on a terminal, plain lines elsewhere, nothing under a worker.

Stages are run by Prefect tasks, which must not care who looks on. The command line puts up a display with `shown`,
the tasks report to `current_display()`, several at a time where stages run side by side.
"""

import contextlib
import functools
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ui2i.names import printable
from ui2i.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_INTERVAL_SECONDS = 15.0


class Display:
    """Shows nothing; the base of displays that do."""

    def __init__(self, *, verbose: bool = False) -> None:
        """Set up; `verbose` shows every line of output."""
        self.verbose = verbose

    def start(self, stage: str) -> None:
        """A stage begins."""

    def progress(self, stage: str, done: int, total: int, note: str = "") -> None:
        """A stage that has begun advances."""

    def line(self, stage: str, text: str) -> None:
        """A stage, or DVC, says something."""
        if self.verbose:
            self._print(f"{stage}: {text}")

    def message(self, text: str) -> None:
        """Something that people ought to know has happened."""
        self._print(text)

    def finish(self, stage: str, result: str, seconds: float) -> None:
        """A stage has ended; `result` says how."""
        self._print(f"{stage}: {result}, {duration(seconds)}")

    def _print(self, text: str) -> None:
        pass


class PlainDisplay(Display):
    """Lines for log files and pipes: one as a stage begins and ends, and one now and then between."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self.printed_at: dict[str, float] = {}

    def start(self, stage: str) -> None:
        """Print that the stage begins."""
        self.printed_at[stage] = time.monotonic()
        self._print(f"{stage}: started")

    def progress(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Print the newest state, if a while has passed."""
        if time.monotonic() - self.printed_at[stage] >= PLAIN_INTERVAL_SECONDS:
            self.printed_at[stage] = time.monotonic()
            self._print(f"{stage}: {done:,} of {total:,} {note}".rstrip())

    def _print(self, text: str) -> None:
        # In one piece: stages that run side by side print from threads of their own.
        print(printable(text, keep="\t") + "\n", end="", flush=True)


class BarDisplay(Display):
    """A bar for each stage that runs, and a line for each that has ended."""

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.progress import Progress

        from tasks.running.progress import bar_columns

        super().__init__(verbose=verbose)
        self.bars = Progress(*bar_columns(), transient=True, expand=True)
        self.tasks: dict[str, TaskID] = {}

    def start(self, stage: str) -> None:
        """Draw a bar that only moves until the stage's length is known."""
        self.tasks[stage] = self.bars.add_task(stage, total=None, note="")
        self.bars.start()

    def progress(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Fill the stage's bar."""
        self.bars.update(self.tasks[stage], completed=done, total=total, note=note)

    def finish(self, stage: str, result: str, seconds: float) -> None:
        """Put a line in the place of the bar."""
        self.bars.remove_task(self.tasks.pop(stage))
        if not self.tasks:
            self.bars.stop()
        super().finish(stage, result, seconds)

    def _print(self, text: str) -> None:
        self.bars.console.print(printable(text, keep="\t"), markup=False, highlight=False, soft_wrap=True)


def terminal_display(*, verbose: bool = False) -> Display:
    """Return what suits the place that stdout goes to."""
    return BarDisplay(verbose=verbose) if sys.stdout.isatty() else PlainDisplay(verbose=verbose)


@contextlib.contextmanager
def working(title: str) -> Iterator[Progress]:
    """Show work that is not a stage in the same way as a stage; yield the callback for its progress."""
    display, started, result = terminal_display(), time.monotonic(), "failed"
    display.start(title)
    try:
        yield functools.partial(display.progress, title)
        result = "done"
    except KeyboardInterrupt:
        result = "stopped"
        raise
    finally:
        display.finish(title, result, time.monotonic() - started)


_current = Display()


def current_display() -> Display:
    """Return the display that is up."""
    return _current


@contextlib.contextmanager
def shown(display: Display) -> Iterator[None]:
    """Put up a display, for the whole process: tasks may run in other threads."""
    global _current
    previous, _current = _current, display
    try:
        yield
    finally:
        _current = previous


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples:
        >>> duration(4.24), duration(200)
        ('4.2 s', '3.3 min')
    """
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
