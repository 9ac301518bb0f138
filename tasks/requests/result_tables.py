"""The project's Parquet tables, found, filtered and compared run by run: what `ui2i tables` prints."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.paths import Project
from ui2i.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("source", "target", "system", "inputs", "variant", "metric", "attribute", "row", "column", "method")
"""Columns that name what a row measures, in tables that have runs."""

FIRST_COLUMNS = {
    "distance": ("measured_at", "source", "target", "mean", "sem"),
    "evaluation": ("system", "inputs", "fd", "fd_sem", "fid", "lpips_d", "lpips_s", "num_outputs"),
    "inversion": ("kind", "method", "start", "steps", "ssim", "lpips", "seconds_per_image"),
    "inverted": ("image", "method", "start", "ssim", "lpips", "l2"),
    "kept": ("variant", "attribute", "measure", "agreement", "ceiling", "chance", "kept"),
    "latent-distance": ("source", "target", "latent", "distance"),
    "paper-table": ("row", "column", "metric", "value", "sem", "origin"),
    "style-layers": ("variant", "num_style_layers", "lpips_d", "lpips_s"),
    "swap-choice": ("variant", "fidelity", "fidelity_metric", "lpips_s", "is_on_front", "is_recommended"),
    "truth": ("input_path", "variant", "metric", "distance", "score", "copy_score"),
}
"""What people ask of a table first, by its kind; of the other kinds, all columns."""

_CONDITION = re.compile(r"([a-z0-9_]+)\s*(!=|<=|>=|=|<|>|~)\s*(.*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableFile:
    """One file of results."""

    name: str  # distance/cartoon
    path: Path
    num_rows: int
    num_runs: int | None  # None: the table has no runs
    kind: str  # name of the schema: distance
    version: str  # of the schema


def list_tables(project: Project) -> list[TableFile]:
    """Return all tables below data/tables, by name.

    Raises:
        DataError: a file is damaged.
    """
    root = project.tables
    return [_describe(path, root) for path in sorted(root.rglob("*.parquet")) if path.name[0] != "."]


def read_rows(project: Project, name: str) -> "pd.DataFrame":
    """Return the rows of a table by its name, for example `distance/cartoon`.

    Raises:
        DataError: there is no such table, or it is damaged.
    """
    return _to_pandas(find_table(project, name).path)


def find_table(project: Project, name: str) -> TableFile:
    """Return a table by its name, for example `distance/cartoon`.

    Raises:
        DataError: there is no such table, or one is damaged.
    """
    tables = {table.name: table for table in list_tables(project)}
    if not tables:
        raise DataError(f"there is no table {name}: nothing was measured yet; run `ui2i demo` or `ui2i new-domain`")
    if name not in tables:
        raise DataError(f"there is no table {name}, expected one of {', '.join(tables)}; correct the name")
    return tables[name]


def first_columns(project: Project, name: str) -> list[str]:
    """Return the columns of a table that people ask for first.

    Raises:
        DataError: as `find_table`.
    """
    import pyarrow.parquet as pq

    table = find_table(project, name)
    names = pq.read_schema(table.path).names
    return [name for name in FIRST_COLUMNS.get(table.kind, names) if name in names] or names  # fewer in older tables


def filter_rows(frame: "pd.DataFrame", conditions: Sequence[str], *, last_run: bool = False) -> "pd.DataFrame":
    """Return the rows that meet all conditions.

    Args:
        conditions: `column=value`, with !=, <, <=, >, >= for the other comparisons and ~ for a part of a text.
        last_run: only rows of the run that was appended last.

    Raises:
        ConfigError: a condition cannot be understood, or names an unknown column.
    """
    if last_run and "run_id" in frame and len(frame):
        frame = frame[frame["run_id"] == frame["run_id"].iloc[-1]]
    for condition in conditions:
        match = _CONDITION.fullmatch(condition.strip())
        if match is None:
            raise ConfigError(f"the condition is {condition!r}, expected for example target=cartoon/FT; correct it")
        column, comparison, value = match.groups()
        frame = frame[_meets(frame[check_columns(frame, [column])[0]], comparison, value, condition)]
    return frame


def check_columns(frame: "pd.DataFrame", columns: Sequence[str]) -> list[str]:
    """Return `columns`.

    Raises:
        ConfigError: the table does not have one of them.
    """
    for column in columns:
        if column not in frame.columns:
            raise ConfigError(
                f"there is no column {column}, expected some of {', '.join(frame.columns)}; correct the name"
            )
    return list(columns)


def diff_runs(frame: "pd.DataFrame", before: str | None = None, after: str | None = None) -> "pd.DataFrame":
    """Return what differs between two runs: a row for each value that is not the same in both.

    Args:
        before: first characters of a run's id; None: the run before the last.
        after: likewise; None: the last.

    Returns:
        Columns `of` (what is measured), `column`, `before`, `after` and, of numbers, `change`.

    Raises:
        DataError: the table has no two runs.
        ConfigError: no run, or several, have such an id.
    """
    import pandas as pd

    has_runs = {"run_id", "measured_at"} <= set(frame.columns)  # cells of the paper's tables are of many
    runs = list(dict.fromkeys(frame["run_id"])) if has_runs else []
    if len(runs) < 2:
        raise DataError(
            f"the table has {len(runs)} run{'' if len(runs) == 1 else 's'}, expected two to compare; "
            "measure again with `ui2i re-evaluate`"
        )
    chosen = [_find_run(runs, wanted, default) for wanted, default in ((before, runs[-2]), (after, runs[-1]))]
    keys = [column for column in KEYS if column in frame.columns]
    sides = [frame[frame["run_id"] == run].set_index(keys).drop(columns=["run_id", "measured_at"]) for run in chosen]
    rows = []
    for key in dict.fromkeys([*sides[0].index, *sides[1].index]):
        name = " to ".join(map(str, key if isinstance(key, tuple) else (key,)))
        if any(key not in side.index for side in sides):
            there = [key in side.index for side in sides]
            rows.append(
                {"of": name, "column": "(the whole row)", "before": there[0], "after": there[1], "change": None}
            )
            continue
        old, new = (side.loc[[key]].iloc[-1] for side in sides)
        rows += [
            {
                "of": name,
                "column": column,
                "before": old[column],
                "after": new[column],
                "change": _change(old, new, column),
            }
            for column in sides[0].columns
            if not _is_same(old[column], new[column])
        ]
    return pd.DataFrame(rows, columns=["of", "column", "before", "after", "change"])


def _describe(path: Path, root: Path) -> TableFile:
    from ui2i.tables import read_parquet

    table = read_parquet(path)
    runs = table["run_id"].unique() if "run_id" in table.schema.names else None
    metadata = table.schema.metadata or {}
    kind, version = (metadata.get(key, b"?").decode() for key in (b"table", b"schema_version"))
    return TableFile(
        name=path.relative_to(root).with_suffix("").as_posix(),
        path=path,
        num_rows=len(table),
        num_runs=None if runs is None else len(runs),
        kind=kind,
        version=version,
    )


def _to_pandas(path: Path) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    from ui2i.tables import read_parquet

    return read_parquet(path).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def _meets(values: "pd.Series", comparison: str, value: str, condition: str) -> "pd.Series":
    import pandas as pd

    if comparison == "~":
        return values.astype(str).str.contains(value, regex=False)
    wanted: object = value
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        try:
            wanted = float(value)
        except ValueError as error:
            raise ConfigError(
                f"the condition is {condition!r}, expected a number after {comparison}; correct it"
            ) from error
    elif pd.api.types.is_bool_dtype(values):
        values, wanted = values.astype(str), value.capitalize()
        if wanted not in ("True", "False"):
            raise ConfigError(f"the condition is {condition!r}, expected true or false after {comparison}; correct it")
    else:
        values = values.astype(str)
    methods = {"=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    return getattr(values, methods[comparison])(wanted).fillna(False).astype(bool)


def _find_run(runs: Sequence[str], wanted: str | None, default: str) -> str:
    if wanted is None:
        return default
    found = [run for run in runs if run.startswith(wanted)]
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} runs begin with {wanted!r}, expected one of {', '.join(run[:8] for run in runs)}; correct it"
        )
    return found[0]


def _is_same(before: Any, after: Any) -> bool:
    import pandas as pd

    return before == after if not (pd.isna(before) or pd.isna(after)) else bool(pd.isna(before) and pd.isna(after))


def _change(before: "pd.Series", after: "pd.Series", column: str) -> float | None:
    if isinstance(before[column], float) and isinstance(after[column], float):
        return float(after[column] - before[column])
    return None
