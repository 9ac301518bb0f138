"""Prefect prepared for the flows of one command, and shut down after them."""

import contextlib
from collections.abc import Iterator

from flows.display import current_display
from flows.services.daemons import running_server, server_password
from flows.services.environment import prefect_home, prepare_environment, users_server
from flows.services.loopback import is_loopback_url
from flows.services.server import named_server, temporary_server, wait_for_server
from tasks.project.paths import Project

REACH_SECONDS = 20.0


@contextlib.contextmanager
def prefect_session(project: Project, *, verbose: bool = False) -> Iterator[bool]:
    """Let flows run in the block: on the user's server, else on that of `ui2i up`, else on a temporary one.

    Args:
        verbose: let Prefect write its own log to the terminal.

    Yields:
        Whether the server is the project's own and nobody but this machine reaches it.

    Raises:
        ServerError: there is no server and none can be started.
    """
    is_embedded = prepare_environment(project.root, verbose=verbose)
    if not is_embedded and (url := users_server()) is not None:
        wait_for_server(url, timeout_seconds=REACH_SECONDS)
        yield False
        return
    if (url := running_server(project)) is not None:
        password = server_password(project)
        wait_for_server(url, password=password, timeout_seconds=REACH_SECONDS)
        with named_server(url, password):
            yield is_embedded and is_loopback_url(url)
        return
    current_display().message("starting a temporary Prefect server")
    with temporary_server(prefect_home()) as url:
        import flows.pipeline  # noqa: F401  # seconds, during which the server starts

        wait_for_server(url)
        try:
            yield is_embedded
        finally:
            _send_rest()


def _send_rest() -> None:
    """Send what Prefect has not sent yet; otherwise it would try after the server is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    EventsWorker.drain_all()
