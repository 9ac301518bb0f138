"""Does a training step ever wait for its images, and does memory stay flat however many there are?

100,000 synthetic images of 256 px, 106 kB each as PNG, are written in the shards of `ingest` (11 GB, in a temporary
folder that is removed; 300 different ones repeat). Then, each in a fresh process, from the disk and not the page cache:

- reading as fast as possible: a literal loop in one thread (read the row group, decode with Pillow, mirror), the loader
  with 1 and 2 threads, and torch's DataLoader with 1 and 2 processes around the same dataset; memory of all processes;
- what a program that launches small operations, as one that feeds an accelerator does, loses to the loading beside it;
- the share of their time that steps wait: training of small networks on the CPU at 64 and 256 px, and steps that last
  as long as on an accelerator of a given speed and leave the processor alone meanwhile.

Processor time an image is the fair comparison where other programs run beside. Linux only.

    python benchmarks/bench_loading.py --json docs/results/bench_loading.json
"""

import argparse
import concurrent.futures
import contextlib
import io
import itertools
import json
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from synthetic import write_dataset

from ui2i.datasets.loading import BatchLoader
from ui2i.datasets.manifest import ROW_GROUP_SIZE, SHARD_SIZE
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.files import write_text
from ui2i.images import to_tensor
from ui2i.provenance import provenance

BATCH_SIZE = 32
WARM_UP_STEPS = 16  # until workers have started and their queues are full
LAUNCHING_RATE = 250  # images a second that are loaded beside
ACCELERATOR_RATES = (125, 250, 500)  # images a second
Measurement = dict[str, Any]


def main() -> None:
    """Write the images, measure, print one line a measurement, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-images", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=6_400, help="images read by each form (a fourth by the literal)")
    parser.add_argument("--folder", type=Path, help="where 12 GB are free; default: the system's temporary folder")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is removed
    results, load_average = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-loading-", dir=args.folder) as root:
        large, small = Path(root, "256"), Path(root, "64")
        num_bytes = write_dataset(large, args.num_images, 256)
        write_dataset(small, 4000, 64)
        print(f"{args.num_images} images, {num_bytes / 1e9:.1f} GB", flush=True)
        for function, *arguments in measurements(large, small, args.read // BATCH_SIZE):
            evict(Path(root))
            results.append(in_fresh_process(function, *arguments))
            print(describe(results[-1]), flush=True)
    if args.json is not None:
        document = {
            "question": (__doc__ or "").splitlines()[0],
            "num_images": args.num_images,
            "bytes_on_disk": num_bytes,
            "batch_size": BATCH_SIZE,
            "num_processors": os.cpu_count(),
            "load_average_before": load_average,
            "results": results,
            "provenance": provenance(),
        }
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def measurements(large: Path, small: Path, num_steps: int) -> list[tuple[Any, ...]]:
    """Return what is measured: functions and their arguments."""
    return [
        (measure_reading, large, "literal", 0, num_steps // 4),
        *(
            (measure_reading, large, form, workers, num_steps)
            for form in ("threads", "processes")
            for workers in (1, 2)
        ),
        *((measure_launching, large, form) for form in ("nothing", "threads", "processes")),
        *((measure_accelerator, large, rate) for rate in ACCELERATOR_RATES),
        (measure_training, small, 16, 12),
        (measure_training, large, 4, 6),
    ]


# -- The forms --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_batches(path: Path, form: str, num_workers: int, num_steps: int) -> Generator[Iterator[Any], None, None]:
    """Yield the batches in one form."""
    dataset, sampler = open_dataset(path)
    if form == "threads":
        with BatchLoader(dataset, sampler, 0, num_steps, num_workers=num_workers) as loader:
            yield loader
    elif form == "processes":
        yield process_batches(path, sampler, num_steps, num_workers)
    elif form == "literal":
        yield literal_batches(path, dataset, sampler, num_steps)
    else:
        yield itertools.repeat(None)


def literal_batches(
    path: Path, dataset: PreparedDataset, sampler: BatchSampler, num_steps: int
) -> Generator[np.ndarray, None, None]:
    """One image after the other, each with its row group."""
    shards = [pq.ParquetFile(shard, memory_map=True) for shard in sorted(path.glob("images-*.parquet"))]
    for step in range(num_steps):
        images = []
        for index, mirrored in zip(sampler.indices(step), sampler.mirror_flags(step), strict=True):
            shard, row = divmod(int(dataset.ids[index]), SHARD_SIZE)
            group = shards[shard].read_row_group(row // ROW_GROUP_SIZE, columns=["png"])
            image = np.asarray(Image.open(io.BytesIO(group["png"][row % ROW_GROUP_SIZE].as_py())))
            images.append(image[:, ::-1] if mirrored else image)
        yield np.stack(images)


def process_batches(path: Path, sampler: BatchSampler, num_steps: int, num_workers: int) -> Iterator[Any]:
    """torch's DataLoader, with as many batches ahead as the loader has."""
    from torch.utils.data import DataLoader

    keys = [
        list(zip(sampler.indices(step).tolist(), sampler.mirror_flags(step).tolist(), strict=True))
        for step in range(num_steps)
    ]
    loader: Any = DataLoader(
        Images(path),  # type: ignore[arg-type]
        batch_sampler=keys,
        num_workers=num_workers,
        multiprocessing_context="forkserver",
        prefetch_factor=8 // num_workers,
    )
    return iter(loader)


