"""How much faster is this library than the code that people use today, on the same processor?

Repeats the comparison with your own checkouts of rosinality/stylegan2-pytorch and NVlabs/stylegan2-ada-pytorch; see
`peers.py` for how their code is run. All forms have the same weights, which this library's converters write in each
format, and the same inputs. Equality comes first: images, logits and every loss with its gradient must agree. Then the
forms take turns; medians of wall time and the least processor time are compared. As `turns.py` explains, each form has
the allocator that its users have, and the peers are timed with memory kept in the process as well.

    git clone https://github.com/rosinality/stylegan2-pytorch rosinality
    git clone https://github.com/NVlabs/stylegan2-ada-pytorch stylegan2-ada
    python benchmarks/bench_peers.py --rosinality rosinality --stylegan2-ada stylegan2-ada --json peers.json
    python benchmarks/speed_tables.py AVX2=peers.json

Inversion and the distance are this library's for all: the same loss, backbone and Adam around each one's generator.
"""

import argparse
import dataclasses
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peer_equality import image_errors, relative_error, relative_errors, require_equal_values
from peers import Contestant, Nvidia, Ours, Rosinality
from torch import Tensor
from turns import Form, describe, in_turns, rates

from ui2i.checkpoints import ModelCard
from ui2i.converters.formats import Checkpoint, write_checkpoint
from ui2i.errors import UI2IError
from ui2i.files import write_text
from ui2i.inversion import invert
from ui2i.inversion.target import Target
from ui2i.metrics.model_distance import latents, model_distances
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import git_commit, provenance
from ui2i.settings import DistanceConfig, InversionConfig, NetworkConfig, PerceptualConfig, TrainingConfig, to_mapping

