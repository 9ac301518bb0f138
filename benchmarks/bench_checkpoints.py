"""How long does converting a 1024 px generator (config F) take, and how much memory, against the size of its file?

Each conversion runs in a process of its own, reading, writing, reading again and comparing included. Memory is the peak
of resident memory less what there was before the first file was touched (Python, torch and this library); pages of the
mapped files count. Linux only.

    python benchmarks/bench_checkpoints.py --json docs/results/bench_checkpoints.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ui2i.checkpoints import ModelCard
from ui2i.converters import pickle_writer
from ui2i.converters.ada_modules import discriminator_module, generator_module
from ui2i.converters.formats import Checkpoint, read_checkpoint, write_checkpoint
from ui2i.files import write_text
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, to_mapping

CASES = [
    ("generator.pt", "a.safetensors"),
    ("generator.safetensors", "b.pt"),
    ("generator.safetensors", "c.pkl"),
    ("both.pkl", "d"),
    ("three.pkl", "h"),
    ("three.pkl", "i.pt"),
    ("both.pt", "e"),
    ("both", "f.pkl"),
    ("both", "g.pt"),
]


def main() -> None:
    """Make the files, convert each in its own process, print one line a conversion and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--convert", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.convert:
        print(json.dumps(convert(*args.convert)))
        return

    config = NetworkConfig(img_resolution=args.resolution)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), config)
        for source, destination in CASES:
            command = [sys.executable, __file__, "--threads", str(args.threads), "--convert"]
            paths = [str(Path(folder) / name) for name in (source, destination)]
            done = subprocess.run([*command, *paths], capture_output=True, text=True, check=True)
            results.append({"from": source, "to": destination} | json.loads(done.stdout))
            print(describe(results[-1]), flush=True)
    if args.json is not None:
        document = {
            "question": (__doc__ or "").splitlines()[0],
            "network": to_mapping(config),
            "results": results,
            "provenance": provenance(),
        }
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def make_files(folder: Path, config: NetworkConfig) -> None:
    """Write a random model in every format, whole and its generator alone, and three networks as NVIDIA's code does."""
    torch.manual_seed(0)
    card = ModelCard(domain="random", mode="scratch")
    generator, discriminator = Generator(config).eval(), Discriminator(config).eval()
    for name, second in (("generator", None), ("both", discriminator)):
        checkpoint = Checkpoint(format="ui2i", generator=generator, discriminator=second, card=card)
        for suffix in (".pt", ".pkl", ".safetensors" if second is None else ""):
            write_checkpoint(folder / f"{name}{suffix}", checkpoint)
    pickle_writer.ALIGNMENT = 1  # NVIDIA's files have numbers at any byte
    content = {"G": generator_module(generator), "D": discriminator_module(discriminator)}
    with (folder / "three.pkl").open("wb") as file:
        pickle_writer.write_pickle(file, content | {"G_ema": generator_module(generator)})


def convert(source: Path, destination: Path) -> dict[str, Any]:
    """Convert, and return seconds and bytes."""
    size = sum(path.stat().st_size for path in ([source] if source.is_file() else source.iterdir()))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory("VmRSS")
    started, cpu_started = time.perf_counter(), time.process_time()
    write_checkpoint(destination, read_checkpoint(source))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak = memory("VmHWM")
    return {
        "file_bytes": size,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": peak - before,
        "bytes_before": before,
        "peak_per_file_byte": (peak - before) / size,
    }


def memory(key: str) -> int:
    """Return a number of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def describe(result: dict[str, Any]) -> str:
    """Return one line for a person."""
    return (
        f"{result['from']} ({result['file_bytes'] / 1e6:.0f} MB) -> {result['to']}: {result['seconds']:.1f} s "
        f"({result['cpu_seconds']:.1f} s of processor), {result['peak_bytes'] / 1e6:.0f} MB at most, "
        f"{result['peak_per_file_byte']:.2f} times the file"
    )


if __name__ == "__main__":
    main()
