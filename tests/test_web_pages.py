"""The pages Translate and Explore in a browser, with real models: their pixels, their states, what they reach."""

import io
import json
import shutil
import zipfile

import browser
import numpy as np
import pytest
import torch
from PIL import Image
from test_web_site import site as site
from web_browsing import DROP, PASTE, PICK, SET, WATCH_URLS, give, give_many, pixels, png, saved, static_host, value
from web_project import web_project as web_project
from web_project import web_runtime as web_runtime

from ui2i.checkpoints import load_generator
from ui2i.distillation.onnx_session import OnnxTranslator
from ui2i.images import to_uint8
from ui2i.images.framing import CENTERED
from ui2i.layer_swap import blend_weights
from ui2i.samples import seeded_latents

pytestmark = pytest.mark.slow  # two minutes, with the exports

DROP_AND_CLEAR = DROP.replace("arguments[1]()", "document.querySelector('#clear').click(); arguments[1]()")
READY = "document.documentElement.dataset.ready"
COUNT = "document.querySelector('#count').textContent"


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with browser.headless(tmp_path_factory.mktemp("profile"), *camera) as opened:
        yield opened


@pytest.fixture(scope="module")
def host(site):
    with static_host(site) as url:
        yield url


@pytest.fixture
def translate(window, host):
    window.resize(1200, 900)
    window.open(f"{host}/index.html")
    assert window.wait_for(READY) == "true"
    return window


@pytest.fixture
def explore(window, host):
    window.resize(1200, 900)
    window.open(f"{host}/explore.html")
    assert window.wait_for(READY) == "true"
    return window


@pytest.fixture(scope="module")
def photo():
    """Not square, and not smooth."""
    random = np.random.default_rng(3)
    small = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    return np.asarray(small.resize((160, 120), Image.Resampling.BICUBIC))


def translated(site, image):
    """What the library makes of an image."""
    (path,) = (site / "models").glob("cartoon-*.onnx")
    square, _ = CENTERED.square(png(image), "photo", 32)
    return square, OnnxTranslator(path)(square[None])[0]


def levels(found, expected):
    return np.abs(found.astype(int) - expected).max()


# Translate


@pytest.mark.parametrize("how", ["drop", "paste", "pick"])
def test_an_image_is_translated_as_the_library_does(translate, site, photo, how):
    means = {"drop": {}, "paste": {"how": PASTE}, "pick": {"how": PICK}}[how]
    give(translate, {"photo.png": png(photo)}, **means)
    translate.wait_for("document.querySelector('#after').naturalWidth")
    square, expected = translated(site, photo)
    assert levels(pixels(translate, "#before"), square) <= 1
    assert levels(pixels(translate, "#after"), expected) <= 2
    assert levels(square, expected) > 20
    assert "120 px, translated in" in value(translate, "document.querySelector('#viewer-facts').textContent")
    assert value(translate, "document.querySelector('#download').download") == "photo-FC-FT.png"


def test_many_are_translated_and_downloaded_at_once(translate, site, photo):
    images = {f"{place:02d}.png": png(np.roll(photo, 9 * place, axis=1)) for place in range(12)}
    give(translate, {**images, "00.jpeg": images["00.png"]})
    translate.wait_for(f"{COUNT}.startsWith('13 of 13 images translated')")
    with zipfile.ZipFile(io.BytesIO(saved(translate, "#download-all"))) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 13 and "00-2-FC-FT.png" in archive.namelist()
        for place in (0, 11):
            found = np.asarray(Image.open(io.BytesIO(archive.read(f"{place:02d}-FC-FT.png"))).convert("RGB"))
            assert levels(found, translated(site, np.roll(photo, 9 * place, axis=1))[1]) <= 2
    translate.run("document.querySelector('#clear').click(); arguments[0]()")
    assert value(translate, "document.querySelector('#results').hidden")


