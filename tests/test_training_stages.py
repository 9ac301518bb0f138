"""What only stages that train can do: plan, measure, share a model among processes."""

import importlib
import json
import os
import subprocess
import sys

import pytest
import torch
from stage_calls import _stay_here as _stay_here
from tiny_project import files_below, make_project, set_param, stage_module, write_base, write_images

from tasks.models.training_plan import base_network
from tasks.running import stage_cli
from tasks.running.stage_cli import DEVICE_VARIABLE, PROCESSES_VARIABLE
from ui2i import precision
from ui2i.checkpoints import load_generator
from ui2i.datasets.prepared import PreparedDataset
from ui2i.precision import choose_precision
from ui2i.tables import TRAINING_SCHEMA, read_table


@pytest.fixture
def prepared(tmp_path):
    """A project with a base and prepared images of the domain."""
    project = make_project(tmp_path / "project")
    write_base(project)
    for seed, name in enumerate(("face", "cartoon")):
        write_images(project.raw(name), seed=seed)
        assert run(project, "ingest", "--dataset", name) == 0
    assert run(project, "import_base", "--base", "face") == 0
    return project


def run(project, module, *arguments):
    stage = importlib.import_module(stage_module(module)).STAGE
    return stage_cli.main(stage, [*arguments, "--project", str(project.root)])


def test_dry_run_says_what_every_mode_costs_and_makes_nothing(prepared, capsys):
    set_param(prepared, "domains.cartoon.modes", ["FC-FT", "FreezeG"])
    before = files_below(prepared.root)
    assert run(prepared, "finetune", "--domain", "cartoon", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")][-2:] == ["cartoon/FC-FT", "cartoon/FreezeG"]
    assert sum("8 in 2 steps" in line for line in lines) == 2
    assert files_below(prepared.root) == before


def test_a_slow_precision_is_said_in_one_line(prepared, capfd, monkeypatch):
    monkeypatch.setattr(precision, "_is_native_to_cpu", lambda _precision: False)
    set_param(prepared, "finetune.precision", "bf16")
    assert run(prepared, "finetune", "--domain", "cartoon", "--dry-run") == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: precision is bf16, which ")


@pytest.mark.parametrize(
    ("arguments", "calls"),
    # Pictures that are read, sent to another process and forgotten would leave 10 KB each in the holes between.
    [
        (("draw", "--dataset", "cartoon"), []),
        (("ingest", "--dataset", "face"), []),
        (("import_base", "--base", "face"), [1]),
    ],
    ids=["draw", "ingest", "import"],
)
def test_a_stage_that_computes_keeps_freed_memory_and_no_other(tmp_path, monkeypatch, arguments, calls):
    kept = []
    monkeypatch.setattr(stage_cli, "keep_freed_memory", lambda: kept.append(1))
    write_base(project := make_project(tmp_path / "project"))
    write_images(project.raw("face"))
    assert run(project, *arguments) == 0
    assert kept == calls


def test_the_plan_knows_a_base_that_is_not_imported_yet(tmp_path):
    project = make_project(tmp_path / "fresh")
    write_base(project)
    params = stage_cli.load_params(project)
    assert base_network(project, params, "face").img_resolution == 32
    assert not project.checkpoint("face").exists()


def test_measurements_are_in_the_table_and_their_protocol_in_the_card(prepared):
    set_param(prepared, "finetune.evaluation_kimg", 0.008)
    set_param(prepared, "finetune.evaluation_images", 6)
    set_param(prepared, "ingest.test_share", 0.4)
    assert run(prepared, "ingest", "--dataset", "cartoon") == 0
    assert run(prepared, "finetune", "--domain", "cartoon") == 0
    folder = prepared.mode_checkpoint("cartoon", "FC-FT")
    table = read_table(folder / "training.parquet", TRAINING_SCHEMA)
    assert table["fd"].notna().sum() == 1 and table["fd"].iloc[-1] > 0
    provenance = json.loads((folder / "card.json").read_text())["card"]["provenance"]
    assert provenance["precision"] == choose_precision("auto", "cpu")
    assert provenance["framing"] == {"framing": "center", "background": "white", "resampling": "lanczos"}
    record = provenance["evaluation"]
    assert record["backbone"] == "random-squeeze" and record["num_images"] == 6 and len(record["backbone_hash"]) == 64
    sizes = {split: len(PreparedDataset(prepared.prepared("cartoon"), split)) for split in ("train", "test")}
    assert record["num_held_out"] == sizes["test"] != sizes["train"], "those that trained it say nothing"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (DEVICE_VARIABLE, "tpu", "the device is 'tpu', expected one of auto, cpu, cuda, mps"),
        (PROCESSES_VARIABLE, "two", "UI2I_PROCESSES is 'two', expected a number of processes"),
    ],
)
def test_wrong_environment(prepared, monkeypatch, capsys, variable, value, message):
    monkeypatch.setenv(variable, value)
    assert run(prepared, "finetune", "--domain", "cartoon") == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(prepared):
    """The stage becomes `torchrun` with two processes, and its model is that of a single process to rounding."""
    set_param(prepared, "finetune.batch_size", 8)
    set_param(prepared, "finetune.total_kimg", 0.04)
    set_param(prepared, "finetune.learning_rate", 1e-4)
    set_param(prepared, "domains.cartoon.modes", ["FC-FT"])
    command = [sys.executable, "-m", "tasks.stages.finetune", "--domain", "cartoon", "--project", str(prepared.root)]
    generators = []
    for count in ("1", "2"):
        environment = os.environ | {PROCESSES_VARIABLE: count}
        done = subprocess.run(
            [*command, "--restart"], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        generators.append(load_generator(prepared.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")[0])
    assert done.stdout.count('"done": 40') == 1  # the first process alone reports
    z = torch.randn(4, 8)
    with torch.no_grad():
        images = [generator(z) for generator in generators]
    assert torch.allclose(*images, atol=1e-3)
