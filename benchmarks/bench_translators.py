"""How near to the truth do translators come, beside the pipeline that they imitate, and what does an image take?

Synthetic faces that no training has seen, drawn in both styles, so that every translation has its exact truth. Compared
are the unchanged input, the encoder's latent code, the search `in_domain`, each through the domain's generator, and
translators. The search is kept in `--cache`, batch by batch, because it takes nearly all of the time.

    python benchmarks/bench_translators.py --project ~/demo --cache /tmp/search.npz translator.safetensors ...
    python benchmarks/bench_translators.py --sizes 64 256 512
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.synthetic.procedural import draw, sample_attributes
from tasks.models.domain_models import base_model, target_models
from tasks.models.inversion_models import find_encoder
from tasks.project.params import load_params
from tasks.project.paths import find_project
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.prepared import PreparedDataset
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator
from ui2i.distillation.onnx_export import export_onnx
from ui2i.distillation.onnx_session import OnnxTranslator
from ui2i.distillation.translator_file import load_translator
from ui2i.files import write_text
from ui2i.images import save_png, to_tensor, to_uint8
from ui2i.inversion import invert
from ui2i.metrics.frechet import frechet_distance
from ui2i.metrics.moments import estimate
from ui2i.metrics.ssim import ssim
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import InversionConfig, TranslatorConfig

SEED = 901  # of the people, whom no dataset of the project has
SEARCH = "in_domain, 50 steps"
BATCH = 16
NUM_SHOWN = 12
TIMED_RUNS = 50


def main() -> None:
    """Measure, print a table, and write the numbers and a sheet."""
    args = parse_arguments()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"provenance": provenance(), "milliseconds": [time_size(size) for size in args.sizes]}
    for row in result["milliseconds"]:
        print(row)
    if args.project is not None:
        result |= quality(args)
    if args.json is not None:
        write_text(args.json, json.dumps(result, indent=2) + "\n")


def quality(args: argparse.Namespace) -> dict[str, Any]:
    """Return how near each system comes to the truth, image by image."""
    project = find_project(args.project)
    params = load_params(project)
    perceptual = load_perceptual(params.perceptual)
    drawn = [sample_attributes(SEED, index, "face") for index in range(args.num)]
    source, truth = (np.stack([draw(person, style) for person in drawn]) for style in ("face", args.domain))
    systems = {"input": source, **pipeline(args, project, params, perceptual, source)}
    for path in args.translators:
        network = load_translator(path)
        systems[path.stem] = in_batches(lambda images, network=network: network(to_tensor(images)), source)
    dataset = PreparedDataset(project.prepared(args.domain), split=None)
    reference = embedded(perceptual, dataset.images(slice(None)))
    lpips = {name: distances(perceptual, images, truth[: len(images)]) for name, images in systems.items()}
    rows, searched = {}, lpips[SEARCH]
    for name, images in systems.items():
        near, count = estimate(lpips[name]), len(images)
        gain = estimate(lpips[name][: len(searched)] - searched)
        rows[name] = {
            "num": count,
            "lpips": near.mean,
            "lpips_sem": near.sem,
            "ssim": float(ssim(to_tensor(images), to_tensor(truth[:count])).mean()),
            "above_search": gain.mean,
            "above_search_sem": gain.sem,
            "nearer_than_search": float((lpips[name][: len(searched)] < searched).mean()),
            "fd": frechet_distance(embedded(perceptual, images), reference) if count == args.num else None,
        }
        print(f"{name:24}", *(f"{key} {value:.4f}" for key, value in rows[name].items() if value is not None))
    if args.sheet is not None:
        shown = [*systems.items(), ("truth", truth)]
        sheet = contact_sheet([Row(name, images[:NUM_SHOWN]) for name, images in shown], upscale=3)
        save_png(args.sheet, sheet)
    values = {name: [round(float(value), 5) for value in each] for name, each in lpips.items()}
    return {"num_images": args.num, "backbone": perceptual.name, "systems": rows, "lpips_of_images": values}


def pipeline(
    args: argparse.Namespace, project: Any, params: Any, perceptual: Perceptual, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the translations by the encoder's latent codes, and by those of the search, found now or before."""
    base = base_model(project, params, args.domain, device="cpu")
    target = target_models(project, params, args.domain, device="cpu")[0].generator
    encoder, _ = find_encoder(project, base.domain, base.hash, device="cpu")

    def by_encoder(batch: np.ndarray) -> torch.Tensor:
        return target.synthesis(target.broadcast(encoder(to_tensor(batch))))

    config = InversionConfig(method="in_domain", num_steps=50)
    found = list(np.load(args.cache)["ws"]) if args.cache.exists() else []
    start, before = time.perf_counter(), len(found)
    while len(found) < args.searched:
        batch = to_tensor(images[len(found) : len(found) + BATCH])
        found += list(invert(batch, base.generator, perceptual, config, encoder=encoder).ws.numpy())
        np.savez(args.cache, ws=np.stack(found))
    if len(found) > before:
        print(f"search: {(time.perf_counter() - start) / (len(found) - before):.2f} s an image")
    ws = np.stack(found)[: args.searched]
    searched = in_batches(lambda codes: target.synthesis(torch.from_numpy(codes)), ws)
    return {"encoder": in_batches(by_encoder, images), SEARCH: searched}


