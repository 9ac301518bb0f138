"""Write a Parquet file row by row, holding no more of it in memory than one row group."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class TableWriter:
    """Collects rows and writes them a row group at a time; the file is whole after `close`."""

    def __init__(self, path: Path, schema: pa.Schema, *, row_group_size: int = 1000, **options: Any) -> None:
        """Open the file; `options` are those of `pyarrow.parquet.ParquetWriter`."""
        self._schema = schema
        self._row_group_size = row_group_size
        self._rows: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(path, schema, **options)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self._rows.append(row)
        if len(self._rows) == self._row_group_size:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []
