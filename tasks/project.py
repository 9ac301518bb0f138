"""Where everything of a project lies. A project is the folder with `params.yaml` and `dvc.yaml`.

Each path below `data/` is named here and in `dvc.yaml`, nowhere else. Adding raw pictures is here too, because it is
the one way in which files from outside enter `data/`.
"""

import dataclasses
import shutil
import zipfile
from pathlib import Path

from tasks.dvc_command import ensure_dvc, run_dvc
from ui2i.errors import ConfigError, DataError
from ui2i.files import atomic_file, atomic_folder, sha256_file, sha256_listing
from ui2i.images import SUFFIXES

PARAMS_FILE = "params.yaml"
DVC_FILE = "dvc.yaml"


@dataclasses.dataclass(frozen=True)
class Project:
    """The paths of one project. None of them need exist."""

    root: Path

    @property
    def params_path(self) -> Path:
        """The numbers of every experiment."""
        return self.root / PARAMS_FILE

    @property
    def data_dir(self) -> Path:
        """Everything that is not code."""
        return self.root / "data"

    def raw(self, name: str) -> Path:
        """Folder of drawn or added pictures; an added zip lies beside it as `<name>.zip`."""
        return self.data_dir / "raw" / name

    def prepared(self, name: str) -> Path:
        """Folder of a prepared dataset."""
        return self.data_dir / "prepared" / name

    def checkpoint(self, name: str) -> Path:
        """Folder of a base's model, or of a domain's, with one folder a mode in it."""
        return self.data_dir / "checkpoints" / name

    def mode_checkpoint(self, domain: str, mode: str) -> Path:
        """Folder of one fine-tuned model of a domain."""
        return self.checkpoint(domain) / mode.lower()

    def run_dir(self, name: str, mode: str) -> Path:
        """Folder of a training's resumable state; not tracked."""
        return self.data_dir / "runs" / name / mode.lower()

    def variants(self, domain: str) -> Path:
        """Folder of a domain's layer-swapped generators."""
        return self.data_dir / "variants" / domain

    def variant(self, domain: str, swap_resolution: int) -> Path:
        """File of the generator whose layers up to `swap_resolution` pixels are the base's."""
        return self.variants(domain) / variant_file(swap_resolution)

    def distance_table(self, domain: str) -> Path:
        """Table of model distances, to which every run appends."""
        return self.data_dir / "tables" / "distance" / f"{domain}.parquet"

    def distance_summary(self, domain: str) -> Path:
        """The latest distances as JSON, for `dvc metrics`."""
        return self.distance_table(domain).with_suffix(".json")

    def shared_samples(self, domain: str) -> Path:
        """Picture of the same latents in all models of a domain."""
        return self.distance_table(domain).with_suffix(".png")

    def translations(self, domain: str) -> Path:
        """Folder of translated pictures."""
        return self.data_dir / "translations" / domain

    def lock_path(self, output: Path) -> Path:
        """File that a stage locks while it writes `output`."""
        name = "-".join(output.relative_to(self.data_dir).parts)
        return self.data_dir / "runs" / ".locks" / f"{name}.lock"

    def file_lock_path(self, file_name: str) -> Path:
        """File that is locked while a file of the project itself is edited."""
        return self.data_dir / "runs" / ".locks" / f"{file_name}.lock"

    def relative(self, path: Path) -> str:
        """A path as `params.yaml` and `dvc.yaml` write it."""
        return path.relative_to(self.root).as_posix()


def variant_file(swap_resolution: int) -> str:
    """Name of a variant's file."""
    return f"ls{swap_resolution}.safetensors"


def find_project(start: Path | str | None = None) -> Project:
    """Return the project that `start` (None: the current folder) is in: the nearest folder with both files.

    Raises:
        ConfigError: neither it nor a folder above is a project.
    """
    folder = Path(start or ".").resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / PARAMS_FILE).is_file() and (candidate / DVC_FILE).is_file():
            return Project(candidate)
    raise ConfigError(
        f"{folder} is in no project, expected {PARAMS_FILE} and {DVC_FILE} there or above; "
        "change to the project's folder or name it with --project"
    )


def add_raw(project: Project, name: str, source: Path | str, *, replace: bool = False) -> Path:
    """Copy pictures into the project as `data/raw/<name>` or `data/raw/<name>.zip` and have DVC track them.

    Of a folder the pictures are taken, with their subfolders, and nothing else. What is there already and equal is not
    copied again.

    Args:
        source: a folder or a .zip; may be the place in the project itself.
        replace: take the place of other pictures of this name instead of refusing.

    Returns:
        Where they lie now.

    Raises:
        DataError: the source is missing, no folder and no zip, or without pictures; or other pictures of that name
            are there.
        ConfigError: pictures of that name are drawn.
        DvcError: DVC cannot track them.
    """
    from tasks.params import load_params  # which imports this module

    if name in load_params(project).drawn:
        raise ConfigError(
            f"{PARAMS_FILE} draws the pictures of {name}, expected a name without drawn.{name}; choose another name or "
            "remove that entry"
        )
    source = Path(source).resolve()
    folder, archive = project.raw(name), project.raw(name).with_name(f"{name}.zip")
    destination, other = (folder, archive) if source.is_dir() else (archive, folder)
    listing = _listing(source)
    if not _is_equal(destination, listing):
        existing = next((path for path in (destination, other) if path.exists()), None)
        if existing is not None and not replace:
            raise DataError(
                f"{project.relative(existing)} has other pictures than {source}, expected a new name or the same "
                "pictures; choose another name or ask to replace them"
            )
        if source.is_dir():
            with atomic_folder(destination) as temporary:
                _copy_pictures(source, temporary)
        else:
            with atomic_file(destination) as temporary:
                shutil.copyfile(source, temporary)
    ensure_dvc(project.root)
    run_dvc(project.root, "add", "--quiet", project.relative(destination))
    return destination


def count_pictures(source: Path | str) -> int:
    """Return how many files of a folder or .zip look like pictures by their names.

    Raises:
        DataError: it is missing, no folder and no zip, or has none.
    """
    source = Path(source).resolve()
    _listing(source)
    if source.is_dir():
        return len(_picture_names(source))
    with zipfile.ZipFile(source) as archive:
        names = [Path(name) for name in archive.namelist()]
    return sum(name.name.lower().endswith(SUFFIXES) and not _is_hidden(name) for name in names)


def _listing(path: Path) -> str:
    """Return a hash of the pictures of a folder or of the bytes of a zip."""
    if path.is_dir():
        names = _picture_names(path)
        if not names:
            raise DataError(f"{path} contains no pictures, expected files ending in {', '.join(SUFFIXES)}; add some")
        return sha256_listing((name, sha256_file(path / name)) for name in names)
    if not path.is_file():
        raise DataError(f"{path} does not exist, expected a folder or .zip of pictures; check the path")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is no zip, expected a folder or .zip of pictures; fetch it again")
    return sha256_file(path)


def _is_equal(destination: Path, listing: str) -> bool:
    return (
        destination.exists()
        and (destination.is_file() or bool(_picture_names(destination)))
        and (_listing(destination) == listing)
    )


def _picture_names(folder: Path) -> list[str]:
    """Return the pictures of a folder by relative name, hidden ones left out."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES))
    return sorted(name.as_posix() for name in names if not _is_hidden(name) and (folder / name).is_file())


def _is_hidden(name: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _copy_pictures(source: Path, folder: Path) -> None:
    for name in _picture_names(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