@torch.no_grad()
def in_batches(make: Callable[[np.ndarray], torch.Tensor], values: np.ndarray) -> np.ndarray:
    """Return what is made of arrays, batch by batch, as images."""
    return np.concatenate([to_uint8(make(values[at : at + BATCH])) for at in range(0, len(values), BATCH)])


@torch.no_grad()
def distances(perceptual: Perceptual, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return LPIPS image by image."""
    pairs = zip(to_tensor(first).split(BATCH), to_tensor(second).split(BATCH), strict=True)
    return torch.cat([perceptual.distance(*pair) for pair in pairs]).double().numpy()


@torch.no_grad()
def embedded(perceptual: Perceptual, images: np.ndarray) -> np.ndarray:
    """Return the features of images for a Frechet distance."""
    return torch.cat([perceptual.embed(batch) for batch in to_tensor(images).split(BATCH)]).double().numpy()


def time_size(size: int) -> dict[str, Any]:
    """Return the median and least milliseconds of an image in onnxruntime, one thread, and the size of the file.

    The translator is untrained, which makes no difference to the time.
    """
    names = dict.fromkeys(("source", "domain", "variant", "source_hash", "target_hash"), "none")
    translator = Translator(TranslatorConfig(), TranslatorCard(**names, img_resolution=size)).eval()
    for parameter in translator.parameters():
        torch.nn.init.normal_(parameter, 0, 0.02)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "translator.onnx"
        started = time.perf_counter()
        difference = export_onnx(path, translator, images, translator_hash="")
        export_seconds = time.perf_counter() - started
        run, taken = OnnxTranslator(path), []
        for _ in range(TIMED_RUNS):
            start = time.perf_counter()
            run(images[:1])
            taken.append(1000 * (time.perf_counter() - start))
        num_bytes = path.stat().st_size
    return {
        "size": size,
        "parameters": sum(parameter.numel() for parameter in translator.parameters()),
        "median": float(np.median(taken)),
        "least": min(taken),
        "file_mb": num_bytes / 1e6,
        "difference": difference,
        "export_seconds": export_seconds,
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("translators", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--project", type=Path, help="with a trained domain; none: only times")
    parser.add_argument("--domain", default="cartoon", help="a synthetic one")
    parser.add_argument("--num", type=int, default=224)
    parser.add_argument("--searched", type=int, default=224, help="of these, the first: the search takes seconds each")
    parser.add_argument("--cache", type=Path, default=Path("search.npz"), help="latent codes that were found")
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="pixels")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
