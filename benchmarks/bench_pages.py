"""How fast are the pages Translate and Explore in Chromium, do they ever stop the window, does their memory grow?

    python benchmarks/bench_pages.py --json docs/results/bench_pages.json

Translate, at 64, 256 and 512 px: a site with an untrained translator, served from this machine; one thread. Printed are
the time from the request until the page takes images, the time until the runtime is warm, the median time that the
network and the whole of an image take, the longest task of the window's own thread meanwhile, and the memory of all of
the browser's processes after 50 and after 500 images. Explore, at 64 px: a base of the size of the shipped ones and a
model of it; the time from one image to the next while the page plays, and while a share is moved, for which parameters
are mixed anew. Needs chromium and chromedriver.
"""

import argparse
import functools
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import Browser, headless
from web_browsing import give, give_many, png, static_host, value

from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator
from ui2i.distillation.onnx_export import export_onnx
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, TranslatorConfig
from ui2i.web.family import FamilyModel, write_family
from ui2i.web.kept_exports import KeptExports
from ui2i.web.runtime import ensure_runtime
from ui2i.web.site import SiteContent, write_site

RUNTIME = Path(__file__).parents[1] / ".cache" / "onnxruntime-web"
NETWORK = NetworkConfig(
    img_resolution=64, z_dim=96, w_dim=96, num_mapping_layers=4, channel_base=2048, channel_max=96, use_noise=False
)
"""That of the shipped bases."""

NUM_IMAGES, NUM_FRAMES, MANY = 20, 150, 500
WATCH = """
window.longest = 0;
new PerformanceObserver(list => list.getEntries().forEach(it => window.longest = Math.max(window.longest, it.duration)))
  .observe({type: 'longtask', buffered: true});
window.times = [];
document.addEventListener('selected', ({detail: {item, isDone}}) => isDone && window.times.push(item.result));
arguments[0]();
"""
FRAMES = """
window.frames = [];
new MutationObserver(() => window.frames.push(performance.now()))
  .observe(document.querySelector('#image'), {attributeFilter: ['data-frames']});
arguments[0]();
"""
MOVE = """
const share = document.querySelector('#share-0'), next = () => {
  share.value = (window.frames.length % 50) / 50;
  share.dispatchEvent(new Event('input', {bubbles: true}));
};
new MutationObserver(next).observe(document.querySelector('#image'), {attributeFilter: ['data-frames']});
next();
arguments[0]();
"""
STARTED = "[document.documentElement.dataset.usable, document.documentElement.dataset.warm].map(Number)"
COUNT = "document.querySelector('#count').textContent"


def translate(size: int, folder: Path) -> dict[str, float]:
    """Measure the page Translate at a resolution."""
    card = TranslatorCard(source="a", domain="b", variant="c", source_hash="", target_hash="", img_resolution=size)
    translator = Translator(TranslatorConfig(), card).requires_grad_(False)
    images = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, size, size, 3), dtype=np.uint8)
    export_onnx(folder / "b.onnx", translator, images[:1], translator_hash="")
    write_site(folder / "site", SiteContent(translators=[folder / "b.onnx"]), ensure_runtime(RUNTIME))
    with static_host(folder / "site") as url, headless(folder / "profile") as window:
        window.open(f"{url}/index.html")
        window.run(WATCH)
        window.wait_for("document.documentElement.dataset.ready")
        usable, warm = value(window, STARTED)
        for index, image in enumerate(images):
            give(window, {f"{index}.png": png(image)})
            window.wait_for(f"window.times.length >= {index + 1}")
        times = value(window, "window.times.map(it => [it.milliseconds, it.total])")
        longest = value(window, "window.longest")
        memory = [] if size > 64 else [_memory_after(window, images, count) for count in (50, MANY)]
        longest_of_many = value(window, "window.longest")
    network, total = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "img_resolution": size,
        "usable_ms": usable,
        "warm_ms": warm,
        "network_ms": network,
        "image_ms": total,
        "longest_task_ms": longest,
        **(
            {"longest_task_of_many_ms": longest_of_many, "mb_after_50": memory[0], "mb_after_500": memory[1]}
            if memory
            else {}
        ),
    }


def _memory_after(window: Browser, images: np.ndarray, count: int) -> float:
    """Return what the browser's processes have for themselves, in MB, when so many images are shown at once."""
    window.run("document.querySelector('#clear').click(); arguments[0]()")
    give_many(window, [png(image) for image in images], count)
    window.wait_for(f"{COUNT} === '{count} of {count} images translated'")
    browser = [it for it in psutil.Process().children(recursive=True) if "chromium" in it.name()]
    return sum(process.memory_full_info().uss for process in browser) / 1e6


def explore(folder: Path) -> dict[str, float]:
    """Measure the page Explore."""
    torch.manual_seed(0)
    base, model = (
        FamilyModel(name=name, generator=Generator(NETWORK).eval(), hash=name, license="") for name in ("a", "b/c")
    )
    model.generator.mapping.load_state_dict(base.generator.mapping.state_dict())
    family = functools.partial(write_family, base=base, models=[model], exports=KeptExports(folder / "exports"))
    write_site(folder / "site", SiteContent(translators=[], families=[family]), ensure_runtime(RUNTIME))
    with static_host(folder / "site") as url, headless(folder / "profile") as window:
        window.open(f"{url}/explore.html")
        window.run(WATCH)
        window.wait_for("document.documentElement.dataset.ready")
        window.wait_for("document.querySelector('#people').dataset.seed")
        window.run(FRAMES)
        window.run("document.querySelector('#play').click(); arguments[0]()")
        played = _between_frames(window)
        window.run("document.querySelector('#play').click(); arguments[0]()")
        window.run("window.frames.length = 0; arguments[0]()")
        window.run(MOVE)
        moved = _between_frames(window)
        return {"frame_ms": played, "mixed_frame_ms": moved, "longest_task_ms": value(window, "window.longest")}


def _between_frames(window: Browser) -> float:
    """Return the median time from one image to the next, in ms, without the first few."""
    window.wait_for(f"window.frames.length > {NUM_FRAMES}")
    times = value(window, "window.frames")[20:NUM_FRAMES]
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 256, 512])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for measure in (*(functools.partial(translate, size) for size in options.sizes), explore):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder)))
        print({name: round(number, 1) for name, number in rows[-1].items()}, flush=True)
    if options.json:
        options.json.write_text(json.dumps({"provenance": provenance(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
