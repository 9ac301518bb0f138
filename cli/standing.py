"""What `ui2i status` knows, for the page Runs: where each domain stands, and a server's runs with links to them."""

import threading
import time
from typing import Any

from tasks.project.paths import Project

KEPT_SECONDS = 5.0  # asking DVC and Prefect takes about a second, and several windows may ask at once


class Standing:
    """Answers of the last seconds are given again."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._read_at = -KEPT_SECONDS
        self._answer: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return domains, runs and the address of the server's pages, as JSON has them.

        Raises:
            ConfigError: `params.yaml` is not valid.
            ServerError: there should be a server, and it does not answer.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= KEPT_SECONDS:
                self._answer = {"domains": _domains(self._project), **_runs(self._project)}
                self._read_at = time.monotonic()
            return self._answer


def _domains(project: Project) -> list[dict[str, str]]:
    from tasks.requests.domain_status import domain_statuses

    def when(moment: Any) -> str:
        return f"{moment:%Y-%m-%d %H:%M}" if moment else ""

    return [
        {"domain": it.domain, "trained": when(it.trained), "measured": when(it.measured), "state": it.verdict}
        for it in domain_statuses(project)
    ]


def _runs(project: Project) -> dict[str, Any]:
    """Return the runs of the server that `ui2i up` started or the user named; none is started for this."""
    from flows.display import Display, shown
    from flows.services.daemons import running_server
    from flows.services.environment import prepare_environment, users_server
    from flows.services.session import prefect_session

    url = (None if prepare_environment(project.root) else users_server()) or running_server(project)
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
