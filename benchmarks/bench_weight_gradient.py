"""Which weight gradient of a 3x3 convolution is faster: oneDNN's, or nine matrix products over all pixels?

Activations in channels-last layout, fp32, one thread; processor time, the least of some turns. The ratio decides
`ui2i.ops.convolution.suits_products`, so a processor that this prints other ratios on wants another rule.

    python benchmarks/bench_weight_gradient.py --json docs/results/bench_weight_gradient.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from turns import Form, in_turns

from ui2i.files import write_text
from ui2i.ops.convolution import suits_products, sum_of_products
from ui2i.provenance import provenance

SHAPES = [  # images, channels in and out, side
    (16, 32, 64),
    (16, 64, 32),
    (16, 96, 16),
    (16, 64, 64),
    (16, 128, 32),
    (8, 32, 128),
    (4, 64, 256),
    (4, 128, 64),
    (4, 128, 128),
    (4, 256, 64),
    (4, 512, 16),
    (4, 512, 32),
]


def main() -> None:
    """Time both forms at every shape, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("images channels side   oneDNN  products (GFLOP/s)   ratio  chosen")
    rows = [measure(*shape, args.turns) for shape in SHAPES]
    if args.json is not None:
        document = {"question": (__doc__ or "").splitlines()[0], "rows": rows, "provenance": provenance()}
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def measure(num_images: int, channels: int, side: int, num_turns: int) -> dict[str, Any]:
    """Return the speed of both forms at one shape."""
    x, dy = (
        torch.randn(num_images, channels, side, side).contiguous(memory_format=torch.channels_last) for _ in range(2)
    )
    shape = torch.Size([channels, channels, 3, 3])
    expected, came = library(x, dy, shape)(), sum_of_products(x, dy)
    assert (expected - came).abs().max() < 1e-4 * expected.abs().max()
    forms = {
        "onednn": Form(library(x, dy, shape), keeps_memory=True),
        "products": Form(lambda: sum_of_products(x, dy), keeps_memory=True),
    }
    seconds = {name: min(values["cpu"]) for name, values in in_turns(forms, num_turns).items()}
    gflop = 18 * num_images * channels**2 * side**2 / 1e9
    ratio, chosen = seconds["onednn"] / seconds["products"], suits_products(x.shape, shape)
    print(
        f"{num_images:6} {channels:8} {side:4} {gflop / seconds['onednn']:8.0f} {gflop / seconds['products']:9.0f}"
        f"             {ratio:6.2f}  {'products' if chosen else 'oneDNN'}",
        flush=True,
    )
    return {"num_images": num_images, "channels": channels, "side": side, "cpu_seconds": seconds, "ratio": ratio}


def library(x: Tensor, dy: Tensor, shape: torch.Size) -> Callable[[], Tensor]:
    """Return what calls oneDNN's weight gradient."""

    def run() -> Tensor:
        ones = [1, 1]
        return torch.ops.aten.convolution_backward(
            dy, x, x.new_empty(shape), None, ones, ones, ones, False, [0, 0], 1, [False, True, False]
        )[1]

    return run


if __name__ == "__main__":
    main()
