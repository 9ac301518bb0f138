"""Stages as Prefect tasks. DVC decides what has to run; this module retries, limits, logs and shows it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.artifacts import StageProgress
from flows.display import current_display
from flows.holding import running_stage
from flows.limits import training_slot
from tasks.project.paths import Project
from tasks.running.dvc_stage import StageFailed, StageOutcome, run_command, run_stage
from tasks.running.dvc_stages import defined_stages
from tasks.running.process_group import end_running_commands
from tasks.running.stage_cli import find_stage
from tasks.running.warning_lines import PREFIX
from ui2i.progress import Progress

RETRIES = 1
RETRY_DELAY_SECONDS = 10

LOG_INTERVAL_SECONDS = 30.0  # between two lines of progress in a run's log
STATE_LINES = 15  # of a stage that crashed, in its state's message


@contextlib.contextmanager
def ended_with_flow() -> Iterator[None]:
    """If the block fails, end the stages that run in other threads, which no interrupt reaches."""
    try:
        yield
    except BaseException:
        end_running_commands()
        raise


_Work = Callable[[Progress, Callable[[str], None]], StageOutcome]


def _with_last_lines(error: StageFailed) -> StageFailed:
    """Return the error of a crashed stage, with its last lines in the message, which becomes that of the state."""
    message = "\n".join([str(error), *error.lines[-STATE_LINES:]])
    return StageFailed(message, stage=error.stage, lines=error.lines, is_user_error=False)


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a retry may help: a user's mistake fails again, but a crashed stage resumes from its saved state."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and not error.is_user_error


@task(
    name="stage",
    task_run_name="{stage}",
    cache_policy=NO_CACHE,  # DVC's is the only cache
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_pass,
)
def stage_task(
    stage: str,
    root: Path,
    *,
    force: bool = False,
    is_up_to_date: bool = False,
    has_training_slot: bool = False,
    num_threads: int | None = None,
) -> StageOutcome:
    """Bring one stage up to date.

    Args:
        stage: e.g. `finetune@cartoon`.
        root: the project's folder.
        force: run it even if nothing changed.
        is_up_to_date: DVC has just said so (`tasks.running.dvc_status`), and is not asked again.
        has_training_slot: whoever calls holds the slot that a training would wait for.
        num_threads: that the stage computes with; None: as many as it likes.

    Raises:
        StageFailed: its message becomes that of the run's state.
    """
    project = Project(root)
    if is_up_to_date:
        return _watched(stage, lambda _on_progress, _on_line: StageOutcome(stage, "skipped", 0.0, ()))

    needs_slot = not has_training_slot and trains(project, stage)

    def work(on_progress: Progress, on_line: Callable[[str], None]) -> StageOutcome:
        # The slot first, as in the demo: who waits for one holds no stage that its holder may need.
        with training_slot(stage) if needs_slot else contextlib.nullcontext(), running_stage(project, stage):
            return run_stage(
                stage,
                project=project,
                force=force,
                num_threads=num_threads,
                on_progress=on_progress,
                on_line=on_line,
            )

    return _watched(stage, work)


@task(
    name="command",
    task_run_name="{stage}",
    cache_policy=NO_CACHE,  # DVC's is the only cache
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_pass,
)
def command_task(stage: str, command: Sequence[str], root: Path) -> StageOutcome:
    """Run a command that is not a DVC stage but reports like one.

    Args:
        stage: what to call it.
        command: the program and its arguments.
        root: the project's folder.

    Raises:
        StageFailed: its message becomes that of the run's state.
    """

    def work(on_progress: Progress, on_line: Callable[[str], None]) -> StageOutcome:
        return run_command(stage, command, project=Project(root), on_progress=on_progress, on_line=on_line)

    return _watched(stage, work)


def trains(project: Project, stage: str) -> bool:
    """Whether a stage trains, as it says itself."""
    defined = defined_stages(project)
    known = None if defined is None else find_stage(defined, stage)
    return known is not None and known.trains


def _watched(stage: str, work: _Work) -> StageOutcome:
    """Do work with its lines in the run's log, its progress in an artifact, and both on display."""
    logger, display, artifact = get_run_logger(), current_display(), StageProgress(stage)

    logged_at = time.monotonic()

    def on_progress(done: int, total: int, note: str = "") -> None:
        nonlocal logged_at
        display.progress(stage, done, total, note)
        artifact(done, total, note)
        if done == total or time.monotonic() - logged_at >= LOG_INTERVAL_SECONDS:
            logged_at = time.monotonic()
            logger.info("%s", ", ".join([f"{done:,} of {total:,}", *([note] if note else [])]))

    def on_line(line: str) -> None:
        if line.startswith(PREFIX):
            display.message(f"{stage}: {line}")
        else:
            display.line(stage, line)
        logger.info("%s", line)

    display.start(stage)
    started, result = time.monotonic(), "failed"
    try:
        outcome = work(on_progress, on_line)
        result = "done" if outcome.status == "ran" else "up to date"
        return outcome
    except StageFailed as error:
        raise error if error.is_user_error else _with_last_lines(error) from error
    finally:
        display.finish(stage, result, time.monotonic() - started)
