"""A new project: the files that the package ships (`tasks.project.shipped`) and a README of its own.

`params.yaml` comes last, so that a folder is a project once it is complete. What was written is removed if something
fails. If even that was impossible, after kill -9, a mark is left by which the next try knows the files for its own.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from tasks.project.params import parse_params
from tasks.project.paths import PARAMS_FILE, Project, check_place, is_project
from tasks.project.register import add_entries
from tasks.project.shipped import FILES, SHIPPED, files_below
from tasks.running.dvc_command import ensure_dvc
from ui2i.errors import ConfigError
from ui2i.files import write_bytes

README = "README.md"

_README_SOURCE = Path(__file__).with_suffix(".md")
_MARK = ".ui2i-init.tmp"
_NUM_SHOWN = 3  # of the files in the way


def create_project(folder: Path, *, example: bool) -> Project:
    """Make a project with the shipped bases in a new folder, or in one that holds nothing but git's files and the like.

    Args:
        example: with the domains of the demo; otherwise without any.

    Raises:
        ConfigError: the folder holds a project or something else, or DVC cannot work there.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, expected a new or an empty folder; choose another name")
    root = folder.resolve()
    check_place(root)
    is_new = not root.exists()
    contents = _contents(example=example)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        _check_empty(root, {Path(name).parts[0] for name in contents})
        try:
            _write(root, contents)
        except BaseException:
            for name in (*contents, _MARK):
                _remove(root, name)
            if is_new:
                with contextlib.suppress(OSError):
                    root.rmdir()
            raise
    project = Project(root)
    ensure_dvc(root)
    return project


def add_example(project: Project, *, every: bool = False) -> list[str]:
    """Add the demo's first domain, or all of them, to a project and return their names.

    Raises:
        ConfigError: an entry of such a name has other settings, or the project lacks its base.
    """
    shipped = YAML(typ="safe", pure=True).load(_shipped_params())
    names = list(shipped["domains"])[: None if every else 1]
    for name in names:
        sections = {key: value for key, value in shipped.items() if isinstance(value, Mapping) and name in value}
        add_entries(project, name, {key: value[name] for key, value in sections.items()})
    return names


def _contents(*, example: bool) -> dict[str, bytes]:
    """Return a project's files by name; the last makes it a project."""
    text = _shipped_params()
    params = parse_params(text)
    models = [base.checkpoint for base in params.imported.values()]
    models += [domain.start.model for domain in params.domains.values() if domain.start is not None]
    names = [*FILES, *(name for model in models for name in files_below(SHIPPED, model))]
    contents = {name: (SHIPPED / name).read_bytes() for name in names if name != PARAMS_FILE}
    contents[README] = _README_SOURCE.read_bytes()
    contents[PARAMS_FILE] = (text if example else _without_domains(text)).encode()
    return contents


def _shipped_params() -> str:
    return (SHIPPED / PARAMS_FILE).read_text(encoding="utf-8")


def _without_domains(text: str) -> str:
    """Return settings without the entries of the domains, and all other lines as they are."""
    names = "|".join(map(re.escape, parse_params(text).domains))
    text = re.sub(rf"^(?:  #.*\n)*  (?:{names}):.*\n(?:    .*\n)*", "", text, flags=re.MULTILINE)
    return re.sub(r"^(\w+):\n(?=\n|\Z)", r"\1: {}\n", text, flags=re.MULTILINE)  # a section that is now empty


def _check_empty(root: Path, names: set[str]) -> None:
    """Refuse a folder with files that are anybody's. Those of an earlier try that was killed are ours."""
    if is_project(root):
        raise ConfigError(
            f"{root} is a project already, expected a new or an empty folder; use it as it is or choose another"
        )
    if (root / _MARK).exists():
        return
    found = [path.name for path in root.iterdir() if path.name in names or not _is_harmless(path)]
    if found:
        more = f" and {len(found) - _NUM_SHOWN} more" if len(found) > _NUM_SHOWN else ""
        raise ConfigError(
            f"{root} holds {', '.join(sorted(found)[:_NUM_SHOWN])}{more}, expected a new or an empty folder; choose "
            "another (a git repository or a virtual environment in it is no obstacle)"
        )


def _is_harmless(path: Path) -> bool:
    """Whether it is hidden, as git's folder and editors' are, or a virtual environment."""
    return path.name.startswith(".") or (path / "pyvenv.cfg").is_file()


def _write(root: Path, contents: Mapping[str, bytes]) -> None:
    (root / _MARK).touch()
    for name, data in contents.items():
        write_bytes(root / name, data)
    (root / _MARK).unlink()


def _remove(root: Path, name: str) -> None:
    """Remove a file, and the folders up to `root` that are empty without it."""
    with contextlib.suppress(OSError):
        (root / name).unlink(missing_ok=True)
        for folder in Path(name).parents[:-1]:
            (root / folder).rmdir()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process makes a project in a folder; that process's end, of whatever kind, frees it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
