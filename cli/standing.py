"""What `ui2i status` knows, for the page Runs: where each domain stands, and a server's runs with links to them."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tasks.project.paths import Project

KEPT_SECONDS = 5.0  # asking DVC or Prefect takes seconds, and several windows may ask at once

_T = TypeVar("_T")


class Kept:
    """Something that takes long to find out: answers of the last seconds are given again."""

    def __init__(self, find: Callable[[], _T]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: tuple[float, Any] | None = None

    def read(self) -> Any:
        """Return what is known; whoever asks meanwhile waits for the same answer."""
        with self._lock:
            if self._found is None or time.monotonic() - self._found[0] >= KEPT_SECONDS:
                answer = self._find()
                self._found = time.monotonic(), answer
            return self._found[1]


def domains(project: Project, *, asks_dvc: bool) -> list[dict[str, str]]:
    """Return where each domain stands, as JSON has it; without DVC at once, but without whether it is up to date.

    Raises:
        ConfigError: `params.yaml` is not valid.
    """
    from cli.report import when
    from tasks.requests.domain_status import domain_statuses

    return [
        {"domain": it.domain, "trained": when(it.trained), "measured": when(it.measured), "state": it.verdict}
        for it in domain_statuses(project, asks_dvc=asks_dvc)
    ]


def runs(project: Project) -> dict[str, Any]:
    """Return the runs of the server that `ui2i up` started or the user named; none is started for this.

    Raises:
        ServerError: there should be a server, and it does not answer.
    """
    from flows.display import Display, shown
    from flows.services.session import prefect_session, server_address

    url = server_address(project)
    if url is None:
        return {"server": None, "running": [], "scheduled": [], "failed": []}
    with shown(Display()), prefect_session(project) as is_own_server:
        from cli.overview import overview

        found = overview(project, is_own_server=is_own_server)
    return {
        "server": url.removesuffix("/api"),
        "running": [
            {"name": run.name, "id": run.id, "since": run.started, "state": verdict} for run, verdict in found.running
        ],
        "scheduled": [{"name": name, "time": time_} for name, time_ in found.scheduled],
        "failed": [
            {"name": name, "state": state, "ended": ended, "why": why, "id": run_id}
            for name, state, ended, why, run_id in found.failed
        ],
    }
