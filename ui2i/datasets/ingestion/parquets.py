"""Pictures in the column of a Parquet file, as Hugging Face datasets store them: a struct of `bytes` and `path`.

A column of plain bytes does as well. Rows keep their order; a row's path is its number, then the name it came with.
"""

import bisect
import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ui2i.datasets.ingestion.limits import check_count
from ui2i.datasets.ingestion.members import Member, Source, printable
from ui2i.errors import DataError

_BATCH_ROWS = 16
_USUAL_NAMES = ("image", "img", "picture", "png")


class ParquetSource(Source):
    """The rows of a Parquet file."""

    def __init__(self, path: Path) -> None:
        """Find the column of pictures, and the names in it.

        Raises:
            DataError: it is no Parquet file, is damaged, or has no column of pictures, or several.
        """
        try:
            self._file = pq.ParquetFile(path)
        except Exception as error:  # ArrowInvalid, OSError and others, as the damage happens to be
            raise _damaged(path, error) from error
        try:
            check_count(path, self._file.metadata.num_rows)
            self._column = _find_column(self._file.schema_arrow, path)
            self._is_struct = pa.types.is_struct(self._file.schema_arrow.field(self._column).type)
            super().__init__(self._members())
        except DataError:
            self._file.close()
            raise
        except Exception as error:  # as above
            self._file.close()
            raise _damaged(path, error) from error
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._group = -1  # row group that is being read
        self._rows: Iterator[tuple[int, Any]] = iter(())
        self._at = -1  # row that was read last

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _members(self) -> Iterator[Member]:
        names = self._names()
        for row in range(self._file.metadata.num_rows):
            name = PurePosixPath(printable(next(names, None) or "").replace("\\", "/")).name
            yield Member(f"{row:08d}/{name}" if name else f"{row:08d}", 0, row)

    def _names(self) -> Iterator[str | None]:
        """Yield the name in each row, without reading the pictures."""
        field = self._file.schema_arrow.field(self._column).type
        if self._is_struct and "path" in [field.field(index).name for index in range(field.num_fields)]:
            for batch in self._file.iter_batches(columns=[f"{self._column}.path"]):
                for value in batch.column(0).to_pylist():
                    yield value and value.get("path")

    def _read(self, member: Member) -> bytes:
        """Return the picture of a row; rows are mostly asked for in their order."""
        row = member.key
        group = bisect.bisect_right(self._starts, row) - 1
        if group != self._group or row <= self._at:
            self._group, self._rows = group, self._rows_of(group)
        self._at, value = next(item for item in self._rows if item[0] == row)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise OSError("the row has no bytes")
        return data

    def _rows_of(self, group: int) -> Iterator[tuple[int, Any]]:
        """Yield number and value of the rows of a row group, a few in memory at a time."""
        batches = self._file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[self._column])
        return enumerate((value for batch in batches for value in batch.column(0).to_pylist()), self._starts[group])


def _find_column(schema: pa.Schema, path: Path) -> str:
    """Return the name of the column of pictures: the only one it can be, or the one with a usual name."""
    found = [field.name for field in schema if _may_be_pictures(field.type)]
    usual = [name for name in found if name in _USUAL_NAMES]
    for names in (found, usual):
        if len(names) == 1:
            return names[0]
    raise DataError(
        f"{path} has {len(found)} columns that may be pictures ({', '.join(found) or 'none'}), expected one, of bytes "
        "or of a struct with bytes; name it image"
    )


def _may_be_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_binary(kind.field(i).type) for i in range(kind.num_fields))
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as Parquet ({error}), expected a complete file; fetch it again")
