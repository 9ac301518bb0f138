"""What columns mean: in every schema and file, and the same in the docs."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import row
from test_old_tables import first_distance_schema

import experiments.paper
import ui2i
from ui2i.columns import COLUMNS, meaning
from ui2i.tables import DISTANCE_SCHEMA, append_rows, read_table, write_table

ROOT = Path(__file__).parents[1]


def schemas() -> dict[str, pa.Schema]:
    """Every schema that a module of the product or the experiments defines."""
    found = {}
    for package in (ui2i, experiments.paper):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            source = Path(importlib.util.find_spec(module.name).origin).read_text()
            if re.search(r"^\w*SCHEMA = ", source, re.MULTILINE):
                values = vars(importlib.import_module(module.name))
                found |= {name: value for name, value in values.items() if isinstance(value, pa.Schema)}
    return found


PIXELS = {"SHARD_SCHEMA"}  # the images themselves; the bytes of prepared datasets are what their hashes name
SCHEMAS = {name: schema for name, schema in schemas().items() if name not in PIXELS}


def test_schemas_are_found() -> None:
    assert {"DISTANCE_SCHEMA", "LATENTS_SCHEMA", "INGEST_REJECT_SCHEMA", "MEASURES_SCHEMA"} <= set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_column_says_what_it_means(name: str) -> None:
    assert [field.name for field in SCHEMAS[name] if not meaning(field)[0]] == []


def test_no_meaning_is_left_of_a_column_that_is_gone() -> None:
    used = {field.name for schema in SCHEMAS.values() for field in schema}
    assert {name.rpartition("/")[2] for name in COLUMNS} - used == set()


def test_files_carry_meanings_and_units(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, [row(DISTANCE_SCHEMA)], DISTANCE_SCHEMA)
    field = pq.read_schema(path).field("mean")
    assert meaning(field) == meaning(DISTANCE_SCHEMA.field("mean"))
    assert meaning(field)[1] == "perceptual distance"


def test_a_file_without_meanings_is_read_and_gets_them_with_the_next_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    bare = pa.schema([field.remove_metadata() for field in DISTANCE_SCHEMA], metadata=DISTANCE_SCHEMA.metadata)
    for index, old in enumerate((bare, first_distance_schema())):
        path.unlink(missing_ok=True)
        write_table(path, [row(old)], old)
        assert len(read_table(path, DISTANCE_SCHEMA)) == 1
        append_rows(path, [row(DISTANCE_SCHEMA, index + 1)], DISTANCE_SCHEMA)
        assert pq.read_schema(path).equals(DISTANCE_SCHEMA, check_metadata=True)
        assert len(read_table(path, DISTANCE_SCHEMA)) == 2


def test_the_page_of_columns_is_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "cli.app", "tables", "columns", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert (ROOT / "docs" / "columns.md").read_text() == printed
