"""The bridge to DVC: failures, processes that are cancelled or killed, and stages that are busy."""

import json
import os
import shutil
import sys
import threading
import time

import psutil
import pytest

from tasks.running import dvc_stage, process_group
from tasks.running.dvc_command import DVC, dvc_environment, ensure_dvc
from tasks.running.dvc_stage import StageFailed, run_stage
from tasks.running.process_group import end_running_commands
from ui2i.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning:dvc")


# Failures


def test_a_user_s_mistake_is_one_line(project):
    project.raw("face").mkdir(parents=True)
    with pytest.raises(StageFailed) as error:
        run_stage("ingest@face", project=project)
    assert str(error.value).startswith(f"{project.raw('face')} contains no images")
    assert error.value.stage == "ingest@face"
    assert error.value.is_user_error
    assert any(line.startswith("error: ") for line in error.value.lines)
    assert not project.prepared("face").exists()


def test_a_stage_that_comes_too_early_says_what_is_missing(project):
    with pytest.raises(StageFailed, match=r"data/checkpoints/face/generator\.safetensors'\); run that first") as error:
        run_stage("swap@cartoon", project=project)
    assert error.value.is_user_error
    assert "\n" not in str(error.value)


def test_modules_of_the_project_s_folder_take_no_other_s_place(project):
    """`tasks.py` is invoke's default file; Python would find it before the package of that name."""
    for name in ("tasks", "flows", "cli", "queue"):
        (project.root / f"{name}.py").write_text("raise SystemExit('of the project')\n")
    with pytest.raises(StageFailed, match="contains no images"):
        project.raw("face").mkdir(parents=True)
        run_stage("ingest@face", project=project)


def test_an_unknown_stage_is_refused_before_anything_starts(project):
    with pytest.raises(ConfigError, match="no stage 'ingest@nobody'"):
        run_stage("ingest@nobody", project=project)
    assert not (project.root / ".dvc").exists()


# Processes. Stages that sleep stand for stages that train.


SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('::progress {"stage": "draw@face", "done": 1, "total": 9, "note": "asleep"}', flush=True)
time.sleep(600)
"""


def test_an_empty_data_folder_gets_what_git_keeps_in_a_clone(project):
    """Translations depend on whatever is in the folder of encoders; DVC would find nothing to depend on."""
    shutil.rmtree(project.data_dir)
    with pytest.raises(StageFailed) as caught:
        run_stage("translate@cartoon", project=project)
    assert "encoders" not in str(caught.value)
    assert project.encoders.is_dir()


@pytest.fixture
def sleeper(project):
    """A project whose drawing sleeps, with a child that sleeps too."""
    (project.root / "sleeper.py").write_text(SLEEPER)
    stages = {"draw": {"foreach": "${synthetic}", "do": {"cmd": "python sleeper.py", "outs": ["data/raw/${key}"]}}}
    (project.root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    project.raw("face").parent.mkdir(parents=True)
    return project


def processes_in(project):
    """Processes whose current folder is the project."""
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(project.root)]


def assert_none_left(project):
    deadline = time.monotonic() + 20
    while processes_in(project):
        assert time.monotonic() < deadline, f"left behind: {processes_in(project)}"
        time.sleep(0.05)


class CancelledError(Exception):
    """What an orchestrator throws into a running stage."""


def test_a_cancelled_stage_leaves_no_process(sleeper):
    def cancel(done, total, note):
        assert len(processes_in(sleeper)) >= 3, "dvc, the stage and its child"
        raise CancelledError

    with pytest.raises(CancelledError):
        run_stage("draw@face", project=sleeper, on_progress=cancel)
    assert_none_left(sleeper)


def test_a_killed_dvc_leaves_no_process_and_no_lock(sleeper):
    def kill_dvc(done, total, note):
        for process in processes_in(sleeper):
            if "repro" in process.cmdline():
                process.kill()

    with pytest.raises(StageFailed) as error:
        run_stage("draw@face", project=sleeper, on_progress=kill_dvc)
    assert not error.value.is_user_error
    assert_none_left(sleeper)
    (sleeper.root / "sleeper.py").write_text("import pathlib; pathlib.Path('data/raw/face').write_text('drawn')")
    assert run_stage("draw@face", project=sleeper).status == "ran"


@pytest.mark.parametrize("victim", ["sleeper.py", "dvc", "tasks.running.tether"])
def test_whatever_was_killed_is_named_as_killed(sleeper, victim):
    """As the system kills the largest process when the memory does not suffice, which may not be the stage."""

    def kill(done, total, note):
        for process in processes_in(sleeper):
            if victim in process.cmdline()[1:3]:
                process.kill()

    with pytest.raises(StageFailed, match=r"draw@face failed: .*\(killed: by somebody, or by the system"):
        run_stage("draw@face", project=sleeper, on_progress=kill)
    assert_none_left(sleeper)


def test_a_stage_that_ignores_the_request_is_ended_all_the_same(sleeper, monkeypatch):
    monkeypatch.setattr(process_group, "STOP_SECONDS", 0.5)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    (sleeper.root / "sleeper.py").write_text(deaf)

    def cancel(done, total, note):
        raise CancelledError

    with pytest.raises(CancelledError):
        run_stage("draw@face", project=sleeper, on_progress=cancel)
    assert_none_left(sleeper)


def test_a_stage_of_another_thread_is_ended(sleeper):
    failures, has_begun = [], threading.Event()

    def run():
        try:
            run_stage("draw@face", project=sleeper, on_progress=lambda *_: has_begun.set())
        except StageFailed as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert has_begun.wait(60)
    end_running_commands()
    thread.join(60)
    assert [error.is_user_error for error in failures] == [True]  # so that nobody tries again
    assert "draw@face was stopped with its run" in str(failures[0])
    assert_none_left(sleeper)


def test_a_stage_computes_with_its_share_of_threads(sleeper, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    told = "import os, pathlib; pathlib.Path('data/raw/face').write_text(os.environ['OMP_NUM_THREADS'])"
    (sleeper.root / "sleeper.py").write_text(told)
    run_stage("draw@face", project=sleeper, num_threads=3)
    assert sleeper.raw("face").read_text() == "3"


UNTIL_TOLD = """
import pathlib, time
print('::progress {"stage": "draw@face", "done": 1, "total": 9, "note": "waits"}', flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.05)
pathlib.Path("data/raw/face").write_text("drawn")
"""


def hold_dvc(project, holder):
    """Tell DVC that a living process is writing the drawing's output."""
    ensure_dvc(project.root)
    (project.root / ".dvc/tmp").mkdir(exist_ok=True)
    entry = {"write": {str(project.raw("face")): {"pid": holder, "cmd": "dvc repro"}}, "read": {}}
    (project.root / ".dvc/tmp/rwlock").write_text(json.dumps(entry))


