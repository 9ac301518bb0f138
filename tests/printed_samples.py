"""One sample a printer of tables: called with a project and `monkeypatch`, it prints what people may get to see."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_project import distance_row, make_project, set_param

import cli.app
from cli import report
from cli.overview import Overview
from flows.services.runs import Run
from tasks.requests.garbage import Found, Garbage
from tasks.running.dvc_stage import StageOutcome
from ui2i.tables import DISTANCE_SCHEMA, append_rows

DOMAIN = "portrait-of-an-artist"
MODEL = f"{DOMAIN}/FC-FT-LS16-blend0.5"
HASH = "9f21" * 16
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
