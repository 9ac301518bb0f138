"""Images in the column of a Parquet file, as Hugging Face datasets store them: a struct of `bytes` and `path`.

A column of plain bytes does as well. Rows keep their order; a row's path is its number, then the name it came with.
Arrow's reader has no limits of its own, so what the pages unpack to is checked before it unpacks them.
"""

import bisect
import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ui2i.errors import DataError
from ui2i.images.limits import MIN_ROW_BYTES, Account, check_count, is_bomb_page, unpacks_to_too_much
from ui2i.images.members import Member, Source, opening
from ui2i.images.parquet_pages import read_pages
from ui2i.names import file_name

_BATCH_ROWS = 16
_NAMES_BATCH_ROWS = 1 << 14
_BATCH_BYTES = 1 << 26  # if every row had a value as large as its page; one row has as much as it has
_USUAL_NAMES = ("image", "img", "picture", "png")


class ParquetSource(Source):
    """The rows of a Parquet file."""

    def __init__(self, path: Path) -> None:
        """Find the column of images, and the names in it.

        Raises:
            DataError: it is no Parquet file, is damaged, has no column of images, or several, or holds or unpacks to
                more than the limits allow.
        """
        with opening(path, "a Parquet file") as opened:
            self._file = opened.enter_context(pq.ParquetFile(path))
            self._account = Account(path)
            _check_rows(path, self._file.metadata.num_rows)
            column = _find_column(self._file.schema_arrow, path)
            is_struct = pa.types.is_struct(self._file.schema_arrow.field(column).type)
            self._leaf = f"{column}.bytes" if is_struct else column
            with path.open("rb") as handle:
                largest = _largest_page(self._file.metadata, self._leaf, handle, path)
                self._batch_rows = _rows_of_batch(_BATCH_ROWS, largest)
                largest = _largest_page(self._file.metadata, f"{column}.path", handle, path)
                super().__init__(self._members(f"{column}.path", _rows_of_batch(_NAMES_BATCH_ROWS, largest)))
            self._opened = opened.pop_all()
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._group = -1  # row group that is being read
        self._rows: Iterator[tuple[int, Any]] = iter(())
        self._at = -1  # row that was read last

    def _members(self, names_leaf: str, batch_rows: int) -> Iterator[Member]:
        names = self._names(names_leaf, batch_rows)
        for row in range(self._file.metadata.num_rows):
            name = file_name(PurePosixPath((next(names, None) or "").replace("\\", "/")).name)
            yield Member(f"{row:08d}/{name}" if name else f"{row:08d}", 0, row)

    def _names(self, leaf: str, batch_rows: int) -> Iterator[str | None]:
        """Yield the name in each row, without reading the images."""
        schema = self._file.metadata.schema
        if leaf in [schema.column(index).path for index in range(len(schema))]:
            for batch in self._file.iter_batches(batch_rows, columns=[leaf]):
                self._account.add(batch.nbytes)
                for value in batch.column(0).to_pylist():
                    yield value and value.get("path")

    def _read(self, member: Member) -> bytes:
        """Return the image of a row; rows are mostly asked for in their order."""
        row = member.key
        group = bisect.bisect_right(self._starts, row) - 1
        if group != self._group or row <= self._at:
            self._group, self._rows = group, self._rows_of(group)
        self._at, value = next(item for item in self._rows if item[0] == row)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise OSError("the row has no bytes")
        self._account.add(len(data))
        return data

    def _rows_of(self, group: int) -> Iterator[tuple[int, Any]]:
        """Yield number and value of the rows of a row group, a few in memory at a time."""
        batches = self._file.iter_batches(self._batch_rows, row_groups=[group], columns=[self._leaf])
        return enumerate((value for batch in batches for value in batch.column(0).to_pylist()), self._starts[group])


def _check_rows(path: Path, num_rows: int) -> None:
    check_count(path, num_rows)
    num_bytes = path.stat().st_size
    if num_rows * MIN_ROW_BYTES > num_bytes:
        raise DataError(
            f"{path} says that it has {num_rows} rows in {num_bytes} bytes, expected images; fetch it again"
        )


def _largest_page(metadata: pq.FileMetaData, leaf: str, handle: BinaryIO, path: Path) -> int:
    """Return what the largest page of a column unpacks to, in bytes; 0: there is no such column.

    Raises:
        DataError: a page unpacks to more than the limits allow.
        ValueError: what should be pages is something else.
    """
    largest = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema != leaf:
                continue
            start = column.data_page_offset
            if column.dictionary_page_offset:
                start = min(start, column.dictionary_page_offset)
            pages = read_pages(handle, start, start + column.total_compressed_size)
            for count, page in enumerate(pages):
                if is_bomb_page(*page):
                    raise unpacks_to_too_much(path, page.num_packed)
                if count > column.num_values:  # the dictionary, then at least one value a page
                    raise ValueError("it has more pages than values")
                largest = max(largest, page.num_bytes)
    return largest


def _rows_of_batch(most: int, largest_page: int) -> int:
    return max(1, min(most, _BATCH_BYTES // max(1, largest_page)))


def _find_column(schema: pa.Schema, path: Path) -> str:
    """Return the name of the column of images: the only one it can be, or the one with a usual name."""
    found = [field.name for field in schema if _may_be_images(field.type)]
    usual = [name for name in found if name in _USUAL_NAMES]
    for names in (found, usual):
        if len(names) == 1:
            return names[0]
    raise DataError(
        f"{path} has {len(found)} columns that may be images ({', '.join(found) or 'none'}), expected one, of bytes "
        "or of a struct with bytes; name it image"
    )


def _may_be_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_binary(kind.field(i).type) for i in range(kind.num_fields))
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
