"""How well does a shipped base's domain check tell its own images from others, before and after they are inverted?

Before: the distance of their features from 1,000 training images. After: the SSIM of their reconstructions, by the
encoder and by the search of `params.yaml` (`in_domain`, 50 steps, `st-alex`). AUC is the probability that an image of
another kind is farther off, or reconstructed worse, than a held-out image of the base's own. Images that fit the
thresholds are never counted. `--write` leaves the check beside the model. The search is resumable: latent codes are
kept in `--store`.

    python benchmarks/bench_domain_check.py face --write --json docs/results/domain_check-face.json \
        --kind photographs=selfies.zip --kind "photographs of cats=cats.zip"
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.synthetic.procedural import draw, sample_attributes
from ui2i.checkpoints import load_discriminator, load_generator
from ui2i.domain_check import discriminator_extractor, fit_reference, reconstructions_of, save_reference
from ui2i.files import sha256_file, write_text
from ui2i.inversion import Inverter, load_encoder
from ui2i.model_files import DISCRIMINATOR_FILE, DOMAIN_CHECK_FILE, ENCODER_FILE, GENERATOR_FILE
from ui2i.perceptual import load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import InversionConfig, PerceptualConfig
from ui2i.translation.inputs import list_inputs, readable_batches

RESOLUTION = 64
NUM_TRAINING, NUM_HELD_OUT = 1000, 250
STYLES = ("face", "cat", "cartoon", "anime", "portrait", "dog", "wild")
TRAINING_SEED, HELD_OUT_SEED, OTHER_SEED = 1, 3, 11
NUM_MARKED = 250  # further images of the base's own, to count false alarms
METHODS = ("encoder", "in_domain")
STEPS = 50


def main() -> None:
    torch.set_num_threads(1)
    options = _options()
    folder = Path("data/base") / options.base
    own, held_out = _own(options)
    discriminator, card = load_discriminator(folder / DISCRIMINATOR_FILE)
    extractor = discriminator_extractor(discriminator)
    reference = fit_reference(
        extractor(own),
        extractor(held_out[:NUM_HELD_OUT]),
        features=extractor.kind,
        features_hash=extractor.hash,
        base_hash=sha256_file(folder / GENERATOR_FILE),
        dataset_hash=card.dataset_hash,
        origin="images",
    )
    fitted, fresh = held_out[: options.fit], held_out[NUM_HELD_OUT : NUM_HELD_OUT + NUM_MARKED]
    kinds = _kinds(options, fresh)
    found: dict[str, Any] = {name: {"num_images": len(images)} for name, images in kinds.items()}
    distances = {name: reference.distances(extractor(images)) for name, images in kinds.items()}
    _compare(found, "features", distances, {name: values > 1 for name, values in distances.items()})
    for method in options.method or METHODS:
        inverter = _inverter(folder, method, options.store)
        measured = reconstructions_of(_ssims(inverter, fitted).tolist(), inverter.columns)
        assert measured is not None
        reference = reference.with_reconstructions(measured)
        ssims = {name: _ssims(inverter, images[: options.num]) for name, images in kinds.items()}
        worse = {name: values < measured.ssim_low for name, values in ssims.items()}
        _compare(found, method, {name: -values for name, values in ssims.items()}, worse)
        for name, values in ssims.items():
            found[name][method]["ssim"] = float(values.mean())
    if options.write:
        save_reference(folder / DOMAIN_CHECK_FILE, reference)
    if options.json is not None:
        thresholds = [dataclasses.asdict(each) for each in reference.reconstructions]
        result = {"base": options.base, "provenance": provenance(), "thresholds": thresholds, "kinds": found}
        write_text(options.json, json.dumps(result, indent=1) + "\n")


def _compare(
    found: dict[str, Any], name: str, scores: Mapping[str, np.ndarray], marked: Mapping[str, np.ndarray]
) -> None:
    """Note of every kind how its scores compare with the first's, the base's own."""
    own = np.sort(next(iter(scores.values())))
    for kind, of_kind in scores.items():
        below = (np.searchsorted(own, of_kind, "left") + np.searchsorted(own, of_kind, "right")) / 2
        auc = float(below.mean() / len(own))
        found[kind][name] = {"num": len(of_kind), "auc": auc, "marked": float(marked[kind].mean())}


def _inverter(folder: Path, method: str, store: Path) -> Inverter:
    generator, _ = load_generator(folder / GENERATOR_FILE)
    base_hash = sha256_file(folder / GENERATOR_FILE)
    encoder = load_encoder(folder / ENCODER_FILE, base_hash=base_hash)
    return Inverter(
        generator.requires_grad_(False),
        load_perceptual(PerceptualConfig()),
        InversionConfig(method=method, num_steps=STEPS),  # type: ignore[arg-type]
        base_hash=base_hash,
        encoder=encoder,
        encoder_hash=sha256_file(folder / ENCODER_FILE),
        store=store,
    )


def _ssims(inverter: Inverter, images: np.ndarray) -> np.ndarray:
    parts = [images[start : start + 8] for start in range(0, len(images), 8)]
    return np.array([latent.ssim for part in parts for latent in inverter.find(part)])


def _own(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return images that the base was trained on, and others of the same kind."""
    num_held_out = NUM_HELD_OUT + NUM_MARKED
    if options.training is not None:
        return _read(options.training, NUM_TRAINING), _read(options.held_out, num_held_out)
    own, held_out = ((TRAINING_SEED, NUM_TRAINING), (HELD_OUT_SEED, num_held_out))
    return _drawn(options.base, *own), _drawn(options.base, *held_out)


def _kinds(options: argparse.Namespace, fresh: np.ndarray) -> dict[str, np.ndarray]:
    """Return images by what they show, the base's own first."""
    styles = [style for style in STYLES if style != options.base]
    drawn = {f"synthetic: {style}": _drawn(style, OTHER_SEED, options.num_kind) for style in styles}
    read = {kind: _read(Path(path), options.num_kind) for kind, path in options.kind}
    turned = {"held-out, upside down": fresh[: options.num_kind, ::-1].copy()}
    return {"held-out": fresh, **drawn, **read, **turned}


def _drawn(style: str, seed: int, num: int) -> np.ndarray:
    return np.stack([draw(sample_attributes(seed, index, style), style, RESOLUTION) for index in range(num)])


def _read(path: Path, num: int) -> np.ndarray:
    with list_inputs(path, RESOLUTION) as listing:
        return np.stack([image.image for image in next(iter(readable_batches(listing, num)))])


def _pair(text: str) -> Sequence[str]:
    kind, _, path = text.partition("=")
    return kind, path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("base", help="a folder in data/base")
    parser.add_argument("--kind", type=_pair, action="append", default=[], metavar="NAME=PATH", help="other images")
    parser.add_argument("--training", type=Path, help="images that the base was trained on; default: drawn ones")
    parser.add_argument("--held-out", type=Path, help="others of the same kind, with --training")
    parser.add_argument("--method", action="append", choices=METHODS, help="default: both")
    parser.add_argument("--num", type=int, default=24, help="images of each kind to invert")
    parser.add_argument("--num-kind", type=int, default=60, help="images of each other kind")
    parser.add_argument("--fit", type=int, default=48, help="held-out images to invert for the threshold")
    parser.add_argument("--store", type=Path, default=Path("data/runs/bench-domain-check"))
    parser.add_argument("--write", action="store_true", help="write the check into the base's folder")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
