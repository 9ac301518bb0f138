"""Several processes edit `params.yaml` at the same time, and some are killed at it."""

import random
import subprocess
import sys
import time

from tiny_project import make_project

from tasks.project.params import load_params

NUM_PROCESSES, NUM_NAMES, NUM_KILLED = 3, 6, 2

REGISTER = f"""
import sys
from pathlib import Path
from tasks.project.paths import Project
from tasks.project.register import register_dataset
project, first = Project(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for index in range({NUM_NAMES}):
    register_dataset(project, f"set-{{first}}-{{index}}", f"data/raw/set-{{first}}")
"""


def start(project, first):
    return subprocess.Popen(
        [sys.executable, "-c", REGISTER, str(project.root), str(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_registrations_at_the_same_time_lose_nothing(tmp_path):
    project = make_project(tmp_path / "project")
    before = project.params_path.read_text()
    processes = [start(project, first) for first in range(NUM_PROCESSES + NUM_KILLED)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    delays = random.Random(0)
    for process in processes[NUM_PROCESSES:]:
        time.sleep(delays.uniform(0, 0.05))
        process.kill()
    while any(process.poll() is None for process in processes):
        load_params(project)  # whole at any moment
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes[:NUM_PROCESSES]] == [0] * NUM_PROCESSES
    registered = load_params(project).datasets
    wanted = {f"set-{first}-{index}" for first in range(NUM_PROCESSES) for index in range(NUM_NAMES)}
    assert wanted <= set(registered)
    kept = [line for line in project.params_path.read_text().splitlines() if "set-" not in line]
    assert kept == before.splitlines(), "every other line is as it was"
