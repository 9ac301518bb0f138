"""Result tables: nothing is lost, overwritten or silently converted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from table_rows import FINGERPRINTS, SCHEMAS, fingerprint, row
from table_rows import schema as schema

from ui2i import tables
from ui2i.errors import DataError
from ui2i.tables import (
    DISTANCE_SCHEMA,
    TRAINING_SCHEMA,
    TRANSLATION_SCHEMA,
    append_rows,
    read_rows,
    read_table,
    write_table,
)


def test_rows_come_back(tmp_path: Path, schema: pa.Schema) -> None:
    rows = [row(schema, index) for index in range(3)]
    write_table(tmp_path / "new" / "table.parquet", rows, schema)
    frame = read_table(tmp_path / "new" / "table.parquet", schema)
    assert list(frame.columns) == schema.names
    assert frame.to_dict("records") == rows
    assert read_rows(tmp_path / "new" / "table.parquet", schema) == rows
    written = pq.read_schema(tmp_path / "new" / "table.parquet").metadata
    assert written[b"schema_version"] == schema.metadata[b"schema_version"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.parquet"]


def test_appending_keeps_what_is_there(tmp_path: Path, schema: pa.Schema) -> None:
    path = tmp_path / "new" / "table.parquet"
    append_rows(path, [row(schema, 0), row(schema, 1)], schema)
    append_rows(path, [row(schema, 2)], schema)
    append_rows(path, [], schema)
    assert read_table(path, schema).to_dict("records") == [row(schema, index) for index in range(3)]


def test_writing_replaces_what_is_there(tmp_path: Path, schema: pa.Schema) -> None:
    write_table(tmp_path / "table.parquet", [row(schema, 0)], schema)
    write_table(tmp_path / "table.parquet", [row(schema, 1)], schema)
    assert read_table(tmp_path / "table.parquet", schema).to_dict("records") == [row(schema, 1)]


def test_table_without_rows(tmp_path: Path, schema: pa.Schema) -> None:
    write_table(tmp_path / "table.parquet", [], schema)
    frame = read_table(tmp_path / "table.parquet", schema)
    assert len(frame) == 0
    assert list(frame.columns) == schema.names


def test_nullable_columns_may_be_left_out(tmp_path: Path) -> None:
    short = row(DISTANCE_SCHEMA, swapped_share=None, dataset_hash=None)
    del short["swap_resolution"]
    write_table(tmp_path / "table.parquet", [short, row(DISTANCE_SCHEMA, swap_resolution=8)], DISTANCE_SCHEMA)
    frame = read_table(tmp_path / "table.parquet", DISTANCE_SCHEMA)
    assert isinstance(frame["swap_resolution"].dtype, pd.Int64Dtype)
    assert frame["swap_resolution"].isna().tolist() == [True, False]
    assert frame["swap_resolution"][1] == 8
    assert np.isnan(frame["swapped_share"][0])
    assert pd.isna(frame["dataset_hash"][0])


def test_numpy_scalars_and_whole_numbers(tmp_path: Path) -> None:
    numbers = row(TRAINING_SCHEMA, kimg=np.float32(0.5), seconds=np.int64(3), r1=1)
    write_table(tmp_path / "table.parquet", [numbers], TRAINING_SCHEMA)
    frame = read_table(tmp_path / "table.parquet", TRAINING_SCHEMA)
    assert (frame["kimg"][0], frame["seconds"][0], frame["r1"][0]) == (0.5, 3.0, 1.0)
    assert (frame.dtypes == np.float64).all()


def test_time_is_utc(tmp_path: Path) -> None:
    write_table(tmp_path / "table.parquet", [row(DISTANCE_SCHEMA)], DISTANCE_SCHEMA)
    measured_at = read_table(tmp_path / "table.parquet", DISTANCE_SCHEMA)["measured_at"]
    assert measured_at[0] == datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert str(measured_at.dt.tz) == "UTC"


@pytest.mark.parametrize("function", [write_table, append_rows])
def test_wrong_columns_are_named(tmp_path: Path, function: Any) -> None:
    wrong = row(TRAINING_SCHEMA, lpipz=1.0, seconds=None)
    del wrong["kimg"]
    path = tmp_path / "table.parquet"
    with pytest.raises(DataError, match=r"row 1 of a training table.*unknown: lpipz; missing or null: kimg, seconds"):
        function(path, [row(TRAINING_SCHEMA), wrong], TRAINING_SCHEMA)
    assert not path.exists()


@pytest.mark.parametrize(("column", "wrong"), [("seed", "one"), ("seed", 1.5), ("mean", "0.4"), ("run_id", 7)])
def test_wrong_type_is_named(tmp_path: Path, column: str, wrong: object) -> None:
    with pytest.raises(DataError, match=rf"column {column} of a distance table.*expected"):
        write_table(tmp_path / "table.parquet", [row(DISTANCE_SCHEMA, **{column: wrong})], DISTANCE_SCHEMA)


def other_version(schema: pa.Schema) -> pa.Schema:
    return schema.with_metadata(dict(schema.metadata) | {b"schema_version": b"1"})


def other_columns(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("extra", pa.string()))


def other_table(schema: pa.Schema) -> pa.Schema:
    return schema.with_metadata({b"schema_version": b"1", b"table": b"other"})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (other_version, "training table of schema version 1, expected a training table of schema version 2;"),
        (other_columns, r"columns that differ: extra\)"),
        (other_table, "other table of schema version 1, expected a training"),
        (lambda schema: schema.remove_metadata(), "unknown table of schema version unknown"),
    ],
)
def test_other_tables_are_refused_and_stay(tmp_path: Path, change: Any, match: str) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, [row(change(TRAINING_SCHEMA))], change(TRAINING_SCHEMA))
    before = path.read_bytes()
    with pytest.raises(DataError, match=match):
        append_rows(path, [row(TRAINING_SCHEMA)], TRAINING_SCHEMA)
    with pytest.raises(DataError, match=match):
        read_table(path, TRAINING_SCHEMA)
    assert path.read_bytes() == before


def test_damaged_file_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    for read in (lambda: read_table(path, TRAINING_SCHEMA), lambda: append_rows(path, [], TRAINING_SCHEMA)):
        with pytest.raises(DataError, match="cannot be read"):
            read()
    assert path.read_bytes() == b"PAR1 and then nothing"


@pytest.mark.parametrize("schema", [DISTANCE_SCHEMA, TRANSLATION_SCHEMA], ids=["distance", "translation"])
def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(tmp_path: Path, schema: pa.Schema) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, [row(schema, index) for index in range(40)], schema)
    whole, rows = path.read_bytes(), read_rows(path, schema)
    found = 0
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            assert read_rows(path, schema) == rows, place
        except DataError:
            found += 1
    assert found > 100


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.parquet does not exist, expected a distance table"):
        read_table(tmp_path / "absent.parquet", DISTANCE_SCHEMA)


def test_failed_write_keeps_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    append_rows(path, [row(TRAINING_SCHEMA)], TRAINING_SCHEMA)

    def fail(table: pa.Table, where: Path, **_: object) -> None:
        where.write_bytes(b"half a ta")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fail)
        with pytest.raises(OSError, match="no space"):
            append_rows(path, [row(TRAINING_SCHEMA, 1)], TRAINING_SCHEMA)
    assert read_table(path, TRAINING_SCHEMA).to_dict("records") == [row(TRAINING_SCHEMA)]


def test_simultaneous_appends_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: append_rows(path, [row(TRAINING_SCHEMA, index)], TRAINING_SCHEMA), range(24)))
    assert sorted(read_table(path, TRAINING_SCHEMA)["kimg"]) == [index + 0.5 for index in range(24)]


def test_locked_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LOCK_TIMEOUT_SECONDS", 0.05)
    with FileLock(tmp_path / ".table.parquet.lock"), pytest.raises(DataError, match="locked by another process"):
        append_rows(tmp_path / "table.parquet", [row(TRAINING_SCHEMA)], TRAINING_SCHEMA)


def test_reading_does_not_depend_on_the_folders_name(tmp_path: Path) -> None:
    path = tmp_path / "domain=cartoon" / "table.parquet"
    write_table(path, [row(DISTANCE_SCHEMA)], DISTANCE_SCHEMA)
    assert read_table(path, DISTANCE_SCHEMA)["domain"].tolist() == ["domain 0"]


def test_schema_changes_with_its_version() -> None:
    found = {(name, int(schema.metadata[b"schema_version"])): fingerprint(schema) for name, schema in SCHEMAS.items()}
    assert found == FINGERPRINTS
