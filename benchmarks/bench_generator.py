"""How much faster does this library generate than StyleGAN2 as it is usually written?

The paper's generator (256 px, config F: 512 channels up to 64 px) from z to images, without gradients. All forms hold
the same parameters and must agree before anything is timed; they run in one process, in turns; they differ in
their networks and, as `turns.py` explains, in their allocator. The usual form stands for two, by how its FIR filter is
written (see `literal.py`).

    python benchmarks/bench_generator.py --json docs/results/bench_generator.json
"""

import argparse
import copy
import functools
import json
from pathlib import Path
from typing import Any

import torch
from literal import FIR_FORMS, make_literal, require_equal
from torch import Tensor
from turns import Form, describe, in_turns, rates

from ui2i.files import write_text
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, to_mapping

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.no_grad()
def main() -> None:
    """Compare, print one table a precision, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5, help="timed batches of each form")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    torch.manual_seed(0)
    config = NetworkConfig(img_resolution=args.resolution)
    generator = Generator(config).eval().to(args.device)
    networks = {"ours": generator}
    networks |= {fir_form: make_literal(copy.deepcopy(generator), fir_form) for fir_form in FIR_FORMS}
    z = torch.randn(args.batch_size, config.z_dim, device=args.device)
    agreement = max(require_equal("images", generator(z), networks[fir_form](z)) for fir_form in FIR_FORMS)
    print(f"images of all forms agree to {agreement:.1e}", flush=True)
    results = []
    for precision in args.precision:
        results.append(compare(networks, z, precision, args.repeats))
        print(describe(precision, results[-1]), flush=True)
    if args.json is not None:
        document = {
            "question": (__doc__ or "").splitlines()[0],
            "network": to_mapping(config),
            "batch_size": args.batch_size,
            "largest_difference": agreement,
            "results": results,
            "provenance": provenance(args.device),
        }
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def compare(networks: dict[str, Generator], z: Tensor, precision: str, num_repeats: int) -> dict[str, Any]:
    """Run all forms in turns and return images a second of each."""
    forms = {}
    for name, network in networks.items():
        run = functools.partial(generate, network, z, DTYPES[precision])
        forms[name] = Form(run, keeps_memory=name == "ours")
        forms[f"{name}, other allocator"] = Form(run, keeps_memory=name != "ours")
    return {"precision": precision, **rates(in_turns(forms, num_repeats), len(z))}


def generate(network: Generator, z: Tensor, dtype: torch.dtype) -> None:
    """Generate one batch and wait for it."""
    network(z, dtype=dtype).sum().item()


if __name__ == "__main__":
    main()
