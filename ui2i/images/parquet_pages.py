"""What the pages of a Parquet file unpack to, by their own headers, before anything is unpacked.

A column's pages lie one after the other, each behind a header in Thrift's compact protocol. The reader of Arrow makes
room for what a header says and has no limit, so that a few bytes can take gigabytes. Only sizes are read here.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_PAGE_HEADER_BYTES = 1 << 24  # as Arrow has it; a header can repeat a whole value as its page's minimum

_FIRST_READ_BYTES = 1 << 10
_MAX_DEPTH = 16
_UNPACKED_FIELD, _PACKED_FIELD = 2, 3  # of PageHeader in Parquet's format
# Types of fields in the compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)


class Page(NamedTuple):
    """One page of a column."""

    num_bytes: int  # that it unpacks to
    num_packed: int


class _ShortError(Exception):
    """The header goes on behind the bytes that were read."""


def read_pages(handle: BinaryIO, start: int, stop: int) -> Iterator[Page]:
    """Yield the pages of a column that lies from `start` to `stop` in a file.

    Raises:
        ValueError: there is something else.
    """
    while start < stop:
        header = _read_header(handle, start, stop)
        start += header.length + header.num_packed
        if start > stop:
            raise ValueError("a page goes on behind its column")
        yield Page(header.num_bytes, header.num_packed)


class _Header(NamedTuple):
    length: int  # bytes of the header itself
    num_bytes: int
    num_packed: int


def _read_header(handle: BinaryIO, start: int, stop: int) -> _Header:
    size = _FIRST_READ_BYTES
    while True:
        handle.seek(start)
        data = handle.read(min(size, stop - start))
        try:
            return _Cursor(data).page_header()
        except _ShortError:
            if len(data) < size or size >= MAX_PAGE_HEADER_BYTES:
                raise ValueError("a page has no header") from None
            size *= 16


class _Cursor:
    """Reads values of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def page_header(self) -> _Header:
        """Return the sizes in a PageHeader."""
        sizes: dict[int, int] = {}
        for number, kind in self._fields():
            if number in (_UNPACKED_FIELD, _PACKED_FIELD) and kind == _I32:
                sizes[number] = self._zigzag()
            else:
                self._skip(kind, depth=0)
        num_bytes, num_packed = sizes.get(_UNPACKED_FIELD, -1), sizes.get(_PACKED_FIELD, -1)
        if num_bytes < 0 or num_packed < 0:
            raise ValueError("a page has no size")
        return _Header(self._place, num_bytes, num_packed)

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of the fields of a struct; the value is to be read before the next."""
        number = 0
        while (head := self._byte()) & 0x0F != _STOP:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            yield number, head & 0x0F

    def _skip(self, kind: int, *, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("a page's header is too deep")
        if kind in (_I16, _I32, _I64):
            self._varint()
        elif kind == _BYTE:
            self._forward(1)
        elif kind == _DOUBLE:
            self._forward(8)
        elif kind == _BINARY:
            self._forward(self._varint())
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth=depth + 1)
        elif kind not in (_TRUE, _FALSE):  # no header of a page has lists
            raise ValueError(f"a page's header has a field of type {kind}")

    def _byte(self) -> int:
        self._forward(1)
        return self._data[self._place - 1]

    def _forward(self, count: int) -> None:
        self._place += count
        if self._place > len(self._data):
            raise _ShortError

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number in a page's header is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
