"""A process with everything that it starts: listened to, and ended as one, whatever happens to whoever started it."""

import collections
import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from tasks.running.progress import parse_progress
from tasks.running.tether import tethered
from ui2i.progress import Progress, no_progress

KEPT_LINES = 40
STOP_SECONDS = 10.0  # between asking a process group to end and ending it
_POLL_SECONDS = 0.2

_running: set[int] = set()
"""Groups of the commands that run now, in any thread."""
_stopped: set[int] = set()
"""Those among them that `end_running_commands` was asked to end."""
_num_requests = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    lines: tuple[str, ...]  # the last of its output that were no reports of progress
    was_stopped: bool  # by `end_running_commands`


def listen(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Ended:
    """Run a command in a folder to its end, telling in this thread what it says."""
    lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
    with _process_group(command, folder, environment) as process:
        for line in _lines(process):
            report = parse_progress(line)
            if report is not None:
                (on_progress or no_progress)(*report)
                continue
            lines.append(line)
            if on_line is not None:
                on_line(line)
        return Ended(status=process.wait(), lines=tuple(lines), was_stopped=process.pid in _stopped)


def end_running_commands() -> None:
    """Ask the commands to end that other threads of this process listen to: an interrupt reaches the main one alone."""
    global _num_requests
    _num_requests += 1
    for group in tuple(_running):
        _stopped.add(group)
        _signal_group(group, signal.SIGTERM)


def num_requests_to_end() -> int:
    """Return how often `end_running_commands` was called; it has grown: what waits to run a command need not."""
    return _num_requests


@contextlib.contextmanager
def _process_group(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a group of its own; at the end nothing of that group lives, even if this process is killed."""
    process = subprocess.Popen(
        tethered(command),
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,  # never written to: see tasks.running.tether
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    assert process.stdin is not None
    _running.add(process.pid)
    try:
        yield process
    finally:
        _stop_group(process)
        process.stdin.close()
        _running.discard(process.pid)
        _stopped.discard(process.pid)


def _stop_group(process: subprocess.Popen[str]) -> None:
    """End every process of the group: ask first, then insist. The stage may outlive DVC, so DVC's end is not enough."""
    if not _signal_group(process.pid, signal.SIGTERM):
        return
    deadline = time.monotonic() + STOP_SECONDS
    try:
        while time.monotonic() < deadline:
            process.poll()  # a process that has ended but was not waited for still counts as a member
            if not _signal_group(process.pid, 0):
                return
            time.sleep(0.05)
    finally:  # time is up, or the wait itself was interrupted
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False: it has no members left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield lines of output until the process has ended, even if one that it started still holds the pipe."""
    assert process.stdout is not None
    waiting: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, waiting), daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if process.poll() is not None:
                return
            continue
        if line is None:
            return
        yield line


def _read(stream: IO[str], waiting: "queue.Queue[str | None]") -> None:
    with stream:
        for line in stream:
            waiting.put(line.rstrip("\n"))
    waiting.put(None)
