"""A Prefect server for the duration of one command, so that none needs to be set up.

Prefect would start one itself, but only after its own import, and importing the server takes most of the time that a
run needs to begin. Started here as a process before Prefect is imported, it gets ready meanwhile. It listens from the
first moment (the socket is handed down), so nobody polls. It is a session of its own, so that Ctrl-C ends the run
first and the server can still record that; and it ends when its standard input does, so that it cannot outlive the
command, whatever becomes of that.

It lets in only who knows its password, which this command and its children do, and answers to its own address alone.
"""

import base64
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.services.guard import Addresses, Guard, own_addresses
from flows.services.loopback import bypass_proxies, is_loopback_url
from flows.services.password import CLIENT_VARIABLE, PASSWORD_FILE, make_private, new_password, server_environment
from tasks.running.dvc_command import ITS_OWN_MODULES
from ui2i.errors import UI2IError

LOG_NAME = "server.log"
STAY = "--stay"  # of `python -m flows.services.server FD [NAME]...`: do not end with standard input
START_SECONDS = 180.0
STOP_SECONDS = 15.0
_UNAUTHORIZED = 401

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

    `PREFECT_API_URL` names it meanwhile, and `PREFECT_API_AUTH_STRING` has its password, which is nowhere else.

    Args:
        home: Prefect's folder; gets the server's log.

    Raises:
        PasswordError: the folder cannot be kept from others.

    Yields:
        The address of its API.
    """
    make_private(home)
    password = new_password()
    with socket.create_server(("127.0.0.1", 0)) as listener, (home / LOG_NAME).open("wb") as log:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.services.server", str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            env=os.environ | ITS_OWN_MODULES | _SERVER_ENVIRONMENT | server_environment(password),
        )
    try:
        with named_server(url, password):
            yield url
    finally:
        _stop(process)


@contextlib.contextmanager
def named_server(url: str, password: str | None = None) -> Iterator[None]:
    """Set Prefect's variables to a server for the duration of the block.

    Args:
        password: of a server of the project's own, which is reached directly; None: the user's variables let in.
    """
    named = {"PREFECT_API_URL": url}
    if password is not None:
        named[CLIENT_VARIABLE] = password
        bypass_proxies(urllib.parse.urlsplit(url).hostname or "")
    before = {name: os.environ.get(name) for name in named}
    os.environ.update(named)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def wait_for_server(url: str, *, password: str | None = None, timeout_seconds: float = START_SECONDS) -> None:
    """Return as soon as the server at `url` answers.

    Args:
        password: of a server of the project's own, which must let it in, and which no proxy stands before.

    Raises:
        ServerError: it cannot be reached, or not in time, or refuses the password.
    """
    try:
        for request in _questions(url.rstrip("/"), password):
            with _opener(url, is_own=password is not None).open(request, timeout=timeout_seconds):
                pass
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != _UNAUTHORIZED:
            raise _no_answer(url, error) from error
        raise ServerError(
            f"the server at {url} refuses the password of .prefect/{PASSWORD_FILE}, expected the one that it was "
            "started with; run `ui2i down`, then `ui2i up`"
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_answer(url, error.reason if isinstance(error, urllib.error.URLError) else error) from error


def _questions(url: str, password: str | None) -> list[urllib.request.Request]:
    """Return the requests that test whether a server answers and, for which it needs its database, accepts us."""
    questions = [urllib.request.Request(f"{url}/health")]
    if password is not None:
        token = base64.b64encode(password.encode()).decode()
        questions.append(urllib.request.Request(f"{url}/version", headers={"Authorization": f"Basic {token}"}))
    return questions


def _opener(url: str, *, is_own: bool) -> urllib.request.OpenerDirector:
    """Return an opener that uses a proxy only for a server on another machine."""
    is_direct = is_own or is_loopback_url(url)
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_direct else []))


def _no_answer(url: str, reason: object) -> ServerError:
    return ServerError(
        f"no Prefect server answers at {url} ({reason}), expected one there; start it, or correct or unset "
        f"PREFECT_API_URL (a server that ui2i starts itself logs to .prefect/{LOG_NAME})"
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(listener: socket.socket, names: Sequence[str], *, stays: bool) -> None:
    """Run Prefect's server on `listener` until it is told to end, or, unless it stays, standard input ends."""
    import uvicorn

    addresses = own_addresses(listener, names)
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(sorted(addresses.origins))
    server = uvicorn.Server(
        uvicorn.Config(
            lambda: _guarded_application(addresses),
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


def _guarded_application(addresses: Addresses) -> Guard:
    from prefect.server.api.server import create_app

    return Guard(create_app(), addresses)


if __name__ == "__main__":
    _descriptor, *_options = sys.argv[1:]
    _serve(
        socket.socket(fileno=int(_descriptor)),
        [name for name in _options if name != STAY],
        stays=STAY in _options,
    )
