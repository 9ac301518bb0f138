"""Pictures in a zip, read member by member: nothing is ever unpacked under a name that the archive chose."""

import collections
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ui2i.datasets.ingestion.limits import check_count, check_total, is_bomb
from ui2i.datasets.ingestion.members import (
    Member,
    Source,
    is_hidden,
    is_unsafe,
    looks_like_picture,
    printable,
    suffix_of,
)
from ui2i.errors import DataError


class ZipSource(Source):
    """The members of a zip."""

    def __init__(self, path: Path) -> None:
        """Read the table of contents.

        Raises:
            DataError: it is no zip, is damaged, or holds or unpacks to more than the limits allow.
        """
        try:
            self._archive = zipfile.ZipFile(path)
        except Exception as error:  # on a damaged table of contents zipfile raises whatever its parsing meets
            raise DataError(
                f"{path} cannot be opened as a zip ({error}), expected a complete one; fetch it again"
            ) from error
        try:
            infos = self._archive.infolist()
            check_count(path, len(infos))
            check_total(path, sum(info.file_size for info in infos), path.stat().st_size)
            passed_over: collections.Counter[str] = collections.Counter()
            super().__init__(_members(infos, passed_over), passed_over)
        except BaseException:
            self._archive.close()
            raise

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    def _read(self, member: Member) -> bytes:
        # By the entry, not by its name: names need not be unique.
        return self._archive.read(member.key)


def _members(infos: list[zipfile.ZipInfo], passed_over: collections.Counter[str]) -> Iterator[Member]:
    for info in infos:
        path = printable(info.filename)
        if info.is_dir() or is_hidden(path):
            continue
        if looks_like_picture(path):
            yield Member(path, info.file_size, info, _fault(path, info))
        else:
            passed_over[suffix_of(path)] += 1


def _fault(path: str, info: zipfile.ZipInfo) -> str | None:
    if is_unsafe(path):
        return "unsafe_name"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link"
    return "decompression_bomb" if is_bomb(info.file_size, info.compress_size) else None
