"""What tests of tables share: every schema, and rows that fit it."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from ui2i.tables import (
    DISTANCE_SCHEMA,
    EVALUATION_SCHEMA,
    KEPT_SCHEMA,
    LATENT_DISTANCE_SCHEMA,
    PAPER_TABLE_SCHEMA,
    SWAP_CHOICE_SCHEMA,
    TRAINING_SCHEMA,
    TRANSLATION_SCHEMA,
    TRUTH_SCHEMA,
)

SCHEMAS = {
    "distance": DISTANCE_SCHEMA,
    "translation": TRANSLATION_SCHEMA,
    "truth": TRUTH_SCHEMA,
    "kept": KEPT_SCHEMA,
    "training": TRAINING_SCHEMA,
    "latent-distance": LATENT_DISTANCE_SCHEMA,
    "evaluation": EVALUATION_SCHEMA,
    "swap-choice": SWAP_CHOICE_SCHEMA,
    "paper-table": PAPER_TABLE_SCHEMA,
}
# Of names, types and nullability. A schema that changes needs another version, and then another line here.
FINGERPRINTS = {
    ("distance", 3): "e3d6628d8414511b",
    ("translation", 4): "7b9b2cbc3eebc79b",
    ("truth", 2): "2f740a8219562fec",
    ("kept", 2): "1b714b6ba6c990a0",
    ("training", 2): "8dabf700af57114c",
    ("latent-distance", 1): "0f19c74b36b34239",
    ("evaluation", 3): "ce803027194b757f",
    ("swap-choice", 2): "020970552dbcc3be",
    ("paper-table", 1): "d4c54b2f5b866292",
}


def value(field: pa.Field, index: int) -> Any:
    if pa.types.is_timestamp(field.type):
        return datetime(2020, 1, 1, 12, 0, index, tzinfo=UTC)
    values = {pa.string(): f"{field.name} {index}", pa.int64(): index, pa.float64(): index + 0.5}
    return (values | {pa.bool_(): index % 2 == 0})[field.type]


def row(schema: pa.Schema, index: int = 0, **changes: Any) -> dict[str, Any]:
    return {field.name: value(field, index) for field in schema} | changes


@pytest.fixture(params=list(SCHEMAS))
def schema(request: pytest.FixtureRequest) -> pa.Schema:
    return SCHEMAS[request.param]


def fingerprint(schema: pa.Schema) -> str:
    description = "\n".join(f"{field.name} {field.type} {field.nullable}" for field in schema)
    return hashlib.sha256(description.encode()).hexdigest()[:16]
