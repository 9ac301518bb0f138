"""Runs beside each other, runs that died, what people see of both: on a test server, with stages that do nothing."""

import contextvars
import threading
import time
import uuid
from datetime import timedelta

import pytest
from prefect import flow
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.logging.handlers import APILogHandler
from prefect.states import Cancelling, Pending, Running, Scheduled
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.callables import parameter_schema
from tiny_project import set_param

from cli.overview import overview
from flows import pipeline, stages
from flows.artifacts import artifact_key, show_revision
from flows.holding import run_lease
from flows.services import deploying, verdicts
from flows.services.runs import Run, open_runs
from flows.services.verdicts import repair, verdict_of
from tasks.project.params import load_params
from tasks.running import locks
from tasks.running.dvc_stage import StageFailed, StageOutcome
from tasks.running.locks import hold_lease, new_holder
from ui2i.errors import ConfigError

LOCK = """\
schema: '2.0'
stages:
  import@face: {cmd: x, outs: [{path: data/checkpoints/face, md5: 00ff.dir, size: 3000000}]}
  swap@other: {cmd: x, outs: [{path: data/variants/other, md5: aaaa.dir, size: 1}]}
"""


@pytest.fixture(scope="module", autouse=True)
def _prefect(prefect_server):
    """Every flow here runs on a server of the tests' own."""


@pytest.fixture
def stage(monkeypatch):
    """A function that puts another in the place of every stage's work; there are no results to show then."""
    monkeypatch.setattr(stages.stage_task, "retry_delay_seconds", 0)
    monkeypatch.setattr(pipeline, "show_results", lambda *_: None)

    def replace(work):
        def run(stage, *, project, force, num_threads, on_progress, on_line):
            work(stage)
            return StageOutcome(stage, "ran", 1.0, ())

        monkeypatch.setattr(stages, "run_stage", run)

    return replace


def run_domain(project, name):
    return pipeline.new_domain(name, project=str(project.root), return_state=True)