def test_what_was_cleared_leaves_no_image_in_memory(translate, photo):
    translate.run(WATCH_URLS)
    give(translate, {"first.png": png(photo)}, how=DROP_AND_CLEAR)  # before it is translated
    give(translate, {"second.png": png(photo)})
    translate.wait_for(f"{COUNT}.startsWith('1 of 1 image translated')")
    assert value(translate, "window.urls.size") == 2, "input and translation"
    translate.run("document.querySelector('#clear').click(); arguments[0]()")
    assert value(translate, "window.urls.size") == 0


def test_the_divider_shows_more_of_one_image(translate, photo):
    give(translate, {"photo.png": png(photo)})
    translate.wait_for("document.querySelector('#after').naturalWidth")
    for share in (0, 30, 100):
        translate.run(SET, "#divider", str(share))
        shown = value(translate, "getComputedStyle(document.querySelector('#before')).clipPath")
        assert (
            shown == {0: "inset(0px 100% 0px 0px)", 30: "inset(0px 70% 0px 0px)", 100: "inset(0px 0% 0px 0px)"}[share]
        )


def test_framing_is_adjusted_by_keys_and_a_slider(translate, site, photo):
    give(translate, {"photo.png": png(photo)})
    translate.wait_for("document.querySelector('#after').naturalWidth")
    translate.run("document.querySelector('#frame').click(); arguments[0]()")
    translate.wait_for("document.querySelector('#framing-dialog').open")
    translate.run(SET, "#framing-size", "50")
    press = (
        "document.querySelector('#framing-canvas').dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}));"
    )
    for key in ["ArrowLeft"] * 5 + ["ArrowUp"] * 10:
        translate.run(f"{press} arguments[1]()", key)
    translate.run(
        "window.before = document.querySelector('#after').src;"
        "document.querySelector('#framing-dialog [value=apply]').click(); arguments[0]()"
    )
    translate.wait_for("![null, window.before].includes(document.querySelector('#after').getAttribute('src'))")
    translate.wait_for("document.querySelector('#after').naturalWidth")
    # Half of 120 px around the middle, 5 and 10 steps of 2.4 px further to the left and up.
    expected, _ = translated(site, photo[6:66, 38:98])
    assert levels(pixels(translate, "#before"), expected) <= 1


def test_what_is_no_image_is_told_and_runs_nothing(translate, photo):
    name = "<img src=x onerror=window.hacked=1>.png"
    give(translate, {"broken.png": png(photo)[:60], "notes.txt": b"no image", "empty.png": b"", name: png(photo)})
    translate.wait_for(f"{COUNT}.startsWith('1 of 4 images translated, 3 could not be used')")
    assert value(translate, "document.querySelectorAll('#list .failed').length") == 3
    assert "cannot open the file as an image" in value(translate, "document.querySelector('#viewer').innerText")
    assert value(translate, "[...document.querySelectorAll('#list .name')].map(it => it.textContent)[3]") == name
    assert value(translate, "window.hacked ?? document.querySelectorAll('#list img[src=x]').length") == 0


def test_a_picture_is_taken_by_the_camera(translate):
    translate.run("document.querySelector('#camera').click(); arguments[0]()")
    translate.wait_for("!document.querySelector('#camera-take').disabled")
    translate.run("document.querySelector('#camera-take').click(); arguments[0]()")
    translate.wait_for("document.querySelector('#after').naturalWidth")
    assert np.ptp(pixels(translate, "#before").astype(int)) > 50
    assert value(translate, "document.querySelector('#camera-video').srcObject") is None


# Explore


