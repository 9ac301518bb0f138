"""The one way in which images from outside enter a project: copied to `data/raw/<name>`, where DVC tracks them.

What DVC tracks is published with the project. So of a folder or list only files are copied that begin as images, are
no larger than these may be, and lie where the source does; what stays behind is noted beside them and told.
"""

import dataclasses
import functools
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from tasks.project.paths import PARAMS_FILE, Project
from tasks.running.dvc_command import check_trackable, ensure_dvc, run_dvc
from ui2i.errors import ConfigError, DataError
from ui2i.files import atomic_file, atomic_folder, sha256_file, sha256_listing
from ui2i.images.decoding import ImageError, check_image_file, check_signature, read_image_file
from ui2i.images.folders import FileSource, Links, ends_within, folder_source, list_source, read_list
from ui2i.images.left_out import LEFT_OUT_NAME, Left, LeftOut, no_images, read_left_out, write_left_out
from ui2i.images.members import Member
from ui2i.images.sources import (
    ARCHIVE_SUFFIXES,
    KINDS,
    LIST_SUFFIX,
    archive_suffix,
    is_archive,
    is_image_file,
    open_source,
)
from ui2i.names import MAX_CHOSEN_BYTES, file_name
from ui2i.settings import IngestConfig

NUM_LOOKED_AT = 200  # images of which a plan decodes about so many


@dataclasses.dataclass(frozen=True)
class _Found:
    """What a folder or list holds."""

    files: dict[str, Path]  # by the name that a copy has
    left_out: LeftOut

    @functools.cached_property
    def sha256(self) -> str:
        return sha256_listing((name, sha256_file(file)) for name, file in self.files.items())


def add_raw(
    project: Project, name: str, source: Path | str, *, replace: bool = False, follow_links: bool = False
) -> Path:
    """Copy images into the project as `data/raw/<name>`, of an archive with its suffix, and have DVC track them.

    Of a folder the images are taken, with their subfolders, and nothing else; of a list the files that it names. What
    is there already and equal is not copied again.

    Args:
        source: a folder, a .zip, .tar or .parquet, or a .txt that lists files; may be the place in the project itself.
        replace: replace existing images of this name instead of refusing.
        follow_links: take what links lead to outside the source, linked folders too, and what a list names elsewhere.

    Returns:
        Where they lie now; `not_copied` tells what was left out.

    Raises:
        DataError: the source is missing, nothing that holds images, or without any; a list leaves its folder; or
            other images of that name are there.
        ConfigError: a stage makes images of that name.
        DvcError: DVC cannot track them.
    """
    from tasks.project.params import load_params
    from tasks.running.dvc_stages import stages_of

    maker = stages_of(project, load_params(project)).maker_of(project.relative(project.raw(name)))
    if maker is not None:
        raise ConfigError(
            f"the stage {maker} makes the images of {name}, expected a name whose images no stage makes; choose "
            f"another name or remove that entry from {PARAMS_FILE}"
        )
    source = Path(source).absolute()  # the name of a link tells what it is
    destination = raw_place(project, name, source)
    check_trackable(project.root, destination)
    existing = next((path for path in (destination, *_places(project, name)) if path.exists()), None)
    if _is_of_files(source):
        _add_files(project, source, destination, existing, replace=replace, follow_links=follow_links)
    else:
        _add_archive(project, source, destination, existing, replace=replace)
    ensure_dvc(project.root)
    run_dvc(project.root, "add", project.relative(destination))
    return destination


def raw_place(project: Project, name: str, source: Path | str) -> Path:
    """Return where `add_raw` puts images."""
    source = Path(source).absolute()
    suffix = "" if _is_of_files(source) else archive_suffix(source) or ".zip"
    return project.raw(name).with_name(name + suffix)


