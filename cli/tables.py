"""`ui2i tables`: the Parquet result tables, in the terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples

if TYPE_CHECKING:
    import pandas as pd

tables_app = typer.Typer(
    help="List, filter and compare the result tables.", no_args_is_help=True, rich_markup_mode=None
)

_Name = Annotated[str, typer.Argument(metavar="TABLE", help="Name from `ui2i tables list`, such as distance/cartoon.")]
_Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="CONDITION", help="column=value; also !=, <, <=, >, >=, and ~ for part of a text."),
]
SHORT_HASH = 12  # characters


@tables_app.command(name="list", epilog=examples("ui2i tables list"))
def list_(context: typer.Context) -> None:
    """List all tables with their number of rows and runs, and their schema."""
    from cli.report import print_table
    from tasks.requests.result_tables import list_tables

    project = context.obj.project
    rows = [
        (table.name, f"{table.num_rows:,}", "" if table.num_runs is None else f"{table.num_runs:,}", table.schema)
        for table in list_tables(project)
    ]
    print_table(f"Tables in {project.data_dir / 'tables'}", ("table", "rows", "runs", "schema, version"), rows)


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
    columns: Annotated[str | None, typer.Option(metavar="A,B,...", help="Columns to show. Default: all.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Only the most recent run.")] = False,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort in ascending order; -COLUMN: descending.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with full hashes.")] = False,
) -> None:
    """Print a table's rows."""
    from cli.report import print_table
    from tasks.requests.result_tables import check_columns, filter_rows, read_rows

    frame = filter_rows(read_rows(context.obj.project, table), where or (), last_run=last)
    if sort is not None:
        column = check_columns(frame, [sort.removeprefix("-")])
        frame = frame.sort_values(column, ascending=sort[0] != "-", kind="stable")
    if columns is not None:
        frame = frame[check_columns(frame, columns.split(","))]
    if csv:
        print(frame.to_csv(index=False, lineterminator="\n"), end="")
        return
    print_table(f"{table}: {len(frame):,} rows", list(frame.columns), _lines(frame))


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
    text = str(value)
    is_hash = len(text) in (32, 64) and set(text) <= set("0123456789abcdef")
    return text[:SHORT_HASH] if is_hash else text