def in_threads(*calls):
    """Run all at once, each in a thread with Prefect's settings of this one; return what each returned."""
    results = [None] * len(calls)

    def run(index, call, context):
        results[index] = context.run(call)

    threads = [
        threading.Thread(target=run, args=(index, call, contextvars.copy_context()), daemon=True)
        for index, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
        assert not thread.is_alive(), "stuck"
    return results


# Side by side


def test_one_trains_while_the_other_ingests(project, stage):
    set_param(project, "truth", {})
    set_param(project, "domains.anime", {"base": "face"})
    set_param(project, "datasets.anime", {"images": "data/raw/cartoon"})
    trainings, most, others = [], [], threading.Event()

    def work(name):
        kind, domain = name.split("@")
        if kind == "finetune":
            trainings.append(domain)
            most.append(len(trainings))
            if len(most) == 1:
                assert others.wait(60), "nothing else went on during the first training"
            trainings.remove(domain)
        elif kind == "ingest" and domain == "anime":
            deadline = time.monotonic() + 60
            while not most and time.monotonic() < deadline:
                time.sleep(0.05)  # so that the other trains first
            assert trainings == ["cartoon"]
            others.set()

    stage(work)
    states = in_threads(*(lambda name=name: run_domain(project, name) for name in ("cartoon", "anime")))
    assert [state.is_completed() for state in states] == [True, True]
    assert most == [1, 1], "one training at a time"


def test_the_same_domain_twice_is_refused_with_the_holder_s_name(project, stage):
    states = []

    def run_again(name):
        if name == "finetune@cartoon":
            states.extend(in_threads(lambda: run_domain(project, "cartoon")))

    stage(run_again)
    assert run_domain(project, "cartoon").is_completed()
    (second,) = states
    assert second.is_failed()
    assert "HeldError: cartoon is being made by the run 'new-domain cartoon' (process" in second.message
    assert len(locks.lease_names(project, "run")) == 2, "a run's last state is recorded after it; its lease stays"
    assert locks.lease_names(project, "model") == []


def test_no_parameter_of_a_run_is_passed_over(project, stage):
    stage(lambda name: None)
    written = project.params_path.read_bytes()
    place = {"project": str(project.root), "return_state": True}
    for run, name, given, message in (
        (pipeline.new_domain, "cat", {"images": "cats", "modes": ["FT"]}, "with images, modes but without base"),
        (pipeline.new_domain, "cat", {"replace": True}, "with replace but without base"),
        (pipeline.new_domain, "cartoon", {"framing": "fit"}, "with framing but without images"),
        (pipeline.new_domain, "cartoon", {"modes": ["FT"]}, "has domains.cartoon with other settings"),
        (pipeline.pretrain, "face", {"overrides": {"seed": 1}}, "with overrides but without images"),
    ):
        state = run(name, **given, **place)
        assert state.is_failed() and message in state.message
        assert project.params_path.read_bytes() == written
    given = {"overrides": {"seed": 1}, "replace": True}
    assert pipeline.new_domain("cartoon", **given, **place).is_completed()
    domain = load_params(project).domains["cartoon"]
    assert (domain.base, domain.modes, domain.finetune) == ("face", ("FC-FT", "FT"), {"seed": 1})


def test_a_stage_that_another_run_has_is_waited_for(project, stage):
    ran = []
    stage(ran.append)
    with hold_lease(project, "stage-import@face", new_holder("pretrain other", "1")):
        context = contextvars.copy_context()
        run = lambda: pipeline.pretrain("face", project=str(project.root), return_state=True)  # noqa: E731
        thread = threading.Thread(target=context.run, args=(run,))
        thread.start()
        deadline = time.monotonic() + 60
        while len(ran) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        assert ran == ["draw@face", "ingest@face"]
    thread.join(60)
    assert ran[-1] == "import@face"


def test_the_codes_of_a_folder_are_found_in_parts_first(project, monkeypatch, tmp_path):
    ran = []

    def run(name, command, **_):
        ran.append([option for option in command if option.startswith("--part")])
        return StageOutcome(name, "ran", 1.0, ())

    monkeypatch.setattr(stages, "run_command", run)
    for shown in ("show_contact_sheet", "tell_translation"):
        monkeypatch.setattr(pipeline, shown, lambda *_: None)
    flow = pipeline.translate.with_options(task_runner=ThreadPoolTaskRunner(max_workers=2))
    request = {"images": str(tmp_path), "domain": "cartoon", "out": str(tmp_path / "out")}  # as a server gets it
    flow(request, project=str(project.root))
    monkeypatch.setenv("UI2I_TASK_RUNNER", "threads")
    flow(request, project=str(project.root))
    assert ran[0] == ran[3] == []
    assert sorted(ran[1:3]) == [["--part=1/2"], ["--part=2/2"]]


# What people see


def test_the_last_lines_of_a_crash_are_the_state_s_message(project, stage):
    def crash(name):
        raise StageFailed(f"{name} failed", stage=name, lines=("Traceback", "Bug: 7"), is_user_error=False)

    stage(crash)
    state = pipeline.pretrain("face", project=str(project.root), return_state=True)
    assert state.message.endswith("StageFailed: draw@face failed\nTraceback\nBug: 7")
    (shown,) = [run for run in overview(project, is_own_server=True).failed if "Bug: 7" in run[3]][:1]
    assert shown[:2] == ("pretrain face", "Failed")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(uuid.UUID(shown[4]))
    assert run.name == "pretrain face"
    assert {"pretrain", "face"} <= set(run.tags)


def test_a_scheduled_run_is_shown_by_what_it_will_do(project):
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(
            pipeline.re_evaluate, parameters={"domains": None}, state=Scheduled(), name="pink-hog"
        )
        shown = overview(project, is_own_server=True).scheduled
        client.delete_flow_run(run.id)
    assert [name for name, _ in shown] == ["re-evaluate cartoon"]


def test_a_parameter_that_a_flow_does_not_have_starts_no_run():
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(pipeline.re_evaluate)
        schema = parameter_schema(pipeline.re_evaluate).model_dump()
        client.create_deployment(flow_id, "re-evaluate", parameter_openapi_schema=schema)
        before = len(client.read_flow_runs())
        with pytest.raises(ConfigError, match="re-evaluate has no parameter foo, expected domains, project"):
            deploying.trigger("re-evaluate", {"domains": [], "foo": 1})
        assert len(client.read_flow_runs()) == before
        run_id, _ = deploying.trigger("re-evaluate", {"domains": ["cartoon"]})
        client.delete_flow_run(uuid.UUID(run_id))


def test_a_stage_s_lines_and_its_end_are_in_the_run_s_log(project, monkeypatch):
    def run(stage, *, project, force, num_threads, on_progress, on_line):
        on_line(f"{stage} says something")
        on_progress(7, 7, "all images")
        return StageOutcome(stage, "ran", 1.0, ())

    monkeypatch.setattr(stages, "run_stage", run)
    pipeline.pretrain("face", project=str(project.root))
    APILogHandler().flush()
    with get_client(sync_client=True) as client:
        lines = [log.message for log in client.read_logs(limit=200)]
    assert "draw@face says something" in lines
    assert "7 of 7, all images" in lines


def test_the_revision_names_what_dvc_knows_of_the_outputs(project):
    @flow
    def leave():
        show_revision(project, "face", ["ingest@face", "import@face"])

    (project.root / "dvc.lock").write_text(LOCK)
    leave()
    text = Artifact.get(artifact_key("revision", "face")).data
    assert "| import@face | data/checkpoints/face | `00ff.dir` | 3.0 |" in text
    assert "other" not in text


# Runs that died


def new_run(state, *, age=timedelta(0)):
    """A run as the server knows it, without any process; return it as `open_runs` does."""

    @flow(name="new-domain", flow_run_name="new-domain cat")
    def nothing():
        pass

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(nothing)
        client.set_flow_run_state(run.id, state, force=True)
    (found,) = [it for it in open_runs() if it.id == str(run.id)]
    return Run(**(vars(found) | {"changed": found.changed - age}))


def state_of(run):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(uuid.UUID(run.id)).state


def killed_holder(project, run):
    """Leave what the run's process leaves when it is killed."""
    with hold_lease(project, run_lease(run.id), new_holder(run.name, run.id)):
        path = locks._lock_path(project, run_lease(run.id)).with_suffix(".json")
        note = path.read_text()
    path.write_text(note)


def test_a_lease_tells_whether_a_run_lives(project):
    run, old = new_run(Running()), new_run(Running(), age=timedelta(minutes=5))
    assert verdict_of(project, run, is_own_server=True) == "alive", "it may not have had the time to tell"
    assert verdict_of(project, old, is_own_server=True) == "gone"
    assert verdict_of(project, old, is_own_server=False) == "unknown"
    dated_ahead = new_run(Running(), age=-timedelta(days=3))
    assert verdict_of(project, dated_ahead, is_own_server=True) == "gone", "the clock was set back since"
    with hold_lease(project, run_lease(old.id), new_holder("x", old.id)):
        assert verdict_of(project, old, is_own_server=True) == "alive"
    killed_holder(project, run)
    assert verdict_of(project, run, is_own_server=False) == "gone"


def test_repair_closes_the_dead_and_no_other(project, monkeypatch):
    dead, living, waiting, stopping = (new_run(state) for state in (Running(), Running(), Pending(), Cancelling()))
    for run in (dead, waiting, stopping):
        killed_holder(project, run)
    with hold_lease(project, run_lease(living.id), new_holder("x", living.id)):
        repaired = repair(project, is_own_server=False)
    closed = {run.id: state for run, state in repaired.closed}
    assert closed == {dead.id: "Crashed", waiting.id: "Scheduled", stopping.id: "Cancelled"}
    assert state_of(living).is_running()
    assert state_of(dead).type is StateType.CRASHED
    assert "rerun it to resume" in state_of(dead).message
    assert repair(project, is_own_server=False).closed == ()


def test_repair_closes_the_tasks_of_a_dead_run(project, stage, monkeypatch):
    """Seen from within: the run is declared dead while one of its tasks runs."""
    seen = []

    def work(name):
        (run,) = [run for run in open_runs() if run.name == "pretrain face"]
        monkeypatch.setattr(verdicts, "is_held", lambda *_: False)
        assert [(it.id, state) for it, state in repair(project, is_own_server=False).closed] == [(run.id, "Crashed")]
        with get_client(sync_client=True) as client:
            seen.extend(task.state.name for task in client.read_task_runs() if str(task.flow_run_id) == run.id)
        monkeypatch.undo()
        raise StageFailed("stop", stage=name, lines=(), is_user_error=True)

    stage(work)
    pipeline.pretrain("face", project=str(project.root), return_state=True)
    assert seen == ["Crashed"]


def test_slots_of_trainings_are_freed_when_nothing_runs(project):
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    from flows.limits import TRAINING_LIMIT, ensure_training_limit

    ensure_training_limit()
    for run in open_runs():
        killed_holder(project, run)
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(TRAINING_LIMIT, GlobalConcurrencyLimitUpdate(active_slots=1))
        assert repair(project, is_own_server=True).freed_slots == 1
        assert client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).active_slots == 0
