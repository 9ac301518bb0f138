"""Do K models cost K generator passes, and not the K (K - 1) of comparing each pair by itself? And how does it grow?

Both forms measure every pair of K random generators with the same latents in the same process, one thread. The
literal form makes both images and both sets of features anew for each pair; the bare form makes each image and its
features once and compares nothing, which is the least that any form must do. Then the seconds a latent over the number
of latents (linear growth: constant), and the peak of resident memory over it, each in a process of its own, less what
the first batch had needed already. Run: python benchmarks/bench_distance.py
"""

import dataclasses
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable

import torch

from ui2i.metrics.model_distance import latents, model_distances
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import DistanceConfig, NetworkConfig, PerceptualConfig

NUM_MODELS = (2, 4, 7, 8)
NUM_LATENTS = (32, 64, 128, 256)
NETWORK = NetworkConfig(img_resolution=64, z_dim=96, w_dim=96, num_mapping_layers=4, channel_base=2048, channel_max=96)
CONFIG = DistanceConfig(num_latents=32, batch_size=16, noise_mode="none")
REPEATS = 3


@torch.no_grad()
def literal(generators: dict[str, Generator], perceptual: Perceptual) -> list[float]:
    """Mean distance of each pair, one pair after the other."""
    means = []
    for source, target in itertools.combinations(generators.values(), 2):
        values = [
            perceptual.distance(source(z, noise_mode="none"), target(z, noise_mode="none"))
            for z in latents(CONFIG, NETWORK.z_dim).split(CONFIG.batch_size)
        ]
        means.append(torch.cat(values).double().mean().item())
    return means


@torch.no_grad()
def bare(generators: dict[str, Generator], perceptual: Perceptual) -> list[float]:
    """Every image and its features once, and nothing else."""
    for z in latents(CONFIG, NETWORK.z_dim).split(CONFIG.batch_size):
        for generator in generators.values():
            perceptual.features(generator(z, noise_mode="none"))
    return []


def best_seconds(function: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Fastest of several runs, and the result."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def make_generators(num_models: int) -> dict[str, Generator]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return {f"model {index}": Generator(NETWORK).eval() for index in range(num_models)}


def compare_forms() -> None:
    """Print what each form takes, by the number of models."""
    perceptual, generators = load_perceptual(PerceptualConfig(backbone="random")), make_generators(max(NUM_MODELS))
    passes = dict.fromkeys(generators, 0)
    for name, generator in generators.items():
        generator.synthesis.register_forward_hook(lambda *_, name=name: passes.update({name: passes[name] + 1}))
    print(f"{CONFIG.num_latents} latents, {NETWORK.img_resolution} px, best of {REPEATS}; passes a batch of latents")
    print("  K   passes here/literal   seconds here/literal/bare   speed-up   here/bare   largest difference")
    num_batches = CONFIG.num_latents // CONFIG.batch_size * REPEATS
    for num_models in NUM_MODELS:
        chosen = dict(itertools.islice(generators.items(), num_models))
        rows = []
        for function in (
            lambda chosen=chosen: [distance.mean for distance in model_distances(chosen, perceptual, CONFIG)],
            lambda chosen=chosen: literal(chosen, perceptual),
            lambda chosen=chosen: bare(chosen, perceptual),
        ):
            passes.update(dict.fromkeys(passes, 0))
            seconds, means = best_seconds(function)
            rows.append((sum(passes.values()) // num_batches, seconds, means))
        (here, here_seconds, here_means), (there, there_seconds, there_means), (_, bare_seconds, _) = rows
        difference = max(abs(a - b) for a, b in zip(here_means, there_means, strict=True))
        print(
            f"{num_models:3d}   {here:9d}/{there:<9d}   {here_seconds:9.2f}/{there_seconds:.2f}/{bare_seconds:<9.2f}"
            f"   {there_seconds / here_seconds:7.2f}x   {here_seconds / bare_seconds:8.2f}x   {difference:.1e}"
        )


def growth(num_latents: int) -> tuple[float, float]:
    """Return seconds and MiB of memory that measuring two models with so many latents adds to a first batch."""
    perceptual, generators = load_perceptual(PerceptualConfig(backbone="random")), make_generators(2)
    model_distances(generators, perceptual, dataclasses.replace(CONFIG, num_latents=CONFIG.batch_size))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    model_distances(generators, perceptual, dataclasses.replace(CONFIG, num_latents=num_latents))
    seconds = time.perf_counter() - start
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024  # KiB on Linux


def print_growth() -> None:
    """Print time and memory by the number of latents, each measured in a process of its own."""
    print("latents   seconds   ms a latent   MiB above the first batch")
    for num_latents in NUM_LATENTS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, memory = pool.apply(growth, (num_latents,))
        print(f"{num_latents:7d}   {seconds:7.2f}   {1000 * seconds / num_latents:11.2f}   {memory:8.1f}")


def main() -> None:
    compare_forms()
    print_growth()


if __name__ == "__main__":
    main()
