"""Images in a zip, read member by member: nothing is ever unpacked under a name that the archive chose.

A member is decompressed here and not by `zipfile`, which believes the size in the table of contents: it would unpack
all of a member that says it is small, and a bzip2 of 4 kB can hold 4 GB.
"""

import bz2
import collections
import copy
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ui2i.images.decoding import check_file_size
from ui2i.images.limits import Account, check_count, check_total, is_bomb
from ui2i.images.members import Member, Source, is_unsafe, opening, takes_part
from ui2i.names import printable_path

_LZMA_HEADER = struct.Struct("<2xH")  # version, length of the properties
_LZMA_MEMORY_BYTES = 1 << 28  # of the decoder


class ZipSource(Source):
    """The members of a zip."""

    def __init__(self, path: Path) -> None:
        """Read the table of contents.

        Raises:
            DataError: it is no zip, is damaged, or holds or unpacks to more than the limits allow.
        """
        with opening(path, "a zip") as opened:
            self._archive = opened.enter_context(zipfile.ZipFile(path))
            infos = self._archive.infolist()
            check_count(path, len(infos))
            check_total(path, sum(info.file_size for info in infos), path.stat().st_size)
            self._account = Account(path)
            passed_over: collections.Counter[str] = collections.Counter()
            super().__init__(_members(infos, passed_over), passed_over)
            self._opened = opened.pop_all()

    def _read(self, member: Member) -> bytes:
        # By the entry, not by its name: names need not be unique.
        info: zipfile.ZipInfo = member.key
        check_file_size(info.compress_size, member.path)
        raw = copy.copy(info)
        raw.compress_type, raw.file_size = zipfile.ZIP_STORED, info.compress_size
        raw.CRC = None  # type: ignore[assignment]  # which zipfile takes for: not to be checked
        with self._archive.open(raw) as handle:
            packed = handle.read(info.compress_size + 1)
        data = _unpack(packed, info, info.file_size + 1)
        self._account.add(len(data))
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its size or checksum is not what the table of contents says")
        return data


def _unpack(packed: bytes, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """Return at most `max_bytes` of what a member unpacks to."""
    if info.compress_type == zipfile.ZIP_STORED:
        return packed[:max_bytes]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, max_bytes)
    if info.compress_type == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, max_bytes)
    if info.compress_type == zipfile.ZIP_LZMA:
        return _unpack_lzma(packed, max_bytes)
    raise RuntimeError(f"compression method {info.compress_type}")


def _unpack_lzma(packed: bytes, max_bytes: int) -> bytes:
    """The same of LZMA, of which a zip keeps the properties in a header of its own, and the length elsewhere."""
    (length,) = _LZMA_HEADER.unpack_from(packed)
    start = _LZMA_HEADER.size
    header = packed[start : start + length] + struct.pack("<q", -1)  # -1: up to the mark of the end, or to ours
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY_BYTES)
    return decoder.decompress(header + packed[start + length :], max_bytes)


def _members(infos: list[zipfile.ZipInfo], passed_over: collections.Counter[str]) -> Iterator[Member]:
    for info in infos:
        path = printable_path(info.filename)
        if not info.is_dir() and takes_part(path, passed_over):
            yield Member(path, info.file_size, info, _fault(path, info))


def _fault(path: str, info: zipfile.ZipInfo) -> str | None:
    if is_unsafe(path):
        return "unsafe_name"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link"
    return "decompression_bomb" if is_bomb(info.file_size, info.compress_size) else None
