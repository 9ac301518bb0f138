"""`ui2i tables`: the Parquet result tables, in the terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples
from cli.help import group

if TYPE_CHECKING:
    import pandas as pd

tables_app = group(
    "List, filter and compare the result tables.",
    "ui2i tables list",
    "ui2i tables show distance/cartoon --where source=face",
)

_Name = Annotated[str, typer.Argument(metavar="TABLE", help="Name from `ui2i tables list`, such as distance/cartoon.")]
_Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="column=value; also !=, <, <=, >, >=, and ~ for part of a text; repeatable.",
    ),
]


@tables_app.command(name="list", epilog=examples("ui2i tables list"))
def list_(context: typer.Context) -> None:
    """List all tables with their number of rows and runs, and their schema."""
    from cli.report import print_table
    from tasks.requests.result_tables import list_tables

    project = context.obj.project
    rows = [
        (
            table.name,
            f"{table.num_rows:,}",
            "" if table.num_runs is None else f"{table.num_runs:,}",
            table.kind,
            table.version,
        )
        for table in list_tables(project)
    ]
    print_table(f"Tables in {project.tables}", ("table", "rows", "runs", "kind", "version"), rows)


@tables_app.command(
    epilog=examples(
        "ui2i tables show distance/cartoon --last --columns source,target,mean,sem",
        "ui2i tables show distance/cartoon --where source=face --where 'mean<0.3' --sort mean",
        "ui2i tables show truth/cartoon --where metric=lpips --csv",
    )
)
def show(
    context: typer.Context,
    table: _Name,
    where: _Where = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B,...", help="Columns to show.")] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="All columns; rows become blocks where the terminal is too narrow.")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="Only the most recent run.")] = False,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort in ascending order; -COLUMN: descending.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with all columns.")] = False,
) -> None:
    """Print a table's rows.

    A terminal gets the columns that people ask for first, a pipe or a file all of them.
    """
    from cli.layout import terminal_width, wrapped
    from cli.report import print_table
    from tasks.requests.result_tables import check_columns, filter_rows, first_columns, read_rows

    project = context.obj.project
    frame = filter_rows(read_rows(project, table), where or (), last_run=last)
    if sort is not None:
        column = check_columns(frame, [sort.removeprefix("-")])
        frame = frame.sort_values(column, ascending=sort[0] != "-", kind="stable")
    if columns is not None:
        frame = frame[check_columns(frame, columns.split(","))]
    if csv:
        print(frame.to_csv(index=False, lineterminator="\n"), end="")
        return
    num_columns = len(frame.columns)
    if columns is None and not wide and terminal_width() is not None:
        frame = frame[first_columns(project, table)]
    print_table(f"{table}: {len(frame):,} rows", list(frame.columns), _lines(frame))
    if columns is None and len(frame.columns) < num_columns:
        note = f"{len(frame.columns)} of {num_columns} columns; --wide shows all"
        print(wrapped(f"{note}, and `ui2i tables columns {table}` says what they mean"))


@tables_app.command(
    name="columns", epilog=examples("ui2i tables columns distance", "ui2i tables columns distance/cartoon")
)
def columns_(
    context: typer.Context,
    table: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="Name from `ui2i tables list`, or kind of table. Default: all kinds."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/columns.md.")] = False,
) -> None:
    """Print what the columns of a table mean, and their units."""
    from cli.report import print_table
    from tasks.requests.result_tables import find_table
    from tasks.requests.table_columns import column_rows, columns_page, known_tables

    if markdown:
        print(columns_page(), end="")
        return
    kinds = list(known_tables()) if table is None else [table]
    if table is not None and table not in known_tables():
        kinds = [find_table(context.obj.project, table).kind]
    for kind in kinds:
        print_table(f"Columns of {kind} tables", ("column", "unit", "meaning"), column_rows(kind))


@tables_app.command(
    epilog=examples("ui2i tables diff distance/cartoon", "ui2i tables diff distance/cartoon --before 06a0 --after 9f21")
)
def diff(
    context: typer.Context,
    table: _Name,
    before: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run id, or its beginning. Default: the last but one.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run id, or its beginning. Default: the last.")
    ] = None,
    where: _Where = None,
) -> None:
    """Print the differences between two runs in a table."""
    from cli.report import print_table
    from tasks.requests.result_tables import diff_runs, filter_rows, read_rows

    frame = filter_rows(read_rows(context.obj.project, table), where or ())
    found = diff_runs(frame, before, after)
    print_table(f"{table}: {len(found):,} values differ", list(found.columns), _lines(found))


def _lines(frame: "pd.DataFrame") -> list[list[str]]:
    return [[_text(value) for value in row] for row in frame.itertuples(index=False)]


def _text(value: Any) -> str:
    import pandas as pd

    if value is None or pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 and value else f"{value:.4f}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value)
