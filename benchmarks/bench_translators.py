"""How near to the truth do translators come, beside the pipeline that they imitate, and what does an image take?

Synthetic faces that no training has seen, drawn in both styles, so that every translation has its exact truth. Compared
are the unchanged input, the encoder's latent code, the search `in_domain`, each through the domain's generator, and
translators, by what `truth@` and `evaluate_images@` use. The search is kept in `--cache`, batch by batch, because it
takes nearly all of the time.

    python benchmarks/bench_translators.py --project ~/demo --cache /tmp/search.npz translator=FILE.safetensors ...
    python benchmarks/bench_translators.py --sizes 64 256 512
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import cached_regressor, kept_attributes, score_translations
from experiments.synthetic.procedural import draw, sample_attributes
from tasks.models.domain_models import base_model, named_model
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
from ui2i.metrics.evaluation import embed_set, evaluate
from ui2i.metrics.image_sets import in_memory, of_dataset
from ui2i.metrics.moments import estimate
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import InversionConfig, TranslatorConfig

SEED = 901  # of the people, whom no dataset of the project has
SEARCH = "in_domain, 50 steps"
BATCH = 16
NUM_SHOWN = 8
NUM_TARGETS = 500  # of the domain's images, for the score of chance
REGRESSOR = RegressorConfig(num_drawings=2000, num_held_out=300, num_epochs=8)  # reads attributes
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
    """Judge each system as `truth@` and `evaluate_images@` judge the pipeline, and write tables and a sheet."""
    project = find_project(args.project)
    params = load_params(project)
    perceptual = load_perceptual(params.perceptual)
    people = [sample_attributes(SEED, index, "face") for index in range(args.num)]
    source, truth = (np.stack([draw(person, style) for person in people]) for style in ("face", args.domain))
    systems = {"input": source, **pipeline(args, project, params, perceptual, source)}
    for name, path in (each.split("=") for each in args.translators):
        network = load_translator(Path(path))
        systems[name] = in_batches(lambda images, network=network: network(to_tensor(images)), source)
    systems["truth"] = truth
    dataset = PreparedDataset(project.prepared(args.domain), split=None)
    scores = score_translations(source, systems, truth, dataset.images(slice(NUM_TARGETS)), perceptual)
    table = pd.DataFrame([dataclasses.asdict(score) | {"score": score.score} for score in scores])
    regressor = cached_regressor(project.regressors, args.domain, REGRESSOR, resolution=source.shape[1])
    target = embed_set(of_dataset(dataset), perceptual)
    rows = {}
    for name, images in systems.items():
        measured = evaluate(in_memory(images), in_memory(source), target, perceptual)
        kept = [each.kept for each in kept_attributes(regressor, images, truth, people) if each.kept is not None]
        rows[name] = near(table, name) | {
            "fd": measured.fd,
            "lpips_d": measured.lpips_d.mean,
            "lpips_s": None if measured.lpips_s is None else measured.lpips_s.mean,
            "kept": float(np.mean(kept)),
            "sharpness": steepness(images) / steepness(truth),
        }
        print(f"{name:24}", *(f"{key} {value:.4f}" for key, value in rows[name].items() if value is not None))
    if args.table is not None:
        table.to_parquet(args.table, compression="zstd", index=False)
    if args.sheet is not None:
        sheet = contact_sheet([Row(name, images[:NUM_SHOWN]) for name, images in systems.items()], upscale=3)
        save_png(args.sheet, sheet)
    return {"num_images": args.num, "backbone": perceptual.name, "systems": rows}


def near(table: pd.DataFrame, system: str) -> dict[str, float]:
    """Return how near a system's images come to the truth, and how much nearer than the search's, image by image."""
    distances = table.pivot(index="image", columns=["metric", "variant"], values="distance")
    lpips = distances["lpips"]
    own, above = estimate(lpips[system].to_numpy()), estimate((lpips[system] - lpips[SEARCH]).to_numpy())
    return {
        "lpips": own.mean,
        "lpips_sem": own.sem,
        "ssim": float(1 - distances["ssim"][system].mean()),
        "above_search": above.mean,
        "above_search_sem": above.sem,
        "nearer_than_search": float((lpips[system] < lpips[SEARCH]).mean()),
    }


def steepness(images: np.ndarray) -> float:
    """Return the mean absolute difference of neighbouring pixels, in levels: soft outlines have less."""
    return float(sum(np.abs(np.diff(images.astype(np.float32), axis=axis)).mean() for axis in (1, 2)))


def pipeline(
    args: argparse.Namespace, project: Any, params: Any, perceptual: Perceptual, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the translations by the encoder's latent codes, and by those of the search, found now or before."""
    base = base_model(project, params, args.domain, device="cpu")
    target = named_model(project, params, f"{args.domain}/FC-FT", device="cpu").generator
    encoder, _ = find_encoder(project, base.domain, base.hash, device="cpu")

    def by_encoder(batch: np.ndarray) -> torch.Tensor:
        return target.synthesis(target.broadcast(encoder(to_tensor(batch))))

    config = InversionConfig(method="in_domain", num_steps=50)
    found = list(np.load(args.cache)["ws"]) if args.cache.exists() else []
    start, before = time.perf_counter(), len(found)
    while len(found) < len(images):
        batch = to_tensor(images[len(found) : len(found) + BATCH])
        found += list(invert(batch, base.generator, perceptual, config, encoder=encoder).ws.numpy())
        np.savez(args.cache, ws=np.stack(found))
    if len(found) > before:
        print(f"search: {(time.perf_counter() - start) / (len(found) - before):.2f} s an image")
    ws = np.stack(found)[: len(images)]
    searched = in_batches(lambda codes: target.synthesis(torch.from_numpy(codes)), ws)
    return {"encoder": in_batches(by_encoder, images), SEARCH: searched}


@torch.no_grad()
def in_batches(make: Callable[[np.ndarray], torch.Tensor], values: np.ndarray) -> np.ndarray:
    """Return what is made of arrays, batch by batch, as images."""
    return np.concatenate([to_uint8(make(values[at : at + BATCH])) for at in range(0, len(values), BATCH)])


def time_size(size: int) -> dict[str, Any]:
    """Return the median and least processor milliseconds of an image in onnxruntime, one thread, and the file's size.

    The translator is untrained, which makes no difference to the time. Processor time is less disturbed by what else
    the machine does than the clock's.
    """
    names = dict.fromkeys(("source", "domain", "variant", "source_hash", "target_hash"), "none")
    card = TranslatorCard(**names, img_resolution=size)
    translator = Translator(TranslatorConfig(), card).eval().requires_grad_(False)
    for parameter in translator.parameters():
        torch.nn.init.normal_(parameter, 0, 0.02).copy_(parameter.half())  # as a file's are
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "translator.onnx"
        started = time.perf_counter()
        difference = export_onnx(path, translator, images, translator_hash="")
        export_seconds = time.perf_counter() - started
        run, taken = OnnxTranslator(path), []
        for _ in range(TIMED_RUNS):
            start = time.thread_time()
            run(images[:1])
            taken.append(1000 * (time.thread_time() - start))
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
    parser.add_argument("translators", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--project", type=Path, help="with a trained domain; none: only times")
    parser.add_argument("--domain", default="cartoon", help="a synthetic one")
    parser.add_argument("--num", type=int, default=224)
    parser.add_argument("--cache", type=Path, default=Path("search.npz"), help="latent codes that were found")
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="pixels")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--table", type=Path, help="of distances, image by image (Parquet)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
