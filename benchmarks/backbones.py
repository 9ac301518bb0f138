"""Does another perceptual backbone change Tables I and III? And what does it cost?

    python benchmarks/backbones.py --project DIR --backbone squeeze=FILE

Measures the models of a project's first domain (Table I) and inverts held-out images of its base (Table III) with
`st-alex` and with another backbone, in one process, and prints what docs/results/st-alex.md has.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from experiments.paper.inversion_comparison import Contestant, compare_inversions, interval
from tasks.models.domain_models import base_model, target_models
from tasks.project.params import load_params
from tasks.project.paths import Project
from ui2i.datasets.prepared import PreparedDataset
from ui2i.images import to_tensor
from ui2i.markdown import markdown_table
from ui2i.metrics.model_distance import PairDistance, model_distances
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import processor
from ui2i.settings import DistanceConfig, InversionConfig, PerceptualConfig

METHODS = ("closed_form", "directions", "w", "w_plus")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True)
    parser.add_argument("--backbone", required=True, metavar="NAME=FILE")
    parser.add_argument("--latents", type=int, default=500)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    name, _, path = args.backbone.partition("=")
    backbones = [
        load_perceptual(PerceptualConfig()),
        load_perceptual(PerceptualConfig(backbone=name, weights=path or None)),
    ]
    print(f"{processor()}, {torch.get_num_threads()} thread\n")
    print(seconds_of(backbones))
    project = Project(Path(args.project))
    print(table_1(project, backbones, args.latents))
    print(table_3(project, backbones, args.images, args.steps))


def seconds_of(backbones: list[Perceptual]) -> str:
    """Processor milliseconds of a distance between two images of 64 px, forward and with the gradient of one image."""
    x, y = (torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
    x.requires_grad_()

    def forward(perceptual: Perceptual) -> None:
        with torch.no_grad():
            perceptual.distance(x, y)

    def step(perceptual: Perceptual) -> None:
        """What a search does: the target's features are known."""
        torch.autograd.grad(perceptual.distance_from_features(perceptual.features(x), fy[perceptual.name]).sum(), x)

    with torch.no_grad():
        fy = {perceptual.name: perceptual.features(y) for perceptual in backbones}
    rows = []
    for what, run in (("distance between two images", forward), ("step of a search", step)):
        times: dict[str, list[float]] = {perceptual.name: [] for perceptual in backbones}
        for _ in range(6):  # in turns, the first of which warms up
            for perceptual in backbones:
                times[perceptual.name].append(processor_seconds(run, perceptual) / len(x) * 1000)
        rows.append([what, *(f"{min(values[1:]):.1f} ms" for values in times.values())])
    return markdown_table(["64 px, an image", *(perceptual.name for perceptual in backbones)], rows)


def processor_seconds(run: Callable[[Perceptual], None], perceptual: Perceptual) -> float:
    start = time.process_time()
    run(perceptual)
    return time.process_time() - start


def table_1(project: Project, backbones: list[Perceptual], num_latents: int) -> str:
    params = load_params(project)
    name = next(iter(params.domains))
    base = base_model(project, params, name, device="cpu")
    models = {model.card.mode: model.generator for model in target_models(project, params, name, device="cpu")}
    pairs = [(base.domain, mode) for mode in models]
    config = DistanceConfig(num_latents=num_latents)
    measured: list[dict[str, PairDistance]] = []
    for perceptual in backbones:
        start = time.process_time()
        distances = model_distances(
            {base.domain: base.generator, **models}, perceptual, config, pairs=pairs, keep_values=True
        )
        print(f"{perceptual.name}: {time.process_time() - start:.0f} s for {len(models) + 1} models")
        measured.append({distance.target: distance for distance in distances})
    order = sorted(models, key=lambda mode: -measured[1][mode].mean)
    rows = [[mode, *(_mean(by_mode[mode]) for by_mode in measured)] for mode in order]
    head = ["target model", *(perceptual.name for perceptual in backbones)]
    shares = [["rows", "farther by", *head[1:]]]
    for farther, nearer in itertools.pairwise(order):
        shares.append([farther, nearer, *(_paired(by_mode[farther], by_mode[nearer]) for by_mode in measured)])
    agreement = [_correlation(measured[0][mode], measured[1][mode]) for mode in order]
    return (
        f"{num_latents} latents, psi 1, mean ± half of the 95 % interval\n\n{markdown_table(head, rows)}\n"
        f"{markdown_table(shares[0], shares[1:])}\n"
        f"Spearman's correlation of single latents: {', '.join(f'{value:.2f}' for value in agreement)}\n"
    )


def table_3(project: Project, backbones: list[Perceptual], num_images: int, num_steps: int) -> str:
    params = load_params(project)
    base = base_model(project, params, next(iter(params.domains)), device="cpu")
    images = to_tensor(PreparedDataset(project.prepared(base.domain), "test").images(range(num_images)))
    contestants = [Contestant(kind="real", images=images, names=[str(place) for place in range(num_images)])]
    configs = [InversionConfig(method=method, num_steps=num_steps) for method in METHODS]
    ssim: list[Mapping[str, np.ndarray]] = []
    rows = []
    for perceptual in backbones:
        start = time.process_time()
        found = compare_inversions(contestants, base.generator, perceptual, configs, columns={})
        print(f"{perceptual.name}: {time.process_time() - start:.0f} s for {len(configs)} methods")
        by_method = {method: [row for row in found if row["method"] == method] for method in METHODS}
        ssim.append({method: np.array([row["ssim"] for row in part]) for method, part in by_method.items()})
        for method, part in by_method.items():
            cells = [_interval([row[measure] for row in part]) for measure in ("ssim", "l2", "lpips")]
            rows.append([perceptual.name, method, *cells])
    differences = [[method, _interval(ssim[0][method] - ssim[1][method])] for method in METHODS]
    head = ["searched with", "method", "SSIM", "L2", "its own distance"]
    names = " - ".join(perceptual.name for perceptual in backbones)
    return (
        f"{num_images} held-out images, {num_steps} steps, mean ± half of the 95 % interval\n\n"
        f"{markdown_table(head, rows)}\n{markdown_table(['method', f'SSIM, {names}, image by image'], differences)}"
    )


def _mean(distance: PairDistance) -> str:
    return f"{distance.mean:.4f} ± {(distance.ci95_high - distance.ci95_low) / 2:.4f}"


def _paired(farther: PairDistance, nearer: PairDistance) -> str:
    assert farther.values is not None
    assert nearer.values is not None
    return _interval(farther.values - nearer.values)


def _correlation(a: PairDistance, b: PairDistance) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a.values, b.values).statistic)


def _interval(values: "np.ndarray | list[float]") -> str:
    mean, low, high = interval(list(values))
    return f"{mean:.4f} ± {(high - low) / 2:.4f}"


if __name__ == "__main__":
    main()
