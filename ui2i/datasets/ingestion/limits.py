"""How much an archive may hold and unpack to. A few kilobytes can be made to unpack to all of a disk."""

from pathlib import Path

from ui2i.errors import DataError

MAX_MEMBERS = 5_000_000
MAX_RATIO = 200  # bytes out for each byte in; pictures, compressed already, are near 1 and drawn ones below 50
RATIO_FREE_BYTES = 1 << 20  # a member that unpacks to less may have any ratio
TOTAL_FREE_BYTES = 1 << 28  # an archive too


def is_bomb(num_bytes: int, num_packed: int) -> bool:
    """Whether a member unpacks to more than a picture's file would."""
    return num_bytes > RATIO_FREE_BYTES and num_bytes > MAX_RATIO * num_packed


def check_count(path: Path, num_members: int) -> None:
    """Raise DataError if an archive has too many members."""
    if num_members > MAX_MEMBERS:
        raise DataError(
            f"{path} has {num_members} members, expected at most {MAX_MEMBERS}; divide it into several or unpack it"
        )


def check_total(path: Path, num_bytes: int, num_packed: int) -> None:
    """Raise DataError if an archive unpacks to far more than pictures do, be it by naming one part many times."""
    if num_bytes > TOTAL_FREE_BYTES and num_bytes > MAX_RATIO * num_packed:
        raise DataError(
            f"{path} unpacks to more than {MAX_RATIO} times its {num_packed} bytes, expected an archive of pictures; "
            "if you trust it, unpack it and name the folder"
        )
