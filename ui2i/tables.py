"""The Parquet tables of results: one schema each, written atomically, appended to without losing a row.

A schema's metadata hold its name and version. A file of another version is refused, never converted or replaced on the
way, because a column that changed its meaning is worse than a missing one. Raise the version with every change.
"""

import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ui2i.errors import DataError
from ui2i.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

LOCK_TIMEOUT_SECONDS = 60.0

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _schema(table: str, version: int, fields: Sequence[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"table": table, "schema_version": str(version)})


DISTANCE_SCHEMA = _schema(
    "distance",
    1,
    [
        _required("run_id", _TEXT),
        _required("measured_at", pa.timestamp("us", tz="UTC")),
        _required("domain", _TEXT),
        _required("source", _TEXT),  # name of the first generator
        _required("target", _TEXT),  # name of the second, with its variant: cartoon/FC-FT-LS8
        _required("source_domain", _TEXT),
        _required("target_domain", _TEXT),
        _required("mode", _TEXT),  # of the target: scratch, FT, FC-FT, FC-FT-LS8, ...
        pa.field("swap_resolution", _INT),  # pixels; null: no layers swapped
        pa.field("swapped_share", _FLOAT),  # of the synthesis blocks, 0 to 1; null: no layers swapped
        _required("mean", _FLOAT),  # LPIPS (paper, Eq. 1)
        _required("std", _FLOAT),  # of single latents
        _required("sem", _FLOAT),
        _required("ci95_low", _FLOAT),
        _required("ci95_high", _FLOAT),
        _required("num_latents", _INT),
        _required("seed", _INT),
        _required("truncation_psi", _FLOAT),
        _required("noise_mode", _TEXT),
        _required("latent_space", _TEXT),  # z; or w: the mapping networks are equal, so w was shared too
        _required("trunk", _TEXT),
        _required("trunk_hash", _TEXT),
        _required("img_resolution", _INT),  # pixels
        _required("source_hash", _TEXT),  # sha256 of the checkpoint
        _required("target_hash", _TEXT),
        pa.field("dataset_hash", _TEXT),  # of the target's training pictures; null: not known
        _required("commit", _TEXT),
        _required("device", _TEXT),
        _required("seconds", _FLOAT),  # for the whole measurement
        _required("versions", _TEXT),  # JSON: package -> version
    ],
)

TRANSLATION_SCHEMA = _schema(
    "translation",
    1,
    [
        _required("index", _INT),  # of the picture in the dataset or folder
        _required("input_path", _TEXT),
        _required("input_sha256", _TEXT),
        _required("output_file", _TEXT),  # relative to the table
        _required("method", _TEXT),  # of inversion
        _required("domain", _TEXT),
        _required("variant", _TEXT),  # FT, FC-FT, FC-FT-LS8, ...
        _required("checkpoint_hash", _TEXT),  # of the target generator
        _required("base_hash", _TEXT),  # of the generator that the picture was inverted with
        _required("seed", _INT),
        _required("ssim", _FLOAT),  # between the picture and its reconstruction by the base
        _required("lpips", _FLOAT),
        _required("loss", _FLOAT),
        _required("seconds_per_image", _FLOAT),
        _required("steps", _INT),
        _required("trunk", _TEXT),
        _required("commit", _TEXT),
    ],
)

TRUTH_SCHEMA = _schema(
    "truth",
    1,
    [
        _required("index", _INT),  # as in the translations' table, likewise up to checkpoint_hash
        _required("input_path", _TEXT),
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("style", _TEXT),  # in which the counterpart was drawn, from
        _required("drawn_seed", _INT),
        _required("drawn_index", _INT),
        _required("metric", _TEXT),  # lpips; ssim: distances are 1 - SSIM; rmse: of pictures in [-1, 1]
        _required("distance", _FLOAT),  # of the translation to its true counterpart
        _required("copy_distance", _FLOAT),  # of the input to it
        _required("chance_distance", _FLOAT),  # of random pictures of the domain to it, their mean
        _required("score", _FLOAT),  # 1 - distance / chance_distance
        _required("copy_score", _FLOAT),
        _required("num_draws", _INT),  # random pictures
        _required("seed", _INT),  # of their choice
        _required("trunk", _TEXT),
        _required("trunk_hash", _TEXT),
        _required("commit", _TEXT),
    ],
)

