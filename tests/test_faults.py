"""Killed at random moments, by every means, a pipeline ends with what an undisturbed one makes.

`make test-faults` runs it; UI2I_KILLS says how many faults (30), UI2I_FAULT_SEED which (0), UI2I_FAULT_REPORT names a
JSON file for the counts, and UI2I_QUIET_PROJECT a project in which an undisturbed run was made before. Faults come
while a worker runs the flow `new-domain` at 32 px: processes are ended by SIGKILL or SIGTERM (flow, worker, DVC, stage,
server), or the disk is full for some seconds.
"""

import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from fault_injection import faults, find, full_disk, processes_in, run_processes, small_disk, wait_for
from outputs_compare import OUTPUTS, differences, half_written, num_rows
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from tiny_project import REPOSITORY, make_project, set_param, write_base

from flows import deploying, operations, services
from flows.runs import open_runs
from flows.server import wait_for_server
from flows.verdicts import judge, repair
from tasks.dvc_stage import domain_stages, run_stage
from tasks.project import Project

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NUM_FAULTS = int(os.environ.get("UI2I_KILLS", "30"))
SEED = int(os.environ.get("UI2I_FAULT_SEED", "0"))
DOMAIN = "cartoon"
LONGEST_WAIT_SECONDS = 12.0  # before a fault, once there is somebody to hit
DISK_SECONDS = 8.0
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.5


@pytest.fixture
def projects(tmp_path):
    """Two equal projects: one is left in peace."""
    if made := os.environ.get("UI2I_QUIET_PROJECT"):
        quiet = Project(Path(made))
    else:
        quiet = make_project(tmp_path / "quiet")
        write_base(quiet)
        set_param(quiet, "truth", {})
    disturbed = make_project(tmp_path / "disturbed")
    with small_disk(disturbed.data_dir, megabytes=256) as has_disk:
        shutil.copytree(quiet.data_dir / "base", disturbed.data_dir / "base")
        shutil.copy(quiet.params_path, disturbed.params_path)
        shutil.copy(REPOSITORY / "prefect.yaml", disturbed.root)
        yield quiet, disturbed, has_disk


@pytest.fixture
def operated(projects, monkeypatch):
    """The disturbed project, with a server and a worker; at the end neither is left."""
    project = projects[1]
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PREFECT_HOME", str(project.root / ".prefect"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "2")
    subprocess.run([sys.executable, "-m", "flows.cli", "up", "--port", "0"], cwd=project.root, check=True)
    try:
        with temporary_settings({PREFECT_API_URL: services.running_server(project)}):
            yield project
    finally:
        operations.bring_down(project, say=lambda text: None)
        for process in processes_in(project):
            process.kill()


class Operator:
    """Does what an operator does after a fault: starts what is missing, repairs, and runs the flow again."""

    def __init__(self, project):
        self.project = project
        self.counts = collections.Counter()
        self.ended = {}  # run id -> how, since it was last asked

    def restart(self):
        """Start a server and a worker where they were."""
        up = services.read_services(self.project)
        url = PREFECT_API_URL.value()
        if "server" not in up:
            services.start_server(self.project, port=int(url.split(":")[2].split("/")[0]))
            wait_for_server(url)
        if "worker" not in up:
            services.start_worker(self.project, url, deploying.POOL, limit=2)

    def ensure_run(self):
        """Have a living run; return False if all is made."""
        self.restart()
        self.settle()
        if not self.alive():
            if self.is_complete():
                return False
            deploying.trigger("new-domain", {"name": DOMAIN})
            self.counts["runs"] += 1
        return True

    def settle(self):
        """Close what the last fault left, and check that it left no two writers."""
        repaired = repair(self.project, is_own_server=True)
        self.counts["zombie runs closed"] += len(repaired.closed)
        self.counts["files put back"] += len(repaired.files)
        assert half_written(self.project) == []
        writers = [process for process in run_processes(self.project) if "repro" in _command(process)]
        assert sum("tasks.tether" in _command(process) for process in writers) <= 1

    def alive(self):
        """Runs whose process lives, as far as anybody can tell, or which wait for the worker."""
        runs = [run for run in open_runs() if judge(self.project, run, is_own_server=True) == "alive"]
        with get_client(sync_client=True) as client:
            waiting = [run for run in client.read_flow_runs() if run.state.is_scheduled() and not run.auto_scheduled]
        return [*runs, *waiting]

    def is_complete(self):
        """Whether a run has completed since the outputs were last removed."""
        with get_client(sync_client=True) as client:
            completed = [run for run in client.read_flow_runs() if run.state.is_completed()]
        return len(completed) > self.counts["rounds"]

    def finish_round(self, quiet):
        """Compare the outputs with the undisturbed ones."""
        assert differences(self.project, quiet) == []
        self.counts["rounds"] += 1
        self.counts["measured twice"] += num_rows(self.project, DOMAIN) > num_rows(quiet, DOMAIN)

    def begin_anew(self):
        """Remove all that was made, and DVC's memory of it."""
        wait_for(lambda: not run_processes(self.project), PATIENCE_SECONDS, "the end of all runs")
        for path in (*(self.project.data_dir / name for name in (*OUTPUTS, "runs")), self.project.root / ".dvc/cache"):
            shutil.rmtree(path, ignore_errors=True)
        (self.project.root / "dvc.lock").unlink(missing_ok=True)


