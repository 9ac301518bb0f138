"""What a user can get wrong at a stage is one line, and changes nothing."""

import importlib

import pytest
from stage_calls import OPTIONS, run
from stage_calls import _stay_here as _stay_here
from stage_calls import prepared as prepared
from tiny_project import files_below, run_stage_module, set_param, stage_module, write_base

from tasks.running import stage_cli
from ui2i.errors import TrainingError


@pytest.fixture
def failure(project, capsys):
    """A function that runs a stage which must fail as a user's mistake, and returns its one line."""

    def run_and_fail(module, name):
        capsys.readouterr()
        before = files_below(project.root)
        assert run(project, module, name) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert files_below(project.root) == before, "something half-written stayed behind"
        return lines[0]

    return run_and_fail


@pytest.mark.parametrize("module", OPTIONS)
def test_an_unknown_name(failure, module):
    assert "nobody" in failure(module, "nobody")


@pytest.mark.parametrize("name", ["/tmp", "../x", "a/b", "Face", ""])
def test_what_is_no_name(failure, name):
    assert "expected lower-case letters" in failure("ingest", name)


@pytest.mark.parametrize("module", OPTIONS)
def test_help_has_an_example(module, capsys):
    with pytest.raises(SystemExit) as exit_status:
        stage_cli.main(importlib.import_module(stage_module(module)).STAGE, ["--help"])
    assert exit_status.value.code == 0
    assert f"python -m {stage_module(module)} {OPTIONS[module]}" in capsys.readouterr().out


def test_no_project(tmp_path, capsys):
    stage = importlib.import_module("tasks.stages.ingest").STAGE
    assert stage_cli.main(stage, ["--dataset", "face", "--project", str(tmp_path)]) == 2
    assert "is in no project" in capsys.readouterr().err


def test_an_unknown_key_in_params(project, failure):
    set_param(project, "finetune.total_image", 3)
    assert "total_image" in failure("finetune", "cartoon")


def test_missing_images(failure):
    assert "data/raw/face does not exist" in failure("ingest", "face")


def test_an_empty_folder(project, failure):
    project.raw("face").mkdir(parents=True)
    assert "contains no images" in failure("ingest", "face")


def test_only_damaged_images(project, failure):
    project.raw("face").mkdir(parents=True)
    for index in range(3):
        (project.raw("face") / f"{index}.png").write_bytes(b"no image %d" % index)
    assert "3 of 3 images" in failure("ingest", "face")


def test_an_unknown_style(project, failure):
    set_param(project, "synthetic.face.style", "etching")
    assert "etching" in failure("draw", "face")


def test_a_missing_checkpoint(failure):
    assert "does not exist" in failure("import_base", "face")


def test_a_damaged_checkpoint(project, failure):
    (write_base(project) / "generator.safetensors").write_bytes(b"x" * 100)
    assert "not a readable checkpoint" in failure("import_base", "face")


def test_a_checkpoint_of_another_resolution(project, failure):
    write_base(project, img_resolution=64)
    assert "64 px, expected 32 px" in failure("import_base", "face")


def test_a_discriminator_of_another_architecture(project, failure):
    folder = write_base(project)
    kept = (folder / "discriminator.safetensors").read_bytes()
    write_base(project, w_dim=9, channel_max=9)
    (folder / "discriminator.safetensors").write_bytes(kept)
    assert "channel_max" in failure("import_base", "face")


def test_a_missing_base(prepared, failure):
    for path in prepared.checkpoint("face").iterdir():
        path.unlink()
    for module in ("finetune", "swap", "distance", "translate"):
        assert "checkpoints/face/generator.safetensors does not exist" in failure(module, "cartoon")


def test_a_base_of_another_resolution_than_the_images(prepared, failure):
    write_base(prepared, img_resolution=64)
    set_param(prepared, "ingest.img_resolution", 64)
    assert run(prepared, "import_base", "face") == 0
    assert "has 32 px, expected the network's 64 px" in failure("finetune", "cartoon")


def test_a_swap_at_a_resolution_that_the_model_lacks(prepared, failure):
    assert run(prepared, "finetune", "cartoon") == 0
    set_param(prepared, "swap.resolutions", [8, 64])
    assert "swap.resolutions has 64, expected some of 4, 8, 16, 32" in failure("swap", "cartoon")


def test_a_training_that_diverges_keeps_the_old_model(prepared, monkeypatch, failure):
    def fail(*arguments, **settings):
        raise TrainingError("a loss is not finite,\nexpected a finite one")

    assert run(prepared, "finetune", "cartoon") == 0
    monkeypatch.setattr("ui2i.training.loop.train", fail)
    assert failure("finetune", "cartoon") == "error: a loss is not finite, expected a finite one"


def test_a_bug_is_not_taken_for_a_user_s_mistake(project, monkeypatch):
    monkeypatch.setattr("experiments.synthetic.procedural.draw_dataset", lambda *arguments, **settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(project, "draw", "face")


def test_started_as_a_program_it_says_one_line_and_exits_with_2(project):
    done = run_stage_module(project, "ingest", "--dataset", "face")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
