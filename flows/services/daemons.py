"""A Prefect server and a worker that stay when the command ends: what `ui2i up` starts and `ui2i down` stops.

Both are noted in `.prefect/services.json` with their process id and the time at which that process began, because a
number alone may be somebody else's by now. Only what is noted there is ever stopped. They are sessions of their own,
read nothing, and write to `.prefect/server-up.log` and `.prefect/worker.log`. The server's password is in
`.prefect/auth`.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout

from flows.services.environment import PREFECT_FOLDER
from flows.services.password import make_password, make_private, read_password, server_environment
from flows.services.server import LEASES_IN_FILES, STAY, ServerError
from tasks.project.paths import Project
from tasks.running.dvc_command import dvc_environment
from ui2i.files import write_text

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4200
LOGS = {"server": "server-up.log", "worker": "worker.log"}
DEFAULT_LIMIT = 2  # flows at a time: one trains while another ingests
STOP_SECONDS = {"server": 20.0, "worker": 30.0}  # a worker ends its runs first, and these their stages

_NOTES_FILE = "services.json"
_LOCK_SECONDS = 300.0  # as long as another `ui2i up` may take
_START_TOLERANCE_SECONDS = 2.0  # the time since boot, from which a process's start is counted, is itself adjusted
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

ServiceName = Literal["server", "worker"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A process that was started and may still run."""

    name: ServiceName
    pid: int
    started: float  # seconds after the boot, since the clock may be set; Unix time where boots have no name
    url: str  # of the API that it offers or uses
    boot: str = ""  # its name; empty: it has none

    @property
    def is_alive(self) -> bool:
        """Whether this process, and not another of its number, is running."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            is_same = abs(_start_of(process, self.boot) - self.started) < _START_TOLERANCE_SECONDS
            return is_same and self.boot in ("", _boot()) and process.status() != psutil.STATUS_ZOMBIE
        return False


def read_services(project: Project) -> dict[ServiceName, Service]:
    """Return the services that were started here and still run."""
    try:
        notes = json.loads(_notes_path(project).read_text(encoding="utf-8"))
        services = [Service(**note) for note in notes]
    except (OSError, ValueError, TypeError):
        return {}
    return {service.name: service for service in services if service.is_alive}


def running_server(project: Project) -> str | None:
    """Return the address of the server that `ui2i up` started here; None: there is none."""
    server = read_services(project).get("server")
    return server.url if server else None


@contextlib.contextmanager
def services_lock(project: Project) -> Iterator[None]:
    """Let one command at a time start or stop services.

    Raises:
        ServerError: another one has been at it for minutes.
        PasswordError: `.prefect/` cannot be kept from others.
    """
    make_private(_home(project))
    try:
        with FileLock(_home(project) / "services.lock", timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise ServerError(
            f"another `ui2i up` or `ui2i down` has been running for {_LOCK_SECONDS:g} s, expected it to end; stop it"
        ) from error


def server_password(project: Project) -> str:
    """Return the password of the server that `ui2i up` started here, as `user:password`.

    Raises:
        PasswordError: it cannot be read, or others may have read it.
    """
    return read_password(_home(project))


def start_server(
    project: Project, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, names: Sequence[str] = ()
) -> Service:
    """Start a server with all its services and the UI; it answers a while later.

    Args:
        port: 0: any that is free.
        names: further host names by which others reach it.

    Raises:
        ServerError: the port is taken, or there is no such address.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ServerError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}), expected a free port of this machine; "
            "choose another with --port, or stop what listens there"
        ) from error
    with listener:
        port = listener.getsockname()[1]
        shown_host = f"[{host}]" if ":" in host else host
        url = f"http://{shown_host}:{port}/api"
        environment = LEASES_IN_FILES | server_environment(make_password(_home(project)))
        environment |= {
            "PREFECT_API_URL": url,
            "PREFECT_UI_API_URL": url,
            "PREFECT_SERVER_API_HOST": host,
            "PREFECT_SERVER_API_PORT": str(port),
        }
        command = [sys.executable, "-m", "flows.services.server", str(listener.fileno()), STAY, *names]
        return _start(project, "server", command, url, environment, pass_fds=[listener.fileno()])


def start_worker(project: Project, url: str, pool: str, *, limit: int | None) -> Service:
    """Start a worker of a process pool, which runs at most `limit` flows at a time; None: as many as the pool does."""
    name = f"{project.root.name}-{socket.gethostname()}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    command += ["--name", name, *([] if limit is None else ["--limit", str(limit)])]
    return _start(project, "worker", command, url, {"PREFECT_API_URL": url})


def stop_service(project: Project, service: Service) -> None:
    """End one service and what it started: ask first, then insist. Does nothing if it is gone.

    A worker that is asked to end would let its runs go on to their ends; so these are asked first, and their states are
    recorded while it is there to do so.
    """
    with contextlib.suppress(psutil.Error):
        if service.is_alive:
            process = psutil.Process(service.pid)
            for wave in (process.children(), [process], process.children(recursive=True)):
                _end(wave, STOP_SECONDS[service.name])
    _note(project, [other for other in read_services(project).values() if other.name != service.name])


def _end(processes: Sequence[psutil.Process], seconds: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, seconds)


def log_path(project: Project, name: ServiceName) -> Path:
    """Return the path of a service's log."""
    return _home(project) / LOGS[name]


def last_lines(path: Path, count: int = 5) -> str:
    """Return the end of a log in one line."""
    with contextlib.suppress(OSError):
        return " | ".join(path.read_text(errors="replace").strip().splitlines()[-count:])
    return ""


def _start(
    project: Project,
    name: ServiceName,
    command: Sequence[str],
    url: str,
    environment: dict[str, str],
    *,
    pass_fds: Sequence[int] = (),
) -> Service:
    with log_path(project, name).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=pass_fds,
            start_new_session=True,
            env=_usual_logging(dvc_environment()) | environment,
        )
    boot = _boot()
    started = _start_of(psutil.Process(process.pid), boot)
    service = Service(name=name, pid=process.pid, started=started, url=url, boot=boot)
    _note(project, [*(other for other in read_services(project).values() if other.name != name), service])
    return service


def _boot() -> str:
    """Return the name that Linux gives to each boot of the machine; empty: it has none."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""


def _start_of(process: psutil.Process, boot: str) -> float:
    """Return when a process began. Linux counts from the boot, whose date moves when somebody sets the clock."""
    return process.create_time() - (psutil.boot_time() if boot else 0.0)


def _usual_logging(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment in which Prefect logs: services write to files, not to a terminal."""
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT_LOGGING_")} | {
        name: os.environ[name] for name in ("PREFECT_LOGGING_LEVEL",) if name in os.environ
    }


def _note(project: Project, services: Sequence[Service]) -> None:
    write_text(_notes_path(project), json.dumps([dataclasses.asdict(service) for service in services], indent=2) + "\n")


def _notes_path(project: Project) -> Path:
    return _home(project) / _NOTES_FILE


def _home(project: Project) -> Path:
    return project.root / PREFECT_FOLDER
