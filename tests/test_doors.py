"""Who gets in at the server that `ui2i up` starts: whoever knows its password, at its own address, and nobody else."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import browser
import httpx
import pytest
from loopback_server import Site, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from flows.services import daemons as services
from flows.services.daemons import server_password, start_server, stop_service
from flows.services.environment import prepare_environment
from flows.services.server import ServerError, temporary_server, wait_for_server
from tasks.project.paths import Project

JSON = {"Content-Type": "application/json"}
EVIL = "http://evil.example"
OVERRIDES = ({"command": "touch pwned"}, {"env": {"PYTHONPATH": "/tmp"}}, {"working_dir": "/tmp"}, {"name": "x"})
SOCKETS = (
    "events/in",
    "events/out",
    "logs/out",
    "task_runs/subscriptions/scheduled",
    "work_pools/ui2i/workers/connect",
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
DEAD_PROXY = "http://127.0.0.1:9"


class Up:
    """A server, and what is deployed on it."""

    def __init__(self, project, url, password):
        self.project = project
        self.url = url
        self.password = password
        self.address = urllib.parse.urlsplit(url).netloc
        self.port = int(self.address.partition(":")[2])
        self.basic = {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
        self.deployment = ""

    def ask(self, path, body=None, *, method=None, **headers):
        """Return the status and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method or ("GET" if body is None else "POST"), f"/api/{path}", text, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def runs(self):
        return json.loads(self.ask("flow_runs/filter", {}, **self.basic, **JSON)[1])

    @contextlib.contextmanager
    def client(self):
        """Yield Prefect's own client of this server, which it is the named one of meanwhile."""
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        settings = {PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: self.password}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            yield client

    def socket(self, path, *, host=None, **options):
        """Return the first message of a websocket after its client has sent the password."""
        token = options.pop("token", self.password)
        with (
            socket.create_connection(("127.0.0.1", self.port)) as raw,
            connect(f"ws://{host or self.address}/api/{path}", sock=raw, proxy=None, **options) as opened,
        ):
            opened.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(opened.recv(60))


@pytest.fixture(scope="module")
def up(tmp_path_factory, prefect_database) -> Iterator[Up]:
    """The server of `ui2i up`, with a deployment that nobody runs."""
    from prefect import flow

    from flows.services.deploying import POOL, ensure_pool

    project = Project(tmp_path_factory.mktemp("project"))
    (project.root / ".prefect").mkdir()
    shutil.copy(prefect_database, project.root / ".prefect" / "prefect.db")
    with pytest.MonkeyPatch.context() as patch, services.services_lock(project):
        patch.setenv("PREFECT_HOME", str(project.root / ".prefect"))
        service = start_server(project, port=0)
    try:
        found = Up(project, service.url, server_password(project))
        wait_for_server(found.url, password=found.password)
        with found.client() as client:
            ensure_pool(project, limit=1, is_own=True)
            flow_id = client.create_flow(flow(lambda: None, name="harmless"))
            found.deployment = str(client.create_deployment(flow_id, "harmless", work_pool_name=POOL))
        yield found
    finally:
        stop_service(project, service)


@pytest.fixture
def environment():
    """The process's, put back afterwards."""
    before = dict(os.environ)
    yield os.environ
    os.environ.clear()
    os.environ.update(before)


# The server of `ui2i up`


def test_what_up_keeps_is_its_owner_s_alone(up):
    home = up.project.root / ".prefect"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert modes["auth"] == 0o600
    databases = {name: mode for name, mode in modes.items() if name.startswith("prefect.db")}
    assert set(databases.values()) == {0o600}, databases
    assert up.password not in "".join(path.read_text(errors="replace") for path in home.glob("*.log"))
    assert up.password not in (home / "services.json").read_text()


def test_nothing_is_told_or_done_without_the_password(up):
    wrong = {"Authorization": f"Basic {base64.b64encode(b'ui2i:wrong').decode()}"}
    for headers in ({}, wrong):
        assert up.ask("version", **headers)[0] == 401
        assert up.ask("deployments/filter", {}, **headers, **JSON)[0] == 401
        assert up.ask(f"deployments/{up.deployment}/create_flow_run", {}, **headers, **JSON)[0] == 401
    assert up.ask("deployments/filter", {}, **up.basic, **JSON)[0] == 200
    assert up.runs() == []


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_page_of_another_origin_is_refused_whatever_it_knows(up, origin):
    assert up.ask("version", Origin=origin, **up.basic)[0] == 403
    assert up.ask("health", Origin=origin)[0] == 403
    create = f"deployments/{up.deployment}/create_flow_run"
    assert up.ask(create, {}, Origin=origin, **up.basic, **JSON)[0] == 403
    assert up.ask(create, {}, Origin=origin, **{"Content-Type": "text/plain"})[0] == 403
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    assert up.ask(create, method="OPTIONS", **asked)[0] == 403
    assert up.ask("version", Origin=f"http://{up.address}", **up.basic)[0] == 200
    assert up.ask("version", Origin=f"http://localhost:{up.port}", **up.basic)[0] == 200
    assert up.runs() == []


