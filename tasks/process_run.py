"""Runs a command of a stage's kind outside DVC, listened to and, whatever happens, ended with all it started."""

import collections
import time
from collections.abc import Callable, Sequence

from tasks.dvc_command import dvc_environment
from tasks.dvc_stage import KEPT_LINES, StageOutcome, _failure, _lines, _process_group
from tasks.progress import parse_progress
from tasks.project import Project
from ui2i.progress import Progress, no_progress


def run_command(
    name: str,
    command: Sequence[str],
    *,
    project: Project,
    on_progress: Progress = no_progress,
    on_line: Callable[[str], None] | None = None,
) -> StageOutcome:
    """Run a command in the project's folder; blocks.

    Args:
        name: of the work, for messages.
        command: a program that reports like a stage.
        on_progress: told in this thread how it advances.
        on_line: told in this thread every other line of output.

    Raises:
        StageFailed: it failed.
    """
    start = time.monotonic()
    lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
    with _process_group(list(command), project, dvc_environment()) as process:
        for line in _lines(process):
            report = parse_progress(line)
            if report is not None:
                on_progress(*report)
                continue
            lines.append(line)
            if on_line is not None:
                on_line(line)
        exit_status = process.wait()
    if exit_status != 0:
        raise _failure(name, exit_status, tuple(lines))
    return StageOutcome(name, "ran", time.monotonic() - start, tuple(lines))
