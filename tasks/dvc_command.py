"""How DVC is called: by this interpreter, and in a folder that may or may not be a git repository."""

import configparser
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from ui2i.errors import UI2IError

DVC = (sys.executable, "-m", "dvc")


class DvcError(UI2IError):
    """DVC refused a command; the message is what it said."""


def dvc_environment() -> dict[str, str]:
    """Return the environment for DVC: stages must find this interpreter as `python`."""
    folder = os.path.dirname(sys.executable)  # noqa: PTH120  # a Path would follow the link out of the environment
    return os.environ | {"PATH": folder + os.pathsep + os.environ.get("PATH", ""), "DVC_NO_ANALYTICS": "1"}


def run_dvc(root: Path, *arguments: str) -> str:
    """Run a short DVC command in a project and return what it printed.

    Raises:
        DvcError: it failed.
    """
    done = subprocess.run(
        [*DVC, *arguments], cwd=root, env=dvc_environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        raise DvcError(f"dvc {arguments[0]} failed: {dvc_message(done.stderr.splitlines()) or 'it said nothing'}")
    return done.stdout


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
        run_dvc(root, "init", "--quiet", *options)
    elif not in_git and not _says_no_scm(root / ".dvc" / "config", root / ".dvc" / "config.local"):
        run_dvc(root, "config", "--local", "core.no_scm", "true")
    elif in_git and _says_no_scm(root / ".dvc" / "config.local"):
        run_dvc(root, "config", "--local", "--unset", "core.no_scm")


def _says_no_scm(*config_paths: Path) -> bool:
    config = configparser.ConfigParser(strict=False)
    config.read(config_paths, encoding="utf-8")
    return config.getboolean("core", "no_scm", fallback=False)
