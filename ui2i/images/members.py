"""The files of a source, whatever holds them: in one order, read one at a time, never unpacked under their names.

A `Source` lists its `Member`s once; their bytes are read when it is their turn. What is wrong with a member that can be
told without reading it (its name leads out of its folder, it is a link, it is too large) is noted in the listing and
raised on reading, so that it ends among the rejects like everything else.
"""

import abc
import collections
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Self

from ui2i.errors import DataError, is_out_of_memory
from ui2i.images.decoding import SUFFIXES, ImageError, check_file_size, no_memory
from ui2i.images.left_out import Left, LeftOut


class Member:
    """One file that may be an image."""

    __slots__ = ("fault", "key", "num_bytes", "path")

    def __init__(self, path: str, num_bytes: int, key: Any = None, fault: str | None = None) -> None:
        self.path = path  # relative to the source, with forward slashes
        self.num_bytes = num_bytes
        self.key = key  # how its source finds it
        self.fault = fault  # why it is not to be read; None: it may be


class Source(contextlib.AbstractContextManager["Source"], abc.ABC):
    """The files of a source that may be images, in the order of their paths, or in that of a list.

    `passed_over` counts the other files by their suffix, hidden ones left out.
    """

    _opened = contextlib.ExitStack()  # closes what is open

    def __init__(
        self,
        members: Iterable[Member],
        passed_over: collections.Counter[str] | None = None,
        *,
        keep_order: bool = False,
    ) -> None:
        # Stable: of two members with one name the earlier stays first.
        self.members: Sequence[Member] = (
            list(members) if keep_order else sorted(members, key=lambda member: member.path)
        )
        self.passed_over: collections.Counter[str] = passed_over or collections.Counter()

    @property
    def left_out(self) -> LeftOut:
        """What the listing says cannot be taken."""
        faulty = [Left(member.path, member.num_bytes, member.fault) for member in self.members if member.fault]
        return LeftOut(faulty, collections.Counter(self.passed_over))

    def __exit__(self, *_: object) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Close what is open."""
        self._opened.close()

    def read(self, member: Member) -> bytes:
        """Return a member's bytes.

        What a member is said to have is believed only where it is too much: more than `MAX_FILE_BYTES` is never read.

        Raises:
            ImageError: it is not to be read, or cannot be.
            DataError: the source as a whole is not to be read any further.
        """
        if member.fault is not None:
            raise ImageError(f"{member.path}: {member.fault}", member.fault)
        check_file_size(member.num_bytes, member.path)
        try:
            data = self._read(member)
        except DataError:
            raise
        except MemoryError as error:
            raise no_memory(member.path) from error
        except (OSError, RuntimeError) as error:  # links and rights; encryption and unknown methods of zips
            raise ImageError(f"{member.path} cannot be read ({error})", "unreadable") from error
        except Exception as error:  # a damaged archive: BadZipFile, zlib.error, LZMAError and others share no base
            raise ImageError(f"{member.path} is damaged ({error})", "damaged") from error
        check_file_size(len(data), member.path)
        return data

    @abc.abstractmethod
    def _read(self, member: Member) -> bytes:
        """Return the bytes, of too large a member `MAX_FILE_BYTES` and one or more, or raise whatever comes up."""


@contextlib.contextmanager
def opening(path: Path, kind: str) -> Iterator[contextlib.ExitStack]:
    """Yield what closes the parts of an archive if it cannot be opened; keep them with `pop_all`.

    Raises:
        DataError: for whatever a damaged archive raises; BadZipFile, zlib.error, ArrowInvalid and others share no base.
    """
    with contextlib.ExitStack() as opened:
        try:
            yield opened
        except DataError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise DataError(
                f"{path} cannot be read as {kind} ({error}), expected a complete one; fetch it again"
            ) from error


def takes_part(path: str, passed_over: collections.Counter[str]) -> bool:
    """Whether a file counts as an image: by its suffix alone; others are counted, unless they are hidden."""
    if is_hidden(path):
        return False
    if not path.lower().endswith(SUFFIXES):
        passed_over[PurePosixPath(path).suffix.lower() or "none"] += 1
        return False
    return True


def is_hidden(path: str) -> bool:
    """Whether a file is not meant to be seen: a name on its path begins with a dot, or macOS added it to an archive."""
    parts = PurePosixPath(path).parts
    return "__MACOSX" in parts or any(part.startswith(".") and not part.startswith("..") for part in parts)


def is_unsafe(path: str) -> bool:
    """Whether a name would leave its folder if it were unpacked, on any system."""
    windows = PureWindowsPath(path)
    return bool(windows.drive or windows.root) or ".." in windows.parts
