"""What refers to entries of DVC's cache: its records as they are, their copy, and those of every commit.

`ui2i gc` deletes what is not referred to. So here the absence of a record is never taken for the absence of references:
a record that is missing, cut off or out of reach is an error, and so is a git that does not answer. Whatever looks like
a hash counts, wherever in a record it stands.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.project.paths import Project
from tasks.running.dvc_stages import defined_stages
from tasks.running.lock_file import LOCK_FILE, find_fault, read_copy, read_outputs
from ui2i.errors import DataError

_HASH = re.compile(r"\b[0-9a-f]{32}(?:\.dir)?\b")
_WAY_OUT = "run `ui2i status --repair`, fetch it again with git, or `dvc repro`"
_RECORDS = (f":(top,glob)**/{LOCK_FILE}", ":(top,glob)**/*.dvc")
_LEFT_OUT = ("node_modules", "venv")  # of folders in which no records are looked for, beside hidden ones


def referred_md5s(project: Project) -> set[str]:
    """Return every hash that a record names, as it is or as any commit has it.

    Raises:
        DataError: a record is cut off or missing, or git cannot be asked.
    """
    texts = [*_lock_texts(project), *_other_texts(project.root), *_committed_texts(project.root)]
    return {md5 for text in texts for md5 in _HASH.findall(text)}


def require_record(project: Project) -> None:
    """Refuse to decide what may be removed before anything has recorded what is needed.

    Raises:
        DataError: there is no `dvc.lock`.
    """
    if not (project.root / LOCK_FILE).exists():
        raise DataError(f"{LOCK_FILE} is missing, expected DVC's record of what its cache is needed for; {_WAY_OUT}")


def _lock_texts(project: Project) -> Iterator[str]:
    """Yield dvc.lock and its copy."""
    path = project.root / LOCK_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
    copy = read_copy(project)
    if (fault := find_fault(project, text, copy)) is not None:
        raise DataError(f"{LOCK_FILE} {fault}, expected the record of all stages that have run; {_WAY_OUT}")
    _require_recorded_outputs(project)
    yield from (known for known in (text, copy) if known is not None)


def _require_recorded_outputs(project: Project) -> None:
    """Refuse a record that lacks a stage whose output is there: the end of the file may be lost.

    Raises:
        DataError: it does.
    """
    defined, recorded = defined_stages(project), {output.stage for output in read_outputs(project)}
    for stage, path in defined.output_paths() if defined is not None and recorded else ():
        if stage not in recorded and (project.root / path).exists():
            raise DataError(
                f"{LOCK_FILE} does not name {stage}, though {path} is there, expected the record of all stages that "
                f"have run; {_WAY_OUT}, or `dvc commit {stage}` if it was made without DVC"
            )


def _other_texts(root: Path) -> Iterator[str]:
    """Yield `.dvc` files, and the locks of pipelines in other folders."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        for path in (Path(folder) / name for name in sorted(names)):
            is_dvc_file = path.suffix == ".dvc"
            if is_dvc_file or path.name == LOCK_FILE:
                text = path.read_text(encoding="utf-8", errors="replace")
                if is_dvc_file and not _is_whole(text):
                    raise DataError(
                        f"{path} is cut off, expected DVC's record of what it tracks; fetch it again with git, or "
                        "`dvc add` again what it names"
                    )
                yield text


def _is_whole(text: str) -> bool:
    """Whether a `.dvc` file is whole: the path comes last in each entry."""
    try:
        values = YAML(typ="safe").load(text)
    except (ValueError, YAMLError):
        return False
    outs = (values.get("outs") if isinstance(values, dict) else None) or []
    return text.endswith("\n") and bool(outs) and all(isinstance(out, dict) and "path" in out for out in outs)


def _committed_texts(root: Path) -> Iterator[str]:
    """Yield the records of all commits, stashes and branches of all work trees; nothing outside git.

    Raises:
        DataError: git is not there, refuses, or does not have all commits.
    """
    if "GIT_DIR" not in os.environ and not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise DataError(
            f"the clone in {root} is shallow, expected all commits, whose records name what is needed; "
            "`git fetch --unshallow` first"
        )
    shown = ("--format=", "--raw", "--no-abbrev", "--no-renames", "--no-color", "-m", "--root")
    log = _git(root, "log", "--all", "--reflog", "--full-history", *shown, "--", *_RECORDS)
    changes = [line.split() for line in log.splitlines() if line.startswith(":")]
    staged = [line.split() for line in _git(root, "ls-files", "--stage", "--", *_RECORDS).splitlines()]
    blobs = {change[3] for change in changes} | {entry[1] for entry in staged}
    for blob in sorted(blobs):
        if set(blob) != {"0"}:  # that of a removed file
            yield _git(root, "cat-file", "blob", blob)


def _git(root: Path, *arguments: str) -> str:
    expected = "expected it to show the records of all commits, which name what is needed"
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise DataError(
            f"git cannot be run ({error.strerror}), {expected}; install it or add it to the PATH"
        ) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise DataError(f"git refuses ({said}), {expected}; do what it says, or run this as the owner of {root}")
    return done.stdout
