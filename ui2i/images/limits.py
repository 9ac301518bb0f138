"""How much an archive may contain and unpack to. A few kilobytes can be made to unpack to a whole disk.

What an archive says of its sizes serves to refuse it early. What is really read is counted again.
"""

from pathlib import Path

from ui2i.errors import DataError

MAX_MEMBERS = 5_000_000
MAX_RATIO = 200  # bytes out for each byte in; images, compressed already, are near 1 and drawn ones below 50
RATIO_FREE_BYTES = 1 << 20  # a member that unpacks to less may have any ratio
TOTAL_FREE_BYTES = 1 << 28  # an archive too
PAGE_FREE_BYTES = 1 << 28  # a page of images that unpacks to more may have at most MAX_PAGE_RATIO
MAX_PAGE_RATIO = 4
MIN_ROW_BYTES = 8  # of a file, on average, for a row; an image has more
MAX_HEADER_BYTES = 1 << 20  # of one member: its name, and what else is said of it


class Account:
    """Counts what is read from an archive, of which one part can be named many times."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._num_packed = path.stat().st_size
        self._num_bytes = 0

    def add(self, num_bytes: int) -> None:
        """Count bytes; raise DataError once they are far more than images would be."""
        self._num_bytes += num_bytes
        # Rejects are read twice, for their sheet.
        check_total(self._path, self._num_bytes // 2, self._num_packed)


def is_bomb(num_bytes: int, num_packed: int) -> bool:
    """Whether a member unpacks to more than an image's file would."""
    return num_bytes > RATIO_FREE_BYTES and num_bytes > MAX_RATIO * num_packed


def is_bomb_page(num_bytes: int, num_packed: int) -> bool:
    """Whether a page of many images unpacks to more than these would."""
    return is_bomb(num_bytes, num_packed) or (num_bytes > PAGE_FREE_BYTES and num_bytes > MAX_PAGE_RATIO * num_packed)


def check_count(path: Path, num_members: int) -> None:
    """Raise DataError if an archive has too many members."""
    if num_members > MAX_MEMBERS:
        raise DataError(
            f"{path} has {num_members} members, expected at most {MAX_MEMBERS}; divide it into several or unpack it"
        )


def check_total(path: Path, num_bytes: int, num_packed: int) -> None:
    """Raise DataError if an archive unpacks to far more than images do, be it by naming one part many times."""
    if num_bytes > TOTAL_FREE_BYTES and num_bytes > MAX_RATIO * num_packed:
        raise unpacks_to_too_much(path, num_packed)


def unpacks_to_too_much(path: Path, num_packed: int) -> DataError:
    """Return the error for an archive that is far larger unpacked than one of images."""
    return DataError(
        f"{path} unpacks to more than {MAX_RATIO} times its {num_packed} bytes, expected an archive of images; "
        "if you trust it, unpack it and name the folder"
    )
