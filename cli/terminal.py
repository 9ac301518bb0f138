"""What commands that run flows have in common: a Prefect session, on display."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tasks.project.paths import Project


class Verbosity(Protocol):
    """What stood before the subcommand."""

    @property
    def verbose(self) -> bool:
        """Whether to show the output of stages and Prefect's log."""


@contextlib.contextmanager
def session(options: Verbosity, project: "Project") -> Iterator[None]:
    """Let flows run inside, on display."""
    from flows.display import shown, terminal_display
    from flows.services.session import prefect_session

    try:
        with shown(terminal_display(verbose=options.verbose)), prefect_session(project, verbose=options.verbose):
            yield
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        raise
