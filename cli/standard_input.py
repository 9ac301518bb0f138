"""What `-` stands for on the command line: a list of paths, or one image, that comes through a pipe."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ui2i.errors import DataError

STANDARD_INPUT = "-"


@contextlib.contextmanager
def given_path(path: Path) -> Iterator[Path]:
    """Yield a path; for `-`, one that has what standard input holds, and is gone afterwards.

    Raises:
        DataError: standard input is a terminal, is empty, or holds neither an image nor a list of paths.
    """
    if str(path) != STANDARD_INPUT:
        yield path
        return
    if sys.stdin.isatty():
        raise DataError("standard input is a terminal, expected a list of paths or an image; pipe it in")
    from ui2i.images.decoding import MAX_FILE_BYTES
    from ui2i.images.file_signatures import recognize

    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if not data or len(data) > MAX_FILE_BYTES:
        came = f"over {MAX_FILE_BYTES:,} bytes" if data else "nothing"
        raise DataError(f"standard input holds {came}, expected a list of paths or an image; write it to a file")
    kind = None if _is_text(data) else recognize(data)
    with tempfile.TemporaryDirectory(prefix="ui2i-") as folder:
        copy = Path(folder) / ("list.txt" if kind is None else f"stdin.{kind.lower()}")
        copy.write_bytes(_absolute(data) if kind is None else data)
        yield copy


def _is_text(data: bytes) -> bool:
    """Whether data can be a list, however it begins: an image's header has zero bytes, or what is no UTF-8."""
    if b"\0" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _absolute(data: bytes) -> bytes:
    """Return a list whose paths count from the root: another process in another folder reads it."""
    from ui2i.images.folders import listed_names

    try:
        names = listed_names(data)
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input is neither an image nor UTF-8 ({error.reason}), expected an image or one path a line; "
            "write an archive to a file and name that"
        ) from error
    return "\n".join(str(Path(name).absolute()) for name in names).encode()
