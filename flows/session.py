"""Prefect made ready for the flows of one command, and wound up after them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from flows.display import current_display
from flows.environment import prepare_environment
from flows.server import named_server, temporary_server, wait_for_server
from flows.services import is_loopback_url, running_server
from tasks.project import Project

REACH_SECONDS = 20.0


@contextlib.contextmanager
def prefect_session(project: Project, *, verbose: bool = False) -> Iterator[bool]:
    """Let flows run inside: on the user's server if there is one, else on that of `ui2i up`, else on a temporary one.

    Args:
        verbose: let Prefect write its own log to the terminal.

    Yields:
        Whether the server is the project's own and nobody but this machine reaches it.

    Raises:
        ServerError: there is no server and none can be started.
    """
    if not prepare_environment(project.root, verbose=verbose):
        if url := os.environ.get("PREFECT_API_URL"):
            wait_for_server(url, timeout_seconds=REACH_SECONDS)
        yield False
        return
    if (url := running_server(project)) is not None:
        wait_for_server(url, timeout_seconds=REACH_SECONDS)
        with named_server(url):
            yield is_loopback_url(url)
        return
    current_display().message("starting a temporary Prefect server")
    with temporary_server(Path(os.environ["PREFECT_HOME"])) as url:
        import flows.pipeline  # noqa: F401  # seconds, during which the server starts

        wait_for_server(url)
        try:
            yield True
        finally:
            _send_rest()


def _send_rest() -> None:
    """Send what Prefect still keeps to itself; it would try so when the server is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    EventsWorker.drain_all()
