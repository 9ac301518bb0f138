"""What is edited while a stage runs does not count as what its output was made with."""

import dataclasses
import os

import pytest
from tiny_project import make_project, set_param, write_images

from tasks.running import stage_cli
from tasks.running.dvc_stages import defined_stages
from tasks.stages import ingest


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images((project := make_project(tmp_path / "project")).raw("face"))
    return project


def run_and_meanwhile(project, edit):
    """Run ingest@face, which is edited when its work is done and it has not yet ended."""

    def work(job):
        ingest.work(job)
        edit(job.project)

    stage = dataclasses.replace(ingest.STAGE, work=work)
    return stage_cli.main(stage, ["--dataset", "face", "--project", str(project.root)])


def change_first(project):
    path = project.raw("face") / "00.png"
    path.write_bytes((project.raw("face") / "01.png").read_bytes())
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda project: set_param(project, "ingest.test_share", 0.3), "ingest in params.yaml"),
        (
            lambda project: project.params_path.write_text("ingest: {"),
            "ingest in params.yaml, datasets.face in params.yaml, data/raw/face",
        ),
        (lambda project: (project.raw("face") / "00.png").unlink(), "data/raw/face"),
        (lambda project: write_images(project.raw("face"), count=25), "data/raw/face"),
        (change_first, "data/raw/face"),
    ],
    ids=["setting", "half-saved", "removed", "added", "changed"],
)
def test_what_changes_in_mid_run_is_refused(project, capsys, edit, named):
    assert run_and_meanwhile(project, edit) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {named} changed while ingest@face ran") and "run it again" in error


def test_what_the_stage_does_not_read_may_change(project):
    def edit(project):
        set_param(project, "distance.num_latents", 9)
        set_param(project, "domains.cartoon.modes", ["FT"])
        write_images(project.raw("cartoon"))

    assert run_and_meanwhile(project, edit) == 0


def test_inputs_are_those_of_the_pipeline(project):
    defined = defined_stages(project)
    assert defined.param_keys("finetune@cartoon") == ["finetune", "domains.cartoon"]
    assert defined.dependencies("ingest@face") == ["${item.images}"]
    assert defined.item("ingest@face") == {"images": "data/raw/face"}
    assert defined.item("ingest@absent") is None and defined.param_keys("absent@face") == []
