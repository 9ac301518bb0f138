"""Every table that a command prints, at 80 and 120 columns and into a pipe: nothing is cut, nothing overflows."""

import ast
import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from terminal import screen
from test_cli import distance_row
from tiny_project import REPOSITORY, make_project, set_param

import cli.app
from cli import layout, report
from cli.overview import Overview
from flows.services.runs import Run
from tasks.requests.garbage import Found, Garbage
from tasks.requests.result_tables import FIRST_COLUMNS
from tasks.requests.table_columns import known_tables
from tasks.running.dvc_stage import StageOutcome
from tasks.running.progress import bar_columns
from ui2i.tables import DISTANCE_SCHEMA, append_rows

DOMAIN = "portrait-of-an-artist"
MODEL = f"{DOMAIN}/FC-FT-LS16-blend0.5"
HASH = "9f21" * 16
PACKAGES = ("cli", "experiments", "flows", "tasks")
URL = "http://127.0.0.1:4200/runs/flow-run/06a0d1f2-7c0e-7a3b-8000-3f5b0c1d2e4f"
REASON = " ".join(["StageFailed: distance@cartoon failed: /data/projects/faces/data/cartoon/FC-FT is damaged"] * 4)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the distances of a domain with a long name, in two runs."""
    project = make_project(tmp_path / "project")
    set_param(project, f"domains.{DOMAIN}", {"base": "face"})
    set_param(project, f"datasets.{DOMAIN}", {"images": "data/raw/cartoon"})
    for run, mean in (("a" * 32, 0.41), ("b" * 32, 0.52)):
        texts = {"domain": DOMAIN, "backbone_hash": HASH, "source_hash": HASH, "mode": "FC-FT"}
        rows = [distance_row(run, target, mean, **texts) for target in (MODEL, f"{DOMAIN}/FT")]
        append_rows(project.distance_table(DOMAIN), rows, DISTANCE_SCHEMA)
    monkeypatch.chdir(project.root)
    return project


def context(project):
    return SimpleNamespace(obj=SimpleNamespace(project=project, verbose=False))


# One sample a printer: called with the project and monkeypatch, it prints what people may get to see.


def _outcomes(project, _):
    report.print_outcomes([StageOutcome(f"finetune@{DOMAIN}", "ran", 4321.0, ())])


def _distances(project, _):
    report.print_distances(project, DOMAIN)


def _runs(project, _):
    report.print_runs([Run(id=URL[-36:], name=f"new-domain {DOMAIN}", started="2026-01-02 03:04")])


def _tables_list(project, _):
    cli.tables.list_(context(project))


def _tables_show(project, _):
    cli.tables.show(context(project), f"distance/{DOMAIN}")
    cli.tables.show(context(project), f"distance/{DOMAIN}", wide=True)
    cli.tables.show(context(project), f"distance/{DOMAIN}", columns="target,source_hash,target_hash")


def _tables_columns(project, _):
    cli.tables.columns_(context(project), None)


def _tables_diff(project, _):
    cli.tables.diff(context(project), f"distance/{DOMAIN}")


def _garbage(project, _):
    item = Garbage(kind="DVC cache", path=project.root / ".dvc/cache/files/md5/9f" / HASH, num_bytes=5, why=REASON)
    cli.operations._print_garbage(project, Found(garbage=(item,), left_alone=None))


def _overview(project, _):
    run = Run(id=URL[-36:], name=f"new-domain {DOMAIN}", started="2026-01-02 03:04")
    cli.operations._print_overview(
        Overview(
            limits=(("trainings at once", "1 of 1"), ("workers", "ui2i-a-machine-with-a-long-name")),
            running=((run, "gone"),),
            scheduled=((f"re-evaluate {DOMAIN}", "2026-01-02 03:04"),),
            failed=((f"re-evaluate {DOMAIN}", "Failed", "2026-01-02 03:04", REASON, URL[-36:]),),
        ),
        URL.partition("/runs")[0],
    )


def _domains(project, _):
    cli.operations._print_domains(project)


def _data_show(project, monkeypatch):
    from ui2i.datasets import manifest

    sizes = {"min": 32, "median": 1024, "max": 123456789}
    shown = SimpleNamespace(
        img_resolution=64, num_train=1234567, num_test=1000, num_rejected=12, passed_over={".aae": 7},
        rejected_by_reason={"corrupt": 7, "duplicate": 5, "near_duplicate": 3},
        statistics={
            "formats": {"JPEG": 1}, "width": sizes, "height": sizes, "size_bytes": sizes,
            "channel_mean": [1.0, 2.0, 3.0], "channel_std": [1.0, 2.0, 3.0],
        },
    )  # fmt: skip
    monkeypatch.setattr(manifest, "read_manifest", lambda _: shown)
    project.prepared("cartoon").mkdir(parents=True, exist_ok=True)
    cli.data.show(context(project), "cartoon")


def _measure(project, monkeypatch):
    from tasks.requests import measure

    row = distance_row("run", MODEL, 0.5, source=f"{DOMAIN}/FT")
    monkeypatch.setattr(measure, "measure", lambda *_, **__: [row])
    cli.measurement.measure(context(project), ["face", MODEL])


def _evaluate(project, monkeypatch):
    from tasks.requests import evaluate_folder

    values = {"fd": 123.4567, "fid": None, "lpips_d": 0.5, "lpips_s": 0.4, "backbone": "st-alex"}
    row = {"system": "FC-FT-LS16-blend0.5", "inputs": "images", "num_outputs": 12345, "domain": DOMAIN} | values
    monkeypatch.setattr(evaluate_folder, "evaluate_folder", lambda *_, **__: [row])
    monkeypatch.setattr(evaluate_folder, "keep_rows", lambda *_: None)
    cli.measurement.evaluate(context(project), Path("out"), DOMAIN)


def _checkpoint_rows(project, _):
    widths = ", ".join(f"{width} at {2**power}" for power, width in enumerate(range(512, 520)))
    cli.checkpoints._print_rows(f"/models/{HASH}.pkl", [("widths", widths), ("sha256", HASH)])


def _check_base(project, monkeypatch):
    from tasks.requests import check_base

    separations = [
        check_base.Separation(dataset=DOMAIN, num_images=500, share_unlike=0.012, auc=None),
        check_base.Separation(dataset="selfies", num_images=500, share_unlike=1.0, auc=0.9876),
    ]
    checked = SimpleNamespace(separations=separations, lines=lambda name: [f"features of {name}"])
    monkeypatch.setattr(check_base, "check_base", lambda *_, **__: checked)
    cli.checkpoints.check(context(project), DOMAIN)


def _choose_swap(project, monkeypatch):
    from experiments.paper import measurement_commands, swap_choice
    from experiments.paper.requests import choose_swap

    variant = swap_choice.SwapVariant(
        name="FC-FT-LS16-features", swap_mode="features", swap_resolution=16, fidelity=12.3456, lpips_s=0.3,
        lpips_s_sem=0.01,
    )  # fmt: skip
    chosen = swap_choice.choose_swap([variant], "fd_squeezenet1_1")
    monkeypatch.setattr(choose_swap, "choose", lambda *_, **__: chosen)
    measurement_commands.choose_swap(context(project), DOMAIN)


def _compare_inversions(project, monkeypatch):
    from experiments.paper import measurement_commands
    from experiments.paper.stages import compare_inversions

    values = {f"{name}{part}": 0.5 for name in ("ssim", "lpips", "l2") for part in ("", "_ci95_low", "_ci95_high")}
    row = {"kind": "generated", "method": "closed_form", "start": "encoder", "steps": 1000, "seconds_per_image": 123.45}
    values["backbone"] = "st-alex"
    monkeypatch.setattr(compare_inversions, "compare", lambda *_, **__: [row | values])
    measurement_commands.compare_inversions(context(project), DOMAIN)


def _style_layers(project, monkeypatch):
    from experiments.paper import measurement_commands
    from experiments.paper.requests import style_layers

    values = {f"{name}{part}": 0.5 for name in ("lpips_d", "lpips_s") for part in ("", "_ci95_low", "_ci95_high")}
    row = {"variant": "FC-FT-LS16-blend0.5", "num_style_layers": 12, "backbone": "st-alex"} | values
    monkeypatch.setattr(style_layers, "measure", lambda *_, **__: [row])
    measurement_commands.style_layers(context(project), DOMAIN)


def _paper_table(project, _):
    from experiments.paper import measurement_commands
    from experiments.paper.tables import Cell, PaperTable

    cells = tuple(
        Cell(row="FC-FT-LS16", column=f"face2{column}", metric="d", value=0.1234, sem=0.0012, origin=origin)
        for origin in ("measured", "paper")
        for column in ("cartoon", "anime", "portrait", "cat", "dog", "wild")
    )
    measurement_commands._print_paper_table(PaperTable(number="1", title="Table I.", row_title="model", cells=cells))


def _plan(project, _):
    from experiments.paper import commands
    from tasks.project.params import load_params

    commands._print_plan(project, load_params(project), [f"finetune@{DOMAIN}", "distance@cartoon"])


def _claims(project, monkeypatch):
    from experiments.paper import commands
    from experiments.paper.reproduction import page

    said = " ".join(["FC-FT is nearer to the base than FT."] * 4)
    claim = {"source": "Table II", "claim": said, "verdict": "cannot be told"}
    monkeypatch.setattr(page, "read_claims", lambda _: [claim])
    commands._print_claims(project)


SAMPLES = {
    "cli.checkpoints.check": _check_base,
    "cli.checkpoints._print_rows": _checkpoint_rows,
    "cli.data.show": _data_show,
    "cli.measurement.evaluate": _evaluate,
    "cli.measurement.measure": _measure,
    "cli.operations._print_domains": _domains,
    "cli.operations._print_garbage": _garbage,
    "cli.operations._print_overview": _overview,
    "cli.report.print_distances": _distances,
    "cli.report.print_outcomes": _outcomes,
    "cli.report.print_runs": _runs,
    "cli.tables.columns_": _tables_columns,
    "cli.tables.diff": _tables_diff,
    "cli.tables.list_": _tables_list,
    "cli.tables.show": _tables_show,
    "experiments.paper.commands._print_claims": _claims,
    "experiments.paper.commands._print_plan": _plan,
    "experiments.paper.measurement_commands._print_paper_table": _paper_table,
    "experiments.paper.measurement_commands.choose_swap": _choose_swap,
    "experiments.paper.measurement_commands.compare_inversions": _compare_inversions,
    "experiments.paper.measurement_commands.style_layers": _style_layers,
}


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


UI2I = [sys.executable, "-m", "cli.app"]
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
    groups = [[], ["tables"], ["data"], ["checkpoint"], ["base"]]
    for group in groups:
        shown = screen([*UI2I, *group, "--help"], tmp_path, 80)
        assert "Commands:" in shown
        assert "..." not in shown.replace("[ARGS]...", "")
