"""The demo's flow: stages in waves, those of a wave side by side, and what becomes of them when one fails."""

import threading

import pytest
from prefect import flow
from tiny_project import REPOSITORY

from cli import app
from flows import limits, stages, together
from flows.display import Display, shown
from flows.limits import ensure_training_limit, training_slot
from flows.together import run_waves, together_runner
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.dvc_stage import StageFailed, StageOutcome
from tasks.running.dvc_stages import domain_stages, stages_of
from tasks.running.locks import is_held

PATIENCE = 60.0  # seconds; nobody waits for it unless something is wrong


@pytest.fixture(scope="module", autouse=True)
def _prefect(prefect_server):
    """Every flow here runs on a server of the tests' own."""


@pytest.fixture
def stage(monkeypatch):
    """A function that puts another in the place of every stage's work."""
    monkeypatch.setattr(together, "usable_cores", lambda: 4)
    monkeypatch.setattr(stages.stage_task, "retry_delay_seconds", 0)

    def replace(work):
        def run(stage, *, project, force, num_threads, on_progress, on_line):
            work(stage, num_threads)
            return StageOutcome(stage, "ran", 1.0, ())

        monkeypatch.setattr(stages, "run_stage", run)

    return replace


def run(project, waves, **options):
    @flow(task_runner=together_runner())
    def some_waves():
        ensure_training_limit()
        return run_waves(project, waves, **options)

    return [(outcome.stage, outcome.status) for outcome in some_waves()]


def test_waves_of_the_demo_hold_every_stage_once_and_after_what_it_reads():
    project = Project(REPOSITORY)
    params = load_params(project)
    names = [stage for domain in params.domains for stage in domain_stages(project, domain)]
    waves = stages_of(project, params).waves(names)
    assert sorted(stage for wave in waves for stage in wave) == sorted(set(names))
    last = ("distance", "evaluate", "translate")
    assert waves[-3:] == [  # cartoons come a wave later, because they are drawn first
        ["swap@lorelei", "finetune@cartoon"],
        [*(f"{kind}@lorelei" for kind in last), "swap@cartoon"],
        [f"{kind}@cartoon" for kind in last],
    ]
    places = {stage: place for place, wave in enumerate(waves) for stage in wave}
    for domain, first in (("lorelei", []), ("cartoon", ["draw"])):
        order = [f"{kind}@{domain}" for kind in (*first, "ingest", "finetune", "swap", "translate")]
        assert sorted(order, key=places.__getitem__) == order


def test_stages_of_a_wave_run_side_by_side_and_share_the_cores(project, stage):
    together_at = {2: threading.Barrier(2, timeout=PATIENCE), 4: None}
    seen = {}

    def work(name, num_threads):
        seen[name] = num_threads
        if (barrier := together_at[num_threads]) is not None:
            barrier.wait()

    stage(work)
    outcomes = run(project, [["finetune@a", "finetune@b"], ["swap@a"]], has_training_slot=True)
    assert outcomes == [(name, "ran") for name in ("finetune@a", "finetune@b", "swap@a")]
    assert seen == {"finetune@a": 2, "finetune@b": 2, "swap@a": 4}


def test_what_dvc_finds_up_to_date_is_not_started(project, stage, monkeypatch):
    started = []
    stage(lambda name, _threads: started.append(name))
    monkeypatch.setattr(together, "leading_up_to_date", lambda names, *, project: names[:2])
    outcomes = run(project, [["draw@a", "draw@b"], ["ingest@a"]])
    assert outcomes == [("draw@a", "skipped"), ("draw@b", "skipped"), ("ingest@a", "ran")]
    assert started == ["ingest@a"]


def test_a_failure_ends_the_run_after_what_runs_beside_it(project, stage):
    ended = []

    def work(name, _threads):
        if name == "ingest@a":
            raise StageFailed("no images, expected some; add them", stage=name, lines=(), is_user_error=True)
        ended.append(name)

    stage(work)
    with pytest.raises(StageFailed, match="no images"):
        run(project, [["ingest@a", "ingest@b"], ["finetune@a"]])
    assert ended == ["ingest@b"]


def test_a_stage_that_waits_for_a_slot_keeps_nobody_from_it_who_has_one(project, stage, monkeypatch):
    """The demo, which holds the slot, may need the same stage: each would wait for the other for ever."""
    monkeypatch.setattr(limits, "_PATIENCE_SECONDS", 0.1)
    ended, waits = [], threading.Event()

    class Told(Display):
        def message(self, text):
            if text.startswith("finetune@cartoon: waits for another training"):
                waits.set()

    @flow
    def training():
        stages.stage_task("finetune@cartoon", project.root)

    stage(lambda name, num_threads: ended.append(num_threads))
    ensure_training_limit()
    other = threading.Thread(target=training)
    with shown(Told()):
        with training_slot("demo"):
            other.start()
            assert waits.wait(PATIENCE)
            assert not is_held(project, "stage-finetune@cartoon")
            run(project, [["finetune@cartoon"]], has_training_slot=True)
            assert ended == [4]
        other.join(PATIENCE)
    assert ended == [4, None]


@pytest.mark.parametrize(("arguments", "domains"), [(["demo"], ["cartoon"]), (["demo", "--all"], ["cartoon", "anime"])])
def test_the_command_runs_the_first_domain_or_all(project, monkeypatch, capsys, arguments, domains):
    text = project.params_path.read_text().replace("domains:\n", "domains:\n", 1)
    project.params_path.write_text(
        text.replace(
            "  cartoon: {base: face, modes: [FC-FT, FT]}", "  cartoon: {base: face}\n  anime: {base: face}"
        ).replace("datasets:\n", "datasets:\n  anime: {images: data/raw/cartoon}\n")
    )
    asked, shown = [], []
    monkeypatch.chdir(project.root)
    monkeypatch.setattr("flows.demo.demo", lambda names, *, project: asked.append(names) or [])
    monkeypatch.setattr("cli.report.print_results", lambda _project, name: shown.append(name))
    monkeypatch.setattr("flows.services.session.prefect_session", lambda *_, **__: threading.Lock())
    assert app.run(arguments) == 0
    assert (asked, shown) == ([domains], domains)
    assert capsys.readouterr().out.startswith("expect ")
