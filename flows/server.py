"""A Prefect server for the length of one command, so that none need be set up.

Prefect would start one itself, but only after its own import, one second thought after the other; importing the server
takes most of the time that a run needs to begin. Started here as a process before Prefect is imported, it gets ready
meanwhile. It listens from the first moment (the socket is handed down), so nobody polls. It is its own process
group, so that Ctrl-C ends the run first and the server can still record that; and it ends when its standard input
does, so that it cannot outlive the command whatever becomes of that.
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
STOP_SECONDS = 15
START_SECONDS = 180

# What a server for one run needs none of. Expired leases of the training limit are still collected, from files, so
# that a run that was killed does not hold its slot for ever.
_SERVER_ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        with open(home / LOG_NAME, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.server", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
                env={**os.environ, **_SERVER_ENVIRONMENT},
            )
    os.environ["PREFECT_API_URL"] = url
    try:
        yield url
    finally:
        del os.environ["PREFECT_API_URL"]
        _stop(process)


def wait_for_server(url: str, *, timeout_seconds: float = START_SECONDS) -> None:
    """Return as soon as the server at `url` answers.

    Raises:
        ServerError: it cannot be reached, or not in time.
    """
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout_seconds):
            pass
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ServerError(
            f"no Prefect server answers at {url} ({reason}), expected one there; "
            f"start it, or correct or unset PREFECT_API_URL (a server started by ui2i logs to .prefect/{LOG_NAME})"
        ) from error


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(listener: socket.socket) -> None:
    """Run Prefect's server on `listener` until standard input ends."""
    import uvicorn

    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        lifespan="on",
        log_level="info",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)

    def exit_at_end_of_input() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=exit_at_end_of_input, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
