"""Processes of a project found by what they do, and ended; a disk that is full."""

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psutil

from flows.services import read_services
from tasks.project import Project

Victim = Literal["flow", "worker", "dvc", "stage", "server"]
VICTIMS: tuple[Victim, ...] = ("flow", "worker", "dvc", "stage", "server")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


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
        with contextlib.suppress(psutil.Error):
            if _kind(process.cmdline()) == victim:
                return process
    return None


def run_processes(project: Project) -> list[psutil.Process]:
    """Return what works for runs: flows, DVC, stages, and what starts them."""
    service_pids = {service.pid for service in read_services(project).values()}
    return [process for process in processes_in(project) if process.pid not in service_pids]


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.2)


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


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Fill the disk under a folder to its last byte."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        block = bytes(1 << 16)
        while True:
            file.write(block)
    try:
        yield
    finally:
        filler.unlink()


def faults(count: int, seed: int) -> list[tuple[str, int]]:
    """Return what to do to whom, in random order, every combination equally often: (victim, signal), or a full disk."""
    choices: list[tuple[str, int]] = [(victim, number) for victim in VICTIMS for number in SIGNALS] + [("disk", 0)]
    chosen = [choices[index % len(choices)] for index in range(count)]
    random.Random(seed).shuffle(chosen)
    return chosen


def _kind(command: list[str]) -> str | None:
    if "-m" not in command:
        return None
    module, rest = command[command.index("-m") + 1], command[command.index("-m") + 2 :]
    if module == "prefect.engine":
        return "flow"
    if module == "dvc" and "repro" in rest:
        return "dvc"
    return "stage" if module.startswith("tasks.") and module != "tasks.tether" else None
