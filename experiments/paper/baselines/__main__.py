r"""How near do CycleGAN, MUNIT and DRIT++ come to the truth, trained on the same images?

The baselines of Table II, written from their papers. The command trains one between two unpaired sets of images and
writes what becomes of the test images to DIR/images under their names, for `ui2i evaluate`; of MUNIT and DRIT++, which
make many outputs of one input, DIR/styles/<k> has further ones of the first test images. Rerun an interrupted command
to resume. See docs/baseline.md.

    python -m experiments.paper.baselines --system munit --source data/prepared/face --target data/prepared/cartoon \
        --test data/prepared/face --out data/runs/munit/cartoon --core-minutes 480
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.paper.baselines.image_sets import ImageSet, check, identity_of, read_images
from experiments.paper.baselines.outputs import sheet, write_images, write_styles
from experiments.paper.baselines.state import Baseline, Settings, settle_precision
from experiments.paper.baselines.systems import SYSTEMS, build, choose_settings
from experiments.paper.baselines.training import train
from tasks.running.command_line import exit_status
from tasks.running.progress import report_progress
from ui2i.allocator import keep_freed_memory
from ui2i.devices import find_device
from ui2i.errors import ConfigError
from ui2i.files import write_text
from ui2i.images import save_png
from ui2i.precision import warn_if_emulated
from ui2i.provenance import provenance

NUM_LOG_ROWS = 50  # in the card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    return exit_status(lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """Train, translate the test images, and write them with a contact sheet and a card."""
    if options.num_styles < 1:
        raise ConfigError(f"--num-styles is {options.num_styles}, expected 1 or more; correct it")
    device = find_device(options.device)
    source, target = (read_images(folder, "train") for folder in (options.source, options.target))
    test = read_images(options.test, "test", options.num_test)
    check(source, target, test)
    chosen = {
        name: getattr(options, name)
        for name in ("minutes", "core_minutes", "kimg", "width", "batch_size", "precision", "seed")
    }
    settings = choose_settings(options.system, source.resolution, **chosen)
    settings = settle_precision(settings, device, options.out / "state.pt")
    warn_if_emulated(settings.precision, device)
    model = build(options.system, settings, device)
    with report_progress(options.system) as progress:
        train(
            model,
            source.images,
            target.images,
            settings,
            options.out / "state.pt",
            identity=identity_of(settings, source, target),
            progress=progress,
        )
    outputs = model.translate(test.images, seed=settings.seed)
    write_images(options.out / "images", test.names, outputs)
    write_styles(options.out / "styles", model, test, options.num_styles)
    save_png(options.out / "sheet.png", sheet(model, test, outputs, target))
    card = describe_run(model, settings, {"source": source, "target": target, "test": test})
    write_text(options.out / "card.json", json.dumps(card, indent=2) + "\n")
    print(f"{len(outputs)} images in {options.out / 'images'}, sheet.png and card.json beside them")


def describe_run(model: Baseline, settings: Settings, data: dict[str, ImageSet]) -> dict[str, Any]:
    """Return what made the images, how long it took and how it went."""
    images_shown = model.num_steps * settings.batch_size
    return {
        "system": model.system,
        "settings": dataclasses.asdict(settings),
        "img_resolution": data["source"].resolution,
        "data": {
            role: {"name": of.name, "num_images": len(of.images), "sha256": of.sha256} for role, of in data.items()
        },
        "num_steps": model.num_steps,
        "images_shown": images_shown,  # of each domain
        "seconds": model.seconds,
        "processor_seconds": model.processor_seconds,
        "images_per_second": images_shown / model.seconds,
        "parameters": _counts(model),
        "log": list(_thinned(model.log)),
        "provenance": provenance(model.device),
    }


def _counts(model: Baseline) -> dict[str, int]:
    """Return the number of parameters of each network."""
    networks = {name: getattr(model, name) for name in model.parts}
    return {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in networks.items()
        if isinstance(network, torch.nn.Module)
    }


def _thinned(log: list[dict[str, float]]) -> Iterator[dict[str, float]]:
    """Yield evenly spaced rows, the last one among them."""
    step = max(1, -(-len(log) // NUM_LOG_ROWS))
    yield from reversed(log[::-1][::step])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--system", choices=tuple(SYSTEMS), default="cyclegan", help="which baseline (default: cyclegan)")
    add("--source", metavar="DIR", type=Path, required=True, help="images, or a prepared dataset: its training split")
    add("--target", metavar="DIR", type=Path, required=True, help="the same for the other domain")
    add(
        "--test",
        metavar="DIR",
        type=Path,
        required=True,
        help="images to translate, or a prepared dataset: its test split",
    )
    add(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="output folder, for images/, styles/, sheet.png, card.json and state.pt",
    )
    add("--minutes", metavar="M", type=float, help="training time by the clock, without interruptions")
    add("--core-minutes", metavar="M", type=float, help="training time of all cores together, whatever else they do")
    add("--kimg", metavar="N", type=float, help="training length in thousands of images per domain")
    add("--num-test", metavar="N", type=int, help="translate the first N test images (default: all)")
    add(
        "--width",
        type=int,
        default=Settings.width,
        help="channels of the first layer; the papers have 64 (default: 32)",
    )
    add("--batch-size", type=int, help="batch size per domain (default: 1, of DRIT++ 2, the papers')")
    add(
        "--precision",
        choices=("auto", "bf16", "fp32"),
        default=Settings.precision,
        help="training precision (default: auto)",
    )
    add("--num-styles", metavar="K", type=int, default=4, help="outputs per image in styles/ (default: 4)")
    add("--device", default="auto", help="auto (default), cpu, cuda or mps")
    add("--seed", type=int, default=Settings.seed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
