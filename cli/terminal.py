"""The Prefect session, with its progress shown, of every command that runs flows."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tasks.project.paths import Project


class Verbosity(Protocol):
    """Options given before the subcommand."""

    @property
    def verbose(self) -> bool:
        """Whether to show the stages' output and Prefect's log."""


@contextlib.contextmanager
def session(options: Verbosity, project: "Project") -> Iterator[None]:
    """Let flows run inside, and show their progress."""
    from flows.display import shown, terminal_display
    from flows.services.session import prefect_session

    try:
        with shown(terminal_display(verbose=options.verbose)), prefect_session(project, verbose=options.verbose):
            yield
    except KeyboardInterrupt:
        print("stopped; rerun the command to resume from the last saved state", file=sys.stderr)
        raise
