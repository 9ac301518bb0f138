"""Every page of `ui2i serve` in a browser, once, with real models, as continuous integration runs it."""

import socket
import threading

import numpy as np
import pytest
from PIL import Image
from test_web_pages import READY, levels, library_image, set_and_wait, translated
from test_web_pages import window as window
from web_browsing import give, pixels, png, value
from web_project import show_pages
from web_project import web_project as web_project
from web_project import web_runtime as web_runtime

from cli import serving
from tasks.models.domain_checks import extractor_of, find_reference
from tasks.models.domain_models import base_model
from tasks.project.params import load_params
from tasks.requests.shown_pages import shown, shown_at
from tasks.requests.web_site import write_project_site
from ui2i.distillation import onnx_export
from ui2i.distillation.onnx_session import OnnxTranslator
from ui2i.tables import TRANSLATION_SCHEMA, read_rows

TOKEN = "the-right-one"


@pytest.fixture(scope="module")
def served(web_project, window):
    """A project whose test images are translated and whose distances are measured, and the pages that show it."""
    show_pages(web_project)
    with socket.create_server(("127.0.0.1", 0)) as listener, shown(web_project, listener.getsockname()[1]):
        server = serving.server(web_project, listener, TOKEN)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        window.resize(1200, 900)
        window.open(f"{shown_at(web_project)}/?token={TOKEN}")
        yield web_project
        server.should_exit = True
        thread.join()


def show(window, project, page):
    window.open(f"{shown_at(project)}/{page}.html")
    assert window.wait_for(READY) == "true"


def assert_it_fits(window):
    """Nothing is wider than the window, on a phone or on a wide screen."""
    for width in (400, 2560, 1200):
        window.resize(width, 900)
        assert value(window, "document.documentElement.scrollWidth - innerWidth") <= 0, width


def test_a_second_start_exports_nothing_again_and_mends_what_was_cut(served, tmp_path, monkeypatch):
    exported = served.onnx_translator("cartoon")
    whole = exported.read_bytes()
    exported.write_bytes(whole[: len(whole) // 2])
    write_project_site(served, [], tmp_path / "mended", served_pages=serving.PAGES)
    assert OnnxTranslator(exported).card.domain == "cartoon"
    monkeypatch.setattr(onnx_export.torch.onnx, "export", None)
    write_project_site(served, [], tmp_path / "again", served_pages=serving.PAGES)
    for path in (tmp_path / "again" / "models").iterdir():
        assert path.read_bytes() == (tmp_path / "mended" / "models" / path.name).read_bytes(), path.name


def test_translate_shows_an_image_its_translation_and_whether_the_model_knows_such(served, window):
    show(window, served, "index")
    noise = np.random.default_rng(3).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    give(window, {"<b>noise.png": png(noise)})
    window.wait_for("document.querySelector('#after').naturalWidth")
    square, expected = translated(served.served_site, noise)
    assert levels(pixels(window, "#before"), square) <= 1
    assert levels(pixels(window, "#after"), expected) <= 2
    assert levels(square, expected) > 20
    window.wait_for("document.querySelector('#viewer-message').textContent")
    assert "does not look like the face images" in value(window, "document.querySelector('#viewer').innerText")
    source = base_model(served, load_params(served), "cartoon", device="cpu")
    extractor = extractor_of(source, device="cpu")
    assert find_reference(served, source, extractor).distances(extractor(square[None])) > 1
    assert value(window, "document.querySelectorAll('b').length") == 0
    window.run("document.querySelector('#refine-options').open = true; arguments[0]()")
    assert_it_fits(window)


def test_explore_shows_what_the_library_generates(served, window):
    show(window, served, "explore")
    set_and_wait(window, seed=1234)
    assert levels(pixels(window, "#image"), library_image(served, 1234)) <= 2
    set_and_wait(window, swap=2)  # none, 4, 8
    assert levels(pixels(window, "#image"), library_image(served, 1234, swap=8)) <= 2
    assert_it_fits(window)


def test_measure_leads_from_a_number_to_the_images_behind_it(served, window):
    show(window, served, "measure")
    window.wait_for("!document.querySelector('#report').hidden")
    window.open(f"{shown_at(served)}/report.html")
    window.wait_for("document.querySelector('td a')")
    assert value(window, "document.querySelector('td a').textContent") == "0.2000"
    window.run("document.querySelector('td a').click(); arguments[0]()")
    window.wait_for("location.pathname === '/measure.html' && document.querySelectorAll('#cards img').length")
    window.wait_for("[...document.querySelectorAll('#cards img')].every(it => it.naturalWidth === 32)")
    rows = read_rows(served.translations("cartoon") / "manifest.parquet", TRANSLATION_SCHEMA)
    worst = min((row for row in rows if row["variant"] == "FC-FT-LS8"), key=lambda row: row["ssim"])
    captions = "[...document.querySelectorAll('.card:first-child figcaption')].map(it => it.innerText)"
    assert value(window, captions) == ["input", "FC-FT-LS8"]
    expected = np.asarray(Image.open(served.translations("cartoon") / worst["output_file"]).convert("RGB"))
    assert levels(pixels(window, ".card figure:nth-child(2) img"), expected) == 0
    assert_it_fits(window)


def test_runs_shows_where_each_domain_stands(served, window):
    show(window, served, "runs")
    text = "document.body.innerText"
    window.wait_for(f"{text}.includes('No Prefect server is up')")
    window.wait_for(f"{text}.includes('DVC does not answer')")
    assert {"cartoon", "2026-01-02 03:04", "sketch"} <= set(value(window, text).replace("\t", "\n").split("\n"))
    assert_it_fits(window)
