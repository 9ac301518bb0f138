"""`ui2i serve`: who gets in, what the pages show, what is refined, and what is refused."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from test_web_pages import READY, levels
from test_web_pages import window as window
from tiny_project import REPOSITORY, make_project
from web_browsing import SET, give, pixels, png, value
from web_project import show_pages
from web_project import web_project as web_project
from web_project import web_runtime as web_runtime

from cli import serving
from tasks.requests import refinements
from tasks.requests.browsing import Filter, browse, image_of
from tasks.running.process_group import Ended
from ui2i.tables import TRANSLATION_SCHEMA, append_rows, read_rows
from ui2i.web.site import SiteContent, write_site

TOKEN = "the-right-one"


@pytest.fixture(scope="module")
def empty(tmp_path_factory, web_runtime):
    """A project without models, with the pages of a server."""
    project = make_project(tmp_path_factory.mktemp("empty") / "project")
    write_site(project.served_site, SiteContent(translators=[], served_pages=serving.PAGES), web_runtime)
    return project


@pytest.fixture(scope="module")
def measured(web_project):
    """The tiny project, translated and measured, with the pages of a server."""
    show_pages(web_project)
    return web_project


def let_in(project):
    """Return somebody who has opened the link."""
    opened = TestClient(serving.application(project, TOKEN, 80), base_url="http://127.0.0.1")
    assert opened.get("/", params={"token": TOKEN}).status_code == 200
    return opened


@pytest.fixture
def visitor(empty):
    return let_in(empty)


@pytest.fixture
def client(measured):
    return let_in(measured)


@pytest.fixture(scope="module")
def server(measured):
    """The process of the command itself, and the link that it prints."""
    command = [sys.executable, "-m", "cli.app", "--project", str(measured.root), "serve", "cartoon"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        yield process, next(line.strip() for line in process.stdout if line.startswith("http"))
        process.send_signal(signal.SIGINT)


@pytest.fixture
def served(server):
    """The link."""
    return server[1]


# Who gets in


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/models/models.json", "/api/standing/runs", "/api/translations", "/report.html"]
)
def test_nobody_gets_in_without_the_token(empty, path):
    stranger = TestClient(serving.application(empty, TOKEN, 80), base_url="http://127.0.0.1")
    for query in ({}, {"token": "wrong"}, {"token": ""}):
        answer = stranger.get(path, params=query)
        assert answer.status_code == 401 and TOKEN not in answer.text
        assert "Open the link that <code>ui2i serve</code> printed" in answer.text
    stranger.cookies.set("ui2i-80", "wrong")
    assert stranger.get(path).status_code == 401
    assert stranger.post("/api/refinements", params={"domain": "cartoon"}, content=b"x").status_code == 401


def test_the_token_leaves_the_address_for_a_cookie(empty):
    visitor = TestClient(serving.application(empty, TOKEN, 80), base_url="http://127.0.0.1", follow_redirects=False)
    answer = visitor.get("/index.html", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/index.html")
    assert re.search(r"HttpOnly;.*SameSite=lax", answer.headers["set-cookie"])


@pytest.mark.parametrize(
    "path",
    [
        "/../../params.yaml",
        "/%2e%2e/%2e%2e/params.yaml",
        "/models/..%2f..%2f..%2f..%2fparams.yaml",
        "/api/translations/..%2f..%2fraw/0/input",
        "/api/translations/cartoon/0/..%2f..%2f..%2fparams.yaml",
        "/api/translations/cartoon/0/%2fetc%2fpasswd",
        "/api/refinements/..%2f../out",
    ],
)
def test_nothing_else_of_the_disk_is_readable(visitor, path):
    answer = visitor.get(path)
    assert answer.status_code in (404, 422)
    assert "domains:" not in answer.text and "root:" not in answer.text


def test_a_manifest_shows_no_image_beside_its_folder(tmp_path):
    project = make_project(tmp_path / "project")
    folder = project.translations("cartoon")
    folder.mkdir(parents=True)
    names = {"outside": "../secret.png", "link": "link.png", "own": "own.png"}
    for name in ("../secret.png", "own.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "link.png").symlink_to("../secret.png")
    blank = {
        field.name: None if field.nullable else "" if field.type == "string" else 0 for field in TRANSLATION_SCHEMA
    }
    rows = [blank | {"variant": variant, "output_file": file} for variant, file in names.items()]
    append_rows(folder / "manifest.parquet", rows, TRANSLATION_SCHEMA)
    found = {variant: image_of(project, "cartoon", 0, variant) for variant in names}
    assert found == {"outside": None, "link": None, "own": b"own.png"}


def test_every_answer_keeps_the_browser_at_home(visitor):
    for path in ("/index.html", "/api/translations", "/nothing", "/js/worker.js"):
        headers = visitor.get(path).headers
        assert "connect-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert visitor.get("/report.html").status_code == 404, "nothing is measured"
    assert visitor.get("/runtime/ort.wasm.bundle.min.mjs").headers["content-type"].startswith("text/javascript")


# What the pages ask


@pytest.mark.slow
def test_translations_are_browsed_the_worst_first(client, measured):
    assert client.get("/api/translations").json() == ["cartoon"]
    assert "sandbox" in client.get("/report.html").headers["content-security-policy"]
    found = client.get("/api/translations/cartoon").json()
    similarities = [image["ssim"] for image in found["images"]]
    assert similarities == sorted(similarities) and found["total"] == len(similarities) == 2
    assert set(found["variants"]) >= {"FC-FT", "FC-FT-LS8"}
    best = client.get("/api/translations/cartoon", params={"order": "best", "variant": "FC-FT"}).json()["images"]
    assert [image["index"] for image in best] == [image["index"] for image in found["images"]][::-1]
    assert best[0]["variants"] == ["FC-FT"]
    limit = similarities[0] + 0.0005
    assert client.get("/api/translations/cartoon", params={"max_ssim": limit}).json()["total"] == 1
    assert client.get("/api/translations/cartoon", params={"name": best[0]["name"].upper()}).json()["total"] == 1
    for query in ({"order": "upwards"}, {"start": "x"}, {"max_ssim": "much"}):
        assert client.get("/api/translations/cartoon", params=query).status_code in (404, 422)
    assert client.get("/api/translations/alien").status_code == 404
    rows = read_rows(measured.translations("cartoon") / "manifest.parquet", TRANSLATION_SCHEMA)
    for row in rows:
        answer = client.get(f"/api/translations/cartoon/{row['index']}/{row['variant']}")
        assert answer.content == (measured.translations("cartoon") / row["output_file"]).read_bytes()
    original = client.get(f"/api/translations/cartoon/{rows[0]['index']}/input").content
    assert Image.open(io.BytesIO(original)).size == (32, 32)
    assert browse(measured, "cartoon", Filter(start=1))["images"] == found["images"][1:]


@pytest.mark.slow
def test_an_image_is_refined_by_the_whole_pipeline(client):
    image, reference = (png(noise) for noise in np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8))
    chosen = {"domain": "cartoon", "styles": "1", "edit": ["1:2", "2:-1.5"], "image_bytes": str(len(image))}
    added = client.post("/api/refinements", params=chosen, content=image + reference)
    assert added.status_code == 201
    place = f"/api/refinements/{added.json()['id']}"
    while (found := client.get(place).json())["state"] in ("waiting", "working"):
        time.sleep(0.2)
    assert found["state"] == "done", found
    versions = ("", "-style1", "-reference1", "-direction1+2", "-direction2-1.5")
    models = [f"{model}{version}" for model in ("FC-FT", "FC-FT-LS8") for version in versions]
    assert sorted(found["images"]) == sorted(["reconstruction", *models]), "one version for each slider"
    assert "look" in found["message"]
    assert Image.open(io.BytesIO(client.get(f"{place}/FC-FT").content)).size == (32, 32)
    assert client.get(f"{place}/alien").status_code == 404
    broken = client.post("/api/refinements", params={"domain": "cartoon"}, content=b"no image").json()
    while (found := client.get(f"/api/refinements/{broken['id']}").json())["state"] in ("waiting", "working"):
        time.sleep(0.2)
    assert found["state"] == "failed" and "can be used" in found["message"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"domain": "alien"}, "alien"),
        ({"psi": "9"}, "psi is 9.0, expected a number from 0 to 2"),
        ({"steps": "many"}, 'steps is "many", expected a number'),
        ({"steps": "0"}, "steps is 0, expected"),
        ({"steps": "2001"}, "steps is 2001, expected"),
        ({"styles": "9"}, "styles is 9, expected"),
        ({"styles": "-1"}, "styles is -1, expected"),
        ({"edit": "9:1"}, "direction is 9, expected a number from 1 to 8"),
        ({"edit": "1:nan"}, "strength is nan, expected a number from -10 to 10"),
        ({"edit": "1"}, 'strength is "", expected a number'),
    ],
)
def test_what_cannot_be_refined_is_refused_in_words(visitor, query, words):
    answer = visitor.post("/api/refinements", params={"domain": "cartoon"} | query, content=b"x")
    assert answer.status_code in (404, 422)
    assert words in answer.json()["error"] and "expected" in answer.json()["error"]


def test_what_a_visitor_chooses_is_what_the_pipeline_is_asked_for(visitor, monkeypatch):
    monkeypatch.setattr(refinements, "listen", lambda *_, **__: Ended(status=1, lines=(), was_stopped=False))
    chosen = {"steps": "30", "styles": "", "edit": ["1:2", "3:-1.5"], "image_bytes": "3"}
    told = visitor.post("/api/refinements", params={"domain": "cartoon"} | chosen, content=b"abcdefg").json()
    request = visitor.app.state.refinements.find(told["id"]).request
    assert (request.steps, request.styles, request.directions, request.strengths) == (30, None, (1, 3), (2.0, -1.5))
    assert [path.read_bytes() for path in (*request.images.iterdir(), *request.references)] == [b"abc", b"defg"]


def test_one_is_refined_at_a_time_and_a_few_may_wait(empty, monkeypatch):
    started, gate = threading.Event(), threading.Event()

    def listen(*_, on_line, **__):
        started.set()
        gate.wait(60)
        on_line("")
        raise ValueError("a table is damaged")

    monkeypatch.setattr(refinements, "listen", listen)
    queue = refinements.Refinements(empty)
    all_of_them = [queue.add(b"", "cartoon") for _ in range(refinements.MAX_WAITING)]
    with pytest.raises(refinements.BusyError, match="8 images are waiting"):
        queue.add(b"", "cartoon")
    assert started.wait(60)
    assert [one.state for one in all_of_them[:2]] == ["working", "waiting"]
    for one in all_of_them:
        queue.cancel(one)
    gate.set()
    for added in (queue.add(b"", "cartoon"), queue.add(b"", "cartoon")):  # an error ends one, not all
        while added.state in refinements.OPEN:
            time.sleep(0.01)
        assert (added.state, added.message) == ("failed", "a table is damaged")
    assert {one.state for one in all_of_them} == {"cancelled"}


def test_an_image_for_which_there_is_no_room_is_told_and_takes_no_place(empty, visitor, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(refinements.Path, "write_bytes", full)
        for _ in range(refinements.MAX_WAITING + 1):
            answer = visitor.post("/api/refinements", params={"domain": "cartoon"}, content=b"x")
            assert answer.status_code == 507
            assert "No space left on device" in answer.json()["error"]
    assert not list(empty.refinements.iterdir())


# In a browser


@pytest.mark.slow
def test_every_page_is_walked(served, window, measured):
    window.resize(1200, 900)
    window.open(served)
    assert window.wait_for(READY) == "true"
    assert "token" not in value(window, "location.href")
    give(window, {"a.png": png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))})
    window.wait_for("document.querySelector('#after').naturalWidth")
    window.run("document.querySelector('#refine').click(); arguments[0]()")
    window.wait_for("document.querySelectorAll('#refine-images img').length >= 3")
    window.wait_for("[...document.querySelectorAll('#refine-images img')].every(it => it.naturalWidth)")
    shown = value(window, "[...document.querySelectorAll('#refine-images figcaption')].map(it => it.textContent)")
    assert shown[0] == "translator" and "FC-FT" in shown
    assert "look" in value(window, "document.querySelector('#refine-state').textContent")

    window.run("document.querySelector('nav a[href^=measure]').click(); arguments[0]()")
    window.wait_for("document.querySelectorAll('#cards img').length >= 6")
    window.wait_for("[...document.querySelectorAll('#cards img')].every(it => it.naturalWidth === 32)")
    rows = read_rows(measured.translations("cartoon") / "manifest.parquet", TRANSLATION_SCHEMA)
    worst = min(rows, key=lambda row: row["ssim"])
    captions = value(window, "[...document.querySelectorAll('.card:first-child figcaption')].map(it => it.innerText)")
    place = captions.index(worst["variant"]) + 1
    expected = np.asarray(Image.open(measured.translations("cartoon") / worst["output_file"]).convert("RGB"))
    assert levels(pixels(window, f".card figure:nth-child({place}) img"), expected) == 0
    window.wait_for("!document.querySelector('#report').hidden")
    window.run(SET, "#name", "no such name")
    window.wait_for("document.querySelector('#count').textContent === 'No translation fits these filters.'")

    window.run("document.querySelector('nav a[href^=runs]').click(); arguments[0]()")
    window.wait_for(READY)
    window.wait_for("document.body.innerText.includes('No Prefect server is up')")
    text = value(window, "document.body.innerText")
    assert "cartoon" in text and "2026-01-02 03:04" in text


@pytest.mark.slow
def test_a_server_that_has_gone_is_told(server, window):
    process, link = server
    window.open(link)
    window.wait_for(READY)
    window.open(value(window, "new URL('runs.html', location.href).href"))
    window.wait_for(READY)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    window.run("document.querySelector('#again').click(); arguments[0]()")
    window.wait_for("document.body.innerText.includes('The server does not answer. Is ui2i serve still running?')")
