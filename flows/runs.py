"""Runs that Prefect takes for running although their process is gone.

A run that is killed together with whoever watched it (kill -9, a power failure) stays "Running" for ever
(PrefectHQ/prefect#16746). It holds no slot for long, but it clutters every list.
"""

import dataclasses
import uuid
from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from ui2i.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A run that has begun and not ended, as far as Prefect knows."""

    id: str
    name: str
    started: str  # UTC


def running_runs() -> list[Run]:
    """Return the runs that Prefect takes for running, the oldest first."""
    running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=running)
    runs = [
        Run(id=str(run.id), name=run.name, started=f"{run.start_time:%Y-%m-%d %H:%M}" if run.start_time else "")
        for run in found
    ]
    return sorted(runs, key=lambda run: run.started)


def mark_crashed(run_ids: Sequence[str]) -> None:
    """Mark runs as crashed, whatever Prefect takes them for.

    Raises:
        ConfigError: one of them is not running; none is changed then.
    """
    known = {run.id for run in running_runs()}
    for run_id in run_ids:
        if run_id not in known:
            raise ConfigError(f"{run_id} is no running run, expected one of: {', '.join(known) or 'none'}; correct it")
    with get_client(sync_client=True) as client:
        for run_id in run_ids:
            client.set_flow_run_state(uuid.UUID(run_id), Crashed(message="its process is gone"), force=True)