@pytest.mark.parametrize(
    "host", ["evil.test:{port}", "evil.test", "127.0.0.1", "127.0.0.1:{port}.evil.test", "", "{address},evil.test"]
)
def test_a_name_that_leads_here_is_not_the_server_s(up, host):
    host = host.format(port=up.port, address=up.address)
    assert up.ask("version", Host=host, **up.basic)[0] == 421
    assert up.ask("deployments/filter", {}, Host=host, **up.basic, **JSON)[0] == 421
    assert up.ask("version", Host=f"LOCALHOST:{up.port}", **up.basic)[0] == 200


@pytest.mark.parametrize("path", SOCKETS)
def test_websockets_let_in_whom_http_does(up, path):
    assert up.socket(path, subprotocols=["prefect"])["type"] == "auth_success"
    for token in ("ui2i:wrong", None):
        with pytest.raises(ConnectionClosed):
            up.socket(path, subprotocols=["prefect"], token=token)
    for options in ({}, {"origin": EVIL, "subprotocols": ["prefect"]}, {"host": f"evil.test:{up.port}"}):
        with pytest.raises(InvalidStatus, match="403"):
            up.socket(path, **options)


@pytest.mark.parametrize("variables", OVERRIDES, ids=lambda variables: next(iter(variables)))
def test_a_run_cannot_say_how_it_is_started(up, variables):
    create = f"deployments/{up.deployment}/create_flow_run"
    status, text = up.ask(create, {"job_variables": variables}, **up.basic, **JSON)
    assert (status, next(iter(variables)) in text) == (422, True), text
    assert up.runs() == []


def test_a_pool_that_let_runs_choose_gets_the_template_anew(up):
    from prefect.client.schemas.actions import WorkPoolUpdate
    from prefect.workers.process import ProcessWorker

    from flows.services.deploying import POOL, ensure_pool, job_template

    with up.client() as client:
        open_template = ProcessWorker.get_default_base_job_template()
        client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=open_template))
        ensure_pool(up.project, limit=1, is_own=False)
        assert client.read_work_pool(POOL).base_job_template == open_template, "another's server keeps its own"
        ensure_pool(up.project, limit=1, is_own=True)
        assert client.read_work_pool(POOL).base_job_template == job_template(up.project)
        for given, limit in ((5, 5), (None, 5), (1, 1)):
            ensure_pool(up.project, limit=given, is_own=True)
            assert client.read_work_pool(POOL).concurrency_limit == limit


def test_a_server_that_runs_flows_in_another_project_is_refused(up, tmp_path):
    from prefect.client.schemas.actions import WorkPoolUpdate

    from flows.services.deploying import POOL, DeployError, ensure_pool, job_template

    first, second = Project(tmp_path / "first"), Project(tmp_path / "second")
    with up.client() as client:
        client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=job_template(first)))
        ensure_pool(second, limit=1, is_own=False)  # of another machine, perhaps
        first.root.mkdir()
        for name in ("params.yaml", "dvc.yaml"):
            (first.root / name).touch()
        ensure_pool(first, limit=1, is_own=False)
        with pytest.raises(DeployError, match=rf"in the project {first.root}, expected {second.root}; unset PREFECT"):
            ensure_pool(second, limit=1, is_own=False)
        assert client.read_work_pool(POOL).base_job_template == job_template(first)
        ensure_pool(up.project, limit=1, is_own=True)


def test_a_password_that_was_changed_is_one_line(up):
    with pytest.raises(ServerError, match=r"refuses the password .*; run `ui2i down`, then `ui2i up`"):
        wait_for_server(up.url, password="ui2i:another")


