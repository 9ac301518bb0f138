"""The commands of docs/operations.md, executed in their order by one shell, in a project of 32 px."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from fault_injection import processes_in
from tiny_project import REPOSITORY, make_project, set_param, write_base

from flows.services.daemons import read_services

pytestmark = pytest.mark.slow

DOCUMENT = REPOSITORY / "docs" / "operations.md"


def blocks():
    """The document's blocks of commands."""
    return re.findall(r"^```bash\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path):
    """A clone with nothing made."""
    project = make_project(tmp_path / "project")
    set_param(project, "truth", {})
    write_base(project)
    (project.root / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore", "prefect.yaml"):
        shutil.copyfile(REPOSITORY / name, project.root / name)
    run(project, "git init --quiet && git add --all && git commit --quiet --message start")
    yield project
    run(project, "ui2i down")
    for process in processes_in(project):
        process.kill()


def environment():
    """That of an operator who has never heard of Prefect."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    people = {
        f"GIT_{who}_{what}": "test@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return own | people | {"PATH": path, "PREFECT_SERVER_API_PORT": "0"}


def run(project, script):
    command = ["bash", "-eu", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=project.root, env=environment(), stdout=subprocess.PIPE, text=True)


def test_every_block_of_the_document(project):
    first, *others = blocks()
    assert run(project, first).returncode == 0
    check_ports_and_telemetry(project)
    done = run(project, "".join(f"echo '== {block.splitlines()[0]}'\n{block}" for block in others))
    assert done.returncode == 0, done.stdout[-3000:]
    assert read_services(project) == {}, "the last block is `ui2i down`"
    with sqlite3.connect(project.root / ".prefect" / "prefect.db") as database:
        fired = database.execute("select count(*) from flow_run where auto_scheduled and state_type = 'COMPLETED'")
        assert fired.fetchone()[0] >= 1, "the nightly run"
        running = database.execute("select count(*) from flow_run where state_type = 'RUNNING'")
        assert running.fetchone()[0] == 0
    (garbage,) = re.findall(r"^== ui2i gc --dry-run\n(.*?)(?=^==|\Z)", done.stdout, flags=re.MULTILINE | re.DOTALL)
    # The nightly run may have made the tables again before, or not.
    assert "nothing to remove: everything is referred to" in garbage or "nothing was removed" in garbage


def check_ports_and_telemetry(project):
    services = read_services(project)
    assert set(services) == {"server", "worker"}
    for service in services.values():
        process = psutil.Process(service.pid)
        assert process.environ()["DO_NOT_TRACK"] == "1"
        assert process.environ()["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        for each in (process, *process.children(recursive=True)):
            listening = [it.laddr.ip for it in each.net_connections() if it.status == psutil.CONN_LISTEN]
            assert set(listening) <= {"127.0.0.1"}
