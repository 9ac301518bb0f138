"""Who is at work, and what ends with whom."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tasks.project.paths import Project
from tasks.running import dvc_locks
from tasks.running.dvc_command import ensure_dvc
from tasks.running.lock_file import keep_copy, mend, read_outputs
from tasks.running.locks import HeldError, hold_lease, is_held, lease_names, new_holder, read_holder, remove_lease
from tasks.running.tether import tethered

LOCK = """\
schema: '2.0'
stages:
  swap@cartoon:
    cmd: python -m tasks.stages.swap --domain cartoon
    outs:
    - path: data/variants/cartoon
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 2000000
      nfiles: 2
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return Project(tmp_path)


# Leases


def test_a_lease_is_refused_with_its_holder_s_name(project):
    with hold_lease(project, "model-cat", new_holder("new-domain cat", "7")):
        assert is_held(project, "model-cat")
        with (
            pytest.raises(
                HeldError, match=rf"^cat is being made by the run 'new-domain cat' \(process {os.getpid()} on "
            ),
            hold_lease(project, "model-cat", new_holder("another", "8")),
        ):
            pytest.fail("two holders")
        with hold_lease(project, "model-dog", new_holder("another", "8")):
            assert lease_names(project, "model") == ["model-cat", "model-dog"]
    assert not is_held(project, "model-cat")
    assert lease_names(project, "model") == []


def test_asking_whether_a_lease_is_held_never_refuses_it_to_anybody(project):
    with hold_lease(project, "stage-x", new_holder()):
        pass
    is_done = threading.Event()

    def ask():
        while not is_done.is_set():
            is_held(project, "stage-x")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(100):
            with hold_lease(project, "stage-x", new_holder()):
                pass
    finally:
        is_done.set()
        asking.join()


def test_who_waits_is_told_for_whom_and_comes_next(project):
    told, order = [], []

    def second():
        with hold_lease(project, "stage-x", new_holder("second", "2"), on_wait=told.append):
            order.append("second")

    with hold_lease(project, "stage-x", new_holder("first", "1")):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 20
        while not told:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert told[0].startswith("the run 'first' (process")


HOLD_FOR_EVER = """
import sys, time
from pathlib import Path
from tasks.running.locks import hold_lease, new_holder
from tasks.project.paths import Project
with hold_lease(Project(Path(sys.argv[1])), "run-7", new_holder("killed", "7")):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_leaves_its_name_and_no_lock(project):
    command = [sys.executable, "-c", HOLD_FOR_EVER, str(project.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert is_held(project, "run-7")
        remove_lease(project, "run-7")
        assert read_holder(project, "run-7").pid == process.pid, "a lease that is held stays"
        process.kill()
    assert not is_held(project, "run-7")
    assert read_holder(project, "run-7").run == "killed"
    remove_lease(project, "run-7")
    assert read_holder(project, "run-7") is None


def test_stages_that_begin_together_set_dvc_up_one_after_another(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(ensure_dvc, [tmp_path] * 3))
    assert (tmp_path / ".dvc" / "config").is_file()


# The tether

PARENT = """
import subprocess, sys
from tasks.running.tether import tethered
child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); \\
print('up', flush=True); time.sleep(600)"
process = subprocess.Popen(tethered([sys.executable, "-c", child]), stdin=subprocess.PIPE, start_new_session=True)
print(process.pid, flush=True)
process.wait()
"""


def members(group):
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except ProcessLookupError:
            continue
    return found


def test_what_is_tethered_ends_with_a_parent_that_was_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        lines = {parent.stdout.readline().strip() for _ in range(2)}
        (group,) = (int(line) for line in lines if line.isdigit())
        assert "up" in lines
        assert len(members(group)) == 3, "the tether, the command and its child"
        parent.kill()
    deadline = time.monotonic() + 20
    while members(group):
        assert time.monotonic() < deadline, f"left behind: {members(group)}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "status"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + signal.SIGKILL)]
)
def test_a_tether_passes_the_exit_status_on(code, status):
    with subprocess.Popen(tethered([sys.executable, "-c", code]), stdin=subprocess.PIPE) as process:
        assert process.wait() == status


# DVC's files after a kill


def test_the_outputs_of_stages_are_read(project):
    (output,) = read_outputs(project)
    assert (output.stage, output.path, output.num_bytes) == ("swap@cartoon", "data/variants/cartoon", 2000000)


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  swap@car", LOCK[:-60] + "    outs: ["])
def test_a_lock_file_that_was_cut_off_is_put_back(project, left):
    path = project.root / "dvc.lock"
    assert mend(project) == []
    assert keep_copy(project) == []
    path.write_text(left)
    assert read_outputs(project) == []
    assert mend(project) == ["dvc.lock"]
    assert path.read_text() == LOCK


def test_dvc_s_own_locks_are_removed_when_they_are_cut_off(project):
    rwlock = project.root / ".dvc/tmp/rwlock"
    rwlock.write_text(json.dumps({"write": {}, "read": {}}))
    assert mend(project) == []
    rwlock.write_text('{"write": {"/a/b": {"pi')
    assert mend(project) == ["rwlock"]
    assert not rwlock.exists()


def test_what_dvc_says_of_cut_off_files_is_known(project, tmp_path):
    """Asked of DVC itself, so that a new version that says it otherwise is noticed."""
    from tasks.running.dvc_command import DVC, dvc_environment, is_cut_off

    ensure_dvc(project.root)
    (project.root / "dvc.yaml").write_text("stages: {one: {cmd: 'echo 1 > one', outs: [one]}}")
    for name, left in (("dvc.lock", LOCK[:-60] + "    outs: ["), (".dvc/tmp/rwlock", '{"write": {')):
        path = project.root / name
        path.write_text(left)
        done = subprocess.run(
            [*DVC, "repro", "one"], cwd=project.root, env=dvc_environment(), capture_output=True, text=True
        )
        assert done.returncode != 0
        assert is_cut_off((done.stdout + done.stderr).splitlines()), done.stderr
        path.unlink()


def test_mending_waits_for_a_living_writer(project, monkeypatch):
    import zc.lockfile

    monkeypatch.setattr(dvc_locks, "MEND_SECONDS", 0.1)
    keep_copy(project)
    (project.root / "dvc.lock").write_text("")
    writer = zc.lockfile.LockFile(str(project.root / ".dvc/tmp/lock"))
    try:
        assert mend(project) == []
    finally:
        writer.close()
    assert mend(project) == ["dvc.lock"]
