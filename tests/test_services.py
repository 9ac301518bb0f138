"""What `ui2i up` starts and `ui2i down` stops, without Prefect: processes that sleep stand for services."""

import asyncio
import os
import socket
import subprocess
import sys
import types
import urllib.error
import urllib.request
from datetime import UTC, datetime

import httpx
import psutil
import pytest
from ruamel.yaml import YAML
from tiny_project import REPOSITORY

from cli.operations import _parameter
from flows.services import daemons as services
from flows.services import operations
from flows.services.daemons import Service, read_services, running_server, start_server
from flows.services.environment import prepare_environment
from flows.services.loopback import is_loopback, is_loopback_url
from flows.services.password import make_password
from flows.services.server import ServerError, named_server
from flows.services.session import prefect_session
from flows.task_runners import chosen_task_runner, dask_runner, ray_runner
from tasks.project.paths import Project
from ui2i.errors import ConfigError

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
URL = "http://127.0.0.1:1/api"


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".prefect").mkdir()
    return Project(tmp_path)


@pytest.fixture
def sleeper(project):
    """A function that starts a process and notes it as a service."""
    started = []

    def start(name):
        service = services._start(project, name, SLEEP, URL, {})
        started.append(service.pid)
        return service

    yield start
    for pid in started:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()


def test_down_stops_what_up_started_and_nothing_else(project, sleeper):
    with subprocess.Popen(SLEEP) as bystander:
        started = [sleeper("server"), sleeper("worker")]
        assert running_server(project) == URL
        assert set(read_services(project)) == {"server", "worker"}
        said = []
        stopped = operations.bring_down(project, say=said.append)
        assert set(stopped) == {"server", "worker"}
        assert [line.split()[2] for line in said] == ["worker,", "server,"], "the worker first"
        assert not any(service.is_alive for service in started)
        assert bystander.poll() is None
        bystander.kill()
    assert read_services(project) == {}
    assert operations.bring_down(project, say=said.append) == {}


def test_a_process_that_has_the_number_by_now_is_left_alone(project):
    other = Service(name="server", pid=os.getpid(), started=psutil.Process().create_time() - 100, url=URL)
    services._note(project, [other])
    assert read_services(project) == {}
    services.stop_service(project, other)  # or this test would end here


def test_a_clock_that_is_set_hides_no_service(project, sleeper, monkeypatch):
    """Linux counts a process's start from the boot, and the boot's date back from the clock."""
    service = sleeper("server")
    date = psutil.boot_time()
    for hours in (72, -72):
        monkeypatch.setattr(psutil._psplatform, "boot_time", lambda hours=hours: date + 3600 * hours)
        assert read_services(project) == {"server": service}
    assert set(operations.bring_down(project, say=lambda text: None)) == {"server"}
    assert not service.is_alive


def test_a_number_of_another_boot_is_somebody_else_s(project, sleeper, monkeypatch):
    sleeper("server")
    monkeypatch.setattr(services, "_boot", lambda: "another")
    assert read_services(project) == {}


def test_a_worker_that_is_stopped_takes_its_runs_along(project):
    parent = f"import subprocess, sys; subprocess.run({SLEEP!r})"
    service = services._start(project, "worker", [sys.executable, "-c", parent], URL, {})
    process = psutil.Process(service.pid)
    while not (children := process.children()):
        pass
    services.stop_service(project, service)
    assert not service.is_alive
    assert not children[0].is_running()


def test_a_port_that_is_taken_is_one_line(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"^127.0.0.1:{port} cannot be listened on \(.*\), expected a free port"):
            start_server(project, port=port)
    assert read_services(project) == {}


def test_loopback():
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "10.1.2.3")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert is_loopback_url("http://127.0.0.1:4200/api")
    assert not is_loopback_url("http://gpu.example:4200/api")


