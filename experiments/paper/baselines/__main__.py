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
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from experiments.paper.baselines.cyclegan import CycleGAN
from experiments.paper.baselines.state import Baseline, Images, Settings, settle_precision
from experiments.paper.baselines.systems import SYSTEMS, build, choose_settings
from experiments.paper.baselines.training import train
from tasks.running.progress import report_progress
from tasks.stages.translate import first_images
from ui2i.allocator import keep_freed_memory
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.manifest import MANIFEST_NAME
from ui2i.datasets.prepared import PreparedDataset, Split
from ui2i.devices import find_device
from ui2i.errors import ConfigError, DataError, UI2IError
from ui2i.files import atomic_folder, sha256_bytes, sha256_file, sha256_listing, write_text
from ui2i.images import encode_png, load_image, save_png
from ui2i.metrics.image_sets import find_images
from ui2i.precision import warn_if_emulated
from ui2i.provenance import provenance

NUM_COLUMNS = 12  # of the contact sheet
NUM_LOG_ROWS = 50  # in the card
NUM_STYLED = 100  # of the first test images, of which several outputs are written


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images in memory, and where they are from."""

    name: str  # of the folder
    names: list[str]  # relative paths of the files, with or without ending
    images: Images
    sha256: str  # of the whole dataset, or of the chosen files with their names

    @property
    def resolution(self) -> int:
        """Width and height in pixels."""
        return self.images.shape[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    try:
        run(options)
    except UI2IError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Train, translate the test images, and write them with a contact sheet and a card."""
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
    data = {role: of.sha256 for role, of in (("source", source), ("target", target))}
    identity = json.dumps({**dataclasses.asdict(settings), **data}, sort_keys=True)
    model = build(options.system, settings, device)
    with report_progress(options.system) as progress:
        train(
            model,
            source.images,
            target.images,
            settings,
            options.out / "state.pt",
            identity=identity,
            progress=progress,
        )
    outputs = model.translate(test.images, seed=settings.seed)
    write_images(options.out / "images", test.names, outputs)
    if model.is_multi_modal:
        write_styles(options.out / "styles", model, test, options.num_styles)
    save_png(options.out / "sheet.png", sheet(model, test, outputs, target))
    card = describe_run(model, settings, {"source": source, "target": target, "test": test})
    write_text(options.out / "card.json", json.dumps(card, indent=2) + "\n")
    print(f"{len(outputs)} images in {options.out / 'images'}, sheet.png and card.json beside them")


def read_images(folder: Path, split: Split, count: int | None = None) -> ImageSet:
    """Return one split of a prepared dataset, or all images of any other folder.

    Args:
        count: of the first images to take; None: all.

    Raises:
        DataError: there is no such folder, it holds no images, or they are not squares of one size.
        ConfigError: the count is not positive.
    """
    if count is not None and count < 1:
        raise ConfigError(f"--num-test is {count}, expected 1 or more; leave it out to take all")
    if (folder / MANIFEST_NAME).is_file():
        dataset = PreparedDataset(folder, split)
        found = first_images(dataset, len(dataset) if count is None else count)
        return ImageSet(name=dataset.name, names=list(found.names), images=found.images, sha256=dataset.hash)
    paths = dict(list(find_images(folder).items())[:count])
    listing = sha256_listing((name, sha256_file(path)) for name, path in paths.items())
    name = folder.resolve().name
    return ImageSet(name=name, names=list(paths), images=_read_files(list(paths.values())), sha256=listing)


def check(source: ImageSet, target: ImageSet, test: ImageSet) -> None:
    """Refuse images of several sizes, and test images that training would see.

    Raises:
        DataError: they are refused.
    """
    for other in (target, test):
        if other.resolution != source.resolution:
            raise DataError(
                f"{other.name} has {other.resolution} px and {source.name} {source.resolution} px, expected one size "
                "for all; ingest them alike"
            )
    seen = set(_hashes(source.images))
    leaked = [name for name, digest in zip(test.names, _hashes(test.images), strict=True) if digest in seen]
    if leaked:
        raise DataError(
            f"{len(leaked)} test images are among those of {source.name} that are trained on ({leaked[0]} is one), "
            "expected others; take a prepared dataset, which is split, or another folder"
        )


def write_images(folder: Path, names: Sequence[str], images: Images) -> None:
    """Write a PNG for each name, whatever its ending was; the folder is replaced when all are there.

    Raises:
        DataError: two names differ in their endings alone, or one leads out of the folder.
    """
    paths = [PurePosixPath(name) for name in names]
    with atomic_folder(folder) as temporary:
        for path, image in zip(paths, images, strict=True):
            output = temporary / path.with_suffix(".png")
            if path.is_absolute() or ".." in path.parts or output.exists():
                raise DataError(
                    f"the test image {path} has no place of its own below {folder}, expected names that differ in "
                    "more than their endings; rename it"
                )
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(encode_png(image))


def write_styles(folder: Path, model: Baseline, test: ImageSet, num_styles: int) -> None:
    """Write several outputs of each of the first test images to <folder>/<k>, each with a style of its own."""
    names, images = test.names[:NUM_STYLED], test.images[:NUM_STYLED]
    for number in range(1, num_styles + 1):
        write_images(folder / str(number), names, model.translate(images, seed=model.settings.seed + 1000 + number))


def sheet(model: Baseline, test: ImageSet, outputs: Images, target: ImageSet) -> UInt8[np.ndarray, "h w 3"]:
    """Return the first test images, their translations, the way back or other styles, and images of the target."""
    first = slice(NUM_COLUMNS)
    more = (
        {"and back": model.translate_back(outputs[first])}
        if isinstance(model, CycleGAN)
        else {f"style {number}": model.translate(test.images[first], seed=number) for number in (1, 2)}
    )
    rows = [
        Row(f"{test.name}, test", test.images[first]),
        Row("translated", outputs[first]),
        *(Row(name, images) for name, images in more.items()),
        Row(f"{target.name}, others", target.images[first]),
    ]
    title = f"{model.system}, {model.processor_seconds / 60:.1f} processor minutes"
    return contact_sheet(rows, upscale=max(1, 128 // test.resolution), title=title)


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


def _read_files(paths: Sequence[Path]) -> Images:
    images: list[np.ndarray] = []
    for path in paths:
        image = np.asarray(load_image(path))
        side = len(images[0]) if images else len(image)
        if image.shape != (side, side, 3):
            raise DataError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels, expected {side} x {side}; ingest the folder, "
                "or bring its images to squares of one size"
            )
        images.append(image)
    return np.stack(images)


def _hashes(images: Images) -> list[str]:
    return [sha256_bytes(image.tobytes()) for image in images]


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
