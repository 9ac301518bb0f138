"""Where images come from: a folder, a zip, a tar, a Parquet file, or a list of files."""

import os
import tarfile
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ui2i.errors import DataError
from ui2i.images.decoding import SUFFIXES, open_regular_file
from ui2i.images.file_signatures import HEAD_BYTES, recognize
from ui2i.images.folders import folder_source, list_source, read_list
from ui2i.images.left_out import no_images
from ui2i.images.members import Source
from ui2i.names import printable
from ui2i.progress import Progress, no_progress

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".parquet")
LIST_SUFFIX = ".txt"
KINDS = "a folder, a .zip, .tar or .parquet of images, or a .txt that lists them"

FILE_MANAGERS_FILES = (".DS_Store", "Thumbs.db")
"""What looking at a folder leaves in it on some systems."""

MAX_NAMED = 5  # of the files in the way

Images = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A folder, an archive or a list in a file by its path, or the paths of image files."""


def open_source(images: Images, *, workspace: Path, progress: Progress = no_progress) -> Source:
    """Open a source and list its images; close it by leaving a `with`.

    Args:
        workspace: folder in which a compressed tar may be decompressed.

    Raises:
        DataError: there is no such source, it cannot be read, or it has no images.
    """
    if isinstance(images, str | os.PathLike) and is_image_file(Path(images)):
        raise DataError(f"{describe(images)} is a single image, expected {KINDS}; name the folder that it is in")
    source = _open(images, workspace, progress)
    if not source.members:
        source.close()
        raise no_images(describe(images), source.left_out)
    return source


def open_images(images: str | os.PathLike[str], *, workspace: Path) -> Source:
    """Open a source, or one image, of which at least one file can be read; close it by leaving a `with`.

    Args:
        workspace: as for `open_source`.

    Raises:
        DataError: there is no such source, it cannot be read, or it has no images.
    """
    path = Path(images)
    is_image = is_image_file(path)
    if path.is_file() and not is_image and archive_suffix(path) is None and not zipfile.is_zipfile(path):
        raise DataError(f"{printable(str(path))} is neither an image nor an archive, expected {KINDS}; name another")
    source = list_source([path]) if is_image else open_source(path, workspace=workspace)
    if all(member.fault for member in source.members):
        source.close()
        raise no_images(printable(os.fspath(images)), source.left_out)
    return source


def archive_suffix(path: Path) -> str | None:
    """Return the suffix that makes a file an archive or a list of images; None: it is neither."""
    name = path.name.lower()
    return next((suffix for suffix in (*ARCHIVE_SUFFIXES, LIST_SUFFIX) if name.endswith(suffix)), None)


def is_image_file(path: Path) -> bool:
    """Whether a path names one image, by its suffix, or by its first bytes where the suffix says nothing."""
    if archive_suffix(path) is not None or not path.is_file():
        return False
    if path.name.lower().endswith(SUFFIXES):
        return True
    with open_regular_file(path) as handle:
        return recognize(handle.read(HEAD_BYTES)) is not None


def is_archive(path: Path) -> bool:
    """Whether a file begins as the archive that its suffix says; one of an unknown suffix is taken for a zip."""
    suffix = archive_suffix(path) or ".zip"
    if suffix == ".zip":
        return zipfile.is_zipfile(path)
    if suffix == ".parquet":
        with path.open("rb") as handle:
            return handle.read(4) == b"PAR1"
    return suffix != LIST_SUFFIX and tarfile.is_tarfile(path)


def describe(images: Images) -> str:
    """Return what to call a source in a message."""
    return os.fspath(images) if isinstance(images, (str, os.PathLike)) else f"the list of {len(images)} files"


def check_destination(
    images: Images,
    out_dir: Path,
    marker: str,
    kind: str,
    written: Callable[[Path], Collection[str]] | None = None,
) -> None:
    """Refuse to replace a folder that holds the images, lies in them, is no earlier result, or holds more than that.

    Args:
        marker: name of a file that every such result has.
        kind: what to call it.
        written: returns the names that an earlier result has in its folder; None: what else is there is kept.

    Raises:
        DataError: it is refused.
    """
    place = out_dir.resolve()
    for source in _named_paths(images):
        inner = source.resolve()
        if inner.is_relative_to(place) or place.is_relative_to(inner):
            raise DataError(
                f"the images in {os.fspath(source)} and the output folder {out_dir} overlap, expected a place outside "
                "the images; choose another output folder"
            )
    if not out_dir.exists():
        return
    if not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / marker).is_file()):
        raise DataError(
            f"{out_dir} exists and is no {kind} (it has no {marker}), expected a new or empty folder, or an earlier "
            f"{kind} to replace; move it away or choose another"
        )
    if written is not None and (out_dir / marker).is_file():
        _refuse_others(out_dir, kind, {*written(out_dir), *FILE_MANAGERS_FILES})


def _refuse_others(folder: Path, kind: str, written: Collection[str]) -> None:
    """Refuse to replace a folder in which somebody put more than what was written there."""
    others = sorted(entry.name for entry in folder.iterdir() if entry.name not in written)
    if others:
        more = f" and {len(others) - MAX_NAMED:,} more" if len(others) > MAX_NAMED else ""
        raise DataError(
            f"{folder} also holds {', '.join(map(printable, others[:MAX_NAMED]))}{more}, expected nothing but the "
            f"{kind}, because all of it is replaced; move them away or choose another folder"
        )


def _named_paths(images: Images) -> list[Path]:
    """Return what `images` names: one place, with the files that it lists if it is a list, or several files."""
    if not isinstance(images, (str, os.PathLike)):
        return [Path(image) for image in images]
    path = Path(images)
    is_list = path.is_file() and archive_suffix(path) == LIST_SUFFIX
    return [path, *(read_list(path) if is_list else ())]


def _open(images: Images, workspace: Path, progress: Progress) -> Source:
    if not isinstance(images, (str, os.PathLike)):
        return list_source(images)
    path = Path(images)
    if path.is_dir():
        return folder_source(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist, expected {KINDS}; check the path")
    suffix = archive_suffix(path)
    if suffix == ".parquet":
        from ui2i.images.parquets import ParquetSource

        return ParquetSource(path)
    if suffix == LIST_SUFFIX:
        return list_source(read_list(path))
    if suffix is None or suffix == ".zip":
        from ui2i.images.zips import ZipSource

        return ZipSource(path)
    from ui2i.images.tars import TarSource

    return TarSource(path, workspace, progress)