def _command(process):
    with contextlib.suppress(Exception):
        return " ".join(process.cmdline())
    return ""


def inflict(operator, victim, number, delays):
    """Do it at a random moment; return what was hit, or None if nobody was there in time."""
    project, hit = operator.project, "stage" if victim == "disk" else victim
    deadline = time.monotonic() + PATIENCE_SECONDS
    while find(project, hit) is None:
        if time.monotonic() > deadline or not operator.alive():
            return None
        operator.restart()
        time.sleep(POLL_SECONDS)
    time.sleep(delays.uniform(0, LONGEST_WAIT_SECONDS if victim in ("flow", "worker", "server", "disk") else 4))
    if victim == "disk":
        with full_disk(project.data_dir):
            time.sleep(DISK_SECONDS)
        return "disk full"
    process = find(project, victim)  # stages follow each other; whichever is there now
    if process is None:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        if victim == "server":
            process.wait(PATIENCE_SECONDS)  # it takes a while to end, and answers nobody meanwhile
        return f"{victim}, {signal.Signals(number).name}"
    return None


def test_faults_at_random_moments_change_no_output(projects, operated):
    quiet, _, has_disk = projects
    for stage in domain_stages(quiet, DOMAIN):
        run_stage(stage, project=quiet)
    operator, delays = Operator(operated), random.Random(SEED)
    hits = collections.Counter()
    queue = [fault for fault in faults(NUM_FAULTS, SEED) if has_disk or fault[0] != "disk"]
    try:
        while queue:
            if not operator.ensure_run():
                operator.finish_round(quiet)
                operator.begin_anew()
                continue
            hit = inflict(operator, *queue[0], delays)
            if hit is not None:
                hits[hit] += 1
                queue.pop(0)
                report(hits, operator)
        deadline = time.monotonic() + 4 * PATIENCE_SECONDS
        while operator.ensure_run():
            assert time.monotonic() < deadline, "the pipeline does not come to its end"
            time.sleep(2)
        operator.finish_round(quiet)
        assert [run for run in open_runs() if judge(operated, run, is_own_server=True) != "alive"] == []
    finally:
        report(hits, operator)


def report(hits, operator):
    """Write the counts where they were asked for, and print them."""
    values = {"faults": sum(hits.values()), "seed": SEED, **dict(sorted(hits.items())), **dict(operator.counts)}
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {json.dumps(values)}\n")
    sys.stdout.flush()
    if path := os.environ.get("UI2I_FAULT_REPORT"):
        Path(path).write_text(json.dumps(values, indent=2) + "\n")


def test_a_run_killed_with_its_worker_is_found_and_closed(operated):
    """The zombie: nobody is left to record that it died."""
    operator = Operator(operated)
    run_id, _ = deploying.trigger("new-domain", {"name": DOMAIN})
    wait_for(lambda: find(operated, "stage"), PATIENCE_SECONDS, "a stage")
    for victim in ("worker", "flow"):
        find(operated, victim).kill()
    wait_for(lambda: not run_processes(operated), 30, "the end of the stage, whose flow is gone")
    (run,) = open_runs()
    assert (run.id, judge(operated, run, is_own_server=False)) == (run_id, "gone")
    closed = repair(operated, is_own_server=True).closed
    assert [(run.id, state) for run, state in closed] == [(run_id, "Crashed")]
    assert open_runs() == []
    with get_client(sync_client=True) as client:
        assert "goes on where it stopped" in client.read_flow_run(uuid.UUID(run_id)).state.message
    operator.restart()