KEPT_SCHEMA = _schema(
    "kept",
    1,
    [
        _required("domain", _TEXT),
        _required("variant", _TEXT),
        _required("checkpoint_hash", _TEXT),
        _required("style", _TEXT),  # whose regressor read the pictures
        _required("attribute", _TEXT),
        _required("kind", _TEXT),  # number, hue, category
        _required("measure", _TEXT),  # correlation, mean cosine, accuracy
        _required("agreement", _FLOAT),  # between the true attribute and the one read from the translation
        _required("ceiling", _FLOAT),  # the same, read from the true counterparts
        _required("chance", _FLOAT),  # the same, readings shuffled
        pa.field("kept", _FLOAT),  # (agreement - chance) / (ceiling - chance); null: the ceiling is at chance
        pa.field("ci95_low", _FLOAT),  # of kept
        pa.field("ci95_high", _FLOAT),
        _required("skill", _FLOAT),  # of the regressor on held-out drawings: 0 to 1
        _required("num_pictures", _INT),
        _required("regressor", _TEXT),  # hash of what made it
        _required("commit", _TEXT),
    ],
)

TRAINING_SCHEMA = _schema(
    "training",
    2,
    [
        _required("kimg", _FLOAT),  # thousands of real images shown so far
        _required("loss_generator", _FLOAT),
        _required("loss_discriminator", _FLOAT),
        _required("logits_real", _FLOAT),
        _required("logits_fake", _FLOAT),
        pa.field("path_length", _FLOAT),  # null: not computed since the row before
        pa.field("r1", _FLOAT),  # null: not computed since the row before
        _required("real_sign", _FLOAT),  # mean sign of the logits of real pictures, the r_t of adaptive augmentation
        pa.field("augment_probability", _FLOAT),  # null: no adaptive augmentation
        pa.field("diversity", _FLOAT),  # how much samples differ from each other; null: no snapshot in this row
        pa.field("fd", _FLOAT),  # Frechet distance to held-out pictures, see the card; null: not measured
        pa.field("kd", _FLOAT),  # kernel distance, likewise
        _required("memory_gib", _FLOAT),  # the most so far
        _required("seconds", _FLOAT),  # since the row before
        _required("data_seconds", _FLOAT),  # of these, waiting for pictures
        _required("images_per_second", _FLOAT),
    ],
)


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
    """
    import pandas as pd

    if not Path(path).is_file():
        raise DataError(f"{path} does not exist, expected a {_title(schema)}; run the stage that makes it")
    return _read(path, schema).to_pandas(types_mapper={_INT: pd.Int64Dtype()}.get)


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
        pq.write_table(table, temporary)


def _read(path: str | os.PathLike[str], schema: pa.Schema) -> pa.Table:
    try:
        # As one file: read_table would take its folder's name for a partition.
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read ({error}), expected a {_title(schema)}; delete it or fetch it again with dvc"
        ) from error
    if not table.schema.equals(schema, check_metadata=True):
        raise DataError(
            f"{path} is a {_title(table.schema)}, expected a {_title(schema)}"
            f"{_column_difference(table.schema, schema)}; "
            "move it away and make it anew, or read it with the ui2i that wrote it"
        )
    return table


def _title(schema: pa.Schema) -> str:
    metadata = schema.metadata or {}
    table, version = (metadata.get(key, b"unknown").decode() for key in (b"table", b"schema_version"))
    return f"{table} table of schema version {version}"


def _column_difference(found: pa.Schema, expected: pa.Schema) -> str:
    names = [field.name for field in expected if field not in list(found)]
    names += [field.name for field in found if field not in list(expected)]
    return f" (columns that differ: {', '.join(dict.fromkeys(names))})" if names else ""
