"""Killed at random moments, by every means, a pipeline ends with what an undisturbed one makes.

`make test-faults` runs it; UI2I_KILLS says how many faults (30), UI2I_FAULT_ROUNDS in how many pipelines (3), from
nothing to the end each, UI2I_FAULT_SEED which. UI2I_FAULT_REPORT names a JSON file for what has been done: an
interrupted suite goes on after it. UI2I_QUIET_PROJECT names a folder for the undisturbed run, which is kept. Faults
come while a worker runs the flow `new-domain` at 32 px: processes are ended by SIGKILL or SIGTERM (flow, worker, DVC,
stage, server), or the disk under the whole project is full for some seconds.
"""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from fault_injection import (
    Patience,
    fill_disk,
    find,
    processes_in,
    run_processes,
    running_stage,
    small_disk,
    wait_for,
)
from fault_operator import Operator
from fault_plan import Record, make_plan
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from tiny_project import REPOSITORY, make_project, set_param, write_base

from flows.services import daemons as services
from flows.services import deploying, operations
from flows.services.password import CLIENT_VARIABLE
from flows.services.runs import open_runs
from flows.services.verdicts import verdict_of
from tasks.project.paths import Project
from tasks.running.dvc_stage import run_stage
from tasks.running.dvc_stages import domain_stages

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NUM_FAULTS = int(os.environ.get("UI2I_KILLS", "30"))
NUM_ROUNDS = int(os.environ.get("UI2I_FAULT_ROUNDS", "3"))
SEED = int(os.environ.get("UI2I_FAULT_SEED", "0"))
REPORT = os.environ.get("UI2I_FAULT_REPORT")
DOMAIN = "cartoon"
STAGES = (
    *(f"{kind}@face" for kind in ("draw", "ingest", "import")),
    *(f"{kind}@{DOMAIN}" for kind in ("draw", "ingest", "finetune", "swap", "distance", "evaluate", "translate")),
)
TRAINING = {"total_kimg": 0.1, "batch_size": 4, "snapshot_kimg": 0.02}
DISK_SECONDS = 10.0
LEAST_SECONDS = 15.0  # for a stage to take, when nobody knows because it was made before
POLL_SECONDS = 1.0


@pytest.fixture
def projects(tmp_path):
    """Two equal projects: one is left in peace, the other lies on a small disk of its own, if there can be one."""
    quiet = Project(Path(os.environ.get("UI2I_QUIET_PROJECT", tmp_path / "quiet")))
    if not quiet.root.exists():
        make_project(quiet.root)
        write_base(quiet)
        set_param(quiet, "truth", {})
        set_param(quiet, "finetune", TRAINING)
    assert domain_stages(quiet, DOMAIN) == list(STAGES)
    with small_disk(tmp_path / "disk", megabytes=256) as has_disk:
        disturbed = make_project(tmp_path / "disk" / "disturbed")
        shutil.copytree(quiet.data_dir / "base", disturbed.data_dir / "base")
        shutil.copy(quiet.params_path, disturbed.params_path)
        # The nightly run shall not come while this goes on.
        deployments = re.sub("cron: .*", 'cron: "0 0 29 2 *"', (REPOSITORY / "prefect.yaml").read_text())
        (disturbed.root / "prefect.yaml").write_text(deployments)
        yield quiet, disturbed, has_disk


@pytest.fixture
def operated(projects, monkeypatch):
    """The disturbed project, with a server and a worker; at the end neither is left."""
    project = projects[1]
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(project.root / ".prefect"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "2")
    ui2i(project, "up", "--port", "0")
    password = services.server_password(project)
    monkeypatch.setenv(CLIENT_VARIABLE, password)  # for the workers that the operator starts
    settings = {PREFECT_API_URL: services.running_server(project), PREFECT_API_AUTH_STRING: password}
    try:
        with temporary_settings(settings):
            yield project
    finally:
        operations.bring_down(project, say=lambda text: None)
        for process in processes_in(project):
            process.kill()


def ui2i(project, *arguments):
    """What `ui2i` prints when it is run in a project."""
    command = [sys.executable, "-m", "cli.app", *arguments]
    return subprocess.run(command, cwd=project.root, check=True, stdout=subprocess.PIPE, text=True).stdout


