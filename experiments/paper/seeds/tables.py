"""The tables of repeated trainings, which grow training by training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Float32

from ui2i.files import atomic_file
from ui2i.tables import read_rows, write_table

KEY = ["base", "domain", "seed"]
"""Columns that name what was trained: of a pair of domains the first stands as the base."""

COUNTED = "latent"
"""Column that counts from 0 for each model: its steps of 1 take next to nothing, where a dictionary takes a tenth."""

SIGNIFICANT_BITS = 12
"""Of one latent's distance: an error below 0.025 %, far under its spread, so that a table takes 40 % less."""


def to_significant(distances: Float[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """Return distances of single latents as they are kept, with `SIGNIFICANT_BITS` bits."""
    fractions, exponents = np.frexp(distances.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(fractions, SIGNIFICANT_BITS)), exponents - SIGNIFICANT_BITS).astype(np.float32)


def add_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a table, in place of any of the same trainings."""
    new = pd.DataFrame(rows)
    if path.is_file():
        old = pd.read_parquet(path)
        is_there_anew = pd.MultiIndex.from_frame(old[KEY]).isin(pd.MultiIndex.from_frame(new[KEY]))
        new = pd.concat([old[~is_there_anew], new], ignore_index=True)
    new = new.astype(dict.fromkeys(new.select_dtypes("float64"), "float32"))
    floats = list(new.select_dtypes("float32"))
    with atomic_file(path) as temporary:
        new.to_parquet(
            temporary,
            index=False,
            compression="zstd",
            compression_level=19,
            use_byte_stream_split=floats,  # which compresses measurements better than dictionaries do
            use_dictionary=[name for name in new.columns if name not in (*floats, COUNTED)],
            column_encoding={COUNTED: "DELTA_BINARY_PACKED"} if COUNTED in new else None,
        )


def replace_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema, *, key: Sequence[str]) -> None:
    """Add rows of a schema to a table, in place of any that are alike in some columns; other rows stay.

    Args:
        key: the columns that name what was measured.

    Raises:
        DataError: the table that is there is damaged or of another schema.
    """
    anew = {tuple(row[name] for name in key) for row in rows}
    earlier = read_rows(path, schema) if path.is_file() else []
    write_table(path, [*(row for row in earlier if tuple(row[name] for name in key) not in anew), *rows], schema)