def remove_replaced(project: Project, name: str, kept: Path) -> None:
    """Remove images of a name that images of another kind of source have replaced, and DVC's record of them.

    What DVC does not track is nowhere else, and stays; so does what `params.yaml` names.

    Raises:
        ConfigError: `params.yaml` is not valid.
        DvcError: DVC cannot remove them.
    """
    from tasks.project.params import load_params

    named = [PurePosixPath(dataset.images) for dataset in load_params(project).datasets.values()]
    for place in _places(project, name):
        record = project.relative(place) + ".dvc"
        is_named = any(images.is_relative_to(project.relative(place)) for images in named)
        if place != kept and not is_named and (project.root / record).is_file():
            run_dvc(project.root, "remove", "--outs", record)


def not_copied(raw: Path) -> str | None:
    """Return in a line what `add_raw` left out of the images that it copied; None: nothing."""
    left_out = read_left_out(raw / LEFT_OUT_NAME)
    return str(left_out) if left_out else None


def count_images(source: Path | str, *, follow_links: bool = False) -> int:
    """Return how many images `add_raw` would take, or find in an archive.

    Raises:
        DataError: as `add_raw`.
    """
    source = Path(source).absolute()
    if _is_of_files(source):
        return len(_find(source, follow_links=follow_links).files)
    with tempfile.TemporaryDirectory() as workspace, open_source(source, workspace=Path(workspace)) as opened:
        return sum(member.fault is None for member in opened.members)