def test_commands_use_the_server_that_is_up(project, monkeypatch):
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("flows.services.session.running_server", lambda _: URL)
    password = make_password(project.root / ".prefect")
    asked = []
    monkeypatch.setattr(
        "flows.services.session.wait_for_server", lambda url, **options: asked.append((url, options["password"]))
    )
    with prefect_session(project) as is_own:
        assert os.environ["PREFECT_API_URL"] == URL
        assert os.environ["PREFECT_API_AUTH_STRING"] == password
        assert is_own
    assert asked == [(URL, password)]
    assert not {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"} & set(os.environ)
    monkeypatch.delenv("PREFECT_HOME")


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_server_that_goes_in_mid_command_is_told_in_one_line(project, monkeypatch, wrapped):
    """As `ui2i down` does it to `ui2i trigger --wait`; flows wrap what the network says."""
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("flows.services.session.running_server", lambda _: URL)
    monkeypatch.setattr("flows.services.session.wait_for_server", lambda url, **options: None)
    make_password(project.root / ".prefect")
    with pytest.raises(ServerError, match=r"has gone \(.*refused\), expected .*`ui2i up`"), prefect_session(project):
        try:
            httpx.get(URL)
        except httpx.ConnectError as error:
            if wrapped:
                raise RuntimeError("Failed to reach API") from error
            raise
    with pytest.raises(RuntimeError, match="a bug"), prefect_session(project):
        raise RuntimeError("a bug")
    monkeypatch.delenv("PREFECT_HOME")


def test_telemetry_is_off_and_the_home_is_the_project_s(project, monkeypatch):
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.delenv("PREFECT_SERVER_ANALYTICS_ENABLED", raising=False)
    for _ in range(2):  # its own choice is not taken for the user's
        assert prepare_environment(project.root)
    assert os.environ["PREFECT_HOME"] == str(project.root / ".prefect")
    assert (os.environ["DO_NOT_TRACK"], os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    assert not prepare_environment(project.root)


def test_a_server_s_name_is_put_back(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://before/api")
    with named_server(URL):
        assert os.environ["PREFECT_API_URL"] == URL
    assert os.environ["PREFECT_API_URL"] == "http://before/api"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name=cat", ("name", "cat")),
        ('modes=["FT"]', ("modes", ["FT"])),
        ("steps=7", ("steps", 7)),
        ("images=a=b", ("images", "a=b")),
    ],
)
def test_parameters_are_json_or_text(text, value):
    assert _parameter(text) == value


def test_a_parameter_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        _parameter("cat")


def test_the_nightly_cron_has_a_next_time():
    from prefect.server.schemas.schedules import CronSchedule

    file = YAML(typ="safe").load(REPOSITORY / "prefect.yaml")
    (cron,) = [schedule for deployment in file["deployments"] for schedule in deployment.get("schedules", [])]
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert asyncio.run(CronSchedule(**cron).get_dates(1, start)) == [datetime(2026, 1, 2, 3, tzinfo=UTC)]


# Task runners


def test_the_task_runner_is_a_setting(monkeypatch):
    monkeypatch.delenv("UI2I_TASK_RUNNER", raising=False)
    assert chosen_task_runner()._max_workers == 1
    monkeypatch.setenv("UI2I_TASK_RUNNER", "threads")
    monkeypatch.setenv("UI2I_TASK_WORKERS", "3")
    assert chosen_task_runner()._max_workers == 3
    monkeypatch.setenv("UI2I_TASK_WORKERS", "none")
    with pytest.raises(ConfigError, match="UI2I_TASK_WORKERS is 'none', expected a number"):
        chosen_task_runner()
    monkeypatch.setenv("UI2I_TASK_WORKERS", "2")
    monkeypatch.setenv("UI2I_TASK_RUNNER", "many")
    with pytest.raises(ConfigError, match="'many', expected threads, dask, ray or nothing"):
        chosen_task_runner()


def test_a_local_dask_cluster_is_this_process_s_alone():
    pytest.importorskip("prefect_dask")
    from distributed import Client, LocalCluster

    runner = dask_runner(2)
    with LocalCluster(**runner.cluster_kwargs | {"n_workers": 0}) as cluster:
        scheduler = cluster.scheduler
        assert scheduler.address.startswith("tls://127.0.0.1:")
        assert listening_addresses() == {"127.0.0.1"}
        with Client(cluster) as client:
            assert client.scheduler_info()["workers"] == {}
        for address in (scheduler.address, scheduler.address.replace("tls:", "tcp:")):
            with pytest.raises((OSError, TypeError, RuntimeError, AssertionError)):  # by how far it came
                Client(address, timeout=2)
        page = f"http://127.0.0.1:{scheduler.http_server.port}"
        for path in ("/info/main/workers.html", "/health", "/json/identity.json", "/status"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(page + path)
    assert dask_runner(2, "tcp://10.0.0.1:8786").address == "tcp://10.0.0.1:8786"


def listening_addresses():
    """Return the addresses on which this process listens."""
    connections = psutil.Process().net_connections(kind="inet")
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("address", [None, "ray://10.0.0.1:10001"])
def test_a_local_ray_cluster_wants_a_token(monkeypatch, address):
    """Ray itself is tried in tests/test_elsewhere.py; here a module stands for it, which sees what Ray would."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    seen = {}

    class Runner:
        def __init__(self, **options):
            seen.update(options, mode=os.environ.get("RAY_AUTH_MODE"), token=os.environ.get("RAY_AUTH_TOKEN"))

    monkeypatch.setitem(sys.modules, "prefect_ray", types.SimpleNamespace(RayTaskRunner=Runner))
    ray_runner(2, address)
    if address:
        assert seen == {"address": address, "mode": None, "token": None}
    else:
        assert seen["mode"] == "token"
        assert len(seen["token"]) == 64
        assert seen["init_kwargs"]["_node_ip_address"] == "127.0.0.1"


def test_a_runner_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setenv("UI2I_TASK_RUNNER", "ray")
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with pytest.raises(ConfigError, match=r"which is not installed .* pip install 'ui2i\[ray\]'"):
        chosen_task_runner()