def library_image(project, seed, *, psi=0.7, swap=None, width=0.0):
    face = load_generator(project.checkpoint("face") / "generator.safetensors")[0]
    model = load_generator(project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")[0]
    if swap is not None:
        model = blend_weights(face, model, swap, width)
    with torch.no_grad():
        return to_uint8(model(seeded_latents([seed], 8), truncation_psi=psi))[0]


def set_and_wait(window, **controls):
    for name, setting in controls.items():
        frames = value(window, "document.querySelector('#image').dataset.frames")
        window.run(SET, f"#{name}", str(setting))
        window.wait_for(f"document.querySelector('#image').dataset.frames !== '{frames}'")


def test_a_seed_is_the_seed_of_the_library(explore, web_project):
    set_and_wait(explore, seed=1234)
    assert levels(pixels(explore, "#image"), library_image(web_project, 1234)) <= 2
    set_and_wait(explore, psi=1)
    assert levels(pixels(explore, "#image"), library_image(web_project, 1234, psi=1.0)) <= 2


def test_layers_are_swapped_and_blended_as_the_library_does(explore, web_project):
    set_and_wait(explore, seed=5, psi=1, swap=2)  # none, 4, 8
    assert levels(pixels(explore, "#image"), library_image(web_project, 5, psi=1.0, swap=8)) <= 2
    set_and_wait(explore, width=0.7)
    expected = library_image(web_project, 5, psi=1.0, swap=8, width=0.7)
    assert levels(pixels(explore, "#image"), expected) <= 2
    assert levels(expected, library_image(web_project, 5, psi=1.0)) > 10


def test_one_person_is_shown_in_each_model_and_others_can_be_chosen(explore, web_project):
    set_and_wait(explore, seed=20)
    explore.wait_for("document.querySelector('#people').dataset.seed === '20'")
    assert levels(pixels(explore, "#models figure:nth-child(2) canvas"), library_image(web_project, 20)) <= 2
    assert levels(pixels(explore, "#people button:nth-child(3) canvas"), library_image(web_project, 23)) <= 2
    frames = value(explore, "document.querySelector('#image').dataset.frames")
    explore.run("document.querySelector('#people button:nth-child(3)').click(); arguments[0]()")
    explore.wait_for(f"document.querySelector('#image').dataset.frames !== '{frames}'")
    assert levels(pixels(explore, "#image"), library_image(web_project, 23)) <= 2


def test_directions_and_the_way_to_the_next_seed_change_the_image(explore):
    set_and_wait(explore, seed=3)
    before = pixels(explore, "#image")
    for control in ({"direction-0": 1}, {"share": 0.5}, {"share-0": 1}):
        set_and_wait(explore, **control)
        assert levels(pixels(explore, "#image"), before) > 0, control
        before = pixels(explore, "#image")
    explore.run("document.querySelector('#play').click(); arguments[0]()")
    first = value(explore, "Number(document.querySelector('#image').dataset.frames)")
    explore.wait_for(f"Number(document.querySelector('#image').dataset.frames) > {first + 5}")
    explore.run("document.querySelector('#play').click(); arguments[0]()")
    assert value(explore, "Number(document.querySelector('#share').value)") > 0.5


# What they reach, and how they look


@pytest.mark.parametrize("page", ["index", "explore"])
def test_a_page_reaches_its_own_host_alone(window, host, page):
    window.open(f"{host}/{page}.html")
    window.wait_for(READY)
    asked = value(window, "performance.getEntriesByType('resource').map(it => it.name)")
    assert asked and all(name.startswith((f"{host}/", "blob:")) for name in asked)
    other = host.replace("127.0.0.1", "localhost")
    assert "refused" in window.fetch(f"{other}/style.css", mode="no-cors"), "its policy forbids any other"


@pytest.mark.parametrize("page", ["index", "explore"])
@pytest.mark.parametrize("width", [400, 2560])
def test_nothing_is_wider_than_the_window_and_everything_has_a_name(window, host, photo, page, width):
    window.resize(width, 900)
    window.open(f"{host}/{page}.html")
    window.wait_for(READY)
    if page == "index":
        give(window, {f"{'long-name-' * 12}.png": png(photo)})
        window.wait_for("document.querySelector('#after').naturalWidth")
    else:
        window.wait_for("document.querySelector('#people').dataset.seed")
    assert value(window, "document.documentElement.scrollWidth - innerWidth") <= 0
    nameless = """[...document.querySelectorAll('button, a, input, select, img[src], canvas, progress')].filter(it =>
      it.checkVisibility() && !(it.textContent.trim() || it.alt || it.title || it.ariaLabel || it.closest('label') ||
      it.closest('button')?.ariaLabel))
      .map(it => it.outerHTML)"""
    assert value(window, nameless) == []


def test_the_site_works_without_its_host(tmp_path_factory, site, photo):
    with browser.headless(tmp_path_factory.mktemp("offline")) as window:
        with static_host(site) as url:
            window.open(f"{url}/index.html")
            window.wait_for("navigator.serviceWorker.controller !== null")
        window.open(f"{url}/index.html")
        assert window.wait_for(READY) == "true"
        give(window, {"photo.png": png(photo)})
        window.wait_for("document.querySelector('#after').naturalWidth")
        assert levels(pixels(window, "#after"), translated(site, photo)[1]) <= 2
        window.open(f"{url}/explore.html")
        assert window.wait_for(READY) == "true"


def test_two_sites_of_one_host_keep_their_own_files(tmp_path_factory, site):
    root = tmp_path_factory.mktemp("host")
    for name in ("a", "b"):
        shutil.copytree(site, root / name)
    worker = root / "b" / "sw.js"
    worker.write_text(worker.read_text().replace('VERSION = "', 'VERSION = "other'))
    with browser.headless(tmp_path_factory.mktemp("two")) as window, static_host(root) as url:
        for name in ("a", "b"):
            window.open(f"{url}/{name}/index.html")
            window.wait_for("navigator.serviceWorker.controller !== null")
        assert len(window.run("caches.keys().then(arguments[0])")) == 2


def test_a_page_without_its_worker_says_so_of_each_image(window, site, tmp_path, photo):
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "js" / "worker.js").unlink()
    with static_host(tmp_path / "site") as url:
        window.open(f"{url}/index.html")
        assert window.wait_for(READY) == "failed"
        give(window, {"photo.png": png(photo)})
        window.wait_for(f"{COUNT}.endsWith('1 could not be used')")
        assert "worker could not be loaded" in value(window, "document.querySelector('#viewer').innerText")


