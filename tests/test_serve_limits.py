"""`ui2i serve` at its limits: other sites' requests, many connections and uploads, large files, old refinements."""

import asyncio
import socket
import time

import httpx
import pytest
from starlette.testclient import TestClient

from cli import serving
from tasks.requests import refinements
from tasks.running.process_group import Ended

TOKEN = "the-right-one"


@pytest.fixture
def pages(project):
    """A project with one page."""
    project.served_site.mkdir(parents=True)
    (project.served_site / "index.html").write_text("a page")
    return project


def wait_for_end(added):
    while any(one.state in refinements.OPEN for one in added):
        time.sleep(0.01)


@pytest.fixture
def failing(monkeypatch):
    """Every refinement ends at once; none is left to run when the test is over."""
    added, add = [], refinements.Refinements.add

    def noting(*arguments):
        added.append(add(*arguments))
        return added[-1]

    monkeypatch.setattr(refinements.Refinements, "add", noting)
    monkeypatch.setattr(refinements, "listen", lambda *_, **__: Ended(status=1, lines=(), was_stopped=False))
    yield
    wait_for_end(added)


def test_the_server_answers_its_own_name_and_pages_and_a_few_connections(pages):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config, port = serving.server(pages, listener, TOKEN).config, listener.getsockname()[1]
    visitor = TestClient(config.app, base_url=f"http://127.0.0.1:{port}", follow_redirects=False)
    others = {"Host": "evil.test"}, {"Origin": "http://evil.test"}, {"Origin": f"http://127.0.0.1:{port}"}
    answers = [visitor.get("/", params={"token": TOKEN}, headers=headers) for headers in others]
    assert [answer.status_code for answer in answers] == [421, 403, 303]
    assert set(visitor.cookies) == {f"ui2i-{port}"}, "browsers send it to every port"
    assert "HttpOnly" in answers[-1].headers["set-cookie"]
    assert config.limit_concurrency == serving.MAX_CONNECTIONS


def test_nobody_gets_in_without_the_token(pages):
    made = serving.application(pages, TOKEN, 80)
    for cookies, status in (({"ui2i-80": TOKEN}, 200), ({}, 401), ({"ui2i-80": "x"}, 401), ({"ui2i-81": TOKEN}, 401)):
        assert TestClient(made, cookies=cookies).get("/index.html").status_code == status
    assert TestClient(made).get("/index.html", params={"token": TOKEN[:-1]}).status_code == 401


def test_a_file_may_have_the_greatest_size(pages, failing, monkeypatch):
    monkeypatch.setattr(serving, "MAX_BYTES", 10)
    visitor = TestClient(serving.application(pages, TOKEN, 80), cookies={"ui2i-80": TOKEN})
    for size, status in ((10, 201), (11, 413)):
        answer = visitor.post("/api/refinements", params={"domain": "cartoon"}, content=b"x" * size)
        assert answer.status_code == status


def test_a_few_files_are_read_at_a_time(pages, failing):
    begun, made = [], serving.application(pages, TOKEN, 80)

    async def upload_all():
        gate = asyncio.Event()

        async def content(number):
            begun.append(number)
            await gate.wait()
            yield b"x"

        options = {"base_url": "http://server", "cookies": {"ui2i-80": TOKEN}}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(made), **options) as client:
            uploads = [
                asyncio.create_task(client.post("/api/refinements?domain=cartoon", content=content(number)))
                for number in range(serving.MAX_UPLOADS + 1)
            ]
            for _ in range(200):  # turns of the loop
                await asyncio.sleep(0)
            assert len(begun) == serving.MAX_UPLOADS
            gate.set()
            return [answer.status_code for answer in await asyncio.gather(*uploads)]

    assert asyncio.run(upload_all()) == [201] * (serving.MAX_UPLOADS + 1)
    assert len(begun) == serving.MAX_UPLOADS + 1


def test_the_last_refinements_that_ended_are_kept(project, failing, monkeypatch):
    monkeypatch.setattr(refinements, "MAX_KEPT", 2)
    queue, added = refinements.Refinements(project), []
    for _ in range(5):
        wait_for_end(added)
        added.append(queue.add(b"", "cartoon"))
    kept = [False, False, True, True, True]  # the newest had not ended
    assert [queue.find(one.id) is one for one in added] == kept
    assert [one.folder.exists() for one in added] == kept
