"""How many seconds does a GPU take for 1000 images of training, and what share of its matrix units is that?

The network for which the best single-GPU figure is published (12.5 s on an A100 with NVIDIA's own kernels): 256 px,
batch 32, channel_base 16384, 2 mapping layers, half precision in the four top resolutions with activations clamped at
256, R1 every 16 and path length every 4 steps. Whole cycles of 16 steps of `ui2i.training` are timed. The goal is 4 s
on an H200.

Steps are replayed as CUDA graphs (`ui2i.training.graphs`); `--no-graphs` launches every kernel anew. TF32 serves what
stays in single precision. Arithmetic is counted by torch's formulas as it is executed, and set against the peak that
the vendor names and against what a large matrix product reaches on the same device.

    python benchmarks/gpu/time_training.py --json result.json             # needs CUDA
    python benchmarks/gpu/time_training.py --no-graphs --profile trace.txt # where the time goes
    python benchmarks/gpu/time_training.py --dry-run                       # a tiny network on the CPU
"""

import argparse
import dataclasses
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ui2i.devices import fast_arithmetic
from ui2i.files import write_text
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, TrainingConfig, to_mapping
from ui2i.training.graphs import NUM_WARM_UPS, StepGraphs, suits_graphs
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.step import train_step

NETWORK = NetworkConfig(img_resolution=256, channel_base=16384, num_mapping_layers=2, conv_clamp=256.0)
TINY_NETWORK = NetworkConfig(
    img_resolution=32, z_dim=8, w_dim=8, channel_base=256, channel_max=8, num_mapping_layers=2, conv_clamp=256.0
)
BATCH_SIZE = 32
CYCLE_STEPS = 16  # the regularisers' common period: 16 R1, 4 path length
# Dense TFLOP/s of the matrix units in bf16 and fp16, from the vendor's data sheets.
PEAK_TFLOPS = {"B200": 2250.0, "H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "T4": 65.0}


def main(arguments: list[str] | None = None) -> None:
    """Train, print the figures, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=3, help=f"timed cycles of {CYCLE_STEPS} steps; the median counts")
    parser.add_argument("--precision", choices=["bf16", "fp16", "fp32"], default="bf16")
    parser.add_argument("--no-graphs", action="store_true", help="launch every kernel anew")
    parser.add_argument("--profile", type=Path, help="write a table of the costliest kernels to this file")
    parser.add_argument("--dry-run", action="store_true", help="one cycle of a tiny network on the CPU")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args(arguments)
    if not args.dry_run and not torch.cuda.is_available():
        print(
            "error: this machine has no CUDA device, expected one to measure; run it where there is one, or try the "
            "script with --dry-run",
            file=sys.stderr,
        )
        raise SystemExit(2)
    device = "cpu" if args.dry_run else "cuda"
    with fast_arithmetic(device):
        result = measure(args, device)
    print(describe(result), flush=True)
    if args.json is not None:
        document = {"question": (__doc__ or "").splitlines()[0], **result, "provenance": provenance(device)}
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def measure(args: argparse.Namespace, device: str) -> dict[str, Any]:
    """Return seconds for 1000 images and what they come to."""
    network = TINY_NETWORK if args.dry_run else NETWORK
    config = TrainingConfig(batch_size=4 if args.dry_run else BATCH_SIZE, precision=args.precision)
    state = initial_state(network, config, device=device)
    shape = (config.batch_size, 3, network.img_resolution, network.img_resolution)
    real_img = (torch.rand(shape, device=device) * 2 - 1).contiguous(memory_format=torch.channels_last)
    flops = count_flops(functools.partial(cycle, state, real_img, config))  # also warms up
    graphs = None if args.no_graphs or not suits_graphs(state, config, Sharding()) else StepGraphs(state, config)
    run = functools.partial(cycle, state, real_img, config, graphs)
    for _ in range(0 if graphs is None else NUM_WARM_UPS + 1):  # then every phase is recorded
        run()
    num_images = CYCLE_STEPS * config.batch_size
    seconds = [_seconds(run, device) for _ in range(1 if args.dry_run else args.cycles)]
    rate = num_images / statistics.median(seconds)
    tflops = flops / num_images * rate / 1e12
    product = matrix_product_tflops(device, 256 if args.dry_run else 8192, args.precision)
    peak = next((value for name, value in PEAK_TFLOPS.items() if name in _device_name(device)), None)
    if args.profile is not None:
        write_text(args.profile, profile(run))
    return {
        "device": _device_name(device),
        "options": {"precision": args.precision, "graphs": graphs is not None},
        "network": to_mapping(network),
        "training": dataclasses.asdict(config),
        "seconds_per_1000_images": 1000 / rate,
        "seconds_per_cycle": seconds,
        "gflop_per_image": flops / num_images / 1e9,
        "tflops": tflops,
        "share_of_peak": tflops / peak if peak else None,
        "share_of_matrix_product": tflops / product,
        "matrix_product_tflops": product,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
    }


class _FlopCounter(TorchDispatchMode):
    """Adds up torch's own formulas. Its FlopCounterMode fails at second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.num_flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operator and count what it computes."""
        result = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.num_flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def cycle(
    state: TrainingState, real_img: torch.Tensor, config: TrainingConfig, graphs: StepGraphs | None = None
) -> None:
    """Take the steps of one cycle of the regularisers, from a step at which all of them run."""
    state.num_steps = 0
    for _ in range(CYCLE_STEPS):
        train_step(state, real_img, config, run=None if graphs is None else graphs.run)


def count_flops(run: Callable[[], None]) -> int:
    """Return the floating point operations of convolutions and matrix products; a multiply-add counts as two."""
    with _FlopCounter() as counter:
        run()
    return counter.num_flops


def matrix_product_tflops(device: str, size: int, precision: str) -> float:
    """Return what one large matrix product reaches: the most that this device gives in practice."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    torch.matmul(a, b)
    seconds = min(_seconds(lambda: torch.matmul(a, b), device) for _ in range(10))
    return 2 * size**3 / seconds / 1e12


def profile(run: Callable[[], None]) -> str:
    """Return the costliest operations of one cycle: kernels on a GPU, else operators."""
    kind = torch.profiler.ProfilerActivity.CUDA if torch.cuda.is_available() else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[kind]) as profiler:
        run()
        _wait("cuda" if torch.cuda.is_available() else "cpu")
    order = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    return profiler.key_averages().table(sort_by=order, row_limit=60, max_name_column_width=110)


def describe(result: dict[str, Any]) -> str:
    """Return the figures for a person."""
    options = " ".join(f"{name} {value}" for name, value in result["options"].items())
    share = result["share_of_peak"]
    peak = "of a peak unknown for this device" if share is None else f"{share:.1%} of the peak of its matrix units"
    return (
        f"{result['device']}, {options}: {result['seconds_per_1000_images']:.2f} s for 1000 images, "
        f"{result['gflop_per_image']:.3g} GFLOP each\n"
        f"{result['tflops']:.3g} TFLOP/s: {peak}, {result['share_of_matrix_product']:.1%} of what a large matrix "
        f"product reaches here ({result['matrix_product_tflops']:.3g} TFLOP/s)"
    )


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def _seconds(run: Callable[[], Any], device: str) -> float:
    """Return the time of a call by the clock, the device's work included."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
