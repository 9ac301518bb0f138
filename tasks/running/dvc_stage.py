"""Runs a stage through DVC: the only bridge between the flows and DVC.

DVC decides whether the stage is up to date and records what made its outputs. Its process is listened to and, whatever
happens, ended together with everything it started (`tasks.running.process_group`).
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from tasks.project.paths import Project
from tasks.running.dvc_command import (
    DVC,
    dvc_environment,
    dvc_message,
    ensure_dvc,
    is_busy,
    is_cut_off,
    is_kept_by_stage,
)
from tasks.running.dvc_stages import list_stages
from tasks.running.lock_file import keep_copy, mend
from tasks.running.process_group import Ended, listen, num_requests_to_end
from tasks.running.stage_cli import RESTART_VARIABLE
from tasks.running.upgrade import require_upgraded
from ui2i.errors import ConfigError, UI2IError
from ui2i.progress import Progress

MISSING_MESSAGES = ("No such file or directory", "missing data 'source'")
KILLED_STATUSES = (-9, 128 + 9)  # as Python and as shells tell it
BUSY_RETRIES = 8
BUSY_FIRST_WAIT_SECONDS = 1.0  # doubled each time, up to a limit: together two minutes
BUSY_LONGEST_WAIT_SECONDS = 30.0
THREADS_VARIABLE = "OMP_NUM_THREADS"

wait = time.sleep  # a name of its own, so that a test need not wait

_STAGE_ERROR = "error: "


class StageFailed(UI2IError):  # noqa: N818  # it says what happened, as the flow's state does
    """A stage did not finish.

    Attributes:
        stage: e.g. `finetune@anime`.
        lines: the last lines of output.
        is_user_error: the stage itself printed what is wrong as one line `error: ...`, which is the message, or what
            is upstream was missing; otherwise it crashed, or DVC refused, and `lines` say more.
    """

    def __init__(self, message: str, *, stage: str, lines: tuple[str, ...], is_user_error: bool) -> None:
        super().__init__(message)
        self.stage = stage
        self.lines = lines
        self.is_user_error = is_user_error

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be sent between processes, as task runners do."""
        make = functools.partial(StageFailed, stage=self.stage, lines=self.lines, is_user_error=self.is_user_error)
        return make, (str(self),)


@dataclasses.dataclass(frozen=True)
class StageOutcome:
    """How a stage ended well."""

    stage: str
    status: Literal["ran", "skipped"]  # skipped: it was up to date, or its outputs were in DVC's cache
    seconds: float
    lines: tuple[str, ...]  # the last lines of output


def run_stage(
    stage: str,
    *,
    project: Project,
    force: bool = False,
    num_threads: int | None = None,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> StageOutcome:
    """Bring one stage up to date with `dvc repro --single-item`; what is upstream must be there.

    A stage of this project that writes what this one reads, or reads what it writes, is waited for to its end.

    Blocks. Whatever ends it, also an exception thrown in from outside such as a cancellation, no process of the stage
    is left behind.

    Args:
        stage: e.g. `finetune@anime`.
        force: run it even if nothing changed, and train from scratch instead of resuming from a saved state.
        num_threads: that it computes with unless OMP_NUM_THREADS says otherwise; None: as many as it likes.
        on_progress: told in this thread how the stage advances.
        on_line: told in this thread every other line of output.

    Raises:
        StageFailed: the stage or DVC failed, or a process that makes no stage kept it busy for too long.
        ConfigError: `params.yaml` is not valid, there is no such stage, or the project is of an older version.
        DvcError: DVC cannot be set up in the project.
    """
    _check_stage(project, stage)
    require_upgraded(project)
    ensure_dvc(project.root)
    project.encoders.mkdir(parents=True, exist_ok=True)  # git keeps it in a clone; who empties `data` does not
    command = [*DVC, "repro", "--single-item", *(["--force"] if force else []), stage]
    environment = dvc_environment() | ({RESTART_VARIABLE: "1"} if force else {})
    if num_threads is not None:
        environment.setdefault(THREADS_VARIABLE, str(num_threads))
    start = time.monotonic()
    wait_seconds = BUSY_FIRST_WAIT_SECONDS
    has_run, num_tries, num_requests = False, 0, num_requests_to_end()

    def note_line(line: str) -> None:
        nonlocal has_run
        has_run = has_run or line.startswith(f"Running stage '{stage}'")
        if on_line is not None:
            on_line(line)

    while True:
        for name in keep_copy(project):
            note_line(f"warning: {name} was cut off; it was put together again from what was left and its copy")
        ended = listen(command, project.root, environment, on_progress=on_progress, on_line=note_line)
        if ended.status == 0:
            return StageOutcome(stage, "ran" if has_run else "skipped", time.monotonic() - start, ended.lines)
        if not is_kept_by_stage(project.root, ended.lines):
            num_tries += 1
        if has_run or ended.was_stopped or num_tries > BUSY_RETRIES:
            break
        if is_cut_off(ended.lines) and mend(project):
            continue
        if not is_busy(ended.lines):
            break
        wait(wait_seconds)
        wait_seconds = min(2 * wait_seconds, BUSY_LONGEST_WAIT_SECONDS)
        if num_requests_to_end() > num_requests:
            ended = dataclasses.replace(ended, was_stopped=True)
            break
    raise _failure(stage, ended)


def run_command(
    name: str,
    command: Sequence[str],
    *,
    project: Project,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> StageOutcome:
    """Run a command that is no stage but reports like one; otherwise as `run_stage`.

    Args:
        name: what to call it in messages.
        command: the program and its arguments.

    Raises:
        StageFailed: it failed.
    """
    start = time.monotonic()
    ended = listen(command, project.root, dvc_environment(), on_progress=on_progress, on_line=on_line)
    if ended.status != 0:
        raise _failure(name, ended)
    return StageOutcome(name, "ran", time.monotonic() - start, ended.lines)


def _check_stage(project: Project, stage: str) -> None:
    stages = list_stages(project)
    if stage not in stages:
        raise ConfigError(
            f"there is no stage {stage!r}, expected one of {', '.join(stages) or 'none'}; correct the name or add its "
            "entry to params.yaml"
        )


def _failure(stage: str, ended: Ended) -> StageFailed:
    lines = ended.lines
    if ended.was_stopped:
        said = f"{stage} was stopped with its run; rerun the command to resume"
        return StageFailed(said, stage=stage, lines=lines, is_user_error=True)
    own = [line.removeprefix(_STAGE_ERROR) for line in lines if line.startswith(_STAGE_ERROR)]
    if own:
        return StageFailed(own[-1], stage=stage, lines=lines, is_user_error=True)
    said = dvc_message(lines) or f"exit status {ended.status}"
    if any(message in said for message in MISSING_MESSAGES):
        said = f"{stage} lacks what another stage makes ({said}); run that first, or all of them: dvc repro {stage}"
        return StageFailed(said, stage=stage, lines=lines, is_user_error=True)
    if ended.status in KILLED_STATUSES or any(said.endswith(f"exited with {status}") for status in KILLED_STATUSES):
        said += " (killed: by somebody, or by the system for want of memory, which its log tells)"
    return StageFailed(f"{stage} failed: {said}", stage=stage, lines=lines, is_user_error=False)