def test_a_host_without_models_is_told(window, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    models = tmp_path / "site" / "models" / "models.json"
    models.write_text(json.dumps({"offline": False, "translators": [], "families": []}))
    with static_host(tmp_path / "site") as url:
        window.open(f"{url}/index.html")
        window.wait_for("document.body.innerText.includes('There is no translator yet')")
        window.open(f"{url}/explore.html")
        window.wait_for("document.body.innerText.includes('There is no model to explore yet')")
        models.unlink()
        window.open(f"{url}/index.html")
        window.wait_for("document.body.innerText.includes('could not be fetched (404)')")


def test_hundreds_of_images_and_a_large_photograph_never_stop_the_page(translate, photo):
    large = io.BytesIO()
    Image.fromarray(photo).resize((8000, 6250)).save(large, "JPEG")
    give(translate, {"large.jpg": large.getvalue()}, kind="image/jpeg")
    translate.wait_for(f"{COUNT}.startsWith('1 of 1 image translated')")
    translate.run("document.querySelector('#clear').click(); arguments[0]()")
    give_many(translate, [png(np.roll(photo, place, axis=1)) for place in range(20)], 500)
    translate.wait_for(f"{COUNT}.startsWith('500 of 500 images translated')")
    give(translate, {"more.png": png(photo)})
    translate.wait_for(
        "document.querySelector('#notice').textContent.startsWith('Only 500 images fit at a time; 1 was')"
    )
    assert value(translate, "performance.memory.usedJSHeapSize") < 100e6
    translate.run("document.querySelector('#clear').click(); arguments[0]()")
    give(translate, {"photo.png": png(photo)})
    translate.wait_for(f"{COUNT}.startsWith('1 of 1 image translated')")
