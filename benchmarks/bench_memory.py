"""How much memory do training and generation take, and how does their speed move with resolution, batch and width?

Every case runs in a fresh process. A training case takes one step with every regulariser, for the peak, and then plain
steps for the rate; a generation case generates batches. `peak` is the largest resident memory of the process less what
it held before the networks were made (Python and torch). Rates are images a second of processor time of one thread,
which other programs on the machine disturb little. A case that would need more than the machine has free is stopped by
a limit on its own memory and reported as such.

    python benchmarks/bench_memory.py --json docs/results/bench_memory.json
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ui2i.allocator import keep_freed_memory
from ui2i.errors import is_out_of_memory
from ui2i.files import write_text
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.sharding import Sharding
from ui2i.training.state import initial_state
from ui2i.training.step import train_step

MB = 1e6
SHARE_OF_FREE_MEMORY = 0.6
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SMALL = {"resolution": 64, "batch_size": 16, "channel_max": 64, "precision": "fp32", "repeats": 3}

PAPER = [  # config F at the resolutions of the paper, batch 4
    {"task": task, "resolution": resolution, "batch_size": 4, "precision": precision, "repeats": repeats}
    for task, repeats in (("generation", 1), ("training", 0))
    for resolution in (256, 1024)
    for precision in DTYPES
] + [{"task": "training", "resolution": 1024, "batch_size": 4, "precision": "fp32", "micro_batches": 2, "repeats": 0}]
SWEEPS = {
    "resolution": [SMALL | {"task": "training", "resolution": value} for value in (32, 64, 128, 256)],
    "batch": [SMALL | {"task": "training", "batch_size": value} for value in (4, 8, 16, 32)],
    "width": [SMALL | {"task": "training", "channel_max": value} for value in (32, 64, 128, 256)],
}


def main() -> None:
    """Run the cases, print one line each, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["paper", *SWEEPS], help="some groups of cases")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # of a child process, as JSON
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    if args.case is not None:
        print(json.dumps(measure(json.loads(args.case))))
        return
    groups: dict[str, list[dict[str, Any]]] = {"paper": PAPER, **SWEEPS}
    results = {}
    for name, cases in groups.items():
        if args.only is None or name in args.only:
            results[name] = [run_in_child(case) for case in cases]
    if args.json is not None:
        document = {"question": (__doc__ or "").splitlines()[0], "results": results, "provenance": provenance()}
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def run_in_child(case: dict[str, Any]) -> dict[str, Any]:
    """Measure a case in a fresh process and print one line."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result = case | json.loads(child.stdout)
    title = " ".join(f"{key} {value}" for key, value in case.items() if key != "repeats")
    if result["peak_mb"] is None:
        print(f"{title}: does not fit {result['limit_mb']:,.0f} MB", flush=True)
    else:
        rate = result["images_per_cpu_second"]
        print(f"{title}: {result['peak_mb']:,.0f} MB, {rate:.3g} images a processor second", flush=True)
    return result


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Return the peak and the rate of one case, in this process."""
    torch.set_num_threads(1)
    keep_freed_memory()
    before = _peak_mb()
    limit = _limit_memory()
    try:
        seconds = (_train if case["task"] == "training" else _generate)(case)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return {"peak_mb": None, "images_per_cpu_second": None, "limit_mb": limit}
    rate = case["batch_size"] / seconds
    return {"peak_mb": _peak_mb() - before, "images_per_cpu_second": rate, "limit_mb": limit}


def _train(case: dict[str, Any]) -> float:
    """Return the processor seconds of a plain step, or of the one with all regularisers if `repeats` is 0."""
    network = _network(case)
    micro_batches = case.get("micro_batches", 1)
    config = TrainingConfig(batch_size=case["batch_size"], precision=case["precision"])
    state = initial_state(network, config)
    res = network.img_resolution
    real_img = torch.rand(config.batch_size, 3, res, res) * 2 - 1
    sharding = Sharding(num_micro_batches=micro_batches)
    with_regularizers = _cpu_seconds(lambda: train_step(state, real_img, config, sharding))
    plain = [_cpu_seconds(lambda: train_step(state, real_img, config, sharding)) for _ in range(case["repeats"])]
    return min(plain, default=with_regularizers)


@torch.no_grad()
def _generate(case: dict[str, Any]) -> float:
    """Return the processor seconds of a batch."""
    network = _network(case)
    generator = Generator(network).eval()
    z = torch.randn(case["batch_size"], network.z_dim)
    dtype = DTYPES[case["precision"]]
    return min(_cpu_seconds(lambda: generator(z, dtype=dtype)) for _ in range(1 + case["repeats"]))


def _network(case: dict[str, Any]) -> NetworkConfig:
    """Config F, or with `channel_max` the small network of `bench_training.py`, whose width halves above 32 px."""
    resolution = case["resolution"]
    group = case["batch_size"] // case.get("micro_batches", 1)  # a micro-batch holds whole groups
    if "channel_max" not in case:
        return NetworkConfig(img_resolution=resolution, mbstd_group_size=min(4, group))
    width = case["channel_max"]
    return NetworkConfig(
        img_resolution=resolution, z_dim=64, w_dim=64, num_mapping_layers=4, channel_base=32 * width, channel_max=width
    )


def _cpu_seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


def _limit_memory() -> float:
    """Let allocations fail that the machine could not serve, before it runs out of memory for all; return MB."""
    available = _kilobytes("/proc/meminfo", "MemAvailable")
    own = _kilobytes("/proc/self/status", "VmData")
    limit = int(available * SHARE_OF_FREE_MEMORY)
    resource.setrlimit(resource.RLIMIT_DATA, ((own + limit) * 1024, -1))
    return limit * 1024 / MB


def _kilobytes(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
