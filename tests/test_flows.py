"""The flows, each once at 32 px, on Prefect's test server.

Stages run in this process here, without DVC; `test_dvc.py` and `test_cli_endings.py` have the real ones.
"""

import base64
import dataclasses
import io
import json
import re

import pytest
import torch
from flow_stages import run_command_here, run_stage_here
from PIL import Image
from prefect import flow
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from tiny_project import make_project, set_param, write_images

from flows import pipeline, stages
from flows.artifacts import artifact_key
from flows.display import BarDisplay, PlainDisplay, current_display, shown
from flows.limits import TRAINING_LIMIT, ensure_training_limit, training_slot
from flows.services.runs import mark_crashed, running_runs
from tasks.project.params import load_params
from tasks.requests.translation_request import TranslationRequest
from tasks.running.dvc_stage import StageFailed, StageOutcome
from ui2i.checkpoints import load_generator, save_generator
from ui2i.errors import ConfigError
from ui2i.tables import DISTANCE_SCHEMA, read_table


@pytest.fixture(scope="module", autouse=True)
def _prefect(prefect_server):
    """Every flow here runs on a server of the tests' own."""


@pytest.fixture(scope="module")
def _stages_here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "run_stage", run_stage_here)
        patch.setattr(stages, "run_command", run_command_here)
        patch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
        patch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: "")
        yield


@pytest.fixture
def stage(monkeypatch):
    """A function that puts another in the place of every stage's work."""
    monkeypatch.setattr(stages.stage_task, "retry_delay_seconds", 0)

    def replace(work):
        def run(stage, *, project, force, num_threads, on_progress, on_line):
            work(stage, on_progress, on_line)
            return StageOutcome(stage, "ran", 1.0, ())

        monkeypatch.setattr(stages, "run_stage", run)

    return replace


@pytest.fixture(scope="module")
def made(tmp_path_factory, _stages_here):
    """A project in which flows have made a base and a domain, and the two flows' states."""
    root = tmp_path_factory.mktemp("flows")
    project = make_project(root / "project")
    for section in ("truth", "synthetic", "datasets", "imported", "domains"):
        set_param(project, section, {})
    for seed, name in enumerate(("blob", "cat")):
        write_images(root / name, seed=seed)
    place = {"project": str(project.root)}
    base = pipeline.pretrain("blob", str(root / "blob"), {"total_kimg": 0.004}, return_state=True, **place)
    domain = pipeline.new_domain(
        "cat", "blob", str(root / "cat"), ["FC-FT", "FT"], {"total_kimg": 0.004}, return_state=True, **place
    )
    return project, base, domain


def stage_names(state):
    return [outcome.stage for outcome in state.result()]


def embedded(markdown):
    """The image within a text."""
    (data,) = re.findall(r"\(data:image/(?:png|jpeg);base64,([^)]*)\)", markdown)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def artifact(kind, name):
    found = Artifact.get(artifact_key(kind, name))
    assert found is not None
    return found


# Each flow once


def test_pretrain(made):
    project, base, _ = made
    assert stage_names(base) == ["ingest@blob", "pretrain@blob"]
    assert (project.checkpoint("blob") / "generator.safetensors").is_file()
    assert load_params(project).bases["blob"].pretrain == {"total_kimg": 0.004}


def test_new_domain(made):
    project, _, domain = made
    order = ["ingest@blob", "pretrain@blob", "ingest@cat", "finetune@cat", "swap@cat", "distance@cat"]
    assert stage_names(domain) == [*order, "evaluate@cat", "translate@cat"]
    registered = load_params(project).domains["cat"]
    assert (registered.base, registered.modes, registered.finetune) == ("blob", ("FC-FT", "FT"), {"total_kimg": 0.004})

    distances = artifact("distance", "cat")
    assert "backbone random" in distances.description
    rows = json.loads(distances.data)
    assert list(rows[0]) == ["source", "model", "mean", "95 % interval", "latents"]
    assert ("blob", "cat/FC-FT-LS8") in {(row["source"], row["model"]) for row in rows}
    sheet = artifact("contact-sheet", "cat").data
    with Image.open(project.translations("cat") / "contact_sheet.png") as file:
        assert embedded(sheet).size == file.size
    assert str(project.translations("cat") / "contact_sheet.png") in sheet
    assert artifact("progress", "finetune@cat").data == 100


