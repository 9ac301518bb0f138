"""The records of a zip file as views of its bytes. Nothing is unpacked and nothing is written.

torch stores records as they are, so in its files a compressed record is refused; so are, in any, names that lead out of
the archive, names that occur twice and records that are not where they should be. Python's `zipfile` makes an object
for as many entries as a file holds, which a forged directory can make many.
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterator

from ui2i.converters.inert import DAMAGED, RefusedError
from ui2i.untrusted import shown

MAX_RECORDS = 20_000  # a training checkpoint of 1024 px with its optimisers has about 1,500

_END = struct.Struct("<4s4H2IH")  # end of central directory
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")  # of the central directory
_LOCAL = struct.Struct("<4s5H3I2H")  # header in front of a record
_EXTRA = struct.Struct("<HH")
_MAX_COMMENT = 65_535
_IS_LARGE = 0xFFFFFFFF  # a number that stands in the field of zip64

STORED, DEFLATED = 0, 8  # methods


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in the file."""

    name: str
    data: memoryview
    method: int
    is_encrypted: bool
    num_bytes: int  # unpacked, as the file claims
    crc32: int  # of the unpacked bytes; torch writes 0 where it was told not to compute it

    def stored(self) -> memoryview:
        """Return the bytes of a record that is not packed.

        Raises:
            RefusedError: it is.
        """
        if self.method != STORED or self.is_encrypted or len(self.data) != self.num_bytes:
            raise RefusedError(
                f"has the compressed or encrypted record {shown(self.name)}, expected stored ones as torch writes "
                "them; save it again with torch"
            )
        return self.data

    def checked(self) -> memoryview:
        """Return the bytes of a small record that is not packed.

        Raises:
            RefusedError: it is, or has another checksum.
        """
        data = self.stored()
        if self.crc32 and zlib.crc32(data) != self.crc32:
            raise RefusedError(
                f"has a record {shown(self.name)} of another checksum than it says, expected the same; {DAMAGED}"
            )
        return data


def read_directory(data: memoryview) -> dict[str, Record]:
    """Return the records of a zip by name, packed as they are.

    Raises:
        RefusedError: it is no whole zip.
    """
    count, start, end = _find_directory(data)
    records: dict[str, Record] = {}
    for name, offset, packed, record in _entries(data[start:end], count):
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or "\0" in name:
            raise RefusedError(f"has a record named {shown(name)}, expected names inside the archive; {DAMAGED}")
        if name in records:
            raise RefusedError(f"has two records named {shown(name)}, expected one; {DAMAGED}")
        records[name] = dataclasses.replace(record, data=_record(data, name, offset, packed))
    return records


def _find_directory(data: memoryview) -> tuple[int, int, int]:
    """Return the number of entries and where they lie."""
    tail_start = max(0, len(data) - _END.size - _MAX_COMMENT)
    at = bytes(data[tail_start:]).rfind(b"PK\x05\x06")
    if at < 0 or tail_start + at + _END.size > len(data):
        raise RefusedError("has no directory at its end, expected a whole zip archive; fetch it again")
    _, _, _, _, count, size, start, _ = _END.unpack_from(data, tail_start + at)
    locator = tail_start + at - _END64_LOCATOR.size
    if locator >= 0 and bytes(data[locator : locator + 4]) == b"PK\x06\x07":
        end64 = _END64_LOCATOR.unpack_from(data, locator)[2]
        if end64 + _END64.size > len(data) or bytes(data[end64 : end64 + 4]) != b"PK\x06\x06":
            raise RefusedError(f"has a directory that points outside it, expected a whole zip archive; {DAMAGED}")
        *_, count, size, start = _END64.unpack_from(data, end64)
    if start + size > len(data) or count > MAX_RECORDS:
        raise RefusedError(
            f"announces {count:,} records in {size:,} bytes at {start:,}, expected at most {MAX_RECORDS:,} inside its "
            f"{len(data):,} bytes; {DAMAGED}"
        )
    return count, start, start + size


def _entries(directory: memoryview, count: int) -> Iterator[tuple[str, int, int, Record]]:
    """Yield name, offset of the local header, size in the file, and the record without its bytes."""
    position = 0
    for _ in range(count):
        if position + _ENTRY.size > len(directory):
            raise RefusedError(f"has a directory that ends early, expected {count:,} entries; {DAMAGED}")
        fields = _ENTRY.unpack_from(directory, position)
        signature, flags, method, crc32, packed, size = fields[0], *fields[3:5], *fields[7:10]
        name_size, extra_size, comment_size, offset = fields[10], fields[11], fields[12], fields[16]
        name_start = position + _ENTRY.size
        extra_start = name_start + name_size
        name = bytes(directory[name_start:extra_start]).decode("utf-8", "backslashreplace")
        if signature != b"PK\x01\x02":
            raise RefusedError(f"has no entry at byte {position:,} of its directory, expected one; {DAMAGED}")
        size, packed, offset = _large(directory[extra_start : extra_start + extra_size], size, packed, offset)
        yield name, offset, packed, Record(name, directory[:0], method, bool(flags & 1), size, crc32)
        position = extra_start + extra_size + comment_size


def _large(extra: memoryview, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Take numbers that do not fit 32 bits from the field of zip64."""
    position = 0
    while position + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, position)
        position += _EXTRA.size
        if kind == 1:
            field = bytes(extra[position : position + length])
            numbers = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            large = [next(numbers, value) if value == _IS_LARGE else value for value in (size, packed, offset)]
            return large[0], large[1], large[2]
        position += length
    return size, packed, offset


def _record(data: memoryview, name: str, offset: int, size: int) -> memoryview:
    if offset + _LOCAL.size <= len(data) and bytes(data[offset : offset + 4]) == b"PK\x03\x04":
        *_, name_size, extra_size = _LOCAL.unpack_from(data, offset)
        start = offset + _LOCAL.size + name_size + extra_size
        if start + size <= len(data):
            return data[start : start + size]
    raise RefusedError(f"lacks the {size:,} bytes of record {shown(name)}, expected a whole file; fetch it again")
