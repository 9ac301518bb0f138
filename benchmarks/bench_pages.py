"""How fast is the page Translate in Chromium, and does it ever stop the window?

    python benchmarks/bench_pages.py --json docs/results/bench_pages.json

For 64, 256 and 512 px: a site with an untrained translator, served from this machine; one thread. Printed are the time
from the request until the page takes images, the time until the runtime is warm, the median time that the network and
the whole of an image take, and the longest task of the window's own thread meanwhile. Needs chromium and chromedriver.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import headless
from web_browsing import give, png, static_host, value

from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator
from ui2i.distillation.onnx_export import export_onnx
from ui2i.provenance import provenance
from ui2i.settings import TranslatorConfig
from ui2i.web.runtime import ensure_runtime
from ui2i.web.site import SiteContent, write_site

RUNTIME = Path(__file__).parents[1] / ".cache" / "onnxruntime-web"
NUM_IMAGES = 20
WATCH = """
window.longest = 0;
new PerformanceObserver(list => list.getEntries().forEach(it => window.longest = Math.max(window.longest, it.duration)))
  .observe({type: 'longtask', buffered: true});
window.times = [];
document.addEventListener('selected', ({detail: {item, isDone}}) => isDone && window.times.push(item.result));
arguments[0]();
"""
STARTED = "[document.documentElement.dataset.usable, document.documentElement.dataset.warm].map(Number)"


def measure(size: int, folder: Path) -> dict[str, float]:
    card = TranslatorCard(source="a", domain="b", variant="c", source_hash="", target_hash="", img_resolution=size)
    translator = Translator(TranslatorConfig(), card).requires_grad_(False)
    images = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, size, size, 3), dtype=np.uint8)
    export_onnx(folder / "b.onnx", translator, images[:1], translator_hash="")
    write_site(folder / "site", SiteContent(translators=[folder / "b.onnx"]), ensure_runtime(RUNTIME))
    with static_host(folder / "site") as url, headless(folder / "profile") as window:
        window.open(f"{url}/index.html")
        window.run(WATCH)
        window.wait_for("!document.querySelector('#domain').disabled")
        window.wait_for("document.documentElement.dataset.ready")
        usable, warm = value(window, STARTED)
        for index, image in enumerate(images):
            give(window, {f"{index}.png": png(image)})
            window.wait_for(f"window.times.length >= {index + 1}")
        times = value(window, "window.times.map(it => [it.milliseconds, it.total])")
        longest = value(window, "window.longest")
    network, total = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "img_resolution": size,
        "usable_ms": usable,
        "warm_ms": warm,
        "network_ms": network,
        "image_ms": total,
        "longest_task_ms": longest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 512])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(size, Path(folder)))
        print({name: round(number, 1) for name, number in rows[-1].items()}, flush=True)
    if options.json:
        options.json.write_text(json.dumps({"provenance": provenance(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