def test_a_busy_stage_is_tried_again(sleeper, monkeypatch):
    (sleeper.root / "sleeper.py").write_text("import pathlib; pathlib.Path('data/raw/face').write_text('drawn')")
    hold_dvc(sleeper, os.getpid())
    waits = []

    def release(seconds):
        waits.append(seconds)
        (sleeper.root / ".dvc/tmp/rwlock").unlink()

    monkeypatch.setattr(dvc_stage, "wait", release)
    assert run_stage("draw@face", project=sleeper).status == "ran"
    assert waits == [dvc_stage.BUSY_FIRST_WAIT_SECONDS]


def test_a_stage_that_stays_busy_is_given_up(sleeper, monkeypatch):
    hold_dvc(sleeper, os.getpid())
    monkeypatch.setattr(dvc_stage, "BUSY_RETRIES", 1)
    monkeypatch.setattr(dvc_stage, "BUSY_FIRST_WAIT_SECONDS", 0.01)
    with pytest.raises(StageFailed, match=r"is busy.*PID"):
        run_stage("draw@face", project=sleeper)


def test_a_stage_of_the_project_is_waited_for_however_long_it_takes(sleeper, monkeypatch):
    """As translations wait for an encoder to be trained: they read the folder that it is written to."""
    (sleeper.root / "sleeper.py").write_text(UNTIL_TOLD)
    stages = json.loads((sleeper.root / "dvc.yaml").read_text())["stages"]
    stages["look"] = {"cmd": "ls data/raw > seen", "deps": ["data/raw"], "outs": ["seen"]}
    (sleeper.root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    has_begun, waits = threading.Event(), []

    def wait(_seconds):
        waits.append(None)
        if len(waits) == 3:
            (sleeper.root / "go").touch()
        time.sleep(0.2)

    monkeypatch.setattr(dvc_stage, "wait", wait)
    monkeypatch.setattr(dvc_stage, "BUSY_RETRIES", 1)
    draw = threading.Thread(
        target=run_stage, args=("draw@face",), kwargs={"project": sleeper, "on_progress": lambda *_: has_begun.set()}
    )
    draw.start()
    try:
        assert has_begun.wait(60)
        assert run_stage("look", project=sleeper).status == "ran"
    finally:
        (sleeper.root / "go").touch()
        draw.join(60)
    assert (sleeper.root / "seen").read_text() == "face\n" and len(waits) >= 3


def test_a_stage_that_waits_is_stopped_with_its_run(sleeper, monkeypatch):
    hold_dvc(sleeper, os.getpid())
    monkeypatch.setattr(dvc_stage, "wait", lambda _seconds: end_running_commands())
    with pytest.raises(StageFailed, match=r"draw@face was stopped with its run"):
        run_stage("draw@face", project=sleeper)


# With and without git


def test_stages_find_this_interpreter_first(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = shutil.which("python", path=dvc_environment()["PATH"])
    assert found is not None
    assert os.path.samefile(os.path.dirname(found), os.path.dirname(sys.executable))  # noqa: PTH120, PTH121
    assert DVC[0] == sys.executable
