"""Who is at work: locks that a process holds as long as it lives, with its name next to them.

The lock is the operating system's, so it ends with the process, however that ends. A name without its lock is what a
killed process leaves; that is how killed runs are found. Locks are seen on this machine and wherever else the project's
folder is, if its file system has them. A lease is the lock of a flow run or of a task run; the lock of an output is its
stage's.
"""

import contextlib
import dataclasses
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.project.names import check_name
from tasks.project.paths import Project
from ui2i.errors import UI2IError
from ui2i.files import write_text

PAGES = "pages"
"""Name of the lease of a project's pages."""

_POLL_SECONDS = 0.5
_PROBE_SECONDS = 0.3  # whoever asks whether a lock is held holds it for a moment


class HeldError(UI2IError):
    """Another process is making the same thing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lock."""

    run: str | None  # its name; None: a process that is in no run
    run_id: str | None
    pid: int
    host: str
    since: str  # UTC

    def __str__(self) -> str:
        process = f"process {self.pid} on {self.host}, since {self.since} UTC"
        return process if self.run is None else f"the run {self.run!r} ({process})"


def new_holder(run: str | None = None, run_id: str | None = None) -> Holder:
    """Return this process as a holder, on behalf of a run if there is one."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Holder(run=run, run_id=run_id, pid=os.getpid(), host=platform.node(), since=now)


@contextlib.contextmanager
def hold_lease(
    project: Project, name: str, holder: Holder, *, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lease `name`, e.g. `model-cat`.

    Args:
        on_wait: told who holds it, before waiting for that; None: refuse instead of waiting.

    Raises:
        HeldError: another run holds it; the message names that.
    """
    with _hold(_lock_path(project, name), holder, f"{name.partition('-')[2]} is being made", on_wait):
        yield


@contextlib.contextmanager
def hold_model(project: Project, name: str, holder: Holder | None = None) -> Iterator[None]:
    """Hold a base or domain: only who holds it makes it, or replaces its images and settings.

    Args:
        holder: None: this process, in no run.

    Raises:
        ConfigError: no base or domain can have that name.
        HeldError: another process holds it; the message names that.
    """
    check_name(name, where="the model")
    with hold_lease(project, f"model-{name}", holder or new_holder()):
        yield


@contextlib.contextmanager
def hold_output(project: Project, output: Path, *, shown: str | None = None) -> Iterator[None]:
    """Hold an output for this process, and remove what a killed one was writing beside it.

    Args:
        shown: what to call it; None: its path in the project.

    Raises:
        HeldError: another process writes it; the message names that.
    """
    with _hold(project.lock_path(output), new_holder(), f"{shown or project.relative(output)} is being written"):
        _remove_leftovers(output)
        yield


@contextlib.contextmanager
def hold_pages(project: Project) -> Iterator[None]:
    """Hold a project's pages, which `ui2i serve` shows, for this process.

    Raises:
        HeldError: another process shows them; the message names that.
    """
    with _hold(_lock_path(project, PAGES), new_holder(), "this project is being shown"):
        yield


def _remove_leftovers(output: Path) -> None:
    """Remove what a killed process was writing beside `output` (the names that `ui2i.files` gives)."""
    for path in output.parent.glob(f".{output.name}.{'[0-9a-f]' * 8}.tmp"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def _hold(path: Path, holder: Holder, what: str, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    lock = FileLock(path, thread_local=False)  # it may be released by another thread
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=_PROBE_SECONDS, poll_interval=_PROBE_SECONDS / 30)
    except Timeout:
        if on_wait is None:
            raise HeldError(f"{what} by {_describe(path)}, expected to be alone; wait for it or stop it") from None
        on_wait(_describe(path))
        lock.acquire(poll_interval=_POLL_SECONDS)
    holder_path = path.with_suffix(".json")
    try:
        write_text(holder_path, json.dumps(dataclasses.asdict(holder)) + "\n")
        yield
    finally:
        holder_path.unlink(missing_ok=True)
        lock.release()


def read_holder(project: Project, name: str) -> Holder | None:
    """Return who holds a lease or held it until it was killed; None: nobody, or nothing that can be read."""
    return _read_holder(_lock_path(project, name))


def _read_holder(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_held(project: Project, name: str) -> bool:
    """Whether a living process holds a lease."""
    path = _lock_path(project, name)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def lease_names(project: Project, kind: str) -> list[str]:
    """Return the names of all leases of a kind (`run`, `model`, `stage`) that are held, or were until a kill."""
    return sorted(path.stem for path in _folder(project).glob(f"{kind}-*.json"))


def remove_lease(project: Project, name: str) -> None:
    """Remove the files of a lease that nobody will ever hold again, such as a run's; one that is held stays."""
    if not is_held(project, name):
        path = _lock_path(project, name)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _describe(path: Path) -> str:
    """Say who holds a lock; it writes its name a moment after it gets it."""
    for _ in range(20):
        if (holder := _read_holder(path)) is not None:
            return str(holder)
        time.sleep(0.05)
    return "another process"


def _folder(project: Project) -> Path:
    return project.runs / ".locks" / "leases"


def _lock_path(project: Project, name: str) -> Path:
    return _folder(project) / f"{name}.lock"
