"""`ui2i serve` treated badly: many clients, two tabs, a full disk, a killed server, names that look like HTML."""

import concurrent.futures
import http.cookiejar
import json
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from browser import call
from test_serve import measured as measured
from test_web_pages import READY
from test_web_pages import window as window
from tiny_project import REPOSITORY
from web_browsing import give, png, value
from web_project import web_project as web_project
from web_project import web_runtime as web_runtime

from tasks.requests.refinements import MAX_WAITING
from ui2i.tables import TRANSLATION_SCHEMA, append_rows, read_rows
from ui2i.translation_files import MANIFEST_NAME

pytestmark = pytest.mark.slow  # a server's process, and whole translations

CLIENTS = 20
STATE = "document.querySelector('#refine-state').textContent"
CLICK = "document.querySelector(arguments[0]).click(); arguments[1]()"


@contextmanager
def serving(project):
    """The process of the command, and the link that it prints."""
    command = [sys.executable, "-m", "cli.app", "--project", str(project.root), "serve", "cartoon"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, next(line.strip() for line in process.stdout if line.startswith("http"))
        finally:
            process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def server(measured):
    with serving(measured) as started:
        yield started


@pytest.fixture(scope="module")
def image():
    return png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))


class Client:
    """Somebody who has opened the link."""

    def __init__(self, link):
        self.root = link.partition("/?")[0]
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        self.ask(link.removeprefix(self.root))

    def ask(self, path, data=None, method=None):
        """Return status and content."""
        request = urllib.request.Request(self.root + path, data, method=method)
        try:
            with self._opener.open(request, timeout=300) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def refine(self, image):
        status, content = self.ask("/api/refinements?domain=cartoon", image)
        return status, json.loads(content)

    def end_of(self, key):
        """Wait for the end of a refinement and return it."""
        while (found := json.loads(self.ask(f"/api/refinements/{key}")[1]))["state"] in ("waiting", "working"):
            time.sleep(0.3)
        return found


def test_many_clients_at_once_get_everything_and_few_of_them_refine(server, image):
    def visit(_):
        client = Client(server[1])
        pages = ["/index.html", "/js/worker.js", "/runtime/ort.wasm.gz", "/models/models.json", "/api/standing/domains"]
        status, content = client.ask("/api/translations/cartoon")
        for shown in json.loads(content)["images"]:
            pages += [f"/api/translations/cartoon/{shown['index']}/{it}" for it in ("input", *shown["variants"])]
        return [status, *(client.ask(page)[0] for page in pages)], client, client.refine(image)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        visits = list(pool.map(visit, range(CLIENTS)))
    assert {status for statuses, _, _ in visits for status in statuses} == {200}
    added = [(client, told["id"]) for _, client, (status, told) in visits if status == 201]
    refused = [told["error"] for _, _, (status, told) in visits if status == 429]
    assert len(added) >= MAX_WAITING and len(added) + len(refused) == CLIENTS
    assert all("images are waiting to be refined" in words for words in refused)
    for client, key in added:
        client.ask(f"/api/refinements/{key}", method="DELETE")
    assert visits[0][1].end_of(visits[0][1].refine(image)[1]["id"])["state"] == "done", "and it still works"


def test_two_tabs_refine_one_after_the_other(server, window, image):
    url = window._url
    tabs = [call(f"{url}/window", None, method="GET"), call(f"{url}/window/new", {"type": "tab"})["handle"]]
    try:
        for tab in tabs:
            call(f"{url}/window", {"handle": tab})
            window.open(server[1])
            window.wait_for(READY)
            give(window, {"a.png": image})
            window.wait_for("!document.querySelector('#refine').disabled")
            window.run(CLICK, "#refine")
        for tab in tabs:
            call(f"{url}/window", {"handle": tab})
            window.wait_for("document.querySelectorAll('#refine-images img').length >= 3")
    finally:
        call(f"{url}/window", {"handle": tabs[1]})
        call(f"{url}/window", None, method="DELETE")
        call(f"{url}/window", {"handle": tabs[0]})


def test_a_refinement_is_cancelled_from_the_page(server, window, image):
    window.open(server[1])
    window.wait_for(READY)
    give(window, {"a.png": image})
    window.wait_for("!document.querySelector('#refine').disabled")
    window.run(CLICK, "#refine")
    window.wait_for(f"{STATE}.includes('…') && !{STATE}.includes('sent')")
    window.run(CLICK, "#refine-cancel")
    window.wait_for(f"{STATE} === 'Cancelled.'")
    assert not value(window, "document.querySelector('#refine').disabled")


def test_a_full_disk_is_told_and_ends_nothing(server, image):
    process, link = server
    client = Client(link)
    hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    large = png(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    try:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, hard))
        for _ in range(MAX_WAITING + 1):
            status, told = client.refine(large)
            assert status == 507 and "the server cannot use its disk (File too large)" in told["error"]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (6_000, hard))
        found = client.end_of(client.refine(image)[1]["id"])
        assert found["state"] == "failed" and "File too large" in found["message"], found
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert client.end_of(client.refine(image)[1]["id"])["state"] == "done"


def test_names_that_look_like_html_are_shown_as_they_are(server, window, measured):
    name = "<img src=x onerror=window.hacked=1>.png"
    rows = read_rows(measured.translations("cartoon") / MANIFEST_NAME, TRANSLATION_SCHEMA)
    append_rows(measured.translations("sketch") / MANIFEST_NAME, [rows[0] | {"input_path": name}], TRANSLATION_SCHEMA)
    window.open(server[1])
    window.open(f"{server[1].partition('/?')[0]}/measure.html?domain=sketch&name=onerror&order=<b>x")
    window.wait_for("document.querySelector('.card strong')")
    assert value(window, "document.querySelector('.card strong').textContent") == name
    assert value(window, "window.hacked ?? document.querySelectorAll('img[src=x], b').length") == 0


def test_a_server_that_is_killed_in_the_middle_is_told_and_leaves_nothing_running(server, window, image):
    process, link = server
    window.open(link)
    window.wait_for(READY)
    give(window, {"a.png": image})
    window.wait_for("!document.querySelector('#refine').disabled")
    window.run(CLICK, "#refine")
    window.wait_for(f"{STATE}.includes('…') && !{STATE}.includes('sent')")
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.kill()
    process.wait()
    window.wait_for(f"{STATE}.includes('The server does not answer. Is ui2i serve still running?')")
    assert not value(window, "document.querySelector('#refine').disabled")
    assert psutil.wait_procs(started, timeout=60)[1] == []
    give(window, {"b.png": image})  # the page itself still works: its models are in it
    window.wait_for("document.querySelector('#count').textContent.startsWith('2 of 2 images translated')")
