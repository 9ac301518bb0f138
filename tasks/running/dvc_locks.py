"""DVC's own locks: held here while its files are read or mended, and mended when a kill cut one off."""

import json
from pathlib import Path

from filelock import FileLock, Timeout

RWLOCK_FILE = "rwlock"
MEND_SECONDS = 60.0


def repository_lock(root: Path, *, seconds: float | None = None) -> FileLock:
    """Return the lock that DVC holds while it reads or writes its records and its cache; both are `flock`.

    Args:
        seconds: how long to wait for it before `filelock.Timeout`; None: `MEND_SECONDS`.
    """
    return _lock(root, "lock", seconds)


def mend_rwlock(root: Path) -> bool:
    """Remove DVC's list of paths in use if a kill cut it off; return whether. DVC makes a new one."""
    path = root / ".dvc" / "tmp" / RWLOCK_FILE
    if not _is_cut_off(path):
        return False
    try:
        with _lock(root, f"{RWLOCK_FILE}.lock", None):
            if _is_cut_off(path):
                path.unlink(missing_ok=True)
                return True
    except (Timeout, OSError):
        pass
    return False


def _lock(root: Path, name: str, seconds: float | None) -> FileLock:
    folder = root / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / name, timeout=MEND_SECONDS if seconds is None else seconds)


def _is_cut_off(path: Path) -> bool:
    try:
        return not isinstance(json.loads(path.read_bytes()), dict)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
