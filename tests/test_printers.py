"""Every table that a command prints, at 80 and 120 columns and into a pipe: nothing is cut, nothing overflows."""

import ast
import io
import re
import sys

import pytest
from printed_samples import DOMAIN, HASH, MODEL, SAMPLES, context
from printed_samples import project as project
from terminal import screen
from tiny_project import REPOSITORY

import cli.app
from cli import layout, report
from tasks.requests.result_tables import FIRST_COLUMNS
from tasks.requests.table_columns import known_tables
from tasks.running.progress import bar_columns
from ui2i.tables import DISTANCE_SCHEMA

PACKAGES = ("cli", "experiments", "flows", "tasks")


def printers():
    """Every function of the program that prints a table."""
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            module = path.relative_to(REPOSITORY).with_suffix("").as_posix().replace("/", ".")
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef) and any(
                    isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print_table"
                    for node in ast.walk(function)
                ):
                    yield f"{module}.{function.name}"


def test_every_printer_has_a_sample():
    assert set(printers()) == set(SAMPLES)


def test_no_other_module_draws_tables_or_measures_the_terminal():
    drawing = re.compile(r"from rich\.(table|console) import|get_terminal_size")
    allowed = {"cli/report.py", "cli/layout.py", "tasks/running/progress.py"}
    files = [
        path for package in ("cli", "experiments", "flows", "tasks") for path in (REPOSITORY / package).rglob("*.py")
    ]
    found = {path.relative_to(REPOSITORY).as_posix() for path in files if drawing.search(path.read_text())}
    assert found <= allowed


@pytest.mark.parametrize("width", [80, 120, None])
@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_cut(name, width, project, monkeypatch, capsys):
    monkeypatch.setattr(layout, "terminal_width", lambda: width)
    printed, print_table = [], report.print_table

    def record(title, columns, rows):
        rows = [list(row) for row in rows]
        printed.append((columns, rows))
        print_table(title, columns, rows)

    for module in (report, sys.modules[name.rpartition(".")[0]]):
        if hasattr(module, "print_table"):
            monkeypatch.setattr(module, "print_table", record)
    SAMPLES[name](project, monkeypatch)
    out = capsys.readouterr().out
    assert printed
    words = {word for columns, rows in printed for row in (columns, *rows) for cell in row for word in cell.split()}
    assert [word for word in words if word not in out.split()] == [], out
    lines = out.splitlines()
    if width is None:
        whole = [re.split(r"\s{2,}", line.strip()) for line in lines]
        rows = [row for _, rows in printed for row in rows]
        assert all(
            [cell for cell in row if cell] in [[cell for cell in line if cell] for line in whole] for row in rows
        )
    else:
        longest = max(map(len, words))
        wide = [line for line in lines if len(line) > width and len(line.split()) > 1]  # a path alone is left whole
        assert wide == [] or longest >= 40


def test_a_terminal_gets_the_first_columns_and_a_pipe_all(project, monkeypatch, capsys):
    monkeypatch.setattr(layout, "terminal_width", lambda: 80)
    cli.tables.show(context(project), f"distance/{DOMAIN}", last=True)
    assert "5 of 35 columns; --wide shows all" in capsys.readouterr().out
    monkeypatch.setattr(layout, "terminal_width", lambda: None)
    cli.tables.show(context(project), f"distance/{DOMAIN}", last=True)
    out = capsys.readouterr().out
    assert HASH in out
    assert all(name in out.split() for name in DISTANCE_SCHEMA.names)


@pytest.mark.parametrize(("width", "num_tables"), [(60, 6), (80, 3), (None, 1)])
def test_a_paper_s_table_is_printed_in_parts_that_fit(project, monkeypatch, capsys, width, num_tables):
    monkeypatch.setattr(layout, "terminal_width", lambda: width)
    SAMPLES["experiments.paper.measurement_commands._print_paper_table"](project, monkeypatch)
    out = capsys.readouterr().out
    parts = out.split("FC-FT-LS16")[:-1]  # the one row, after the heads of each part
    assert len(parts) == num_tables and out.count("Table I.") == 1
    for name in ("cartoon", "anime", "portrait", "cat", "dog", "wild"):
        assert sorted(part.split().count(f"face2{name}") for part in parts)[-2:] in ([0, 2], [2]), "with the paper's"


@pytest.mark.parametrize("kind", FIRST_COLUMNS)
def test_first_columns_exist(kind):
    assert set(FIRST_COLUMNS[kind]) <= set(known_tables()[kind].names)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("stage", ["finetune@cartoon", f"finetune@{DOMAIN}", f"finetune@{'long-' * 11}name"])
def test_a_bar_keeps_count_percent_and_time(stage, width):
    from rich.console import Console
    from rich.progress import Progress

    output = io.StringIO()
    bars = Progress(*bar_columns(), console=Console(file=output, width=width, force_terminal=True), expand=True)
    task = bars.add_task(stage, total=100_000, note="loss 0.1234, images of the last batch, and what else there is")
    bars.update(task, completed=25_000)
    bars.console.print(bars.get_renderable())
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())
    for expected in ("25000/100000", " 25%", "-:--:--", *(["loss 0"] if len(stage) < 40 else [])):
        assert expected in shown
    name = "".join(line.split(" ")[0] for line in shown.splitlines())
    assert stage in name, "a name that is too long goes on in the next line"
    assert max(map(len, shown.splitlines())) <= width


# On a real terminal


# One process for all commands: each of its own would import pandas again.
IN_TURN = """
import sys
from cli import app
for command in sys.argv[1:]:
    assert app.run(command.split()) == 0
    print("=" * 80)
"""


def test_an_engineer_at_80_columns(project):
    """Lists the tables, looks at one, compares its runs, and asks what a column means."""
    commands = (
        "tables list", f"tables show distance/{DOMAIN} --last", f"tables show distance/{DOMAIN} --wide --last",
        f"tables diff distance/{DOMAIN}", "tables columns distance", f"distances {DOMAIN}",
    )  # fmt: skip
    shown = screen([sys.executable, "-c", IN_TURN, *commands], project.root, 80)
    listing, first, wide, diff, columns, distances, _ = shown.split("=" * 80)
    assert "…" not in shown
    assert f"distance/{DOMAIN}" in listing
    assert MODEL in first and "0.5200" in first
    assert all(re.search(rf"^{name}\s", wide, re.MULTILINE) for name in DISTANCE_SCHEMA.names)
    assert HASH in wide.replace("\n", "")
    assert MODEL in diff and "0.1100" in diff
    assert re.search(r"^sem +perceptual distance +standard error of the mean$", columns, re.MULTILINE)
    assert MODEL in distances and "0.5000 to 0.5400" in distances


def test_help_is_whole_at_80_columns(tmp_path):
    groups = ("", "tables", "data", "checkpoint", "base")
    shown = screen([sys.executable, "-c", IN_TURN, *(f"{group} --help" for group in groups)], tmp_path, 80)
    *pages, _ = shown.split("=" * 80)
    assert len(pages) == len(groups)
    for group, page in zip(groups, pages, strict=True):
        assert f"Usage: ui2i {group}".rstrip() in page and "Commands:" in page
        assert "..." not in page.replace("[ARGS]...", "")
