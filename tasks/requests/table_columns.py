"""What the columns of each kind of table mean, for `ui2i tables columns` and `docs/columns.md`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE_HEAD = """\
# The columns of the tables

Every Parquet file carries these descriptions and units in the metadata of its columns; `ui2i tables columns TABLE`
prints them. `ui2i/columns.py` has them, and `ui2i tables columns --markdown` writes this page.
"""


def known_tables() -> Mapping[str, "pa.Schema"]:
    """Return the columns of every kind of result table by its name, such as `distance`."""
    import pyarrow as pa

    from ui2i import schemas

    found = [schema for schema in vars(schemas).values() if isinstance(schema, pa.Schema)]
    return {schema.metadata[b"table"].decode(): schema for schema in found}


def column_rows(kind: str) -> list[tuple[str, str, str]]:
    """Return name, unit and meaning of each column; none if the kind is unknown."""
    from ui2i.columns import meaning

    return [(field.name, *reversed(meaning(field))) for field in known_tables().get(kind, ())]


def columns_page() -> str:
    """Return the page of the documentation, in Markdown."""
    from ui2i.markdown import markdown_table

    parts = [_PAGE_HEAD]
    for kind in sorted(known_tables()):
        parts += [f"## {kind}\n", markdown_table(("column", "unit", "meaning"), _markdown_rows(kind))]
    return "\n".join(parts)


def _markdown_rows(kind: str) -> list[tuple[str, str, str]]:
    return [(f"`{name}`", unit, meaning.replace("<", "&lt;")) for name, unit, meaning in column_rows(kind)]
