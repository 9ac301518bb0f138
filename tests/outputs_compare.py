"""What two runs of the pipeline made, compared: everything but times, and what follows from times."""

import json
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors import safe_open

from tasks.project.paths import Project

SECOND_LOOK_SECONDS = 2.0
OUTPUTS = ("raw", "prepared", "checkpoints", "variants", "tables", "translations")

# A checkpoint's header has the time at which it was made, and so its digest and its hash, which others name.
TIMES = {"created", "seconds", "data_seconds", "seconds_per_image", "images_per_second", "memory_gib", "measured_at"}
NAMED_BY_TIME = {"run_id", "commit", "provenance"}


def differences(project: Project, other: Project) -> list[str]:
    """Name each output in which two projects differ, and how."""
    mine, others = _files(project), _files(other)
    found = [f"{name} is in one alone" for name in sorted(mine.keys() ^ others.keys())]
    both = sorted(mine.keys() & others.keys())
    return found + [f"{name} differs" for name in both if _content(mine[name]) != _content(others[name])]


def half_written(project: Project) -> list[str]:
    """Name every output that cannot be read to its end, now and a moment later: a folder may be changing places."""
    found = _unreadable(_files(project))
    if not found:
        return []
    time.sleep(SECOND_LOOK_SECONDS)
    again = _files(project)
    return _unreadable({name: again[name] for name in found if name in again})


def num_files(project: Project) -> int:
    """Number of outputs."""
    return len(_files(project))


def num_rows(project: Project, domain: str) -> int:
    """Rows of a domain's distance table."""
    return pq.ParquetFile(project.distance_table(domain)).metadata.num_rows


def _unreadable(files: dict[str, Path]) -> list[str]:
    found = []
    for name, path in files.items():
        try:
            _content(path)
        except Exception:
            found.append(name)
    return found


def _files(project: Project) -> dict[str, Path]:
    """All outputs by name. What begins with a dot is a lock, or what a killed stage was writing."""
    paths = [path for folder in OUTPUTS for path in (project.data_dir / folder).rglob("*") if path.is_file()]
    relative = {path.relative_to(project.data_dir): path for path in paths}
    return {
        name.as_posix(): path
        for name, path in relative.items()
        if not any(part.startswith(".") for part in name.parts) and path.suffix != ".dvc"
    }


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return _tensors(path)
    if path.suffix == ".parquet" and path.parent.parent.name != "prepared":
        return _rows(path)
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    return path.read_bytes()


def _tensors(path: Path) -> Any:
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["ui2i"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return _timeless(header), {name: _bits(tensor) for name, tensor in tensors.items()}


def _bits(tensor: torch.Tensor) -> tuple[Any, ...]:
    return str(tensor.dtype), tuple(tensor.shape), tensor.contiguous().numpy().tobytes()


def _rows(path: Path) -> Any:
    """A table's rows, each once: a stage that is killed after it appended measures again, and appends the same."""
    table = pq.ParquetFile(path).read()
    kept = [name for name in table.column_names if not _is_volatile(name)]
    return sorted({repr(row) for row in table.select(kept).to_pylist()})


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(entry) for key, entry in value.items() if not _is_volatile(key)}
    if isinstance(value, list):
        return [_timeless(entry) for entry in value]
    return value


def _is_volatile(name: str) -> bool:
    return name in TIMES or name in NAMED_BY_TIME or name.endswith(("_hash", "sha256", "digest"))
