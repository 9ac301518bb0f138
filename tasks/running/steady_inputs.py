"""A stage's inputs must not change until the stage is done.

DVC records settings and inputs when a stage has ended, as they are then. Edited in the meantime, they would count as
those that the output was made with, and nothing would make it anew. What people edit is looked at before and after:
the values in `params.yaml` that `dvc.yaml` names for the stage, and its inputs that `params.yaml` names (raw images,
a checkpoint). What other stages write is theirs to keep steady.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.project.paths import PARAMS_FILE, Project
from tasks.running.dvc_stages import DefinedStages, defined_stages
from ui2i.errors import DataError

_MAX_NAMED = 5


@contextlib.contextmanager
def steady_inputs(project: Project, stage: str) -> Iterator[None]:
    """Compare the inputs of a stage before and after the block.

    Args:
        stage: e.g. `ingest@cat`; what `dvc.yaml` does not define has none.

    Raises:
        DataError: one of them has changed; DVC records nothing of a stage that fails, so its next run makes all anew.
    """
    before = _inputs(project, stage)
    yield
    after = _inputs(project, stage) if before else before
    changed = [name for name in before if name not in after or after[name] != before[name]]
    if changed:
        named = ", ".join(changed[:_MAX_NAMED]) + (" and others" if len(changed) > _MAX_NAMED else "")
        raise DataError(
            f"{named} changed while {stage} ran, expected what it is made from to stay; run it again, which makes it "
            "anew"
        )


def _inputs(project: Project, stage: str) -> dict[str, Any]:
    """Return by name what people may edit of a stage's inputs."""
    defined = defined_stages(project)
    if defined is None:
        return {}
    values = {f"{key} in {PARAMS_FILE}": _value(defined.params, key) for key in defined.param_keys(stage)}
    return values | {path: _state(project.root / path) for path in _named_inputs(defined, stage)}


def _named_inputs(defined: DefinedStages, stage: str) -> Iterator[str]:
    item = defined.item(stage)
    for template in defined.dependencies(stage):
        if template.startswith("${item.") and isinstance(item, dict):
            path = item.get(template.removeprefix("${item.").removesuffix("}"))
            if isinstance(path, str):
                yield path


def _value(params: Mapping[str, Any], key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _state(path: Path) -> Any:
    """Return what differs when a file, or a file below a folder, is written, added or removed."""
    if path.is_file():
        return _stamp(path)
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return {str(file): _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
