"""Adds a checkpoint to a project as a base to fine-tune: fetched, checked, converted, tracked, registered.

Each step is atomic and is not done twice: rerunning an interrupted command resumes it.
"""

import contextlib
import dataclasses
import hashlib
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from tasks.project.names import check_name
from tasks.project.params import load_params
from tasks.project.paths import PARAMS_FILE, Project
from tasks.project.register import register_imported
from tasks.requests.raw_images import add_raw, not_copied, raw_place, remove_replaced
from tasks.running.dvc_command import check_trackable, ensure_dvc, run_dvc
from tasks.running.dvc_stages import stages_of
from ui2i.download import check_address, download, public_address
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import atomic_folder, expanded, sha256_file, write_bytes
from ui2i.progress import Progress, no_progress
from ui2i.settings import Framing

if TYPE_CHECKING:
    from ui2i.converters.formats import Checkpoint

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddedBase:
    """A base that is in the project now."""

    folder: Path
    img_resolution: int
    has_discriminator: bool
    has_images: bool  # whether the images that `datasets` names for it are there
    remarks: tuple[str, ...]


def add_base_model(
    project: Project,
    name: str,
    source: str,
    *,
    sha256: str | None = None,
    images: Path | None = None,
    license_: str | None = None,
    generator_only: bool = False,
    replace: bool = False,
    follow_links: bool = False,
    progress: Progress = no_progress,
) -> AddedBase:
    """Convert a checkpoint into `data/base/<name>`, have DVC track it and register `imported.<name>`.

    Args:
        source: http(s) address, file or folder, in any format that is read.
        sha256: of the file.
        images: folder or .zip of images like those that the model makes; None: they come later, as `data/raw/<name>`.
        license_: that the model is under; None: what its own card says.
        generator_only: without its discriminator.
        replace: replace an existing model of this name.
        follow_links: also copy images outside `images` that a link or list points to.
        progress: told bytes of the download.

    Raises:
        UI2IError: the name is taken, the file cannot be had, is not the one meant, or cannot be converted.
    """
    _check_request(project, name, sha256, replace=replace)
    check_trackable(project.root, project.base(name))
    file = _fetched(project, source, sha256, progress)
    with _fetched_again_next_time(file if _is_address(source) and sha256 is None else None):
        checkpoint = _read(file, name, source, license_, generator_only=generator_only)
    folder, left_out = project.base(name), None
    raw = project.raw(name) if name not in load_params(project).datasets else None
    if images is not None:
        raw = raw_place(project, name, images)
    settings: dict[str, Any] = {"framing": _other_framing(project, checkpoint), "replace": replace}
    register_imported(project, name, folder, raw, **settings, dry_run=True)
    with _undone_on_error(folder):
        if images is not None:
            raw = add_raw(project, name, images, replace=replace, follow_links=follow_links)
            left_out = not_copied(raw)
        _write(folder, checkpoint)
        ensure_dvc(project.root)
        run_dvc(project.root, "add", project.relative(folder))
        params = register_imported(project, name, folder, raw, **settings)
    if replace and images is not None:
        remove_replaced(project, name, raw_place(project, name, images))
    if _is_address(source):
        file.unlink(missing_ok=True)  # another command that adds it may have done so
    place = params.datasets[name].images
    return AddedBase(
        folder=folder,
        img_resolution=checkpoint.generator.config.img_resolution,
        has_discriminator=checkpoint.discriminator is not None,
        has_images=(project.root / place).exists() or stages_of(project, params).maker_of(place) is not None,
        remarks=(*checkpoint.remarks, *([f"images: {left_out}"] if left_out else [])),
    )


def _other_framing(project: Project, checkpoint: "Checkpoint") -> Framing | None:
    """Return how the model's own images were framed, if that is known and the project frames others otherwise."""
    framing = checkpoint.card.framing.get("framing")
    if framing not in get_args(Framing) or framing == load_params(project).ingest.framing:
        return None
    return cast(Framing, framing)


