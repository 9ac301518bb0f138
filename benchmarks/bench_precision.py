"""How far does low precision move images, losses and gradients from those of single precision?

The networks of `bench_training.py`, fresh, and the shipped model of synthetic faces, trained. Errors are root mean
squares relative to the root mean square of the value in fp32, over all images, or over all parameters of a network for
a gradient; the worst of several seeds counts. `top 4` keeps single precision below the four top resolutions.

    python benchmarks/bench_precision.py --json docs/results/bench_precision.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from bench_training import NETWORK
from torch import Tensor

from ui2i.checkpoints import load_discriminator, load_generator
from ui2i.files import write_text
from ui2i.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from ui2i.model_files import DISCRIMINATOR_FILE, GENERATOR_FILE
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance

NUM_IMAGES = 16
NUM_SEEDS = 3
BASE = Path("data/base/face")
FORMS: dict[str, dict[str, Any]] = {
    "bf16": {"dtype": torch.bfloat16},
    "bf16, top 2": {"dtype": torch.bfloat16, "num_low_precision_resolutions": 2},
    "fp16": {"dtype": torch.float16},
}
Networks = tuple[Generator, Discriminator]


def main() -> None:
    """Compare, print a table a pair of networks, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    results = {}
    for name, networks in pairs().items():
        results[name] = worst_errors(networks)
        print(describe(name, results[name]), flush=True)
    if args.json is not None:
        document = {"question": (__doc__ or "").splitlines()[0], "results": results, "provenance": provenance()}
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def pairs() -> dict[str, Networks]:
    """Return the generators and discriminators to compare."""
    networks = {"fresh": (Generator(NETWORK), Discriminator(NETWORK))}
    generator, _ = load_generator(BASE / GENERATOR_FILE)
    discriminator, _ = load_discriminator(BASE / DISCRIMINATOR_FILE)
    networks["trained"] = (generator.requires_grad_(), discriminator.requires_grad_())
    return networks


def worst_errors(networks: Networks) -> dict[str, dict[str, float]]:
    """Return the largest relative error over the seeds, by form and quantity."""
    worst: dict[str, dict[str, float]] = {name: {} for name in FORMS}
    for seed in range(NUM_SEEDS):
        exact = quantities(networks, seed, {})
        for name, form in FORMS.items():
            for key, value in quantities(networks, seed, form).items():
                error = relative_error(value, exact[key])
                worst[name][key] = max(error, worst[name].get(key, 0.0))
    return worst


def quantities(networks: Networks, seed: int, form: dict[str, Any]) -> dict[str, Tensor]:
    """Return what a step of training computes of one batch."""
    generator, discriminator = networks
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(NUM_IMAGES, generator.config.z_dim, generator=random)
    ws = generator.broadcast(generator.mapping(z)).detach().requires_grad_()
    img = generator.synthesis(ws, **form)
    noise = torch.randn(img.shape, generator=random)
    real = generator(torch.randn(z.shape, generator=random)).detach().roll(1, dims=3).requires_grad_()
    fake_logits, real_logits = discriminator(img, **form), discriminator(real, **form)
    lengths, penalty = path_lengths(img, ws, noise), r1_penalty(real, real_logits)
    of_discriminator = discriminator_loss(real_logits, discriminator(img.detach(), **form))
    of_generator = generator_loss(fake_logits)
    return {
        "images": img.detach(),
        "logits": fake_logits.detach(),
        "path lengths": lengths.detach(),
        "R1": penalty.detach(),
        "generator's gradient": _gradient(of_generator, generator.synthesis),
        "path length's gradient": _gradient(lengths.square().mean(), generator.synthesis),
        "discriminator's gradient": _gradient(of_discriminator, discriminator),
        "R1's gradient": _gradient(penalty, discriminator),
    }


def relative_error(value: Tensor, exact: Tensor) -> float:
    """Root mean square of the difference in units of that of `exact`."""
    return float(((value - exact).square().mean() / exact.square().mean()).sqrt())


def describe(name: str, errors: dict[str, dict[str, float]]) -> str:
    """Return a table for a person."""
    quantities = next(iter(errors.values()))
    lines = [f"{name:26s}" + "".join(f"{form:>14s}" for form in errors)]
    lines += [f"  {key:24s}" + "".join(f"{errors[form][key]:14.2%}" for form in errors) for key in quantities]
    return "\n".join(lines)


def _gradient(loss: Tensor, network: torch.nn.Module) -> Tensor:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


if __name__ == "__main__":
    main()