def test_re_evaluate_appends_and_one_failure_stops_no_other(made):
    project, *_ = made
    # In the order of params.yaml, the domain that was never trained comes first.
    text = project.params_path.read_text()
    set_param(project, "domains", {"a-dog": {"base": "blob"}, "cat": {"base": "blob", "modes": ["FC-FT", "FT"]}})
    set_param(project, "datasets.a-dog", {"images": "data/raw/cat"})
    try:
        before = read_table(project.distance_table("cat"), DISTANCE_SCHEMA)
        with pytest.raises(
            pipeline.ReEvaluationFailed, match=r"^a-dog: .*generator.safetensors does not exist"
        ) as error:
            pipeline.re_evaluate(project=str(project.root))
        after = read_table(project.distance_table("cat"), DISTANCE_SCHEMA)
    finally:
        project.params_path.write_text(text)
    assert "cat:" not in str(error.value)
    assert len(after) == 2 * len(before)
    assert after["mean"].iloc[: len(before)].tolist() == before["mean"].tolist()
    assert after["run_id"].nunique() == before["run_id"].nunique() + 1


def test_re_evaluate_refuses_an_unknown_domain_before_any_work(made):
    project, *_ = made
    size = project.distance_table("cat").stat().st_size
    with pytest.raises(ConfigError, match="did you mean 'cat'"):
        pipeline.re_evaluate(["cat", "catt"], project=str(project.root))
    assert project.distance_table("cat").stat().st_size == size


def test_re_evaluate_fails_on_a_distance_that_drifted_and_says_why(made):
    project, *_ = made
    place = {"project": str(project.root)}
    pipeline.re_evaluate(["cat", "cat"], **place)  # said twice, it is done once
    assert "0 of 10 distances changed" in artifact("drift", "cat").description
    path = project.mode_checkpoint("cat", "FT") / "generator.safetensors"
    before = path.read_bytes()
    generator, card = load_generator(path)
    with torch.no_grad():
        for parameter in generator.synthesis.parameters():
            parameter.mul_(-1)
    save_generator(path, generator, card)
    try:
        state = pipeline.re_evaluate(["cat"], return_state=True, **place)
        assert state.is_failed()
        assert "cat: 4 of 10 distances changed by more than 4 standard errors" in state.message
        assert "other target checkpoint: " in state.message
        assert "cat/FT" in {row["target"] for row in json.loads(artifact("drift", "cat").data)}
        pipeline.re_evaluate(["cat"], **place)  # once known, the new values are what is expected
    finally:
        path.write_bytes(before)


def test_translate(made, tmp_path):
    project, *_ = made
    write_images(tmp_path / "mine", count=2)
    out = tmp_path / "out"
    request = TranslationRequest(
        images=tmp_path / "mine", domain="cat", out=out, variants=("FC-FT-LS8",), psi=0.5, method="w", steps=3
    )
    pipeline.translate(request, project=str(project.root))
    names = {path.name for path in out.glob("*.png")}
    assert names == {
        "00-FC-FT-LS8.png",
        "00-reconstruction.png",
        "01-FC-FT-LS8.png",
        "01-reconstruction.png",
        "contact_sheet.png",
    }
    told = artifact("translation", "cat").data
    assert "2 of 2 images translated to cat: FC-FT-LS8" in told
    assert "reconstruction: SSIM" in told and "| `00.png` |" in told
    with pytest.raises(StageFailed, match="no variant 'FC-FT-LS9', expected some of FC-FT, FT, FC-FT-LS8"):
        pipeline.translate(dataclasses.replace(request, variants=("FC-FT-LS9",)), project=str(project.root))


# How stages run


def test_what_a_user_must_mend_is_the_state_s_message_and_not_tried_again(project, stage):
    calls = []

    def fail(name, on_progress, on_line):
        calls.append(name)
        raise StageFailed("no images, expected some; add them", stage=name, lines=(), is_user_error=True)

    stage(fail)
    state = pipeline.pretrain("face", project=str(project.root), return_state=True)
    assert state.is_failed()
    assert state.message.endswith("StageFailed: no images, expected some; add them")
    assert calls == ["draw@face"]