def has_reached(stage, place):
    return stage is not None and STAGES.index(stage) >= place


def inflict(operator, fault, seconds):
    """Do it at its moment; return the stage that it hit, or None if the run ended before."""
    project, patience = operator.project, Patience(operator.project)
    while not has_reached(running_stage(project), fault.stage):
        patience.check(f"{STAGES[fault.stage]} to run")
        if not run_processes(project) and not operator.is_under_way():
            return None
        time.sleep(POLL_SECONDS)
    time.sleep(fault.moment * seconds[STAGES[fault.stage]])
    if fault.victim == "disk":
        stage = running_stage(project)
        fill_disk(project.root, seconds=DISK_SECONDS)
        return stage or "between stages"
    while (process := find(project, fault.victim)) is None:  # stages follow each other; whichever is there next
        patience.check(f"a process of the kind {fault.victim}")
        if not run_processes(project) and not operator.is_under_way():
            return None
        time.sleep(0.1)
    stage = running_stage(project) or "between stages"
    try:
        process.send_signal(fault.signal)
        if fault.victim == "server":
            process.wait(60)  # it takes a while to end, and answers nobody meanwhile
    except psutil.NoSuchProcess:
        return None
    return stage


def test_faults_at_random_moments_change_no_output(projects, operated):
    quiet, _, has_disk = projects
    seconds = {stage: max(run_stage(stage, project=quiet).seconds, LEAST_SECONDS) for stage in STAGES}
    record = Record(Path(REPORT) if REPORT else None, SEED)
    operator = Operator(operated, DOMAIN, record.counts)
    waiting = record.remaining(make_plan(NUM_FAULTS, NUM_ROUNDS, len(STAGES), SEED, has_disk=has_disk))
    started = time.monotonic()
    while waiting:
        # What found nobody any more in its round, since a stage was quicker than usual, comes in the next, and sooner.
        number = max(waiting[0].round, len(record.values["rounds"]))
        mine = sorted((fault for fault in waiting if fault.round <= number), key=lambda fault: fault.stage)
        play_round(operator, record, list(mine), seconds, started)
        missed = {fault.number for fault in record.remaining(mine)}
        waiting = [
            dataclasses.replace(fault, moment=fault.moment / 2) if fault.number in missed else fault
            for fault in record.remaining(waiting)
        ]
        record.add_round(faults=len(mine) - len(missed), identical_files=operator.finish_round(quiet))
        tell(record.summary())
        operator.begin_anew()
    assert [run for run in open_runs() if verdict_of(operated, run, is_own_server=True) != "alive"] == []


def play_round(operator, record, waiting, seconds, started):
    """Make all once, with faults."""
    while operator.ensure_run():
        if not waiting:
            operator.watch()
        elif (stage := inflict(operator, waiting[0], seconds)) is not None:
            record.add_fault(waiting.pop(0), stage=stage, seconds=time.monotonic() - started)
            tell(record.summary().splitlines()[0], record.values["faults"][-1])


def tell(*what):
    sys.stdout.write(" ".join([time.strftime("%H:%M:%S"), *map(str, what)]) + "\n")
    sys.stdout.flush()


def test_a_run_killed_with_its_worker_is_found_and_closed(operated):
    """The zombie: nobody is left to record that it died."""
    run_id, _ = deploying.trigger("new-domain", {"name": DOMAIN})
    wait_for(operated, lambda: find(operated, "stage"), "a stage")
    for victim in ("worker", "flow"):
        find(operated, victim).send_signal(signal.SIGKILL)
    wait_for(operated, lambda: not run_processes(operated), "the end of the stage, whose flow is gone")
    (run,) = open_runs()
    assert (run.id, verdict_of(operated, run, is_own_server=False)) == (run_id, "gone")
    assert "new-domain cartoon: its process is gone, now crashed" in ui2i(operated, "status", "--repair")
    assert open_runs() == []
    with get_client(sync_client=True) as client:
        assert "rerun it to resume" in client.read_flow_run(uuid.UUID(run_id)).state.message
    assert "nothing to repair" in ui2i(operated, "status", "--repair")
