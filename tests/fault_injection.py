"""Processes of a project found by what they do; a disk that is full; waiting for as long as something goes on."""

import contextlib
import errno
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from fault_plan import Victim

from flows.services.daemons import read_services
from tasks.project.paths import Project

STILL_SECONDS = 300.0  # without any process of a run that begins, computes or ends
_POLL_SECONDS = 0.3


def processes_in(project: Project) -> list[psutil.Process]:
    """Return the processes whose current folder is the project."""
    found = psutil.process_iter(["cwd", "status"])
    here = [process for process in found if process.info["cwd"] == str(project.root)]
    return [process for process in here if process.info["status"] != psutil.STATUS_ZOMBIE]


def find(project: Project, victim: Victim) -> psutil.Process | None:
    """Return a living process of a kind."""
    if victim in ("worker", "server"):
        service = read_services(project).get(victim)  # type: ignore[call-overload]
        return psutil.Process(service.pid) if service else None
    for process in processes_in(project):
        if _kind(command_of(process)) == victim:
            return process
    return None


def running_stage(project: Project) -> str | None:
    """Return the stage that DVC is told to run, e.g. `swap@cartoon`."""
    process = find(project, "dvc")
    command = command_of(process) if process is not None else []
    return command[-1] if command else None


def run_processes(project: Project) -> list[psutil.Process]:
    """Return what works for runs: flows, DVC, stages, and what starts them."""
    service_pids = {service.pid for service in read_services(project).values()}
    return [process for process in processes_in(project) if process.pid not in service_pids]


def command_of(process: psutil.Process) -> list[str]:
    """Return a process's command line; nothing if it has ended."""
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


class Patience:
    """Ends when nothing goes on, however long it takes until then: a busy machine is no failure."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.seen: object = None
        self.since = time.monotonic()

    def check(self, what: str) -> None:
        """Look whether anything has gone on since.

        Raises:
            AssertionError: nothing has for a long time.
        """
        now, seen = time.monotonic(), [_work_done(process) for process in run_processes(self.project)]
        if seen != self.seen:
            self.seen, self.since = seen, now
        assert now - self.since < STILL_SECONDS, f"nothing goes on any more, expected {what}"


def wait_for(project: Project, condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, as long as something goes on in the project.

    Raises:
        AssertionError: nothing does.
    """
    patience = Patience(project)
    while not condition():
        patience.check(what)
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[bool]:
    """Put a disk of its own under a folder, if this user may; yield whether that was so."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def fill_disk(folder: Path, *, seconds: float) -> None:
    """Keep the disk under a folder filled to its last byte for a while."""
    filler, block = folder / ".filler", bytes(1 << 12)
    deadline = time.monotonic() + seconds
    try:
        with filler.open("wb", buffering=0) as file:
            while time.monotonic() < deadline:
                try:
                    file.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    time.sleep(_POLL_SECONDS)
    finally:
        filler.unlink(missing_ok=True)


def _work_done(process: psutil.Process) -> tuple[int, float]:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return process.pid, round(times.user + times.system, 1)
    return process.pid, -1.0


def _kind(command: list[str]) -> str | None:
    if "-m" not in command:
        return None
    module, rest = command[command.index("-m") + 1], command[command.index("-m") + 2 :]
    if module == "prefect.engine":
        return "flow"
    if module == "dvc" and "repro" in rest:
        return "dvc"
    return "stage" if module.startswith(("tasks.stages.", "experiments.")) else None
