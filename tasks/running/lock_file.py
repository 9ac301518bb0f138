"""DVC's record of what made what, `dvc.lock`: read, and mended when a kill cut it off.

DVC writes this file in place. Killed at that moment it leaves a part of it, which often is valid YAML of fewer stages:
DVC goes on with that, and what the other stages made is forgotten. So a whole copy is kept beside the runs, with its
digest, and replaced only by a whole file: one that ends as DVC ends it, whose entries are complete, and that has every
stage of the copy that `dvc.yaml` still defines. What is less is mended: its complete entries stay, and those that it
lacks come from the copy.
"""

import contextlib
import dataclasses
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.project.paths import Project
from tasks.running.dvc_locks import RWLOCK_FILE, mend_rwlock, repository_lock
from tasks.running.dvc_stages import DefinedStages, defined_stages
from ui2i.errors import ConfigError
from ui2i.files import sha256_bytes, write_text

LOCK_FILE = "dvc.lock"
SCHEMA = "2.0"

_DIGEST = "# sha256 "  # the first line of the copy; it is of what follows
_STAGE_LINE = re.compile(r"^  (?=[^\s#-])", re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """One output of a stage, as it was when the stage last ran."""

    stage: str
    path: str  # relative to the project
    md5: str  # that of a folder ends in .dir
    num_bytes: int


def read_outputs(project: Project) -> list[Output]:
    """Return the outputs of all stages that have run. None if nothing has, or the file cannot be read."""
    stages = _stages(_read(project.root / LOCK_FILE) or "") or {}
    return [
        Output(stage=stage, path=out["path"], md5=out["md5"], num_bytes=int(out.get("size", 0)))
        for stage, entry in stages.items()
        for out in entry.get("outs", [])
        if "md5" in out
    ]


def keep_copy(project: Project) -> list[str]:
    """Copy `dvc.lock` if it is whole, else mend it; called before it is written to.

    Returns:
        As `mend`.

    Raises:
        ConfigError: a version of DVC that is not known wrote it.
    """
    text, copy = _read(project.root / LOCK_FILE), read_copy(project)
    if text == copy:
        return []
    if find_fault(project, text, copy) is not None:
        return mend(project)
    if text is not None:
        _write_copy(project, text)
    return []


def mend(project: Project) -> list[str]:
    """Put back what a kill cut off. Waits until no living process is writing it.

    Returns:
        The files that were mended; none if all are whole or another process keeps them locked.

    Raises:
        ConfigError: a version of DVC that is not known wrote `dvc.lock`.
    """
    mended: list[str] = []
    if not (project.root / ".dvc").is_dir():  # nothing has run, and a lock there would make it look set up
        return mended
    if find_fault(project, _read(project.root / LOCK_FILE), read_copy(project)) is not None:
        with contextlib.suppress(Timeout, OSError), repository_lock(project.root):
            if _restore(project):
                mended.append(LOCK_FILE)
    if mend_rwlock(project.root):
        mended.append(RWLOCK_FILE)
    return mended


def find_fault(project: Project, text: str | None, copy: str | None) -> str | None:
    """Say what a `dvc.lock` lacks of being whole.

    Args:
        text: what is in the file; None: there is none.
        copy: what is in the copy, whose stages it must have; None: there is none.

    Returns:
        Words that follow the name of the file; None: it is whole, or nothing has run yet.

    Raises:
        ConfigError: a version of DVC that is not known wrote it.
    """
    defined = defined_stages(project)
    kept = {stage for stage in _stages(copy or "") or () if defined is None or stage in defined}
    if text is None:
        return "is missing" if kept else None
    stages = _stages(text)
    if stages is None or not text.endswith("\n"):
        return "is cut off"
    if (cut := _cut_stage(stages, defined)) is not None:
        return f"is cut off in {cut}"
    if lost := sorted(kept - set(stages)):
        return f"lacks {lost[0]}, which has run"
    return None


def read_copy(project: Project) -> str | None:
    """Return the text of the last whole `dvc.lock` that is known; None: there is none, or the copy was changed."""
    text = _read(_copy_path(project))
    if text is None or not text.startswith(_DIGEST):
        return text if _stages(text or "") else None  # one of an earlier version, without its digest
    digest, _, rest = text.removeprefix(_DIGEST).partition("\n")
    return rest if sha256_bytes(rest.encode()) == digest else None


def _write_copy(project: Project, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk is the stage's to complain of
        write_text(_copy_path(project), f"{_DIGEST}{sha256_bytes(text.encode())}\n{text}")


def _restore(project: Project) -> bool:
    """Put together a whole file of what is left and the copy; return whether that was needed, now that it is locked."""
    path, defined = project.root / LOCK_FILE, defined_stages(project)
    text, copy = _read(path), read_copy(project)
    if find_fault(project, text, copy) is None:
        return False
    merged = _merged(copy or "", _complete_part(text or "", defined), defined)
    if merged is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, merged)
        _write_copy(project, merged)
    return True


def _merged(copy: str, left: str, defined: DefinedStages | None) -> str | None:
    """Return the copy's entries of stages that are still defined, with the newer ones of `left`; None: there is none.

    It is written as DVC writes it.
    """
    yaml = YAML()
    yaml.default_flow_style = False
    values = yaml.load(copy) or {"schema": SCHEMA, "stages": {}}
    for stage in list(values["stages"]):
        if defined is not None and stage not in defined:
            del values["stages"][stage]
    values["stages"].update((yaml.load(left) or {"stages": {}})["stages"])
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue() if values["stages"] else None


def _complete_part(text: str, defined: DefinedStages | None) -> str:
    """Return as much of a file that may be cut off as is whole for itself; empty: nothing."""
    starts = [match.start() for match in _STAGE_LINE.finditer(text)]
    for part in (text, *(text[:start] for start in reversed(starts))):
        stages = _stages(part) if part.endswith("\n") else None
        if stages and _cut_stage(stages, defined) is None:
            return part
    return ""


def _cut_stage(stages: Mapping[str, Any], defined: DefinedStages | None) -> str | None:
    """Return the stage whose entry lacks something; None: all are complete."""
    for stage, entry in stages.items():
        if not _is_complete(entry):
            return stage
    if not stages or defined is None:
        return None
    last = list(stages)[-1]  # outputs come last in an entry, so a cut before its end takes one
    return last if len(stages[last].get("outs") or ()) < defined.num_outputs(last) else None


def _stages(text: str) -> dict[str, Any] | None:
    """Return the stages of a lock file's text; None if it is not valid.

    Raises:
        ConfigError: its schema is not known.
    """
    try:
        values = YAML(typ="safe").load(text)
    except (ValueError, YAMLError):
        return None
    if not isinstance(values, dict):
        return None
    schema = values.get("schema", "none")  # it comes first: a cut leaves it empty, and never another
    if schema not in (None, SCHEMA):
        raise ConfigError(
            f"{LOCK_FILE} has the schema {schema!r}, expected {SCHEMA!r}; use the version of DVC that this project "
            "asks for, or fetch the file again with git"
        )
    stages = values.get("stages")
    return stages if isinstance(stages, dict) and all(isinstance(entry, dict) for entry in stages.values()) else None


def _is_complete(entry: Mapping[str, Any]) -> bool:
    """Whether the entry of a stage has all that DVC writes of a command and of each file."""
    items = [item for key in ("deps", "outs") for item in entry.get(key) or ()]
    return bool(entry.get("cmd")) and all(map(_is_complete_item, items))


def _is_complete_item(item: Any) -> bool:
    if not isinstance(item, dict) or not item.get("path"):
        return False
    value = item.get(item.get("hash", "md5"), item.get("etag"))  # DVC 2 did not name the kind of hash
    return bool(value) and "size" in item and (not str(value).endswith(".dir") or "nfiles" in item)


def _read(path: Path) -> str | None:
    """Return a file's text; None: there is none. Bytes that are no text make it one that is not valid."""
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None


def _copy_path(project: Project) -> Path:
    return project.runs / f"{LOCK_FILE}.whole"
