"""Pictures that lie in a folder, or that a list names."""

import collections
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ui2i.datasets.ingestion.members import (
    MAX_FILE_BYTES,
    Member,
    Source,
    is_hidden,
    looks_like_picture,
    printable,
    suffix_of,
)
from ui2i.errors import DataError


class FileSource(Source):
    """Files on disk. A link to a file is followed, for the owner of the folder made it."""

    def _read(self, member: Member) -> bytes:
        # Opened without waiting: a pipe without a writer would hold the work up for ever.
        descriptor = os.open(member.key, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as handle:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("it is no regular file")
            return handle.read(MAX_FILE_BYTES + 1)


def folder_source(folder: Path) -> FileSource:
    """Return the pictures of a folder and its subfolders. Links to folders are not followed but listed as rejects."""
    passed_over: collections.Counter[str] = collections.Counter()
    return FileSource(_walk(folder, passed_over), passed_over)


def list_source(files: Sequence[str | os.PathLike[str]]) -> FileSource:
    """Return the files of a list, whatever their suffix; their paths count from the folder that all of them share.

    Raises:
        DataError: the list is empty, or spreads over several drives.
    """
    places = [Path(os.path.abspath(os.fspath(file))) for file in files]  # noqa: PTH100 -- links stay links
    if not places:
        raise DataError("the list of pictures is empty, expected paths of picture files; add some")
    try:
        root = Path(os.path.commonpath([place.parent for place in places]))
    except ValueError as error:
        raise DataError(
            f"the listed pictures share no folder ({error}), expected one drive; copy them there"
        ) from error
    return FileSource(Member(printable(place.relative_to(root).as_posix()), _size(place), place) for place in places)


def read_list(path: Path) -> list[Path]:
    """Return the files that a text file names, one a line, from its own folder; empty lines and `# ...` are none.

    Raises:
        DataError: it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}), expected one path a line in UTF-8; correct it") from error
    names = [line.strip() for line in lines]
    return [path.parent / name for name in names if name and not name.startswith("#")]


def _walk(folder: Path, passed_over: collections.Counter[str]) -> Iterator[Member]:
    failed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failed.append):
        for name in folders:
            path = Path(place, name)
            if path.is_symlink() and not is_hidden(name):
                yield Member(printable(path.relative_to(folder).as_posix()), 0, path, "link")
        for name in names:
            path = Path(place, name)
            relative = printable(path.relative_to(folder).as_posix())
            if is_hidden(relative):
                continue
            if looks_like_picture(relative):
                yield Member(relative, _size(path), path)
            else:
                passed_over[suffix_of(relative)] += 1
    for error in failed:
        yield Member(printable(Path(error.filename).relative_to(folder).as_posix()), 0, None, "unreadable")


def _size(path: Path) -> int:
    """Return a file's size, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
