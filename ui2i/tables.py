"""The Parquet tables of results: written atomically, appended to without losing a row. Columns: `ui2i.schemas`.

A file of an older version in `READABLE_VERSIONS` is read as the current one: its columns have older names, or some that
may be null are missing. Any other version is refused, never converted or replaced on the way, because a column that
changed its meaning is worse than a missing one.
"""

import operator
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ui2i.errors import DataError
from ui2i.files import atomic_file
from ui2i.schemas import DISTANCE_SCHEMA as DISTANCE_SCHEMA  # what reads tables finds their columns here
from ui2i.schemas import EVALUATION_SCHEMA as EVALUATION_SCHEMA
from ui2i.schemas import INVERSION_SCHEMA as INVERSION_SCHEMA
from ui2i.schemas import INVERTED_SCHEMA as INVERTED_SCHEMA
from ui2i.schemas import KEPT_SCHEMA as KEPT_SCHEMA
from ui2i.schemas import LATENT_DISTANCE_SCHEMA as LATENT_DISTANCE_SCHEMA
from ui2i.schemas import PAPER_TABLE_SCHEMA as PAPER_TABLE_SCHEMA
from ui2i.schemas import STYLE_LAYERS_SCHEMA as STYLE_LAYERS_SCHEMA
from ui2i.schemas import SWAP_CHOICE_SCHEMA as SWAP_CHOICE_SCHEMA
from ui2i.schemas import TRAINING_SCHEMA as TRAINING_SCHEMA
from ui2i.schemas import TRANSLATION_SCHEMA as TRANSLATION_SCHEMA
from ui2i.schemas import TRUTH_SCHEMA as TRUTH_SCHEMA

if TYPE_CHECKING:
    import pandas as pd

LOCK_TIMEOUT_SECONDS = 60.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


RENAMED_COLUMNS = {
    "trunk": "backbone",
    "trunk_hash": "backbone_hash",
    "picture": "image",
    "num_pictures": "num_images",
    "drawn_seed": "synthetic_seed",
    "drawn_index": "synthetic_index",
    "code_error": "latent_error",
    **{f"code_error_{part}": f"latent_error_{part}" for part in ("ci95_low", "ci95_high")},
}
"""Columns of version 0.1 by their names of today."""

_RENAMED_INPUTS = {"pictures": "images"}  # values of the column `inputs`


