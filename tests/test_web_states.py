"""What pages say and do when things go wrong or happen twice: with models of one operation, in a browser."""

import io
import json
import shutil
import threading

import browser
import numpy as np
import pytest
from browser import call
from PIL import Image
from test_web_pages import COUNT, READY, levels
from test_web_pages import window as window
from tiny_site import SIDE, api_handler, write_tiny_site
from tiny_site import show as show
from web_browsing import DROP, SET, give, pixels, png, static_host, value
from web_project import web_runtime as web_runtime

from cli import serving

pytestmark = pytest.mark.slow  # a browser

CLICK = "document.querySelector(arguments[0]).click(); arguments[1]()"
CLICK_TWICE = CLICK.replace("; arguments", "; document.querySelector(arguments[0]).click(); arguments")
NOTICE = "document.querySelector('#notice').textContent"
MESSAGE = "document.querySelector('#viewer-message').textContent"
DROP_LARGE = """
const transfer = new DataTransfer();
transfer.items.add(new File([new Uint8Array(100e6 + 1)], "large.png"));
document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer}));
arguments[0]();
"""
DONE = f"{COUNT}.startsWith('1 of 1 image translated')"

NOTICE_LOG = f"""
window.noticed = [];
new MutationObserver(() => window.noticed.push({NOTICE}))
  .observe(document.querySelector('#notice'), {{childList: true, characterData: true, subtree: true}});
arguments[0]();
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory, web_runtime):
    return write_tiny_site(tmp_path_factory.mktemp("tiny"), web_runtime)


@pytest.fixture(scope="module")
def served_site(tmp_path_factory, web_runtime):
    return write_tiny_site(tmp_path_factory.mktemp("served"), web_runtime, serving.PAGES)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(3).integers(0, 256, (SIDE, SIDE + 8, 3), dtype=np.uint8)


def choose(window, selector, place):
    window.run(SET, selector, str(place))


# Translate


def test_framing_opens_once_however_often_it_is_clicked(show, site, photo):
    window = show(site)
    give(window, {"a.png": png(photo)})
    window.wait_for(DONE)
    for _ in range(2):
        window.run(CLICK_TWICE, "#frame")
        window.wait_for("document.querySelector('#framing-dialog').open")
        window.run(CLICK, "#framing-dialog [value=cancel]")
        window.wait_for("!document.querySelector('#framing-dialog').open")
    assert value(window, "window.errors") == []


def test_a_file_that_was_removed_meanwhile_is_told(show, site, photo, tmp_path):
    window = show(site)
    path = tmp_path / "gone.png"
    path.write_bytes(png(photo))
    window.wait_for(READY)
    found = call(f"{window._url}/element", {"using": "css selector", "value": "#files"})
    call(f"{window._url}/element/{next(iter(found.values()))}/value", {"text": str(path)})
    window.wait_for(DONE)
    path.unlink()
    window.run(NOTICE_LOG)
    window.run(CLICK, "#frame")
    assert "cannot open the file" in window.wait_for("window.noticed.find(text => text)")
    assert value(window, "window.errors") == []


def test_what_one_model_could_not_translate_another_does(show, site, photo):
    window = show(site, lacking=["models/cartoon-FC-FT.onnx"])
    give(window, {"a.png": png(photo), "b.txt": b"no image"})
    window.wait_for(f"{COUNT}.includes('2 could not be used')")
    assert "models/cartoon-FC-FT.onnx could not be fetched (404)" in value(window, MESSAGE)
    assert "The models cannot be used" in window.wait_for(NOTICE), "and it stays"
    assert "not an image" not in value(window, "document.querySelector('#list').innerText")
    choose(window, "#domain", 1)
    window.wait_for(f"{COUNT} === '1 of 2 images translated, 1 could not be used'")
    assert value(window, NOTICE) == ""
    assert levels(pixels(window, "#after"), photo[:, 4:-4]) <= 1


def test_a_check_that_cannot_be_made_is_told(show, site, photo):
    window = show(site, lacking=["models/face.check.onnx"])
    give(window, {"a.png": png(photo)})
    window.wait_for(f"{MESSAGE}.includes('could not be checked')")
    assert not value(window, "document.querySelector('#viewer-message').classList.contains('bad')")


def test_a_check_of_another_size_is_none(show, site):
    def doubled(text):
        models = json.loads(text)
        models["translators"][0]["check"]["img_resolution"] = 2 * SIDE
        return json.dumps(models)

    window = show(site, contents={"models/models.json": doubled})
    window.wait_for(READY)
    assert "does not check" in value(window, "document.querySelector('#hint').textContent")


def test_a_file_that_is_too_large_is_told_for_each_model(show, site):
    window = show(site)
    window.wait_for(READY)
    window.run(DROP_LARGE)
    for place in (1, 0):
        window.wait_for(f"{MESSAGE} === 'This file is larger than 100 MB.'")
        choose(window, "#domain", place)
    window.wait_for(f"{COUNT}.includes('1 could not be used')")


def test_a_browser_without_webassembly_is_told_so_each_time(show, site, photo):
    window = show(site, contents={"js/worker.js": lambda text: f"delete self.WebAssembly;\n{text}"})
    window.wait_for(f"{NOTICE}.includes('this browser has no WebAssembly; use a current')")
    give(window, {"a.png": png(photo), "b.png": png(photo)})
    window.wait_for(f"{COUNT}.includes('2 could not be used')")
    texts = "[...document.querySelectorAll('#list button')].map(it => it.title)"
    assert all("has no WebAssembly" in text for text in value(window, texts))


def test_a_page_whose_scripts_are_not_loaded_says_so(show, site):
    window = show(site)
    assert window.wait_for(READY) == "true"
    assert value(window, "document.querySelector('#unstarted')") is None
    window = show(site, lacking=["js/page.js"])
    window.wait_for("document.querySelector('#unstarted').checkVisibility({visibilityProperty: true})")


def test_a_site_without_its_list_of_models_loads_no_longer(show, site):
    window = show(site, lacking=["models/models.json"])
    window.wait_for(f"{NOTICE}.includes('models.json could not be fetched (404); reload')")
    assert "Loading" not in value(window, "document.body.innerText")


@pytest.mark.parametrize("kind", ["exif", "cmyk", "gif", "16 bits"])
def test_photographs_of_every_kind_are_upright_and_in_their_colours(show, site, kind):
    image = Image.new("RGB", (SIDE, SIDE), "white")
    image.paste((200, 30, 30), (0, 0, SIDE // 2, SIDE // 2))
    expected, data = np.asarray(image), io.BytesIO()
    if kind == "exif":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned right
        image.save(data, "JPEG", exif=exif, quality=100, subsampling=0)
        expected = np.rot90(expected, -1)
    elif kind == "cmyk":
        image.convert("CMYK").save(data, "JPEG", quality=100, subsampling=0)
    elif kind == "gif":
        image.save(data, "GIF", save_all=True, append_images=[Image.new("RGB", image.size, "black")])
    else:
        Image.fromarray(expected[:, :, 1].astype(np.uint16) * 257).save(data, "PNG")
        expected = np.repeat(expected[:, :, 1:2], 3, axis=2)
    window = show(site)
    choose(window, "#domain", 1)
    window.wait_for(READY)
    give(window, {"a": data.getvalue()})
    window.wait_for(DONE)
    window.wait_for("document.querySelector('#before').naturalWidth")
    assert levels(pixels(window, "#before"), expected) <= (60 if kind == "cmyk" else 8)


def test_names_that_differ_in_case_alone_do_not_overwrite_each_other(show, site):
    window = show(site)
    window.run("import('./js/zip.js').then(found => { window.zip = found; arguments[0](); })")
    names = value(
        window, "(taken => ['a', 'A', 'a', 'b'].map(it => window.zip.freeName(it, '.png', taken)))(new Set())"
    )
    assert names == ["a.png", "A-2.png", "a-3.png", "b.png"]


# Explore


def test_reset_keeps_the_family(show, site):
    window = show(site, "explore")
    window.wait_for(READY)
    choose(window, "#family", 1)
    window.wait_for("document.querySelector('#models').innerText.includes('cat')")
    window.run(SET, "#psi", "0.2")
    window.run("document.querySelector('#controls').reset(); arguments[0]()")
    window.wait_for("document.querySelector('output[for=psi]').textContent === '0.70'")
    assert value(window, "document.querySelector('#family').selectedOptions[0].text") == "cat"
    assert "cat" in value(window, "document.querySelector('#models').innerText")


def test_a_family_that_cannot_be_fetched_ends_the_play_and_is_told(show, site):
    window = show(site, "explore", lacking=["models/cat-FC-FT.weights"])
    window.wait_for(READY)
    window.run(CLICK, "#play")
    choose(window, "#family", 1)
    window.wait_for("document.documentElement.dataset.ready === 'failed'")
    assert value(window, "document.querySelector('#play').textContent") == "Play"
    assert "models/cat-FC-FT.weights could not be fetched (404)" in window.wait_for(NOTICE)
    choose(window, "#family", 0)
    window.wait_for(f"{READY} === 'true' && {NOTICE} === ''")


def test_a_slider_says_in_words_where_it_is(show, site):
    window = show(site, "explore")
    window.wait_for(READY)
    choose(window, "#swap", 1)
    assert value(window, "document.querySelector('#swap').ariaValueText") == "4 px"
    live = "[...document.querySelectorAll('output')].every(it => it.ariaLive === 'off')"
    assert value(window, live), "or a screen reader would read each frame of Play"


# The pages of a server


FOUND = {"total": 1, "has_scores": False, "variants": ["FC-FT"], "images": []}


def test_an_old_question_that_fails_late_does_not_replace_a_newer_answer(show, served_site):
    newer = threading.Event()

    def answers(_, path):
        if path == "/api/translations":
            return 200, ["cartoon"]
        if "name=old" in path:
            newer.wait(60)
            return 404, {"error": "too late"}
        if "name=new" in path:
            newer.set()
            return 200, {**FOUND, "total": 77}
        return (200, FOUND) if path.startswith("/api/") else None

    window = show(served_site, "measure", answers=answers)
    window.wait_for("document.querySelector('#count').textContent.includes('of 1 images')")
    window.run(SET, "#name", "old")
    window.wait_for("location.search.includes('name=old')")
    window.run(SET, "#name", "new")
    window.wait_for("document.querySelector('#count').textContent.includes('of 77 images')")
    window.wait_for("performance.getEntriesByType('resource').some(it => it.name.includes('name=old'))")
    window.run("setTimeout(arguments[0], 50)")
    assert "of 77 images" in value(window, COUNT)


def test_a_page_of_an_earlier_server_is_told_which_link_to_open(show, served_site):
    window = show(
        served_site,
        "measure",
        answers=lambda _, path: (
            (401, "<!doctype html><h1>This browser has no token</h1>") if path.startswith(("/api", "/report")) else None
        ),
    )
    for place in ("count", "report-message"):
        window.wait_for(f"document.querySelector('#{place}').textContent.includes('Open the link that ui2i serve')")
    assert "<h1>" not in value(window, "document.body.innerText")


def test_runs_waits_for_dvc_no_longer_than_it_answers(show, served_site):
    domain = {"domain": "cartoon", "trained": "2026", "measured": "2026", "state": ""}
    runs = {"server": None, "running": [], "scheduled": [], "failed": []}
    said = {"domains": (200, [domain]), "runs": (200, runs), "current": (507, {"error": "no room"})}
    window = show(served_site, "runs", answers=lambda _, path: said.get(path.rpartition("/")[2]))
    window.wait_for("!document.querySelector('#again').disabled")
    text = value(window, "document.body.innerText")
    assert "no room" in text and "unknown" in text and "asking DVC" not in text


def test_refine_offers_only_what_it_can_do(show, served_site, photo):
    sent, domain_chosen = threading.Event(), threading.Event()
    state = {"id": "7", "done": 0, "total": 0, "note": "", "message": "it failed", "images": []}

    def answers(method, path):
        if method == "POST":
            sent.wait(60)
            return 201, {**state, "state": "working"}
        if path.startswith("/api/refinements/7"):
            return 200, {**state, "state": "failed" if domain_chosen.is_set() else "working"}
        return None

    window = show(served_site, lacking=["models/sketch-FC-FT.onnx"], answers=answers)
    give(window, {"a.png": png(photo)})
    window.wait_for("!document.querySelector('#refine').disabled")
    window.run(CLICK, "#refine")
    cancel = "document.querySelector('#refine-cancel').checkVisibility()"
    assert not value(window, cancel), "the server does not know of it yet"
    sent.set()
    window.wait_for(cancel)
    choose(window, "#domain", 1)
    window.wait_for(f"{COUNT}.includes('1 could not be used')")
    domain_chosen.set()
    window.wait_for("document.querySelector('#refine-state').textContent.includes('it failed')")
    window.run("setTimeout(arguments[0])")
    assert value(window, "document.querySelector('#refine').disabled"), "there is no translation"
    assert not value(window, "document.querySelector('#refine-progress').checkVisibility()")


def test_a_reference_image_can_be_dropped_on_its_control(show, served_site, photo):
    window = show(served_site)
    window.wait_for(READY)
    for selector, name in (("#refine-reference", "reference.png"), ("#drop", "a.png")):
        give(window, {name: png(photo)}, how=DROP.replace("document.dis", f"document.querySelector('{selector}').dis"))
    window.wait_for(DONE)
    assert value(window, "document.querySelector('#list').innerText") == "a.png"


# Offline


def test_a_new_version_is_kept_whole_where_files_are_cached_and_addresses_shortened(tmp_path_factory, site, tmp_path):
    page, worker = tmp_path / "site" / "explore.html", tmp_path / "site" / "sw.js"
    shutil.copytree(site, tmp_path / "site")

    class Handler(
        api_handler(lambda _, path: {"/explore.html": (301, "/explore"), "/explore": (200, page.read_text())}.get(path))
    ):
        def end_headers(self):
            self.send_header("Cache-Control", "max-age=3600")
            super().end_headers()

    with browser.headless(tmp_path_factory.mktemp("offline")) as window:
        with static_host(tmp_path / "site", Handler) as url:
            window.open(f"{url}/index.html")
            window.wait_for("navigator.serviceWorker.controller !== null")
            page.write_text(page.read_text().replace("Explore the models", "Explore the new models"))
            worker.write_text(worker.read_text().replace('VERSION = "', 'VERSION = "new'))
            window.open(f"{url}/index.html")
            window.wait_for("caches.keys().then(names => names.length === 1 && names[0].includes('-new'))")
        window.open(f"{url}/explore.html")
        assert value(window, "document.querySelector('h1').textContent") == "Explore the new models"
        assert window.wait_for(READY) == "true"
