"""A Prefect server for the length of one command, so that none need be set up.

Prefect would start one itself, but only after its own import, and importing the server takes most of the time that a
run needs to begin. Started here as a process before Prefect is imported, it gets ready meanwhile. It listens from the
first moment (the socket is handed down), so nobody polls. It is a session of its own, so that Ctrl-C ends the run
first and the server can still record that; and it ends when its standard input does, so that it cannot outlive the
command, whatever becomes of that.
"""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ui2i.errors import UI2IError

LOG_NAME = "server.log"
STAY = "--stay"  # of `python -m flows.server FD`: do not end with standard input
START_SECONDS = 180.0
STOP_SECONDS = 15.0

# Leases of the training limit are kept in files: in memory they would end with the server, and their slots never.
LEASES_IN_FILES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}

# What a server for one run needs none of. Expired leases are still collected, so that a run that was killed does not
# hold its slot for ever.
_SERVER_ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    **LEASES_IN_FILES,
} | {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in ("CANCELLATION_CLEANUP", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS", "SCHEDULER", "TRIGGERS")
}


class ServerError(UI2IError):
    """No Prefect server could be reached or started."""


@contextlib.contextmanager
def temporary_server(home: Path) -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1 and stop it at the end. Does not wait for it: see `wait_for_server`.

    `PREFECT_API_URL` names it meanwhile.

    Args:
        home: Prefect's folder; gets the server's log.

    Yields:
        The address of its API.
    """
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, (home / LOG_NAME).open("wb") as log:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            env=os.environ | _SERVER_ENVIRONMENT,
        )
    try:
        with named_server(url):
            yield url
    finally:
        _stop(process)


@contextlib.contextmanager
def named_server(url: str) -> Iterator[None]:
    """Let `PREFECT_API_URL` name a server meanwhile."""
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = url
    try:
        yield
    finally:
        del os.environ["PREFECT_API_URL"]
        if before is not None:
            os.environ["PREFECT_API_URL"] = before


def wait_for_server(url: str, *, timeout_seconds: float = START_SECONDS) -> None:
    """Return as soon as the server at `url` answers.

    Raises:
        ServerError: it cannot be reached, or not in time.
    """
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=timeout_seconds):
            pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ServerError(
            f"no Prefect server answers at {url} ({reason}), expected one there; start it, or correct or unset "
            f"PREFECT_API_URL (a server that ui2i starts itself logs to .prefect/{LOG_NAME})"
        ) from error


def let_prefect_schedule() -> None:
    """Let SQLAlchemy 2.1 take the rows with which Prefect 3.9 schedules runs; a server would fire no cron without it.

    The rows carry the run's `state` too, a hybrid attribute, which SQLAlchemy 2.0 passed over and 2.1 refuses unless it
    is told how to set it in bulk. There is nothing to set: Prefect writes the states with its next statement.
    """
    import sqlalchemy
    from prefect.server.database.orm_models import FlowRun

    state = sqlalchemy.inspect(FlowRun).all_orm_descriptors["state"]
    if getattr(state, "bulk_dml_setter", "none needed") is None:
        state.bulk_dml_setter = lambda _class, _row, _state: None  # type: ignore[attr-defined]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(listener: socket.socket, *, stays: bool) -> None:
    """Run Prefect's server on `listener` until it is told to end, or, unless it stays, standard input ends."""
    import uvicorn

    let_prefect_schedule()
    server = uvicorn.Server(
        uvicorn.Config(
            "prefect.server.api.server:create_app",
            factory=True,
            lifespan="on",
            log_level="error",
            timeout_graceful_shutdown=5,
        )
    )

    def exit_at_end_of_input() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    if not stays:
        threading.Thread(target=exit_at_end_of_input, daemon=True).start()
    server.run(sockets=[listener])
    sys.stderr.flush()
    # The server has shut down in good order; taking the interpreter apart would cost seconds more.
    os._exit(0 if server.started else 1)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), stays=sys.argv[2:] == [STAY])