def sample_facing(source: Path | str, config: IngestConfig) -> float | None:
    """Return the share of some of the images that can be told from their mirror images; None: too few can be used.

    Raises:
        DataError: as `add_raw`.
    """
    from ui2i.datasets.facing import facing_share
    from ui2i.datasets.ingestion.duplicates import thumbnail_levels
    from ui2i.datasets.ingestion.examine import Examiner
    from ui2i.datasets.ingestion.workers import read

    examiner = Examiner(dataclasses.replace(config, framing="center"))
    with tempfile.TemporaryDirectory() as workspace, open_source(source, workspace=Path(workspace)) as opened:
        members = opened.members[:: max(1, len(opened.members) // NUM_LOOKED_AT)]
        images = [image for member in members for image in examiner(read(opened, member)).images]
    return facing_share([thumbnail_levels(image.thumbnail) for image in images])


def _places(project: Project, name: str) -> list[Path]:
    """Return where images of a name may lie, of any kind of source."""
    return [project.raw(name).with_name(name + kind) for kind in ("", *ARCHIVE_SUFFIXES)]


def _add_files(
    project: Project, source: Path, destination: Path, existing: Path | None, *, replace: bool, follow_links: bool
) -> None:
    if source.resolve() == destination:
        if not follow_links:
            _check_in_place(project, destination)
        return
    found = _find(source, follow_links=follow_links)
    if destination.is_dir() and _copies(destination).sha256 == found.sha256:
        if read_left_out(destination / LEFT_OUT_NAME) != found.left_out:
            (destination / LEFT_OUT_NAME).unlink(missing_ok=True)
            write_left_out(destination / LEFT_OUT_NAME, found.left_out)
        return
    _check_free(project, existing, source, replace=replace)
    with atomic_folder(destination) as temporary:
        write_left_out(temporary / LEFT_OUT_NAME, _copy(found, temporary))


def _add_archive(project: Project, source: Path, destination: Path, existing: Path | None, *, replace: bool) -> None:
    if not source.is_file():
        raise DataError(f"{source} does not exist, expected {KINDS}; check the path")
    if is_image_file(source):
        raise DataError(f"{source} is a single image, expected {KINDS}; name the folder that it is in")
    if not is_archive(source):
        raise DataError(f"{source} is not a supported archive, expected {KINDS}; fetch it again")
    if destination.is_file() and sha256_file(destination) == sha256_file(source):
        return
    _check_free(project, existing, source, replace=replace)
    with atomic_file(destination) as temporary:
        shutil.copyfile(source, temporary)


def _check_free(project: Project, existing: Path | None, source: Path, *, replace: bool) -> None:
    if existing is not None and not replace:
        raise DataError(
            f"{project.relative(existing)} has other images than {source}, expected a new name or the same "
            "images; choose another name, or pass --replace (replace: true in a flow)"
        )


def _is_of_files(path: Path) -> bool:
    """Whether images lie in files of their own: in a folder, or as a list names them."""
    return path.is_dir() or (path.is_file() and archive_suffix(path) == LIST_SUFFIX)


def _find(source: Path, *, follow_links: bool) -> _Found:
    """Return the images of a folder or list, and what is there beside them.

    Raises:
        DataError: there are none; or a list names what is missing or lies elsewhere.
    """
    opened = _open(source, follow_links=follow_links)
    left_out = opened.left_out
    files: dict[str, Path] = {}
    for member in opened.members:
        if member.fault is None and not _noted_fault(member, left_out):
            files[_free_name(member.path, files)] = member.key
    if not files:
        raise no_images(str(source), left_out, mend="add some, or pass --follow-links if it holds links to them")
    return _Found(dict(sorted(files.items())), left_out)


def _open(source: Path, *, follow_links: bool) -> FileSource:
    if source.is_dir():
        return folder_source(source, Links(to_folders=True) if follow_links else Links(within=source))
    listed = read_list(source)
    for file in listed:
        if not follow_links and not ends_within(file, source.parent):
            raise DataError(
                f"{source} lists {file}, which lies elsewhere, expected files below its own folder {source.parent}; "
                "copy them there, or pass --follow-links"
            )
    opened = list_source(listed)
    missing = next((member.path for member in opened.members if not os.path.lexists(member.key)), None)
    if missing is not None:
        raise DataError(f"{source} lists {missing}, which does not exist, expected files; correct the list")
    return opened


def _copies(folder: Path) -> _Found:
    """Return the images that were copied to a folder; DVC may keep links to its cache there."""
    opened = folder_source(folder)
    files = {member.path: member.key for member in opened.members if member.fault is None and member.key.is_file()}
    return _Found(files, LeftOut())


def _check_in_place(project: Project, folder: Path) -> None:
    """Refuse images that somebody put into the project if links among them lead out of it, for DVC follows these."""
    opened = folder_source(folder, Links(within=project.root))
    links = [member for member in opened.members if member.fault == "link" and member.key is not None]
    outside = next((member for member in links if not ends_within(member.key, project.root)), None)
    if outside is not None:
        raise DataError(
            f"{project.relative(folder)} has the link {outside.path} to elsewhere, expected images in the project; "
            "copy what it leads to, or pass --follow-links"
        )
    if all(member.fault for member in opened.members):
        raise no_images(str(folder), opened.left_out)


def _copy(found: _Found, folder: Path) -> LeftOut:
    """Copy images and return what is left out. A file that has changed since it was found is looked at again."""
    left_out = LeftOut(list(found.left_out.files), found.left_out.passed_over)
    for name, file in found.files.items():
        try:
            data = read_image_file(file, name=name)
            check_signature(data, name)
        except ImageError as error:
            left_out.files.append(Left(name, 0, error.fault))
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return left_out


def _noted_fault(member: Member, left_out: LeftOut) -> bool:
    """Whether a file is no image or too large, which is noted; only its beginning is read."""
    try:
        check_image_file(member.key, name=member.path)
    except ImageError as error:
        left_out.files.append(Left(member.path, member.num_bytes, error.fault))
        return True
    return False


def _free_name(path: str, taken: dict[str, Path]) -> str:
    """Return the relative path that a copy has: one that the file system takes, and that no other has."""
    parts = [file_name(part, max_bytes=MAX_CHOSEN_BYTES) for part in PurePosixPath(path).parts]
    plain = PurePosixPath(*parts)
    name, number = plain, 1
    while name.as_posix() in taken:
        number += 1
        name = plain.with_stem(f"{plain.stem}~{number}")
    return name.as_posix()
