"""What of a project's data nothing refers to any more, and its removal.

A file is referred to by `params.yaml` (its name is there), by `dvc.lock` and the `.dvc` files as they are and as any
commit has them, and by the tables: a row names the models that it compares by their SHA-256, and the file with that
hash stays wherever it lies. Tables themselves are never removed.
"""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.dvc_command import ensure_dvc, run_dvc
from tasks.leases import is_held, lease_names
from tasks.lock_file import LOCK_FILE
from tasks.params import Params, load_params
from tasks.project import Project
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_file

_FOLDER_SUFFIX = ".dir"  # of the cache's listings of folders


@dataclasses.dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something that may go."""

    kind: str
    path: Path
    num_bytes: int
    why: str


def collect(project: Project) -> list[Garbage]:
    """Return what nothing refers to, the largest first.

    Raises:
        ConfigError: `params.yaml` is not valid.
        DataError: `dvc.lock` or a table cannot be read, so that nobody knows what is referred to.
    """
    params = load_params(project)
    hashes = table_hashes(project)
    states = [*_training_states(project, params), *_encoder_states(project, params)]
    found = [*states, *_models(project, params, hashes), *_cache(project, hashes)]
    return sorted(found, key=lambda item: -item.num_bytes)


def remove(project: Project, garbage: Iterable[Garbage]) -> None:
    """Remove what `collect` found.

    Raises:
        ConfigError: something runs, and may be about to refer to it.
    """
    for name in lease_names(project, "run"):
        if is_held(project, name):
            raise ConfigError("a run is at work, expected none while files are removed; wait for it, or stop it")
    for item in garbage:
        if item.path.is_dir():
            shutil.rmtree(item.path)
        else:
            item.path.unlink(missing_ok=True)


def table_hashes(project: Project) -> set[str]:
    """Return every hash that a row of a table names.

    Raises:
        DataError: a table cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    hashes: set[str] = set()
    for folder in ("tables", "translations", "figures"):
        for path in sorted((project.data_dir / folder).rglob("*.parquet")):
            try:
                table = pq.ParquetFile(path)
                columns = [name for name in table.schema_arrow.names if name.endswith("_hash")]
                rows = table.read(columns)
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{path} cannot be read ({error}), expected a table; fetch it again with dvc, or move it away"
                ) from error
            hashes.update(value for name in columns for value in rows[name].to_pylist() if value)
    return hashes


def _training_states(project: Project, params: Params) -> Iterator[Garbage]:
    """Yield states of trainings that params.yaml no longer has: they can be gone on with by nobody."""
    modes = {name: {"scratch"} for name in params.bases}
    modes |= {name: {mode.lower() for mode in domain.modes} for name, domain in params.domains.items()}
    kept = {project.downloads, project.regressors, project.baseline_run("x").parent}
    for folder in _folders(project.data_dir / "runs"):
        if folder in kept or folder.name.startswith("."):
            continue
        for run in _folders(folder):
            if (run / "state.pt").exists() and run.name not in modes.get(folder.name, ()):
                why = f"params.yaml trains no {folder.name} in the mode {run.name}"
                yield Garbage(kind="training state", path=run, num_bytes=_size(run), why=why)


def _encoder_states(project: Project, params: Params) -> Iterator[Garbage]:
    """Yield states of encoders' trainings that params.yaml no longer has."""
    for path in sorted(project.encoder_state("x").parent.glob("*.pt")):
        if path.stem not in params.encoders:
            why = f"params.yaml has no encoder of {path.stem}"
            yield Garbage(kind="training state", path=path, num_bytes=path.stat().st_size, why=why)


def _models(project: Project, params: Params, hashes: set[str]) -> Iterator[Garbage]:
    """Yield models and variants of names that are no longer in params.yaml, unless a row of a table names one."""
    names = {*params.bases, *params.imported, *params.domains}
    for kind, parent in (("model", project.checkpoint("x").parent), ("variants", project.variants("x").parent)):
        for folder in _folders(parent):
            if folder.name in names or folder.name.startswith("."):
                continue
            if not any(sha256_file(path) in hashes for path in folder.rglob("*.safetensors")):
                why = f"params.yaml has no {folder.name}"
                yield Garbage(kind=kind, path=folder, num_bytes=_size(folder), why=why)


def _cache(project: Project, hashes: set[str]) -> Iterator[Garbage]:
    """Yield entries of DVC's cache that neither the files as they are nor a commit refers to, nor a row of a table."""
    ensure_dvc(project.root)
    store = Path(run_dvc(project.root, "cache", "dir").strip()) / "files" / "md5"
    used = _with_members(store, _referred(project))
    for path in sorted(store.glob("??/*")):
        md5 = path.parent.name + path.name
        is_listing = md5.endswith(_FOLDER_SUFFIX)
        if md5 not in used and (is_listing or sha256_file(path) not in hashes):
            yield Garbage(kind="cache", path=path, num_bytes=path.stat().st_size, why="no commit, no table")


def _with_members(store: Path, md5s: set[str]) -> set[str]:
    """Add to hashes of folders those of the files in them."""
    members = set(md5s)
    for md5 in md5s:
        listing = store / md5[:2] / md5[2:]
        if md5.endswith(_FOLDER_SUFFIX) and listing.exists():
            members.update(entry["md5"] for entry in json.loads(listing.read_bytes()))
    return members


def _referred(project: Project) -> set[str]:
    """Return every hash in dvc.lock and .dvc files, as they are and as commits have them."""
    files = [project.root / LOCK_FILE, *project.data_dir.rglob("*.dvc")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.is_file()]
    return {md5 for text in (*texts, *_committed(project.root)) for md5 in _md5s(_parse(text))}


def _committed(root: Path) -> Iterator[str]:
    """Yield dvc.lock and .dvc files of all commits; nothing outside git."""
    log = _git(root, "log", "--all", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", LOCK_FILE, "*.dvc")
    blobs = {line.split()[3] for line in log.splitlines() if line.startswith(":")}
    for blob in sorted(blobs):
        if set(blob) != {"0"}:  # that of a removed file
            yield _git(root, "cat-file", "blob", blob)


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _parse(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        raise DataError(
            f"{LOCK_FILE} or a .dvc file cannot be read ({' '.join(str(error).split())}), expected DVC's records; say "
            "`ui2i status --repair`, or fetch them again with git"
        ) from error


def _md5s(values: Any) -> Iterator[str]:
    """Yield every value of a key md5, at any depth."""
    if isinstance(values, dict):
        for key, value in values.items():
            if key == "md5" and isinstance(value, str):
                yield value
            else:
                yield from _md5s(value)
    elif isinstance(values, list):
        for value in values:
            yield from _md5s(value)


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