def _modernize(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table the names of today and the columns that it lacks, without values.

    Returned as it is if that does not make it a table of the schema.
    """
    names = [RENAMED_COLUMNS.get(name, name) for name in table.column_names]
    table = table.rename_columns(names).replace_schema_metadata(table.schema.metadata)
    if "inputs" in table.column_names and "inputs" in schema.names:
        values = [_RENAMED_INPUTS.get(value, value) for value in table["inputs"].to_pylist()]
        place = table.column_names.index("inputs")
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    fits = all(field in list(schema) for field in table.schema)
    if not fits or any(field.name not in table.column_names and not field.nullable for field in schema):
        return table
    arrays = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


READABLE_VERSIONS = {
    "distance": ("1", "2"),  # version 2 says more of the source, the swap and the machine
    "translation": ("1", "2", "3"),  # 2 says more of the latent code and what was done with it, 4 of the input
    "latents": ("2",),
    "figure-measures": ("1",),
    "evaluation": ("1", "2"),  # version 3 can have a Frechet distance on another network, with a standard error
    **dict.fromkeys(
        ("swap-choice", "inverted", "inversion", "style-layers", "truth", "kept"), ("1",)
    ),  # these, and the last of the others, have older names of columns alone
}
"""Older versions of each table that are read as the current one."""


def write_table(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` as the whole content of `path`, atomically.

    Args:
        rows: column -> value; nullable columns may be left out.

    Raises:
        DataError: a column is unknown, missing or null, or a value has the wrong type.
    """
    _write(path, _to_arrow(rows, schema))


def append_rows(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Add `rows` after those in `path`, which is made if absent. Processes that append at the same time wait in turn.

    The lock is a file `.<name>.lock` beside the table; it stays there and holds nothing.

    Raises:
        DataError: as `write_table`; or the file is not a table of this schema and version; or another process has
            kept it locked for a minute. The file is unchanged then.
    """
    path = Path(path)
    added = _to_arrow(rows, schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_TIMEOUT_SECONDS):
            present = [_read(path, schema)] if path.exists() else []
            _write(path, pa.concat_tables([*present, added]))
    except Timeout as error:
        raise DataError(
            f"{path} has been locked by another process for {LOCK_TIMEOUT_SECONDS:g} s, expected a free table; "
            "wait for that process to end and try again"
        ) from error


def read_table(path: str | os.PathLike[str], schema: pa.Schema) -> "pd.DataFrame":
    """Return a table's rows in their order. Whole numbers are pandas' Int64, so that a missing one stays missing.

    Raises:
        DataError: the file is missing or damaged, or is not a table of this schema and version.

    Examples:
        >>> row = {"run_id": "1", "source": "face", "target": "cartoon", "latent": 0, "distance": 0.5}
        >>> write_table("latents.parquet", [row], LATENT_DISTANCE_SCHEMA)
        >>> read_table("latents.parquet", LATENT_DISTANCE_SCHEMA)["distance"].tolist()
        [0.5]
    """
    import pandas as pd

    return _read_existing(path, schema).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def has_schema(path: str | os.PathLike[str], schema: pa.Schema) -> bool:
    """Return whether a file is a table of a schema, of whichever version that can be read."""
    try:
        read_table(path, schema)
    except DataError:
        return False
    return True


def read_rows(path: str | os.PathLike[str], schema: pa.Schema) -> list[dict[str, Any]]:
    """Return a table's rows in their order, column -> value; does without pandas, whose import takes a second.

    Raises:
        DataError: as `read_table`.
    """
    table = _read_existing(path, schema)
    columns = [_values(table[name]) for name in table.schema.names]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; a time, for which pyarrow would import pandas, by way of its microseconds."""
    if not pa.types.is_timestamp(column.type):
        values: list[Any] = column.to_pylist()
        return values
    ticks = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    return [None if value is None else _EPOCH + timedelta(microseconds=value) for value in ticks]


def _read_existing(path: str | os.PathLike[str], schema: pa.Schema) -> pa.Table:
    if not Path(path).is_file():
        raise DataError(f"{path} does not exist, expected a {_title(schema)}; run the stage that makes it")
    return _read(path, schema)


def _to_arrow(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    for index, row in enumerate(rows):
        _check_columns(row, schema, index)
    arrays = [_to_array([row.get(field.name) for row in rows], field, schema) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _check_columns(row: Mapping[str, Any], schema: pa.Schema, index: int) -> None:
    unknown = [name for name in row if name not in schema.names]
    missing = [field.name for field in schema if not field.nullable and row.get(field.name) is None]
    if unknown or missing:
        faults = [f"unknown: {', '.join(unknown)}"] if unknown else []
        faults += [f"missing or null: {', '.join(missing)}"] if missing else []
        raise DataError(
            f"row {index} of a {_title(schema)} has the wrong columns ({'; '.join(faults)}), expected "
            f"{', '.join(schema.names)}; correct the row, or the schema and its version"
        )


def _to_array(values: list[Any], field: pa.Field, schema: pa.Schema) -> pa.Array:
    try:
        if pa.types.is_integer(field.type):
            values = [None if value is None else operator.index(value) for value in values]  # pyarrow cuts 1.5 to 1
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"column {field.name} of a {_title(schema)} has an unsuitable value ({error}), expected {field.type}; "
            "convert it first"
        ) from error


def _write(path: str | os.PathLike[str], table: pa.Table) -> None:
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def read_parquet(path: str | os.PathLike[str], what: str = "Parquet table") -> pa.Table:
    """Return a Parquet file's rows, whatever its columns are.

    Tables that were written here carry checksums, which are compared; texts and lists of all are checked.

    Args:
        what: was expected, for the message.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    try:
        # As one file: read_table would take its folder's name for a partition.
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        table.validate(full=True)
        for name in table.schema.names:  # what is no UTF-8 shows on being asked for
            table.schema.field(name)
        _identity(table.schema)
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        raise DataError(
            f"{path} cannot be read ({error}), expected a {what}; delete it or fetch it again with dvc"
        ) from error
    return table


def _read(path: str | os.PathLike[str], schema: pa.Schema) -> pa.Table:
    table = read_parquet(path, _title(schema))
    name, version = _identity(table.schema)
    if name == _identity(schema)[0] and version in READABLE_VERSIONS.get(name, ()):
        table = _modernize(table, schema)
    if not table.schema.equals(schema) or _identity(table.schema) != _identity(schema):
        raise DataError(
            f"{path} is a {_title(table.schema)}, expected a {_title(schema)}"
            f"{_column_difference(table.schema, schema)}; "
            "move it away and make it anew, or read it with the ui2i that wrote it"
        )
    return pa.Table.from_arrays(table.columns, schema=schema)  # a file of before lacks the columns' descriptions


def _identity(schema: pa.Schema) -> tuple[str, str]:
    metadata = schema.metadata or {}
    return metadata.get(b"table", b"unknown").decode(), metadata.get(b"schema_version", b"unknown").decode()


def _title(schema: pa.Schema) -> str:
    table, version = _identity(schema)
    return f"{table} table of schema version {version}"


def _column_difference(found: pa.Schema, expected: pa.Schema) -> str:
    names = [field.name for field in expected if field not in list(found)]
    names += [field.name for field in found if field not in list(expected)]
    return f" (columns that differ: {', '.join(dict.fromkeys(names))})" if names else ""
