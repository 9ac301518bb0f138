"""Whether the process of a run is still alive, and how runs are closed whose process has died."""

import contextlib
import dataclasses
from datetime import UTC, datetime
from typing import Literal

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectNotFound

from flows.holding import forget_run, run_lease
from flows.limits import TRAINING_LIMIT
from flows.services.runs import Run, close, open_runs
from tasks.project.paths import Project
from tasks.running import lock_file
from tasks.running.locks import is_held, lease_names, read_holder

Verdict = Literal["alive", "gone", "unknown"]

RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
BEGIN_SECONDS = 60.0
"""A run's process needs a while from its first state to its lease. Without one after that, it is gone, or elsewhere."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repair:
    """What was found and repaired."""

    closed: tuple[tuple[Run, str], ...]  # runs and the state that each has now
    unknown: tuple[Run, ...]  # whose process may be on another machine
    files: tuple[str, ...]  # of DVC's that a kill had cut off
    freed_slots: int  # of trainings


def verdict_of(project: Project, run: Run, *, is_own_server: bool) -> Verdict:
    """Return whether a run's process is alive.

    A lease that is held says yes and one that is noted but free says no, at once. A run without a note has not come to
    leaving one, and then its process is on its way; or it died before; or it is elsewhere.

    Args:
        is_own_server: nobody but this machine reaches the server, so that there is no elsewhere.
    """
    lease = run_lease(run.id)
    if is_held(project, lease):
        return "alive"
    if read_holder(project, lease) is not None:
        return "gone"
    # Of a clock that was set back since, the date says nothing: a run would be on its way for days.
    if abs((datetime.now(UTC) - run.changed).total_seconds()) < BEGIN_SECONDS or _is_on_its_way(run.id):
        return "alive"  # as far as anybody can tell yet
    return "gone" if is_own_server else "unknown"


def repair(project: Project, *, is_own_server: bool) -> Repair:
    """Close every run whose process has died, and repair what a kill may have left: DVC's files, slots of trainings.

    Outputs need no repair: each is whole or absent, and the next run of its stage removes what lies beside it.
    """
    verdicts = [(run, verdict_of(project, run, is_own_server=is_own_server)) for run in open_runs()]
    closed = []
    for run, verdict in verdicts:
        if verdict == "gone":
            closed.append((run, close(run)))
            forget_run(project, run.id)
    _forget_the_dead(project)
    return Repair(
        closed=tuple(closed),
        unknown=tuple(run for run, verdict in verdicts if verdict == "unknown"),
        files=tuple(lock_file.mend(project)),
        freed_slots=0 if any(verdict != "gone" for _, verdict in verdicts) else _free_slots(),
    )


def _is_on_its_way(run_id: str) -> bool:
    """Whether a process of this machine was started for a run: workers name it in the environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(RUN_VARIABLE) == run_id:
                return True
    return False


def _forget_the_dead(project: Project) -> None:
    """Remove the leases of runs that something else closed, such as their worker."""
    for name in lease_names(project, "run"):
        if not is_held(project, name):
            forget_run(project, name.removeprefix("run-"))


def _free_slots() -> int:
    """Free the slots of trainings; nothing runs. Return how many were taken."""
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        taken = client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).active_slots
        if taken:
            client.update_global_concurrency_limit(TRAINING_LIMIT, GlobalConcurrencyLimitUpdate(active_slots=0))
        return taken
    return 0
