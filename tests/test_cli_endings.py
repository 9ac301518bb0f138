"""How the `ui2i` command ends: errors, interruptions, and a whole run as a person starts it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_project import distance_row, files_below, set_param, write_base, write_images
from typed_commands import images as images
from typed_commands import session as session
from typed_commands import ui2i as ui2i

from flows.display import working
from tasks.running.dvc_stage import StageFailed
from ui2i.errors import DataError
from ui2i.tables import DISTANCE_SCHEMA, append_rows

# How a run ends


def test_a_stage_s_own_error_is_one_line(ui2i, session):
    session(StageFailed("two\nlines", stage="swap@x", lines=("error: two", "noise"), is_user_error=True))
    assert ui2i("re-evaluate") == (2, "", "error: two lines\n")


def test_a_stage_that_crashed_shows_its_last_lines(ui2i, session):
    session(
        StageFailed("swap@x failed: exit status 1", stage="swap@x", lines=("Traceback", "Bug"), is_user_error=False)
    )
    assert ui2i("re-evaluate") == (1, "", "Traceback\nBug\nerror: swap@x failed: exit status 1\n")


def test_a_bug_keeps_its_traceback(ui2i, session):
    session(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        ui2i("re-evaluate")


def test_ctrl_c_ends_with_130(ui2i, monkeypatch):
    @contextlib.contextmanager
    def interrupted(project, *, verbose):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("flows.services.session.prefect_session", interrupted)
    status, _, err = ui2i("re-evaluate")
    assert status == 130
    assert err.startswith("stopped; ")


@pytest.mark.parametrize(("error", "result"), [(KeyboardInterrupt, "stopped"), (ValueError, "failed")])
def test_work_that_is_no_stage_says_how_it_ended(error, result, capsys):
    with pytest.raises(error), working("measure"):
        raise error
    assert f"measure: {result}" in capsys.readouterr().out.splitlines()[-1]


def test_a_server_that_does_not_answer_is_one_line(ui2i, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    status, _, err = ui2i("re-evaluate")
    assert status == 2
    assert err.startswith("error: no Prefect server answers at http://127.0.0.1:1/api")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "closed", "status", "err"),
    [
        ("distances", ">&-", 0, ""),
        ("distances", "2>&-", 0, ""),
        ("translate - --domain cartoon --out out", "<&-", 2, "error: standard input holds nothing, expected a list"),
    ],
)
def test_closed_streams(project, arguments, closed, status, err):
    append_rows(project.distance_table("cartoon"), [distance_row("a" * 32, "cartoon/FC-FT", 0.4)], DISTANCE_SCHEMA)
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m cli.app {arguments} {closed}', sys.executable],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status and done.stderr.startswith(err)
    assert "Traceback" not in done.stderr


# The whole, as a person starts it: a temporary server, Prefect, DVC, the stages


def embedded_environment():
    """The environment of somebody who has never heard of Prefect."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def test_pretrain_without_a_server(project, images, prefect_database):
    write_images(images, count=24)
    database = project.root / ".prefect" / "prefect.db"
    database.parent.mkdir()
    shutil.copy(prefect_database, database)
    command = [sys.executable, "-m", "cli.app", "pretrain", "blobs", "--images", str(images), "--kimg", "0.004"]
    done = subprocess.run(
        command, cwd=project.root, env=embedded_environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.endswith("started")] == ["ingest@blobs: started", "pretrain@blobs: started"]
    assert lines[-1] == "checkpoint  data/checkpoints/blobs"
    assert project.raw("blobs").with_name("blobs.dvc").is_file()
    assert {"generator.safetensors", "discriminator.safetensors"} < files_below(project.checkpoint("blobs"))
    with contextlib.closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT state_type FROM flow_run").fetchall() == [("COMPLETED",)]


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(project):
    import signal
    import time

    import psutil

    set_param(project, "finetune.total_kimg", 1000)
    write_base(project)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.app", "demo"],
        cwd=project.root,
        env=embedded_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("finetune@cartoon: started"):
            break
    state = project.run_dir("cartoon", "FC-FT") / "state.pt"
    while not state.exists():
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to all in the foreground
    _, err = process.communicate()
    assert process.returncode == 130
    assert "stopped" in err
    left = [p.cmdline() for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(project.root)]
    assert left == []
    set_param(project, "finetune.total_kimg", 0.008)
    assert subprocess.run(process.args, cwd=project.root, env=embedded_environment(), check=False).returncode == 0
    assert Path(project.translations("cartoon") / "contact_sheet.png").is_file()


def test_other_errors_of_a_flow_are_the_user_s(ui2i, session):
    session(DataError("nothing there, expected something; add it"))
    assert ui2i("re-evaluate") == (2, "", "error: nothing there, expected something; add it\n")
