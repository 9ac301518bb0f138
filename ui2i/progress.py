"""How long-running work reports progress, without knowing who listens."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called after each unit of work: `done` of `total`, with a short note such as a loss or a name."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Take note."""


def no_progress(done: int, total: int, note: str = "") -> None:
    """Report to nobody."""
