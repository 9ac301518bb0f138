"""Tables of older versions are read and appended to."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import FINGERPRINTS, SCHEMAS, fingerprint, row
from table_rows import schema as schema

from ui2i.errors import DataError
from ui2i.tables import (
    DISTANCE_SCHEMA,
    EVALUATION_SCHEMA,
    RENAMED_COLUMNS,
    TRANSLATION_SCHEMA,
    append_rows,
    read_table,
    write_table,
)

# As version 0.1 wrote them, with the names that columns had then.
OLD_FINGERPRINTS = {
    ("distance", 2): "82fa380089d19f1b",
    ("translation", 2): "085e6a95faa8ac42",
    ("truth", 1): "aac5083b118fbe7c",
    ("kept", 1): "da69f29a6ccf0955",
    ("training", 2): "8dabf700af57114c",
    ("latent-distance", 1): "0f19c74b36b34239",
    ("evaluation", 1): "f4ab3fbb3272305d",
    ("swap-choice", 1): "c61f99afe805a782",
    ("paper-table", 1): "d4c54b2f5b866292",
}


def as_of_old(schema: pa.Schema, version: int, left_out: Collection[str] = ()) -> pa.Schema:
    """Return a schema with the names and the version that files of old have."""
    names = {new: old for old, new in RENAMED_COLUMNS.items()}
    fields = [field.with_name(names.get(field.name, field.name)) for field in schema if field.name not in left_out]
    table = schema.metadata[b"table"].decode()
    return pa.schema(fields, metadata={"table": table, "schema_version": str(version)})


def first_distance_schema() -> pa.Schema:
    """Version 1 of the distance table, as files of it have it."""
    added = {"source_mode", "swap_mode", "source_dataset_hash", "device_name", "num_models"}
    return as_of_old(DISTANCE_SCHEMA, 1, added)


DOMAIN_CHECK = {"domain_distance", "looks_like_source", "domain_reference", "reconstructs_as_source"}
FRECHET = {"fd_sem", "fd_network", "fd_network_hash"}
ADDED = {"translation": DOMAIN_CHECK, "evaluation": FRECHET}  # columns that tables with the old names did not have
OLD = [(name, version) for name, version in OLD_FINGERPRINTS if (name, version) not in FINGERPRINTS]


@pytest.mark.parametrize(("name", "version"), OLD)
def test_tables_with_the_names_of_old_are_read(tmp_path: Path, name: str, version: int) -> None:
    path, schema = tmp_path / "table.parquet", SCHEMAS[name]
    old = as_of_old(schema, version, ADDED.get(name, ()))
    assert fingerprint(old) == OLD_FINGERPRINTS[name, version]
    write_table(path, [row(old)], old)
    frame = read_table(path, schema)
    assert list(frame.columns) == schema.names
    names = [RENAMED_COLUMNS.get(column, column) for column in old.names]
    assert list(frame[names].iloc[0]) == list(row(old).values())
    assert frame.drop(columns=names).isna().all(axis=None)
    append_rows(path, [row(schema, 1)], schema)
    assert pq.read_schema(path) == schema


def test_a_translation_without_a_domain_check_is_read(tmp_path: Path) -> None:
    path, fields = tmp_path / "table.parquet", [it for it in TRANSLATION_SCHEMA if it.name not in DOMAIN_CHECK]
    old = pa.schema(fields, metadata={"table": "translation", "schema_version": "3"})
    assert fingerprint(old) == "63b74cd68e7c3f3a"
    write_table(path, [row(old)], old)
    frame = read_table(path, TRANSLATION_SCHEMA)
    assert list(frame[old.names].iloc[0]) == list(row(old).values())
    assert frame[sorted(DOMAIN_CHECK)].isna().all(axis=None)


def test_the_kind_of_inputs_has_its_new_name(tmp_path: Path) -> None:
    path, old = tmp_path / "table.parquet", as_of_old(EVALUATION_SCHEMA, 1, ADDED["evaluation"])
    write_table(path, [row(old, inputs="pictures"), row(old, inputs="generated")], old)
    assert read_table(path, EVALUATION_SCHEMA)["inputs"].tolist() == ["images", "generated"]


def test_an_older_table_is_read_and_appended_to_without_losing_a_value(tmp_path: Path) -> None:
    path, old = tmp_path / "table.parquet", first_distance_schema()
    assert fingerprint(old) == "96586a0863c016b4", "as the first release wrote it"
    write_table(path, [row(old, index) for index in range(2)], old)
    before = path.read_bytes()
    frame = read_table(path, DISTANCE_SCHEMA)
    assert path.read_bytes() == before, "reading changes no file"
    assert list(frame.columns) == DISTANCE_SCHEMA.names
    names = [RENAMED_COLUMNS.get(name, name) for name in old.names]
    assert [list(values) for values in frame[names].to_numpy()] == [
        list(row(old, index).values()) for index in range(2)
    ]
    assert frame["source_mode"].isna().all() and frame["num_models"].isna().all()
    append_rows(path, [row(DISTANCE_SCHEMA, 2)], DISTANCE_SCHEMA)
    assert pq.read_schema(path).metadata == DISTANCE_SCHEMA.metadata
    after = read_table(path, DISTANCE_SCHEMA)
    assert after[names].iloc[:2].equals(frame[names])
    assert after.iloc[2].to_dict() == row(DISTANCE_SCHEMA, 2)


@pytest.mark.parametrize("change", ["lacks a column", "has another type", "has a column too many"])
def test_what_only_calls_itself_an_older_version_is_refused(tmp_path: Path, change: str) -> None:
    old = first_distance_schema()
    place = old.get_field_index("mean")
    changed = {
        "lacks a column": lambda: old.remove(place),
        "has another type": lambda: old.set(place, pa.field("mean", pa.string(), nullable=False)),
        "has a column too many": lambda: old.append(pa.field("extra", pa.int64())),
    }[change]()
    write_table(tmp_path / "table.parquet", [row(changed)], changed)
    with pytest.raises(DataError, match="is a distance table of schema version 1, expected a distance table"):
        read_table(tmp_path / "table.parquet", DISTANCE_SCHEMA)
