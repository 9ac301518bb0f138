"""Runs still marked Running whose process has died.

A run that is killed together with whoever watched it (kill -9, a power failure) stays "Running"
(PrefectHQ/prefect#16746). It holds no slot for long, but it clutters every list.
"""

import dataclasses
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Crashed, Scheduled

from ui2i.errors import ConfigError

OPEN = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
GONE = "its process has died; rerun it to resume where it stopped"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A run that Prefect lists as begun and not ended."""

    id: str
    name: str
    started: str  # UTC
    state: StateType = StateType.RUNNING
    changed: datetime = dataclasses.field(default_factory=lambda: datetime.now(UTC))  # its state


def running_runs() -> list[Run]:
    """Return the runs marked Running, oldest first."""
    return [run for run in open_runs() if run.state is StateType.RUNNING]


def open_runs() -> list[Run]:
    """Return the runs marked Running, Pending or Cancelling, oldest first."""
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(OPEN))))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=wanted)
    runs = [
        Run(
            id=str(run.id),
            name=run.name,
            started=f"{run.start_time:%Y-%m-%d %H:%M}" if run.start_time else "",
            state=run.state_type or StateType.RUNNING,
            changed=run.state.timestamp if run.state else datetime.now(UTC),
        )
        for run in found
    ]
    return sorted(runs, key=lambda run: run.started)


def mark_crashed(run_ids: Sequence[str]) -> None:
    """Mark runs as crashed that Prefect takes for running; their processes are not looked for.

    Raises:
        ConfigError: one of them is not running; none is changed then.
    """
    known = {run.id: run for run in running_runs()}
    for run_id in run_ids:
        if run_id not in known:
            raise ConfigError(
                f"no run {run_id} is running, expected one of: {', '.join(known) or 'none'}; correct the id"
            )
    for run_id in run_ids:
        close(known[run_id])


def close(run: Run) -> str:
    """Set the state of a run whose process has died, and return the state's name.

    A run that had not begun is scheduled again, so that a worker takes it; of one that had, the tasks are closed too.
    """
    if run.state is StateType.PENDING:
        state: State[Any] = Scheduled(message="its worker was gone before it began")
    elif run.state is StateType.CANCELLING:
        state = Cancelled(message="its process is gone")
    else:
        state = Crashed(message=GONE)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(uuid.UUID(run.id), state, force=True)
        if run.state is not StateType.PENDING:
            unfinished = TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
            )
            of_run = FlowRunFilter(id=FlowRunFilterId(any_=[uuid.UUID(run.id)]))
            for task_run in client.read_task_runs(flow_run_filter=of_run, task_run_filter=unfinished):
                client.set_task_run_state(task_run.id, Crashed(message="its process is gone"), force=True)
    return state.name or state.type.value
