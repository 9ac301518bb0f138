"""What is running, what is scheduled, and what failed and why, for `ui2i status`."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from cli.report import when
from flows.limits import TRAINING_LIMIT
from flows.naming import run_name
from flows.services.deploying import POOL
from flows.services.runs import Run, open_runs
from flows.services.verdicts import Verdict, verdict_of
from tasks.project.paths import Project

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

FAILED_DAYS = 7
SHOWN_RUNS = 10
REASON_BEGIN, REASON_END = 160, 240  # characters that are shown of a long one

FAILED = (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything that a server knows about this project's runs."""

    limits: tuple[tuple[str, str], ...]  # what is limited, and how much of it is taken
    running: tuple[tuple[Run, Verdict], ...]
    scheduled: tuple[tuple[str, str], ...]  # name, time
    failed: tuple[tuple[str, str, str, str, str], ...]  # name, state, time, reason, id


def overview(project: Project, *, is_own_server: bool) -> Overview:
    """Ask the server; `is_own_server` as for `flows.services.verdicts.verdict_of`."""
    place = {"project": str(project.root)}
    with get_client(sync_client=True) as client:
        scheduled = _flow_runs(client, [StateType.SCHEDULED], FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC)
        failed = _flow_runs(client, FAILED, FlowRunSort.END_TIME_DESC, since=timedelta(days=FAILED_DAYS))
        limits = tuple(_limits(client))
        flows = {run.flow_id: client.read_flow(run.flow_id).name for run in scheduled}
    return Overview(
        limits=limits,
        running=tuple((run, verdict_of(project, run, is_own_server=is_own_server)) for run in open_runs()),
        scheduled=tuple(
            # Until it begins, a run on a schedule has a name of Prefect's making.
            (run_name(flows[run.flow_id], run.parameters | place), when(run.next_scheduled_start_time))
            for run in scheduled
        ),
        failed=tuple((run.name, run.state_name or "", when(run.end_time), reason(run), str(run.id)) for run in failed),
    )


def reason(run: "FlowRun") -> str:
    """Return why a run failed: its state's message in one line, with the middle of a long one left out."""
    message = " ".join((run.state.message if run.state and run.state.message else "").split())
    if len(message) <= REASON_BEGIN + REASON_END:
        return message
    return f"{message[:REASON_BEGIN]} ... {message[-REASON_END:]}"


def _flow_runs(
    client: "SyncPrefectClient", states: Sequence[StateType], sort: FlowRunSort, *, since: timedelta | None = None
) -> "list[FlowRun]":
    after = FlowRunFilterEndTime.model_validate({"after_": datetime.now(UTC) - since}) if since else None
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))), end_time=after)
    return client.read_flow_runs(flow_run_filter=wanted, sort=sort, limit=SHOWN_RUNS)


def _limits(client: "SyncPrefectClient") -> "list[tuple[str, str]]":
    rows = []
    try:
        trainings = client.read_global_concurrency_limit_by_name(TRAINING_LIMIT)
        rows.append(("trainings at once", f"{trainings.active_slots} of {trainings.limit}"))
    except ObjectNotFound:
        pass
    try:
        pool = client.read_work_pool(POOL)
        workers = client.read_workers_for_work_pool(POOL)
        online = [worker.name for worker in workers if worker.status == "ONLINE"]
        rows.append((f"work pool {POOL}", f"{pool.status.value.lower() if pool.status else 'unknown'}, {pool.type}"))
        rows.append(("flows at once", str(pool.concurrency_limit or "no limit")))
        rows.append(("workers", ", ".join(online) or "none"))
    except ObjectNotFound:
        pass
    return rows
