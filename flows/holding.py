"""A flow run tells that it lives, and keeps others from making the same thing at the same time."""

import atexit
import contextlib
from collections.abc import Iterator

from prefect import runtime
from prefect.logging import get_run_logger

from flows.display import current_display
from tasks.project.paths import Project
from tasks.running.locks import Holder, hold_lease, hold_model, new_holder, remove_lease

_until_exit = contextlib.ExitStack()
atexit.register(_until_exit.close)


def run_lease(run_id: str) -> str:
    """Return the lease that a run holds for its whole life."""
    return f"run-{run_id}"


def tell_alive(project: Project) -> None:
    """Hold the lease of this flow run until this process ends: once it is free and still noted, the run was killed.

    It outlasts the flow's function, after which Prefect still has the run's last state to record.
    """
    holder = _this_run()
    run_id = str(runtime.flow_run.id)
    _until_exit.callback(forget_run, project, run_id)
    _until_exit.enter_context(hold_lease(project, run_lease(run_id), holder))


@contextlib.contextmanager
def making(project: Project, name: str) -> Iterator[None]:
    """Hold a base or domain for this flow run.

    Raises:
        HeldError: another run makes it; the message names that run.
    """
    with hold_model(project, name, _this_run()):
        yield


@contextlib.contextmanager
def running_stage(project: Project, stage: str) -> Iterator[None]:
    """Hold a stage for this task run, waiting for another run that has it: two domains may share a base."""

    def on_wait(holder: str) -> None:
        current_display().message(f"{stage}: waits for {holder}")
        get_run_logger().info("waits for %s", holder)

    with hold_lease(project, f"stage-{stage}", _this_run(), on_wait=on_wait):
        yield


def forget_run(project: Project, run_id: str) -> None:
    """Remove what a killed run left of its lease."""
    remove_lease(project, run_lease(run_id))


def _this_run() -> Holder:
    """Return the run that this code is in."""
    return new_holder(str(runtime.flow_run.name), str(runtime.flow_run.id))