@contextlib.contextmanager
def _undone_on_error(folder: Path) -> Iterator[None]:
    """Have the folder of a model and DVC's record as they were if what belongs to it cannot be had."""
    record = folder.with_name(folder.name + ".dvc")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as workspace:
        kept = Path(workspace) / folder.name
        if folder.exists():
            shutil.copytree(folder, kept, symlinks=True)
        old_record = record.read_bytes() if record.is_file() else None
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if kept.exists():
                kept.rename(folder)
            if old_record is None:
                record.unlink(missing_ok=True)
            else:
                write_bytes(record, old_record)
            raise


def _check_request(project: Project, name: str, sha256: str | None, *, replace: bool) -> None:
    """Refuse what can be known to fail before anything is fetched."""
    params = load_params(project)
    check_name(name, where="the base")
    section = next((section for section in ("bases", "domains") if name in getattr(params, section)), None)
    if section is not None:
        raise ConfigError(f"{PARAMS_FILE} has {section}.{name} already, expected a new name; choose another")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ConfigError(f"the SHA-256 is {sha256!r}, expected 64 hexadecimal digits; copy it from the publisher")
    if project.base(name).exists() and not replace:
        raise ConfigError(
            f"{project.relative(project.base(name))} already exists, expected a new name; choose another, or pass "
            "--replace"
        )


def _fetched(project: Project, source: str, sha256: str | None, progress: Progress) -> Path:
    """Return a local file or folder with the checkpoint, which has the hash that was asked for."""
    if _is_address(source):
        check_address(source)
        label = urllib.parse.urlsplit(source).path.rsplit("/", 1)[-1]
        label = re.sub(r"[^A-Za-z0-9._-]", "_", label)[-60:]
        file = project.downloads / f"{hashlib.sha256(source.encode()).hexdigest()[:12]}-{label}"
        if not file.exists() or (sha256 is not None and sha256_file(file) != sha256.lower()):
            download(source, file, sha256=sha256, progress=progress)
        return file
    file = expanded(source).resolve()
    if not file.exists():
        raise CheckpointError(f"{source} does not exist, expected a checkpoint or its address; correct the path")
    if sha256 is not None:
        found = sha256_file(file) if file.is_file() else "none, because it is a folder"
        if found != sha256.lower():
            raise CheckpointError(f"{source} has the SHA-256 {found}, expected {sha256.lower()}; fetch it again")
    return file


@contextlib.contextmanager
def _fetched_again_next_time(file: Path | None) -> Iterator[None]:
    """Remove a file that cannot be read. None: there is none that may be damaged, for it is the user's or has the hash.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        yield
    except CheckpointError as error:
        if file is None:
            raise
        file.unlink(missing_ok=True)
        raise CheckpointError(f"{error}; what was fetched is removed, rerun to fetch it again") from error


def _is_address(source: str) -> bool:
    return "://" in source


def _read(file: Path, name: str, source: str, license_: str | None, *, generator_only: bool) -> "Checkpoint":
    from ui2i.converters.formats import read_checkpoint

    checkpoint = read_checkpoint(file, generator_only=generator_only)
    provenance = dict(checkpoint.card.provenance)
    if _is_address(source):
        imported = provenance.get("imported")
        provenance["imported"] = (imported if isinstance(imported, dict) else {}) | {"url": public_address(source)}
    card = dataclasses.replace(
        checkpoint.card, domain=name, license=license_ or checkpoint.card.license, provenance=provenance
    )
    return dataclasses.replace(checkpoint, card=card)


def _write(folder: Path, checkpoint: "Checkpoint") -> None:
    from tasks.models.model_folder import write_card
    from ui2i.converters.formats import write_folder

    with atomic_folder(folder) as temporary:
        write_folder(temporary, checkpoint)
        write_card(temporary)