class Images:
    """The dataset as torch's DataLoader wants it, opened in each worker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dataset: PreparedDataset | None = None

    def __getitem__(self, key: tuple[int, bool]) -> np.ndarray:
        if self.dataset is None:
            self.dataset = open_dataset(self.path)[0]
        image = np.empty((self.dataset.resolution, self.dataset.resolution, 3), np.uint8)
        self.dataset.decode_into(key[0], image, mirrored=key[1])
        return image


# -- Measurements -----------------------------------------------------------------------------------------------------


def measure_reading(path: Path, form: str, num_workers: int, num_steps: int) -> Measurement:
    """Rate and memory of reading as fast as possible, once the workers run."""
    import torch  # in each form, for the memory that a training has anyway

    torch.set_num_threads(1)
    before_mb, begin = memory_mb(), time.perf_counter()
    with open_batches(path, form, num_workers, num_steps + WARM_UP_STEPS + 1) as batches:
        next(batches)
        first_seconds = time.perf_counter() - begin
        consume(batches, WARM_UP_STEPS - 1)
        early_mb = memory_mb()
        start, start_cpu = time.perf_counter(), cpu_seconds()
        consume(batches, num_steps)  # which leaves one, so that the workers are still there
        return {
            "form": f"{form} {num_workers or ''}".strip(),
            "images_per_second": num_steps * BATCH_SIZE / (time.perf_counter() - start),
            "cpu_ms_per_image": (cpu_seconds() - start_cpu) / num_steps / BATCH_SIZE * 1000,
            "first_batch_seconds": first_seconds,
            "num_images": num_steps * BATCH_SIZE,
            "memory_mb_before": before_mb,
            "memory_mb_early": early_mb,
            "memory_mb_late": memory_mb(),
            "peak_memory_mb": memory_mb("VmHWM"),
        }


def measure_launching(path: Path, form: str) -> Measurement:
    """Small operations a second, with one worker that loads `LAUNCHING_RATE` images a second beside."""
    import torch

    torch.set_num_threads(1)
    x = torch.zeros(8)
    rates = []
    with open_batches(path, form, 1, 80) as batches:
        consume(batches, WARM_UP_STEPS)
        for _ in range(40):
            next(batches)
            start, count = time.perf_counter(), 0
            while (seconds := time.perf_counter() - start) < BATCH_SIZE / LAUNCHING_RATE:
                x = x + 1
                count += 1
            rates.append(count / seconds)
    return {
        "form": f"launching beside {form}",
        "operations_per_second": statistics.median(rates),
        "operations_per_second_quartiles": statistics.quantiles(rates, n=4),
    }


def measure_accelerator(path: Path, images_per_second: int) -> Measurement:
    """Waiting of steps that only pass time."""
    return measure_waiting(
        path,
        lambda _: time.sleep(BATCH_SIZE / images_per_second),
        BATCH_SIZE,
        num_steps=6 * images_per_second // BATCH_SIZE,
        form=f"accelerator's step of {BATCH_SIZE / images_per_second:.3f} s",
    )


def measure_training(path: Path, batch_size: int, num_steps: int) -> Measurement:
    """Waiting of a training on the CPU, with networks as small as are of any use: larger ones wait less."""
    import torch

    from ui2i.settings import NetworkConfig, TrainingConfig
    from ui2i.training.state import initial_state
    from ui2i.training.step import train_step

    resolution = open_dataset(path)[0].resolution
    network = NetworkConfig(
        img_resolution=resolution, z_dim=64, w_dim=64, num_mapping_layers=2, channel_base=1024, channel_max=32
    )
    config = TrainingConfig(batch_size=batch_size, precision="bf16")
    state = initial_state(network, config)
    return measure_waiting(
        path,
        lambda images: train_step(state, to_tensor(images).to(memory_format=torch.channels_last), config),
        batch_size,
        num_steps=num_steps,
        form=f"training on the CPU, {resolution} px",
    )


def measure_waiting(
    path: Path, take_step: Callable[[np.ndarray], object], batch_size: int, *, num_steps: int, form: str
) -> Measurement:
    """The share of time that steps wait for batches, the first left out."""
    dataset, sampler = open_dataset(path, batch_size)
    with BatchLoader(dataset, sampler, 0, num_steps + 1) as loader:
        take_step(next(loader))
        start, waited = time.perf_counter(), loader.wait_seconds
        for images in loader:
            take_step(images)
        seconds = time.perf_counter() - start
        return {
            "form": form,
            "num_workers": loader.num_workers,
            "images_per_second": num_steps * batch_size / seconds,
            "waiting_share": (loader.wait_seconds - waited) / seconds,
            "peak_memory_mb": memory_mb("VmHWM"),
        }


# -- Measuring --------------------------------------------------------------------------------------------------------


def consume(batches: Iterator[Any], count: int) -> None:
    """Take batches and forget them."""
    for _ in itertools.islice(batches, count):
        pass


def in_fresh_process(function: Callable[..., Measurement], *arguments: Any) -> Measurement:
    """Return what the function returns in a process in which nothing has happened yet."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def processes() -> list[Path]:
    """This process and all below it, in /proc."""
    found = [Path("/proc", str(os.getpid()))]
    for process in found:
        for children in process.glob("task/*/children"):
            found += [Path("/proc", pid) for pid in children.read_text().split()]
    return found


