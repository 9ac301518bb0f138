"""Stages beside each other, stages that are stopped, and their progress."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from stage_calls import _stay_here as _stay_here
from stage_calls import run
from tiny_project import files_below, set_param, write_images

from tasks.running.progress import PREFIX, parse_progress, part_of, report_progress
from ui2i.errors import DataError

# Two at once, and stopping


HOLDER = """
import sys, time
from tasks.project.paths import find_project
from tasks.running.locks import hold_output
project = find_project()
with hold_output(project, project.raw("face")):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def started(project, *command, **environment):
    """A process in the project, of which the first line has come; it does not outlive the block."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=project.root, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        process.first_line = process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_a_second_one_refuses_and_names_the_first(project, capsys):
    with started(project, "-c", HOLDER) as holder:
        assert holder.first_line == "held\n"
        assert run(project, "draw", "face") == 2
        assert f"data/raw/face is being written by process {holder.pid} on " in capsys.readouterr().err
        assert run(project, "draw", "cartoon") == 0
    assert run(project, "draw", "face") == 0, "the lock outlived its holder"


def test_what_a_killed_one_left_is_removed(project):
    left, other = (project.raw("x").with_name(f".{name}.0123abcd.tmp") for name in ("face", "face-2"))
    for folder in (left, other):
        write_images(folder, count=1)
    assert run(project, "draw", "face") == 0
    assert not left.exists()
    assert other.exists()


def test_asked_to_stop_it_leaves_nothing_half_written(project):
    set_param(project, "synthetic.face.num_images", 100_000)
    with started(project, "-m", "experiments.synthetic.draw", "--dataset", "face") as process:
        assert process.first_line.startswith(PREFIX)
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert files_below(project.data_dir) == set()


def test_under_dvc_it_ends_with_its_parent(project):
    set_param(project, "synthetic.face.num_images", 100_000)
    wrapper = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    with started(
        project, "-c", wrapper, "-m", "experiments.synthetic.draw", "--dataset", "face", DVC_STAGE="draw@face"
    ) as parent:
        assert parent.first_line.startswith(PREFIX)
        parent.kill()
        parent.communicate(timeout=60)  # ends when the stage has closed the pipe too
    assert files_below(project.data_dir) == set()


# Progress


def test_progress_lines_are_few_and_the_last_is_never_lost(capsys):
    with report_progress("draw@face") as progress:
        for done in range(1000):
            progress(done + 1, 1000, f"image {done}")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 10
    assert [parse_progress(line) for line in (lines[0], lines[-1])] == [
        (1, 1000, "image 0"),
        (1000, 1000, "image 999"),
    ]
    assert json.loads(lines[0].removeprefix(PREFIX))["stage"] == "draw@face"


def test_the_last_progress_is_printed_even_when_the_work_fails(capsys):
    def fail():
        with report_progress("x") as progress:
            progress(1, 3)
            progress(2, 3)
            raise DataError("no")

    with pytest.raises(DataError):
        fail()
    assert parse_progress(capsys.readouterr().out.splitlines()[-1]) == (2, 3, "")


@pytest.mark.parametrize("line", ["", "done 3", PREFIX, PREFIX + "{}", PREFIX + "[1]", PREFIX + '{"done": 1}'])
def test_other_lines_are_no_progress(line):
    assert parse_progress(line) is None


def test_parts_fill_the_whole_once():
    seen = []

    def progress(done, total, note=""):
        seen.append((done, total, note))

    for index, label in enumerate(("FC-FT", "FT")):
        report = part_of(progress, index, 2, label)
        report(0, 10)
        report(10, 10, "loss 1")
    assert seen == [(0, 20, "FC-FT"), (10, 20, "FC-FT loss 1"), (10, 20, "FT"), (20, 20, "FT loss 1")]
