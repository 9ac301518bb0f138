"""DVC's record of what made what, `dvc.lock`: read, and mended when a kill cut it off.

DVC writes this file, and its own locks, in place. Killed at that moment it leaves half a file, which no later command
can read. So a whole copy is kept beside it before each stage, and put back when DVC can no longer read what is there;
the stage whose entry is lost then runs again, or comes from DVC's cache.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.project import Project
from ui2i.files import write_bytes

LOCK_FILE = "dvc.lock"
CUT_OFF_MESSAGES = ("structure is corrupted", f"{LOCK_FILE}' is invalid", f"{LOCK_FILE}' validation failed")
_MEND_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """One output of a stage, as it was when the stage last ran."""

    stage: str
    path: str  # relative to the project
    md5: str  # that of a folder ends in .dir
    num_bytes: int


def read_outputs(project: Project) -> list[Output]:
    """Return the outputs of all stages that have run. None if nothing has, or the file cannot be read."""
    stages = _stages(project.root / LOCK_FILE) or {}
    return [
        Output(stage=stage, path=out["path"], md5=out["md5"], num_bytes=int(out.get("size", 0)))
        for stage, entry in stages.items()
        for out in entry.get("outs", [])
        if "md5" in out
    ]


def keep_copy(project: Project) -> None:
    """Copy `dvc.lock` if it is whole; called before it is written to."""
    path = project.root / LOCK_FILE
    if _stages(path) is not None:
        with contextlib.suppress(OSError):  # a full disk is the stage's to complain of
            write_bytes(_copy_path(project), path.read_bytes())


def is_cut_off(lines: Sequence[str]) -> bool:
    """Whether DVC said that one of its own files cannot be read."""
    return any(message in line for line in lines for message in CUT_OFF_MESSAGES)


def mend(project: Project) -> list[str]:
    """Put back what a kill cut off. Waits until no living process is writing it.

    Returns:
        The files that were mended; none if all are whole or another process keeps them locked.
    """
    temporary = project.root / ".dvc" / "tmp"
    mended = []
    for path, guard in ((project.root / LOCK_FILE, "lock"), (temporary / "rwlock", "rwlock.lock")):
        if path.exists() and _is_damaged(path):
            with contextlib.suppress(Timeout, OSError), _guarded(temporary / guard):
                if _is_damaged(path):
                    _restore(project, path)
                    mended.append(path.name)
    return mended


def _restore(project: Project, path: Path) -> None:
    copy = _copy_path(project)
    if path.name == LOCK_FILE and copy.exists():
        write_bytes(path, copy.read_bytes())
    else:
        path.unlink(missing_ok=True)


def _guarded(guard: Path) -> FileLock:
    """Return the lock that DVC itself holds while it writes; both are `flock`."""
    guard.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(guard, timeout=_MEND_SECONDS)


def _is_damaged(path: Path) -> bool:
    if path.name == LOCK_FILE:
        return _stages(path) is None
    try:
        return not isinstance(_load(path), dict)
    except (OSError, ValueError, YAMLError):
        return True


def _stages(path: Path) -> dict[str, Any] | None:
    """Return the stages of a lock file; None if it is missing or not whole. It ends with a line end when it is."""
    try:
        values = _load(path)
    except (OSError, ValueError, YAMLError):
        return None
    stages = values.get("stages") if isinstance(values, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) and "cmd" in stage for stage in stages.values()):
        return None
    return stages


def _load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _copy_path(project: Project) -> Path:
    return project.data_dir / "runs" / f"{LOCK_FILE}.whole"