SMALL = NetworkConfig(
    img_resolution=64, z_dim=64, w_dim=64, num_mapping_layers=4, channel_base=2048, channel_max=64, mbstd_group_size=4
)
CYCLE_STEPS = 16  # the regularisers' common period: 16 R1, 4 path length
TRAINING_BATCH, SMALL_BATCH, CONFIG_F_BATCH, CHECKED_IMAGES = 16, 16, 4, 4
NUM_INVERTED, INVERSION_STEPS = 8, 20
INVERSION = InversionConfig(
    method="w", num_steps=INVERSION_STEPS, batch_size=NUM_INVERTED, latent_noise=0.0, optimize_noise=False
)
DISTANCE = DistanceConfig(num_latents=64, batch_size=16, noise_mode="none")
PARITY_RESOLUTIONS = (256, 512, 1024)
Contestants = dict[str, Contestant]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One task: what each form runs, how many images that is, and how far the forms are apart before it."""

    task: str
    runs: dict[str, Callable[[], Any]]
    num_images: int
    errors: dict[str, dict[str, float]]
    warm_ups: dict[str, Callable[[], Any]] = dataclasses.field(default_factory=dict)


def main(arguments: list[str] | None = None) -> None:
    """Compare, print one table a task, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rosinality", type=Path, metavar="DIR", help="checkout of rosinality/stylegan2-pytorch")
    parser.add_argument("--stylegan2-ada", type=Path, metavar="DIR", help="checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--turns", type=int, default=3, help="timed runs of each form")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=TRAINING_BATCH, help="of training")
    parser.add_argument("--own-allocators", action="store_true", help="do not time the peers with memory kept as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    args = parser.parse_args(arguments)
    folders = {"rosinality": args.rosinality, "stylegan2-ada-pytorch": args.stylegan2_ada}
    folders = {name: folder.resolve() for name, folder in folders.items() if folder is not None}
    if not folders:
        parser.error("no peer was given, expected a checkout of one at least; use --rosinality DIR or --stylegan2-ada")
    torch.set_num_threads(args.threads)
    document: dict[str, Any] = {"question": (__doc__ or "").splitlines()[0], "network": to_mapping(SMALL)}
    document["peers"] = {name: git_commit(folder) for name, folder in folders.items()}
    document["results"] = []
    try:
        for task in args.tasks:
            settings = {"batch_size": args.batch_size} if task == "training" else {}
            comparison = TASKS[task](folders, **settings)
            document["results"].append(timed(comparison, args.turns, both_allocators=not args.own_allocators))
            document["provenance"] = provenance()
            if args.json is not None:  # after each task, so that an interrupted run leaves what it has
                write_text(args.json, json.dumps(document, indent=2) + "\n")
    except UI2IError as error:
        parser.exit(2, f"error: {error}\n")


def timed(comparison: Comparison, num_turns: int, *, both_allocators: bool) -> dict[str, Any]:
    """Require equality, let the forms take turns, print and return what came out."""
    for peer, errors in comparison.errors.items():
        require_equal_values(peer, errors)
        worst = max(errors, key=lambda name: errors[name])
        print(f"{comparison.task}: {peer} agrees; largest relative error {errors[worst]:.1e}, of {worst}", flush=True)
    result: dict[str, Any] = {"task": comparison.task, "relative_errors": comparison.errors}
    if not comparison.runs:
        return result
    forms = {}
    for name, run in comparison.runs.items():
        warm_up = comparison.warm_ups.get(name)
        forms[name] = Form(run, keeps_memory=name == "ours", warm_up=warm_up)
        if both_allocators and name != "ours":
            forms[f"{name}, memory kept"] = Form(run, keeps_memory=True, warm_up=warm_up)
    result |= rates(in_turns(forms, num_turns), comparison.num_images)
    print(describe(comparison.task, result), flush=True)
    return result


def training(folders: Mapping[str, Path], batch_size: int = TRAINING_BATCH) -> Comparison:
    """Whole steps, a cycle of the regularisers: 64 px, widths up to 64."""
    contestants = make_contestants(folders, SMALL, batch_size=batch_size)
    real_img = images(batch_size, SMALL)
    return Comparison(
        task=f"training, 64 px, batch {batch_size}",
        runs={name: functools.partial(one.train, real_img, CYCLE_STEPS) for name, one in contestants.items()},
        warm_ups={name: functools.partial(one.train, real_img, 1) for name, one in contestants.items()},
        num_images=CYCLE_STEPS * batch_size,
        errors=all_errors(contestants, SMALL),
    )


def generation(folders: Mapping[str, Path], network: NetworkConfig, batch_size: int, name: str) -> Comparison:
    """From z to images, without gradients."""
    contestants = make_contestants(folders, network)
    z = torch.randn(batch_size, network.z_dim)

    def run(contestant: Contestant) -> None:
        with torch.inference_mode():
            contestant.images(contestant.codes(z))

    return Comparison(
        task=f"generator, {name}, batch {batch_size}",
        runs={name: functools.partial(run, one) for name, one in contestants.items()},
        num_images=batch_size,
        errors=peer_errors(contestants, image_errors, z),
    )


def inversion(folders: Mapping[str, Path]) -> Comparison:
    """Steps of latent optimisation for several images: L1 and LPIPS, no noise maps, Adam."""
    contestants, perceptual = make_contestants(folders, SMALL), load_perceptual(PerceptualConfig(backbone="random"))
    for contestant in contestants.values():
        contestant.generator.requires_grad_(False)
    ours = contestants["ours"].generator
    assert isinstance(ours, Generator)
    with torch.no_grad():
        targets = contestants["ours"].images(contestants["ours"].codes(torch.randn(NUM_INVERTED, SMALL.z_dim)))
    targets = targets.clamp(-1, 1)
    runs: dict[str, Callable[[], Any]] = {"ours": lambda: invert(targets, ours, perceptual, INVERSION)}
    first = invert(targets, ours, perceptual, dataclasses.replace(INVERSION, num_steps=1)).losses[0]
    errors = {}
    for name, contestant in peers_of(contestants).items():
        project = functools.partial(projected, contestant, ours.w_avg, perceptual, targets)
        runs[name] = functools.partial(project, INVERSION_STEPS, NUM_INVERTED)
        if name == "stylegan2-ada-pytorch":  # whose projector takes one image
            runs[f"{name}, one by one"] = functools.partial(project, INVERSION_STEPS, 1)
        errors[name] = {"loss of the first step": relative_error(first, project(1, NUM_INVERTED))}
    return Comparison(
        task=f"inversion, 64 px, {NUM_INVERTED} images, steps",
        runs=runs,
        num_images=NUM_INVERTED * INVERSION_STEPS,
        errors=errors,
    )


def projected(
    contestant: Contestant, w_avg: Tensor, perceptual: Perceptual, images: Tensor, num_steps: int, batch_size: int
) -> Tensor:
    """Optimise w of each image as projectors usually do; return the losses before the first step [N]."""
    first = []
    for batch in images.split(batch_size):
        target = Target(batch, perceptual, INVERSION)
        w = w_avg.repeat(len(batch), 1).requires_grad_()
        optimizer = torch.optim.Adam([w], lr=0.01)
        for step in range(num_steps):
            losses = target.losses(contestant.images(w[:, None].expand(-1, SMALL.num_ws, -1)))
            if step == 0:
                first.append(losses.detach())
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
    return torch.cat(first)


def distance(folders: Mapping[str, Path]) -> Comparison:
    """Two models' images of the same latents, and LPIPS between them."""
    first, second = make_contestants(folders, SMALL, seed=0), make_contestants(folders, SMALL, seed=1)
    perceptual = load_perceptual(PerceptualConfig(backbone="random"))
    pairs = {name: (first[name], second[name]) for name in first}
    runs: dict[str, Callable[[], float]] = {}
    runs["ours"] = functools.partial(our_distance, *pairs.pop("ours"), perceptual)
    for name, pair in pairs.items():
        runs[name] = functools.partial(peer_distance, *pair, perceptual)
    expected = torch.tensor(runs["ours"]())
    errors = {name: {"mean distance": relative_error(torch.tensor(runs[name]()), expected)} for name in pairs}
    return Comparison(
        task="generation with distance, 64 px, 2 models", runs=runs, num_images=2 * DISTANCE.num_latents, errors=errors
    )


def our_distance(source: Contestant, target: Contestant, perceptual: Perceptual) -> float:
    """Mean distance, by `model_distances`."""
    assert isinstance(source.generator, Generator)
    assert isinstance(target.generator, Generator)
    generators = {"source": source.generator, "target": target.generator}
    return model_distances(generators, perceptual, DISTANCE)[0].mean


def peer_distance(source: Contestant, target: Contestant, perceptual: Perceptual) -> float:
    """Mean distance of the same latents' images."""
    values = []
    with torch.inference_mode():
        for z in latents(DISTANCE, SMALL.z_dim).split(DISTANCE.batch_size):
            images = [contestant.images(contestant.codes(z), noise=False) for contestant in (source, target)]
            values.append(perceptual.distance(*images))
    return torch.cat(values).double().mean().item()


def parity(folders: Mapping[str, Path]) -> Comparison:
    """Images and logits of config F up to 1024 px; nothing is timed."""
    errors: dict[str, dict[str, float]] = {name: {} for name in folders}
    for resolution in PARITY_RESOLUTIONS:
        network = NetworkConfig(img_resolution=resolution)
        found = peer_errors(make_contestants(folders, network), image_errors, torch.randn(1, network.z_dim))
        for peer, values in found.items():
            errors[peer] |= {f"{name}, {resolution} px": value for name, value in values.items()}
    return Comparison(task="parity, config F", runs={}, num_images=0, errors=errors)


def make_contestants(
    folders: Mapping[str, Path], network: NetworkConfig, *, seed: int = 0, batch_size: int = TRAINING_BATCH
) -> Contestants:
    """Make networks with random weights, write them in each peer's format, and let each peer read them."""
    torch.manual_seed(seed)
    generator, discriminator = Generator(network), Discriminator(network)
    with torch.no_grad():
        for name, parameter in (*generator.named_parameters(), *discriminator.named_parameters()):
            if name.endswith(("bias", "noise_strength")):
                parameter.add_(torch.randn_like(parameter), alpha=0.1)  # no term of a layer is left at zero
        generator.mapping.w_avg.copy_(generator.mapping(torch.randn(1000, network.z_dim)).mean(dim=0))
    config = TrainingConfig(batch_size=batch_size, precision="fp32")
    contestants: Contestants = {"ours": Ours(generator, discriminator, config)}
    card = ModelCard(domain="random", mode="scratch")
    checkpoint = Checkpoint(format="ui2i", generator=generator, discriminator=discriminator, card=card)
    with tempfile.TemporaryDirectory() as temporary:
        for name, folder in folders.items():
            peer, suffix = PEERS[name]
            file = Path(temporary) / f"model{suffix}"
            write_checkpoint(file, checkpoint)
            contestants[name] = peer(folder, file, network, config)
            file.unlink()
    return contestants


def all_errors(contestants: Contestants, network: NetworkConfig) -> dict[str, dict[str, float]]:
    """Return how far each peer is from this library in all that training computes."""
    z, real_img = torch.randn(CHECKED_IMAGES, network.z_dim), images(CHECKED_IMAGES, network)
    return peer_errors(contestants, relative_errors, z, real_img)


def peer_errors(
    contestants: Contestants, measure: Callable[..., dict[str, float]], *inputs: Tensor
) -> dict[str, dict[str, float]]:
    """Return what `measure` says of each peer."""
    ours = contestants["ours"]
    return {name: measure(ours, contestant, *inputs) for name, contestant in peers_of(contestants).items()}


def peers_of(contestants: Contestants) -> Contestants:
    """Return all but this library."""
    return {name: contestant for name, contestant in contestants.items() if name != "ours"}


def images(num_images: int, network: NetworkConfig) -> Tensor:
    """Noise in [-1, 1]."""
    return torch.rand(num_images, 3, network.img_resolution, network.img_resolution) * 2 - 1


PEERS: dict[str, tuple[Callable[..., Contestant], str]] = {
    "rosinality": (Rosinality, ".pt"),
    "stylegan2-ada-pytorch": (Nvidia, ".pkl"),
}
TASKS: dict[str, Callable[..., Comparison]] = {
    "parity": parity,
    "training": training,
    "generator-64": functools.partial(generation, network=SMALL, batch_size=SMALL_BATCH, name="64 px"),
    "generator-256": functools.partial(
        generation, network=NetworkConfig(img_resolution=256), batch_size=CONFIG_F_BATCH, name="256 px, config F"
    ),
    "inversion": inversion,
    "distance": distance,
}

if __name__ == "__main__":
    main(sys.argv[1:])