def memory_mb(field: str = "VmRSS") -> float:
    """Resident memory of all processes together, now (VmRSS) or at the peak of each (VmHWM)."""
    texts = [(process / "status").read_text() for process in processes()]
    return sum(int(text.partition(f"{field}:")[2].split()[0]) for text in texts) / 1000


def cpu_seconds() -> float:
    """Processor time of all processes together."""
    ticks = sum(sum(map(int, (process / "stat").read_text().rsplit(")")[1].split()[11:13])) for process in processes())
    return ticks / os.sysconf("SC_CLK_TCK")


def evict(folder: Path) -> None:
    """Drop the files from the page cache."""
    for path in folder.glob("*/*.parquet"):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def describe(result: Measurement) -> str:
    """Return one line for a person."""
    numbers = {name: value for name, value in result.items() if isinstance(value, int | float)}
    return result["form"] + ": " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def open_dataset(path: Path, batch_size: int = BATCH_SIZE) -> tuple[PreparedDataset, BatchSampler]:
    """The dataset, never in memory, its hashes taken on trust: comparing them costs every form the same."""
    dataset = PreparedDataset(path, memory_budget_bytes=0, verify=False)
    return dataset, BatchSampler(len(dataset), batch_size, seed=0)


if __name__ == "__main__":
    main()