def test_a_stage_that_crashed_is_tried_again(project, stage):
    calls = []

    def crash_once(name, on_progress, on_line):
        calls.append(name)
        if len(calls) == 1:
            raise StageFailed("killed", stage=name, lines=(), is_user_error=False)

    stage(crash_once)
    assert pipeline.pretrain("face", project=str(project.root), return_state=True).is_completed()
    assert calls == ["draw@face", "draw@face", "ingest@face", "import@face"]


def test_trainings_take_a_slot_and_give_it_back(project, stage):
    taken = {}

    def look(name, on_progress, on_line):
        with get_client(sync_client=True) as client:
            taken[name] = client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).active_slots
        if name.startswith("finetune"):
            raise StageFailed("stop", stage=name, lines=(), is_user_error=True)

    stage(look)
    pipeline.new_domain("cartoon", project=str(project.root), return_state=True)
    look("after", None, None)
    assert taken == {
        "draw@face": 0,
        "ingest@face": 0,
        "import@face": 0,
        "draw@cartoon": 0,
        "ingest@cartoon": 0,
        "finetune@cartoon": 1,
        "after": 0,
    }


def test_a_limit_that_people_set_stays_and_a_missing_one_stops_training():
    with get_client(sync_client=True) as client:
        ensure_training_limit()
        client.update_global_concurrency_limit(TRAINING_LIMIT, GlobalConcurrencyLimitUpdate(limit=3))
        ensure_training_limit()
        assert client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).limit == 3
        client.delete_global_concurrency_limit_by_name(TRAINING_LIMIT)
        with pytest.raises(ConcurrencySlotAcquisitionError), training_slot("finetune@x"):
            pytest.fail("a slot of no limit")
        ensure_training_limit()
        assert client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).limit == 1


def test_a_run_whose_process_is_gone_can_be_freed(project, stage):
    def free(name, on_progress, on_line):
        (run,) = running_runs()
        assert run.name == "pretrain face"
        mark_crashed([run.id])
        assert running_runs() == []
        with pytest.raises(ConfigError, match="is running, expected one of: none"):
            mark_crashed([run.id])

    stage(free)
    pipeline.pretrain("face", project=str(project.root), return_state=True)


# What people see


@pytest.fixture
def draw(project, stage):
    """A function that runs a stage which reports."""

    def report(name, on_progress, on_line):
        on_line("drawing")
        on_progress(1, 2000, "first")
        on_progress(2000, 2000, "last")

    @flow
    def one_stage():
        stages.stage_task("draw@face", project.root)

    stage(report)
    return one_stage


def test_a_plain_display(draw, capsys, monkeypatch):
    monkeypatch.setattr("flows.display.PLAIN_INTERVAL_SECONDS", 0)
    with shown(PlainDisplay()):
        draw()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["draw@face: started", "draw@face: 1 of 2,000 first", "draw@face: 2,000 of 2,000 last"]
    assert lines[3].startswith("draw@face: done, ")
    with shown(PlainDisplay(verbose=True)):
        draw()
    assert "draw@face: drawing\n" in capsys.readouterr().out


def test_a_display_of_bars(draw, capsys):
    with shown(BarDisplay()):
        draw()
    assert "draw@face: done, " in capsys.readouterr().out


def test_bars_of_stages_side_by_side():
    display = BarDisplay()
    for stage in ("draw@face", "draw@cartoon"):
        display.start(stage)
    display.progress("draw@face", 3, 4, "half")
    assert [(bar.description, bar.completed) for bar in display.bars.tasks] == [("draw@face", 3), ("draw@cartoon", 0)]
    display.finish("draw@face", "done", 1.0)
    assert [bar.description for bar in display.bars.tasks] == ["draw@cartoon"]
    display.finish("draw@cartoon", "done", 1.0)
    assert not display.bars.live.is_started


def test_nothing_is_shown_unless_asked(draw, capsys):
    draw()
    assert capsys.readouterr().out == ""
    assert type(current_display()).__name__ == "Display"
