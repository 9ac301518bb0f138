"""Prefect prepared for the flows of one command, and shut down after them."""

import contextlib
from collections.abc import Iterator

from flows.display import current_display
from flows.services.daemons import running_server, server_password
from flows.services.environment import prefect_home, prepare_environment, users_server
from flows.services.loopback import is_loopback_url
from flows.services.server import ServerError, named_server, temporary_server, wait_for_server
from tasks.project.paths import Project
from ui2i.errors import UI2IError

REACH_SECONDS = 20.0


@contextlib.contextmanager
def prefect_session(project: Project, *, verbose: bool = False) -> Iterator[bool]:
    """Let flows run in the block: on the user's server, else on that of `ui2i up`, else on a temporary one.

    Args:
        verbose: let Prefect write its own log to the terminal.

    Yields:
        Whether the server is the project's own and nobody but this machine reaches it.

    Raises:
        ServerError: there is no server and none can be started, or the one that there was has gone.
    """
    is_embedded = prepare_environment(project.root, verbose=verbose)
    if not is_embedded and (url := users_server()) is not None:
        wait_for_server(url, timeout_seconds=REACH_SECONDS)
        with _told_if_it_ends(url):
            yield False
        return
    if (url := running_server(project)) is not None:
        password = server_password(project)
        wait_for_server(url, password=password, timeout_seconds=REACH_SECONDS)
        with named_server(url, password), _told_if_it_ends(url):
            yield is_embedded and is_loopback_url(url)
        return
    current_display().message("starting a temporary Prefect server")
    with temporary_server(prefect_home()) as url:
        import flows.pipeline  # noqa: F401  # seconds, during which the server starts

        wait_for_server(url)
        try:
            with _told_if_it_ends(url):
                yield is_embedded
        finally:
            _send_rest()


def server_address(project: Project) -> str | None:
    """Return the API of the user's server, else of that of `ui2i up`; None: there is neither."""
    return (None if prepare_environment(project.root) else users_server()) or running_server(project)


@contextlib.contextmanager
def _told_if_it_ends(url: str) -> Iterator[None]:
    """Turn into one line what Prefect raises when its server, which others may stop, has been away for a minute.

    Raises:
        ServerError: it was.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, UI2IError) or (cause := _lost_connection(error)) is None:
            raise
        raise ServerError(
            f"the server at {url} has gone ({cause}), expected it to answer until the command ends; start one with "
            "`ui2i up` and rerun the command: a run resumes where it stopped"
        ) from error


def _lost_connection(error: BaseException | None) -> BaseException | None:
    """Return the failure of the network that an exception comes from; None: it comes from something else."""
    from httpx import TransportError

    while error is not None and not isinstance(error, TransportError):
        error = error.__cause__ or error.__context__
    return error


def _send_rest() -> None:
    """Send what Prefect has not sent yet; otherwise it would try after the server is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    EventsWorker.drain_all()
