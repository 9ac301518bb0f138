"""How much faster do several images advance together than one by one, and what does that take in memory?

The shipped model of synthetic faces at 64 px; the method `w` with L1 and LPIPS (squeeze). All forms take the same steps
on the same images, in turns in one process: `together`, `one by one` with the same code, and `literal`, one by one as
projectors are usually written, with the generator of `literal.py` and the target's features made anew in each step. On
a GPU `--resolution 256` says what an image costs on average in a model of the paper's size that is untrained, which
makes no difference to the time.

    python benchmarks/bench_inversion.py --json docs/results/bench_inversion.json
    python benchmarks/bench_inversion.py --device cuda --resolution 256 --images 64 --turns 1 --steps 50
"""

import argparse
import copy
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from literal import FIR_FORMS, make_literal
from torch import Tensor
from turns import Form, describe, in_turns, rates

from experiments.paper.inversion_comparison import generated_contestant
from ui2i.checkpoints import load_generator
from ui2i.files import write_text
from ui2i.inversion import invert
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import InversionConfig, NetworkConfig, PerceptualConfig

BASE = Path("data/base/face/generator.safetensors")
PAPER_STEPS = 1000


def main() -> None:
    """Time both forms, print a table, and write the numbers."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    generator, perceptual = models(args)
    images = generated_contestant(generator, args.images, seed=1).images
    if args.memory_of is not None:
        invert(images, generator, perceptual, settings(2, args.memory_of))
        print(peak_bytes(args.device))
        return
    forms = {
        "together": Form(advance(images, generator, perceptual, args.steps, args.images), keeps_memory=True),
        "one by one": Form(advance(images, generator, perceptual, args.steps, 1), keeps_memory=True),
    }
    for fir_form in FIR_FORMS:
        network = make_literal(copy.deepcopy(generator), fir_form)
        forms[f"literal, {fir_form}"] = Form(literal(images, network, perceptual, args.steps), keeps_memory=True)
    if args.only is not None:
        forms = {args.only: forms[args.only]}
    result = rates(in_turns(forms, args.turns), args.images * args.steps)
    sizes = {"together": args.images, "one by one": 1}
    result["memory_bytes"] = {name: memory_of(args, size) for name, size in sizes.items() if name in forms}
    rate = next(iter(result["images_per_second"].values()))
    result["seconds_per_image_of_1000_steps"] = PAPER_STEPS / rate
    print(describe(f"{args.images} images, steps", result))
    print(f"1000 steps of an image, on average: {PAPER_STEPS / rate:.1f} s")
    print("memory:", {name: f"{value / 2**20:,.0f} MiB" for name, value in result["memory_bytes"].items()})
    if args.json is not None:
        document = {
            "question": (__doc__ or "").splitlines()[0],
            "num_images": args.images,
            "num_steps": args.steps,
            "img_resolution": generator.config.img_resolution,
            "backbone": perceptual.name,
            "result": result,
            "provenance": provenance(args.device),
        }
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resolution", type=int, help="an untrained model of the paper's widths instead of the base")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--only", choices=["together", "one by one"], help="time this form alone")
    parser.add_argument("--memory-of", type=int, metavar="N", help="print the memory of batches of N, in bytes")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    return parser.parse_args()


def models(args: argparse.Namespace) -> tuple[Generator, Perceptual]:
    """Return the generator and an untrained backbone, which costs what a trained one does."""
    if args.resolution is None:
        generator, _ = load_generator(BASE, device=args.device)
    else:
        torch.manual_seed(0)
        generator = Generator(NetworkConfig(img_resolution=args.resolution)).requires_grad_(False).to(args.device)
    return generator, load_perceptual(PerceptualConfig(backbone="random"), args.device)


def settings(num_steps: int, batch_size: int) -> InversionConfig:
    return InversionConfig(method="w", num_steps=num_steps, batch_size=batch_size, latent_noise=0.0)


def advance(
    images: Tensor, generator: Generator, perceptual: Perceptual, num_steps: int, batch_size: int
) -> Callable[[], Any]:
    """Return what takes the steps for all images, `batch_size` at a time, and waits for the end."""

    def run() -> None:
        invert(images, generator, perceptual, settings(num_steps, batch_size))
        if images.is_cuda:
            torch.cuda.synchronize()

    return run


def literal(images: Tensor, generator: Generator, perceptual: Perceptual, num_steps: int) -> Callable[[], Any]:
    """Return what takes the steps for one image after the other."""

    def project(image: Tensor) -> None:
        w = generator.w_avg[None].clone().requires_grad_()
        optimizer = torch.optim.Adam([w], lr=0.01)
        for _ in range(num_steps):
            generated = generator.synthesis(generator.broadcast(w))
            loss = (generated - image).abs().mean() + perceptual.distance(image, generated).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def run() -> None:
        for image in images.split(1):
            project(image)
        if images.is_cuda:
            torch.cuda.synchronize()

    return run


def memory_of(args: argparse.Namespace, batch_size: int) -> int:
    """Return the most memory of a fresh process that inverts in batches of this size."""
    arguments = ["--memory-of", batch_size, "--images", args.images, "--device", args.device, "--threads", args.threads]
    arguments += [] if args.resolution is None else ["--resolution", args.resolution]
    command = [sys.executable, __file__, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_bytes(device: str) -> int:
    """Return the most memory so far: of the process, or on a GPU of its tensors."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
