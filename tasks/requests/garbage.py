"""Finding and removing data of a project that nothing refers to any more.

A file is referred to by `params.yaml` (its name or its path is there), by DVC's records (`tasks.running.references`),
and by the tables: a row names the models that it compares by their SHA-256, and the file with that hash stays wherever
it lies. Tables themselves are never removed. A cache outside the project may be other projects' too, whose references
nobody here knows: nothing of it goes unless somebody says that it is this project's alone.
"""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import Timeout

from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.dvc_command import ensure_dvc, run_dvc
from tasks.running.dvc_locks import repository_lock
from tasks.running.locks import is_held, lease_names
from tasks.running.references import referred_md5s, require_record
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_file

_FOLDER_SUFFIX = ".dir"  # of the cache's listings of folders
_LOCK_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something that may go."""

    kind: str
    path: Path
    num_bytes: int
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What was looked through."""

    garbage: tuple[Garbage, ...]  # the largest first
    left_alone: Path | None  # a cache that others may use too


def collect(project: Project, *, is_cache_own: bool = False) -> Found:
    """Return what nothing refers to.

    Args:
        is_cache_own: a cache outside the project is this project's alone.

    Raises:
        ConfigError: `params.yaml` is not valid.
        DataError: a record of DVC's, a table or git cannot be read, so that nobody knows what is referred to.
    """
    params = load_params(project)
    hashes = table_hashes(project)
    ensure_dvc(project.root)
    cache = Path(run_dvc(project.root, "cache", "dir").strip())
    is_left_alone = not is_cache_own and not cache.resolve().is_relative_to(project.root.resolve())
    states = [
        *_training_states(project, params),
        *_encoder_states(project, params),
        *_translator_runs(project, params),
    ]
    named = _named_folders(project, params)
    found = [item for item in (*states, *_models(project, params, hashes)) if not _is_named(item.path, named)]
    if not is_left_alone:
        found += _cache(project, cache, hashes)
    garbage = tuple(sorted(found, key=lambda item: -item.num_bytes))
    return Found(garbage=garbage, left_alone=cache if is_left_alone else None)


@contextlib.contextmanager
def idle_dvc(project: Project) -> Iterator[None]:
    """Keep DVC from recording anything meanwhile: what it has just put into its cache has no record yet.

    Raises:
        ConfigError: another process keeps DVC locked.
    """
    ensure_dvc(project.root)
    try:
        with repository_lock(project.root, seconds=_LOCK_SECONDS):
            yield
    except Timeout:
        raise ConfigError(
            "another process keeps DVC locked, expected none while files are removed; wait for it, or stop it"
        ) from None


def remove(project: Project, garbage: Iterable[Garbage]) -> None:
    """Remove what `collect` found.

    Raises:
        ConfigError: something runs, and may be about to refer to it.
    """
    for name in lease_names(project, "run"):
        if is_held(project, name):
            raise ConfigError("a run is in progress, expected none while files are removed; wait for it, or stop it")
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


def _named_folders(project: Project, params: Params) -> list[Path]:
    """Return the folders of models that params.yaml names by their paths."""
    models = [base.checkpoint for base in params.imported.values()]
    models += [domain.start.model for domain in params.domains.values() if domain.start is not None]
    return [(project.root / model).resolve() for model in models]


def _is_named(path: Path, named: Iterable[Path]) -> bool:
    """Whether a path is, holds or lies in one of some folders."""
    resolved = path.resolve()
    return any(folder.is_relative_to(resolved) or resolved.is_relative_to(folder) for folder in named)


def _training_states(project: Project, params: Params) -> Iterator[Garbage]:
    """Yield states of trainings that params.yaml no longer has, and which nothing can resume."""
    modes = {name: {"scratch"} for name in params.bases}
    modes |= {name: {mode.lower() for mode in domain.modes} for name, domain in params.domains.items()}
    kept = {project.downloads, project.regressors, project.baseline_run("x").parent, project.translator_run("x").parent}
    for folder in _folders(project.runs):
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


def _translator_runs(project: Project, params: Params) -> Iterator[Garbage]:
    """Yield pairs and states of translators' trainings that params.yaml no longer has."""
    parent = project.translator_run("x").parent
    own = params.domains.get(parent.name)  # a domain of this name has its trainings there, too
    modes = {mode.lower() for mode in own.modes} if own is not None else set()
    for run in _folders(parent):
        if run.name not in {*params.translators, *modes}:
            why = f"params.yaml has no translator to {run.name}"
            yield Garbage(kind="training state", path=run, num_bytes=_size(run), why=why)


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


def _cache(project: Project, cache: Path, hashes: set[str]) -> Iterator[Garbage]:
    """Yield entries of DVC's cache that neither the files as they are nor a commit refers to, nor a row of a table."""
    store = cache / "files" / "md5"
    used = _with_members(store, referred_md5s(project))
    for path in sorted(store.glob("??/*")):
        md5 = path.parent.name + path.name
        is_listing = md5.endswith(_FOLDER_SUFFIX)
        if md5 not in used and (is_listing or sha256_file(path) not in hashes):
            require_record(project)
            yield Garbage(kind="cache", path=path, num_bytes=path.stat().st_size, why="no commit, no table")


def _with_members(store: Path, md5s: set[str]) -> set[str]:
    """Add to hashes of folders those of the files in them."""
    members = set(md5s)
    for md5 in md5s:
        listing = store / md5[:2] / md5[2:]
        if md5.endswith(_FOLDER_SUFFIX) and listing.exists():
            try:
                members.update(entry["md5"] for entry in json.loads(listing.read_bytes()))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{listing} is damaged, expected the listing of a folder, whose files are needed; remove it and "
                    "fetch it again with `dvc pull`, or run its stage again"
                ) from error
    return members


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