def test_the_server_of_one_command_lets_nobody_else_in(tmp_path, environment, prefect_database):
    (tmp_path / "home").mkdir()
    shutil.copy(prefect_database, tmp_path / "home" / "prefect.db")
    with temporary_server(tmp_path / "home") as url:
        password = environment["PREFECT_API_AUTH_STRING"]
        assert environment["PREFECT_API_URL"] == url
        wait_for_server(url, password=password)
        one = Up(Project(tmp_path), url, password)
        assert one.ask("version")[0] == 401
        assert one.ask("version", **one.basic)[0] == 200
        assert one.ask("version", Origin=EVIL, **one.basic)[0] == 403
        assert one.ask("version", Host=f"evil.test:{one.port}", **one.basic)[0] == 421
        assert stat.S_IMODE((tmp_path / "home" / "prefect.db").stat().st_mode) == 0o600
        assert not any(password in path.read_text(errors="replace") for path in (tmp_path / "home").glob("*.log"))
    assert "PREFECT_API_AUTH_STRING" not in environment


# What a browser makes of it


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    rebound = "--host-resolver-rules=MAP evil.test 127.0.0.1"
    with browser.headless(tmp_path_factory.mktemp("profile"), rebound) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a page of another origin."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>harmless</title>")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


def attempts(up, base):
    """What a page tries: the requests that need no permission of the server, and those that do."""
    create, listing = (f"{base}/api/deployments/{name}" for name in (f"{up.deployment}/create_flow_run", "filter"))
    yield listing, {"method": "POST", "body": "{}", "headers": JSON}
    yield listing, {"method": "POST", "body": "{}", "headers": {"Content-Type": "text/plain"}}
    yield create, {"method": "POST", "body": "{}", "headers": JSON}
    yield create, {"method": "POST", "body": "{}", "mode": "no-cors"}
    yield create, {"method": "POST", "body": "{}", "headers": JSON | up.basic}


def test_a_page_of_another_origin_can_neither_list_nor_start_a_run(up, window, page):
    window.open(page)
    for url, options in attempts(up, f"http://{up.address}"):
        answer = window.fetch(url, **options)
        assert "refused" in answer or (answer["type"], answer["text"]) == ("opaque", ""), answer
    auth = {"type": "auth", "token": up.password}
    assert window.socket(f"ws://{up.address}/api/events/out", auth) == "closed"
    assert up.runs() == []


def test_a_rebound_name_can_neither_list_nor_start_a_run(up, window):
    base = f"evil.test:{up.port}"
    window.open(f"http://{base}/api/health")
    assert window.run("arguments[0](location.origin)") == f"http://{base}"
    for url, options in attempts(up, f"http://{base}"):
        answer = window.fetch(url, **options)
        assert answer["status"] in (403, 421), answer
    assert window.socket(f"ws://{base}/api/events/out", {"type": "auth", "token": up.password}) == "closed"
    assert up.runs() == []


def test_the_server_s_own_page_gets_in_with_the_password(up, window):
    window.open(f"http://{up.address}/")
    (listing, options), *_ = attempts(up, f"http://{up.address}")
    assert window.fetch(listing, **options)["status"] == 401
    listed = window.fetch(listing, **(options | {"headers": JSON | up.basic}))
    assert [found["name"] for found in json.loads(listed["text"])] == ["harmless"]
    auth = {"type": "auth", "token": up.password}
    assert json.loads(window.socket(f"ws://{up.address}/api/events/out", auth)) == {"type": "auth_success"}


# Proxies


def test_no_proxy_stands_before_this_machine_s_own_server(up, environment, tmp_path):
    environment.update(dict.fromkeys(PROXIES, DEAD_PROXY))
    for name in ("no_proxy", "NO_PROXY"):
        environment.pop(name, None)
    wait_for_server(up.url, password=up.password, timeout_seconds=20)
    wait_for_server(up.url, timeout_seconds=20)
    prepare_environment(tmp_path)
    assert httpx.get(f"{up.url}/health").json() is True
    with connect(f"ws://{up.address}/api/events/out", subprotocols=["prefect"], proxy=True) as opened:
        opened.send(json.dumps({"type": "auth", "token": up.password}))
        assert json.loads(opened.recv(60)) == {"type": "auth_success"}
    child = f"import urllib.request; print(urllib.request.urlopen({up.url + '/health'!r}).read().decode())"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert done.stdout == "true\n"


def test_a_server_elsewhere_is_reached_through_the_proxy(environment):
    with serving(Site(b"true")) as proxy:
        environment["http_proxy"] = proxy.url
        wait_for_server("http://prefect.example/api", timeout_seconds=20)
        assert len(proxy.requests) == 1
