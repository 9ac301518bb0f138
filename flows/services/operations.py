"""`ui2i up` and `ui2i down`: a server, its pool, limits and deployments, and a worker, as one thing."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from flows.services.daemons import (
    DEFAULT_HOST,
    DEFAULT_LIMIT,
    DEFAULT_PORT,
    Service,
    last_lines,
    log_path,
    read_services,
    server_password,
    services_lock,
    start_server,
    start_worker,
    stop_service,
)
from flows.services.environment import prepare_environment, users_server
from flows.services.loopback import is_loopback_url
from flows.services.server import ServerError, named_server, wait_for_server
from tasks.project.paths import Project

WORKER_SECONDS = 180.0  # until a worker has reported to its server
_POLL_SECONDS = 0.5

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Up:
    """The server and the worker that are up."""

    url: str  # of the server's API
    is_own_server: bool  # it was started here
    worker: Service

    @property
    def ui(self) -> str:
        """The address of the UI."""
        return self.url.removesuffix("/api")


def bring_up(
    project: Project,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    names: Sequence[str] = (),
    limit: int | None = None,
    say: Say,
) -> Up:
    """Start the server and the worker if they are missing, and deploy `prefect.yaml`. May be repeated.

    Args:
        host: to listen on; anything but loopback lets other machines try the password.
        names: further host names by which the server is reached; it answers to no others.
        limit: of flows at a time; None: the pool's own, of a new one `DEFAULT_LIMIT`.
        say: told what happens.

    Raises:
        ServerError: the port is taken, or a service does not come up.
        DeployError: `prefect.yaml` cannot be deployed.
    """
    with services_lock(project):
        url, password = _server(project, host, port, names, say)
        is_own = password is not None
        with named_server(url, password):
            from flows.services.deploying import deploy, ensure_pool
            from flows.services.verdicts import repair

            ensure_pool(project, limit=limit, is_own=is_own)
            say("deploying what prefect.yaml says")
            deploy(project)
            for run, state in repair(project, is_own_server=is_own and is_loopback_url(url)).closed:
                say(f"{run.name}: its process is gone, now {state.lower()}")
            own_limit = None if is_own else limit or DEFAULT_LIMIT
            return Up(url=url, is_own_server=is_own, worker=_worker(project, url, own_limit, say))


def bring_down(project: Project, *, say: Say) -> Mapping[str, Service]:
    """Stop what `bring_up` started, the worker first; a server that was there before stays.

    Returns:
        What was stopped.
    """
    with services_lock(project):
        services = read_services(project)
        for name in ("worker", "server"):
            if (service := services.get(name)) is not None:
                say(f"stopping the {name}, process {service.pid}")
                stop_service(project, service)
        return {str(name): service for name, service in services.items()}


def _server(project: Project, host: str, port: int, names: Sequence[str], say: Say) -> tuple[str, str | None]:
    """Return the address of a server that answers and, if it was started here, its password."""
    is_embedded = prepare_environment(project.root)
    if not is_embedded and (url := users_server()):
        wait_for_server(url)
        return url, None
    server = read_services(project).get("server")
    if server is None:
        say(f"starting a server, its log is {project.relative(log_path(project, 'server'))}")
        server = start_server(project, host=host, port=port, names=names)
    password = server_password(project)
    try:
        wait_for_server(server.url, password=password)
    except ServerError as error:
        raise ServerError(f"{error}: {last_lines(log_path(project, 'server'))}") from error
    return server.url, password


def _worker(project: Project, url: str, limit: int | None, say: Say) -> Service:
    """Return the worker, which is started if need be.

    Args:
        limit: of its own flows at a time; None: the pool's is enough.
    """
    worker = read_services(project).get("worker")
    if worker is not None and worker.url == url:
        return worker
    if worker is not None:
        stop_service(project, worker)
    say(f"starting a worker, its log is {project.relative(log_path(project, 'worker'))}")
    since, deadline = datetime.now(UTC), time.monotonic() + WORKER_SECONDS
    worker = start_worker(project, url, _pool(), limit=limit)
    while not _has_reported(since):
        if not worker.is_alive or time.monotonic() > deadline:
            raise ServerError(
                f"the worker does not come up ({last_lines(log_path(project, 'worker'))}), expected it to report to "
                f"{url}; its log is {log_path(project, 'worker')}"
            )
        time.sleep(_POLL_SECONDS)
    return worker


def _pool() -> str:
    from flows.services.deploying import POOL

    return POOL


def _has_reported(since: datetime) -> bool:
    """Return whether a worker has reported since a time: one that was killed passes for online for a while."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(_pool())
    return any(worker.last_heartbeat_time is not None and worker.last_heartbeat_time >= since for worker in workers)
