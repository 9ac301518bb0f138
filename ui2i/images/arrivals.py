"""Files that arrive in a folder, each handed over once it is complete.

A file that is being written grows, or ends before its own header says. So it is taken when it looks as it did at the
last look and is not cut short; one that stays cut short for `PATIENCE` looks was broken before it came, and is taken
to be listed among the rejects. Looking is all that is done: it works on network drives, which announce nothing.
"""

import dataclasses
from collections.abc import Container, Iterator
from pathlib import Path

from ui2i.files import sha256_bytes
from ui2i.images import ImageError
from ui2i.images.decoding import read_image_file
from ui2i.images.file_signatures import is_cut_short
from ui2i.images.folders import folder_source

PATIENCE = 30
"""Looks at a file that is cut short and does not change."""

_State = tuple[int, int]  # bytes, and nanoseconds of the last change


@dataclasses.dataclass
class _Seen:
    """A file at the last look."""

    state: _State
    num_looks: int = 0  # that found it unchanged
    is_taken: bool = False


class Arrivals:
    """The files of a folder and its subfolders that are complete, and were not handed over before."""

    def __init__(self, folder: Path, done: Container[str] = ()) -> None:
        """Set up.

        Args:
            done: SHA-256 of files that are not handed over again, because an earlier process did.
        """
        self._folder = folder
        self._done = done
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> list[Path]:
        """Return the files that have become complete since the last look, in the order of their paths.

        A file that is replaced by another one of its name is a new one.

        Raises:
            DataError: the folder is gone.
        """
        complete = []
        present = dict(self._present())
        for path, state in present.items():
            seen = self._seen.get(path)
            if seen is None or seen.state != state:
                self._seen[path] = _Seen(state)
                continue
            seen.num_looks += 1
            if not seen.is_taken and (digest := self._digest_if_complete(path, seen)) is not None:
                seen.is_taken = True
                if digest not in self._done:
                    complete.append(path)
        self._seen = {path: seen for path, seen in self._seen.items() if path in present}
        return complete

    def _present(self) -> Iterator[tuple[Path, _State]]:
        for member in folder_source(self._folder).members:
            try:
                if member.fault is None:
                    status = member.key.stat()
                    yield member.key, (status.st_size, status.st_mtime_ns)
            except OSError:  # gone again, or a link to nothing
                continue

    @staticmethod
    def _digest_if_complete(path: Path, seen: _Seen) -> str | None:
        """Return the hash of a file that is complete, or that will never be; None: more of it may come."""
        try:
            data = read_image_file(path)
        except ImageError:
            return "" if seen.num_looks >= PATIENCE else None
        if (not data or is_cut_short(data)) and seen.num_looks < PATIENCE:
            return None
        return sha256_bytes(data)
