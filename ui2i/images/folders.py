"""Images that lie in a folder, or that a list names. Every walk through a folder of images is this one."""

import collections
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ui2i.errors import DataError
from ui2i.images.decoding import open_regular_file, read_image_file
from ui2i.images.left_out import LEFT_OUT_NAME, read_left_out
from ui2i.images.members import Member, Source, is_hidden, takes_part
from ui2i.names import printable, printable_path

MAX_LIST_BYTES = 1 << 28


@dataclasses.dataclass(frozen=True)
class Links:
    """Which links in a folder of images are followed."""

    within: Path | None = None  # those to files that end below this folder; None: to any file
    to_folders: bool = False  # those to folders too, each folder once


class FileSource(Source):
    """Files on disk."""

    def _read(self, member: Member) -> bytes:
        return read_image_file(member.key, name=member.path)


def folder_source(folder: Path, links: Links | None = None) -> FileSource:
    """Return the images of a folder and its subfolders; what cannot be taken is listed with its fault.

    Args:
        links: None: those to files are followed, for the owner of the folder made them, those to folders not.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{printable(os.fspath(folder))} is not a folder, expected one with images; check the path")
    noted = read_left_out(folder / LEFT_OUT_NAME)
    passed_over = noted.passed_over
    members = [Member(left.path, left.num_bytes, None, left.fault) for left in noted.files]
    return FileSource([*members, *_walk(folder, links or Links(), passed_over)], passed_over)


def list_source(files: Sequence[str | os.PathLike[str]]) -> FileSource:
    """Return the files of a list, whatever their suffix; their paths count from the folder that all of them share.

    Raises:
        DataError: the list is empty, or spreads over several drives.
    """
    places = [Path(os.path.abspath(os.fspath(file))) for file in files]  # noqa: PTH100 -- links stay links
    if not places:
        raise DataError("the list of images is empty, expected paths of image files; add some")
    try:
        root = Path(os.path.commonpath([place.parent for place in places]))
    except ValueError as error:
        raise DataError(f"the listed images share no folder ({error}), expected one drive; copy them there") from error
    return FileSource(
        Member(printable_path(place.relative_to(root).as_posix()), _size(place), place) for place in places
    )


def read_list(path: Path) -> list[Path]:
    """Return the files that a text file names, one a line, from its own folder; empty lines and `# ...` are none.

    Raises:
        DataError: it is no text.
    """
    try:
        with open_regular_file(path) as handle:
            data = handle.read(MAX_LIST_BYTES + 1)
        if len(data) > MAX_LIST_BYTES:
            raise ValueError(f"it has over {MAX_LIST_BYTES} bytes")
        return [path.parent / name for name in listed_names(data)]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}), expected one path a line in UTF-8; correct it") from error


def listed_names(data: bytes) -> list[str]:
    """Return the paths in a list's bytes, one a line; empty lines and `# ...` are none.

    Raises:
        UnicodeDecodeError: it is no UTF-8.
    """
    lines = data.decode("utf-8-sig").split("\n")  # a name may have any other break
    return [name for line in lines if (name := line.strip()) and not name.startswith("#")]


def ends_within(path: Path, folder: Path) -> bool:
    """Whether what a path leads to, through all links, lies below a folder."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):  # a zero byte in the path
        return False


def _walk(folder: Path, links: Links, passed_over: collections.Counter[str]) -> Iterator[Member]:
    seen = {_identity(folder)}
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            yield Member(_relative(place, folder), 0, None, "unreadable")
            continue
        for entry in entries:
            path = Path(entry.path)
            name = _relative(path, folder)
            if is_hidden(name):
                continue
            if _is_folder(entry):
                if entry.is_symlink() and (not links.to_folders or _identity(path) in seen):
                    yield Member(name, 0, path, "link")
                elif _identity(path) not in seen:
                    seen.add(_identity(path))
                    waiting.append(path)
            elif not takes_part(name, passed_over):
                continue
            elif entry.is_symlink() and links.within is not None and not ends_within(path, links.within):
                yield Member(name, 0, path, "link")
            else:
                yield Member(name, _size(path), path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _relative(path: Path, folder: Path) -> str:
    return printable_path(path.relative_to(folder).as_posix())


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what is the same for all paths to one folder; None: it cannot be asked."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(path: Path) -> int:
    """Return a file's size, 0 if there is none."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return 0
