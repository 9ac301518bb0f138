"""Calling DVC: with this interpreter, in a folder that may or may not be a git repository."""

import configparser
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from filelock import FileLock

from tasks.running.dvc_locks import mend_rwlock
from ui2i.errors import UI2IError

DVC = (sys.executable, "-m", "dvc")

BUSY_MESSAGES = ("is busy, it is being blocked by", "Unable to acquire lock", "unable to acquire lock")
CUT_OFF_MESSAGES = ("structure is corrupted", "dvc.lock' is invalid", "dvc.lock' validation failed")
_BLOCKER = re.compile(r"\(PID (\d+)\): ")  # in the lines after the first of those messages
BUSY_WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)  # between tries, each of which waits three seconds more

wait = time.sleep  # a name of its own, so that a test need not wait

_LAST_LINES = 3  # of what a command said that marked nothing as an error


ITS_OWN_MODULES = {"PYTHONSAFEPATH": "1"}
"""In the environment of a Python that is to import nothing from the folder that it runs in."""


class DvcError(UI2IError):
    """DVC refused a command; the message is what it said."""


def dvc_environment() -> dict[str, str]:
    """Return the environment for DVC: stages must find this interpreter as `python`, and its modules.

    Python puts the project's folder in front of them otherwise, where a `tasks.py` or `queue.py` may lie.
    """
    folder = os.path.dirname(sys.executable)  # noqa: PTH120  # a Path would follow the link out of the environment
    path = folder + os.pathsep + os.environ.get("PATH", "")
    return os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", **ITS_OWN_MODULES}


def run_dvc(root: Path, *arguments: str) -> str:
    """Run a short DVC command in a project and return what it printed.

    While another process keeps DVC locked it is tried again for about a minute.

    Raises:
        DvcError: it failed.
    """
    for seconds in (*BUSY_WAITS_SECONDS, None):
        done = subprocess.run(
            [*DVC, *arguments], cwd=root, env=dvc_environment(), capture_output=True, text=True, errors="replace"
        )
        if done.returncode == 0:
            return done.stdout
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        if seconds is None:
            break
        if mend_rwlock(root):
            continue
        if not is_busy(lines):
            break
        wait(seconds)
    raise DvcError(f"dvc {arguments[0]} failed: {_reason(lines, done.returncode)}")


def check_trackable(root: Path, path: Path) -> None:
    """Refuse a path that DVC cannot track, before anything is written there.

    Raises:
        DvcError: a folder on the way to it is a link.
    """
    for folder in path.relative_to(root).parents:
        if (root / folder).is_symlink() and folder.parts:
            raise DvcError(
                f"{folder.as_posix()} is a link to {(root / folder).resolve()}, expected a folder, since DVC tracks "
                "nothing behind a link; put a folder in its place, and keep large data on the other disk by "
                "`dvc cache dir --local FOLDER`"
            )


def is_busy(lines: Sequence[str]) -> bool:
    """Whether DVC said that another process keeps it from working."""
    return any(message in line for line in lines for message in BUSY_MESSAGES)


def is_kept_by_stage(root: Path, lines: Sequence[str]) -> bool:
    """Whether one of the processes that DVC said to keep it from working makes a stage of this project now."""
    return any(_makes_stage(root, int(pid)) for line in lines for pid in _BLOCKER.findall(line))


def _makes_stage(root: Path, pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        return "repro" in words and "dvc" in {Path(word).name for word in words} and _is_in(process.cwd(), root)
    except psutil.Error:  # it has ended, or is another user's
        return False


def _is_in(folder: str, root: Path) -> bool:
    return Path(folder).resolve().is_relative_to(root.resolve())


def is_cut_off(lines: Sequence[str]) -> bool:
    """Whether DVC said that one of its own files cannot be read."""
    return any(message in line for line in lines for message in CUT_OFF_MESSAGES)


def _reason(lines: Sequence[str], exit_status: int) -> str:
    """Return what DVC said and, if only that is known to help, what to do."""
    said = dvc_message(lines) or " ".join(" ".join(lines[-_LAST_LINES:]).split()) or f"exit status {exit_status}"
    if is_busy(lines):
        return f"{said} (still so after a minute); wait for the other process or stop it"
    if is_cut_off(lines):
        return f"{said}; mend it with `ui2i status --repair`"
    return said


def dvc_message(lines: Sequence[str]) -> str | None:
    """Return what DVC's own error messages say, in one line; None: it printed none. A message ends at an empty line."""
    words: list[str] = []
    in_message = False
    for line in lines:
        in_message = line.startswith("ERROR:") or (in_message and line.strip() != "")
        if in_message:
            words += line.removeprefix("ERROR:").split()
    return " ".join(words) or None


def ensure_dvc(root: Path) -> None:
    """Make DVC usable in a project: initialised, and told whether there is git around it.

    A clone needs nothing. A copy without git, such as an unpacked archive, gets `core.no_scm` in `.dvc/config.local`,
    which git never sees; it goes again when the folder has become a git repository. Stages that begin together do it
    one after another.
    """
    lock_path = root / "data" / "runs" / ".locks" / "dvc-init.lock"
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path):
        _ensure_dvc(root)


def _ensure_dvc(root: Path) -> None:
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    if not (root / ".dvc").is_dir():
        options = [] if (root / ".git").exists() else ["--subdir" if in_git else "--no-scm"]
        run_dvc(root, "init", *options)
    elif not in_git and not _says_no_scm(root / ".dvc" / "config", root / ".dvc" / "config.local"):
        run_dvc(root, "config", "--local", "core.no_scm", "true")
    elif in_git and _says_no_scm(root / ".dvc" / "config.local"):
        run_dvc(root, "config", "--local", "--unset", "core.no_scm")


def _says_no_scm(*config_paths: Path) -> bool:
    config = configparser.ConfigParser(strict=False)
    config.read(config_paths, encoding="utf-8")
    return config.getboolean("core", "no_scm", fallback=False)
