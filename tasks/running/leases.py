"""Who is at work: locks that a run holds for as long as its process lives, with its name beside them.

The lock is the operating system's, so it ends with the process, however that ends. A name without its lock is what a
killed run leaves; that is how such runs are found. Locks are seen on this machine and wherever else the project's
folder is, if its file system has them.
"""

import contextlib
import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.project.paths import Project
from ui2i.errors import UI2IError
from ui2i.files import write_text

_POLL_SECONDS = 0.5


class HeldError(UI2IError):
    """Another run is making the same thing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lease."""

    run: str  # its name
    run_id: str
    pid: int
    host: str
    since: str  # UTC

    def __str__(self) -> str:
        return f"the run {self.run!r} (process {self.pid} on {self.host}, since {self.since} UTC)"


def new_holder(run: str, run_id: str) -> Holder:
    """Return this process as the holder that a run is."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Holder(run=run, run_id=run_id, pid=os.getpid(), host=platform.node(), since=now)


@contextlib.contextmanager
def hold_lease(
    project: Project, name: str, holder: Holder, *, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lease `name`, e.g. `domain-cat`.

    Args:
        on_wait: told who holds it, before waiting for that; None: refuse instead of waiting.

    Raises:
        HeldError: another run holds it; the message names that.
    """
    lock = FileLock(_lock_path(project, name), thread_local=False)  # it may be released by another thread
    _lock_path(project, name).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is None:
            raise HeldError(
                f"{name.partition('-')[2]} is being made by {_describe(project, name)}, expected to be alone; wait for "
                "it or stop it"
            ) from None
        on_wait(_describe(project, name))
        lock.acquire(poll_interval=_POLL_SECONDS)
    try:
        write_text(_holder_path(project, name), json.dumps(dataclasses.asdict(holder)) + "\n")
        yield
    finally:
        _holder_path(project, name).unlink(missing_ok=True)
        lock.release()


def read_holder(project: Project, name: str) -> Holder | None:
    """Return who holds a lease or held it until it was killed; None: nobody, or nothing that can be read."""
    try:
        return Holder(**json.loads(_holder_path(project, name).read_text(encoding="utf-8")))
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
    """Return the names of all leases of a kind (`run`, `domain`, `stage`) that are held, or were until a kill."""
    return sorted(path.stem for path in _folder(project).glob(f"{kind}-*.json"))


def remove_lease(project: Project, name: str) -> None:
    """Remove the files of a lease that nobody will ever hold again, such as a run's; one that is held stays."""
    if not is_held(project, name):
        _holder_path(project, name).unlink(missing_ok=True)
        _lock_path(project, name).unlink(missing_ok=True)


def _describe(project: Project, name: str) -> str:
    """Say who holds a lease; it writes its name a moment after it gets the lock."""
    for _ in range(20):
        if (holder := read_holder(project, name)) is not None:
            return str(holder)
        time.sleep(0.05)
    return "another run"


def _folder(project: Project) -> Path:
    return project.data_dir / "runs" / ".locks" / "leases"


def _lock_path(project: Project, name: str) -> Path:
    return _folder(project) / f"{name}.lock"


def _holder_path(project: Project, name: str) -> Path:
    return _folder(project) / f"{name}.json"
