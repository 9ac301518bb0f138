"""How near to the truth do translators come, beside the pipeline that they imitate, and what does an image take?

Every translation has its exact truth: synthetic faces that no training has seen, drawn in both styles; or, with
`--rendered`, two folders of files of the same names, of the same people in both styles. Compared are the unchanged
input, the encoder's latent code, the search `in_domain`, each through the domain's generator, translators and the truth
itself, by what `truth@` and `evaluate_images@` use. The search is kept in `--cache`, batch by batch, because it takes
nearly all of the time.

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
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import KeptAttribute, cached_regressor, kept_attributes, score_translations
from experiments.synthetic.procedural import draw, sample_attributes
from tasks.models.domain_checks import extractor_of, make_reference
from tasks.models.domain_models import Model, base_model, named_model
from tasks.models.inversion_models import find_encoder
from tasks.project.params import load_params
from tasks.project.paths import Project, find_project
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
from ui2i.metrics.image_sets import in_memory
from ui2i.metrics.moments import estimate
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import InversionConfig, TranslatorConfig
from ui2i.translation.inputs import list_inputs, readable_batches

SEED = 901  # of the people, whom no dataset of the project has
SEARCH = "in_domain, 50 steps"
BATCH = 16
NUM_SHOWN = 8
NUM_TARGETS = 500  # of the domain's images, for the score of chance
NUM_EMBEDDED = 1500  # of them, for the Frechet distance
SMALL_TYPES = {"image": "int16", "variant": "category", "metric": "category"}
SMALL_TYPES |= {"distance": "float32", "chance_distance": "float32"}
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
    cases = rendered_cases(args, params.ingest.img_resolution) if args.rendered else drawn_cases(args)
    base = base_model(project, params, args.domain, device="cpu")
    target = named_model(project, params, f"{args.domain}/FC-FT", device="cpu")
    systems = {"input": cases.source, **pipeline(args, project, base, target, perceptual, cases.source)}
    for name, path in (each.split("=") for each in args.translators):
        systems[name] = translated(load_translator(Path(path)), cases.source)
    systems["truth"] = cases.truth
    dataset = PreparedDataset(project.prepared(args.domain), "train")
    scores = score_translations(
        cases.source, systems, cases.truth, dataset.images(slice(NUM_TARGETS)), perceptual, num_draws=1
    )
    table = pd.DataFrame([dataclasses.asdict(score) | {"score": score.score} for score in scores])
    regressor = None
    if cases.people:
        regressor = cached_regressor(project.regressors, args.domain, REGRESSOR, resolution=cases.source.shape[1])
    extractor = extractor_of(target, device="cpu")
    known = make_reference(project, args.domain, target.hash, target.generator, extractor)
    embedded = embed_set(in_memory(dataset.images(slice(NUM_EMBEDDED))), perceptual)
    rows: dict[str, dict[str, Any]] = {}
    for name, images in systems.items():
        measured = evaluate(in_memory(images), in_memory(cases.source), embedded, perceptual)
        rows[name] = near(table, name) | {
            "fd": measured.fd,
            "lpips_d": measured.lpips_d.mean,
            "lpips_d_sem": measured.lpips_d.sem,
            "lpips_s": None if measured.lpips_s is None else measured.lpips_s.mean,
            "like_target": float((known.distances(extractor(images)) <= 1).mean()),
            "steepness": steepness(images) / steepness(cases.truth),
        }
        if regressor is not None:
            kept = kept_attributes(regressor, images, cases.truth, cases.people)
            rows[name] |= {"kept": kept_mean(kept), "kept_by_attribute": {each.attribute: each.kept for each in kept}}
        print(f"{name:24}", *(f"{key} {value:.4f}" for key, value in rows[name].items() if isinstance(value, float)))
    if args.table is not None:
        columns = table[["image", "variant", "metric", "distance", "chance_distance"]]
        pq.write_table(pa.Table.from_pandas(columns.astype(SMALL_TYPES), preserve_index=False), args.table)
    if args.sheet is not None:
        sheet = contact_sheet([Row(name, images[:NUM_SHOWN]) for name, images in systems.items()], upscale=3)
        save_png(args.sheet, sheet)
    return {"num_images": len(cases.source), "backbone": perceptual.name, "systems": rows}


@dataclasses.dataclass(frozen=True)
class Cases:
    """The same people in both styles, uint8 [N, R, R, 3]."""

    source: np.ndarray
    truth: np.ndarray
    people: list[Any]  # their attributes; empty: no regressor reads them


def drawn_cases(args: argparse.Namespace) -> Cases:
    """Return people whom no dataset has, drawn in both styles."""
    people = [sample_attributes(SEED, index, "face") for index in range(args.num)]
    source, truth = (np.stack([draw(person, style) for person in people]) for style in ("face", args.domain))
    return Cases(source, truth, list(people))


def rendered_cases(args: argparse.Namespace, resolution: int) -> Cases:
    """Return the images of two folders that have the same names."""
    source, truth = args.rendered
    names = sorted(path.name for path in source.iterdir() if (truth / path.name).is_file())[: args.num]
    images = [in_batches_of_files([folder / name for name in names], resolution) for folder in (source, truth)]
    return Cases(images[0], images[1], [])


def in_batches_of_files(paths: list[Path], resolution: int) -> np.ndarray:
    """Return the images of files, framed as a dataset's are."""
    with list_inputs(paths, resolution) as listing:
        return np.stack([each.image for batch in readable_batches(listing, BATCH) for each in batch])


def kept_mean(kept: list[KeptAttribute]) -> float:
    """Return the mean share of the attributes that are kept."""
    return float(np.mean([each.kept for each in kept if each.kept is not None]))


def near(table: pd.DataFrame, system: str) -> dict[str, Any]:
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
    args: argparse.Namespace, project: Project, base: Model, model: Model, perceptual: Perceptual, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the translations by the encoder's latent codes, and by those of the search, found now or before."""
    target = model.generator
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
def translated(network: Translator, images: np.ndarray) -> np.ndarray:
    """Return a translator's images of images."""
    return in_batches(lambda batch: network(to_tensor(batch)), images)


def in_batches(make: Callable[[np.ndarray], torch.Tensor], values: np.ndarray) -> np.ndarray:
    """Return what is made of arrays, batch by batch, as images."""
    return np.concatenate([to_uint8(make(values[at : at + BATCH])) for at in range(0, len(values), BATCH)])


def time_size(size: int) -> dict[str, Any]:
    """Return the median and least processor milliseconds of an image in onnxruntime, one thread, and the file's size.

    The translator is untrained, which makes no difference to the time. Processor time is less disturbed by what else
    the machine does than the clock's.
    """
    names: dict[str, Any] = dict.fromkeys(("source", "domain", "variant", "source_hash", "target_hash"), "none")
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
    parser.add_argument(
        "--rendered", type=Path, nargs=2, metavar=("SOURCE", "TRUTH"), help="folders of rendered people"
    )
    parser.add_argument("--cache", type=Path, default=Path("search.npz"), help="latent codes that were found")
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="pixels")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--table", type=Path, help="of distances, image by image (Parquet)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
