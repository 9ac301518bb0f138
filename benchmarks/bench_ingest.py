"""Is ingestion as fast as the codecs allow on two cores, and is its memory the same for 1,000 and 100,000 images?

The literal form is one loop with Pillow: open, turn upright, crop the centered square, resize, save as PNG. It checks
nothing, hashes nothing, finds no duplicates and keeps no list. Both write the same images, and that is checked; they
compress them unequally, Pillow as it does by itself and ingestion as `ui2i.images.PNG_LEVEL` says, so the loop is timed
at that level too. Ratios of wall-clock time mean something on a quiet machine only, so processor time is printed too.
Synthetic noise stands for photographs; real ones come from archives, each with the side to which they are brought.
Run: python benchmarks/bench_ingest.py [speed [ARCHIVE=SIDE ...] | memory]
"""

import dataclasses
import functools
import io
import json
import multiprocessing
import os
import resource
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ui2i.images import PNG_LEVEL
from ui2i.progress import Progress, no_progress

NUM_WORKERS = 2
REPEATS = 2
FEW = 64  # images of a run that shows what starting and ending take
# Source size, resolution, images: small aligned sets, larger ones, and photographs.
CASES = (((64, 64), 64, 8000), ((128, 128), 128, 3000), ((512, 384), 256, 600), ((1600, 1200), 256, 200))
PILLOWS_LEVEL = 6
COUNTS = (1_000, 10_000, 100_000)
MEMORY_RESOLUTION = 16


def photographs(size: tuple[int, int], count: int) -> Iterator[bytes]:
    """JPEG files, no two alike, with texture as fine as a photograph's."""
    random = np.random.default_rng(0)
    grain = random.normal(0, 8, (*size[::-1], 3))
    for _ in range(count):
        cells = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse = cells.resize(size, Image.Resampling.BICUBIC)
        levels = np.clip(np.asarray(coarse) + np.roll(grain, random.integers(0, min(size), 2), (0, 1)), 0, 255)
        buffer = io.BytesIO()
        Image.fromarray(levels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
        yield buffer.getvalue()


def literal(source: Path, out: Path, resolution: int, level: int = PILLOWS_LEVEL) -> None:
    out.mkdir()
    for path in sorted(source.iterdir()):
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        square.resize((resolution, resolution), Image.Resampling.LANCZOS).save(
            out / f"{path.stem}.png", compress_level=level
        )


def ours(source: Path, out: Path, resolution: int, progress: Progress = no_progress) -> None:
    # Imported late, as the stage does: the other processes import this file too, and need neither.
    from ui2i.datasets.ingest import ingest
    from ui2i.settings import IngestConfig

    config = IngestConfig(img_resolution=resolution)
    ingest(source, out, config, name="bench", num_workers=NUM_WORKERS, reuse=False, progress=progress)


def processor_seconds() -> float:
    """Of this process and of those that it waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run took, by the clock and by processors."""

    seconds: float
    processor_seconds: float


def measure(work: Callable[[Path, Path, int], None], source: Path, out: Path, resolution: int) -> Run:
    start, used = time.perf_counter(), processor_seconds()
    work(source, out, resolution)
    return Run(time.perf_counter() - start, processor_seconds() - used)


def check_equal(ours_out: Path, literal_out: Path) -> None:
    import pyarrow.parquet as pq

    for shard in ours_out.glob("images-*.parquet"):
        for row in pq.read_table(shard, columns=["source_path", "png"]).to_pylist():
            expected = Image.open(literal_out / Path(row["source_path"]).with_suffix(".png").name)
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["png"]))), np.asarray(expected))


def write_noise(size: tuple[int, int], count: int, folder: Path) -> None:
    folder.mkdir()
    for index, data in enumerate(photographs(size, count)):
        (folder / f"{index:06d}.jpg").write_bytes(data)


def unpack(archive: Path, folder: Path) -> None:
    """The images of a zip, in one folder under short names."""
    folder.mkdir()
    with zipfile.ZipFile(archive) as file:
        names = [name for name in sorted(file.namelist()) if Path(name).suffix.lower() in (".jpg", ".jpeg", ".png")]
        for index, name in enumerate(names):
            (folder / f"{index:06d}{Path(name).suffix}").write_bytes(file.read(name))


def speed(archives: dict[Path, int]) -> None:
    print(f"{NUM_WORKERS} processes, best of {REPEATS}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"whole: with starting and ending; flow: what the time of {FEW} images leaves of that of all")
    print("                                      images a second     ratio to the loop   the same,   ms an image")
    print(
        f"source             to     images    loop   whole    flow      whole    flow    level {PNG_LEVEL}"
        "     loop   ingest"
    )
    with tempfile.TemporaryDirectory() as place:
        for number, (size, resolution, count) in enumerate(CASES):
            raw = Path(place, f"raw-{number}")
            write_noise(size, count, raw)
            report(f"{size[0]} x {size[1]}", raw, resolution)
        for archive, resolution in archives.items():
            raw = Path(place, archive.stem)
            unpack(archive, raw)
            report(archive.stem, raw, resolution)


def report(title: str, source: Path, resolution: int) -> None:
    """Time a folder of images, each way in turn, and print its line."""
    files = sorted(source.iterdir())
    with tempfile.TemporaryDirectory() as place:
        few = Path(place, "few-raw")
        few.mkdir()
        for file in files[:FEW]:
            shutil.copy(file, few)
        same_level = functools.partial(literal, level=PNG_LEVEL)
        ways = (("loop", literal, source), ("level", same_level, source), ("few", ours, few), ("all", ours, source))
        runs: dict[str, list[Run]] = {name: [] for name, _, _ in ways}
        for repeat in range(REPEATS):
            for name, work, images in ways:
                runs[name].append(measure(work, images, Path(place, f"{name}-{repeat}"), resolution))
        check_equal(Path(place, "all-0"), Path(place, "loop-0"))
    loop, level, start, here = (min(found, key=lambda run: run.seconds) for found in runs.values())
    num_files, num_in_flow = len(files), len(files) - FEW
    flow = num_in_flow / (here.seconds - start.seconds)
    per_image = 1e3 * (here.processor_seconds - start.processor_seconds) / num_in_flow
    print(
        f"{title:15s} {resolution:5d} {num_files:10d} {num_files / loop.seconds:7.0f} {num_files / here.seconds:7.0f}"
        f" {flow:7.0f} {loop.seconds / here.seconds:9.2f}x {flow * loop.seconds / num_files:6.2f}x"
        f" {flow * level.seconds / num_files:9.2f}x {1e3 * loop.processor_seconds / num_files:8.2f} {per_image:8.2f}",
        flush=True,
    )


def memory() -> None:
    print(f"\nlargest resident memory, {MEMORY_RESOLUTION} px images in a tar, {NUM_WORKERS} processes")
    print("    images   seconds   main process   largest other")
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as place:
            write_tar(Path(place, "raw.tar"), count)
            command = [sys.executable, __file__, "peak", place]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{count:10,d} {found['seconds']:9.1f} {found['main']:10.0f} MiB {found['other']:11.0f} MiB")


def write_tar(path: Path, count: int) -> None:
    """Bitmaps of noise: quickly made, and no two alike."""
    random, side = np.random.default_rng(0), MEMORY_RESOLUTION
    num_bytes = 54 + side * side * 3
    header = b"BM" + struct.pack("<IHHI", num_bytes, 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    with tarfile.open(path, "w") as archive:
        for index in range(count):
            info = tarfile.TarInfo(f"{index:06d}.bmp")
            info.size = num_bytes
            archive.addfile(info, io.BytesIO(header + random.bytes(num_bytes - 54)))


def peak(place: Path) -> None:
    """Ingest in a process of its own, and print what it took."""
    others: dict[int, float] = {}

    def progress(done: int, total: int, note: str = "") -> None:  # noqa: ARG001
        if done % (total // 20) == 0:
            others.update({child.pid: peak_mib(child.pid) for child in multiprocessing.active_children() if child.pid})

    start = time.perf_counter()
    ours(place / "raw.tar", place / "out", MEMORY_RESOLUTION, progress)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "main": peak_mib(os.getpid()), "other": max(others.values())}))


def peak_mib(pid: int) -> float:
    """Largest resident memory of a process so far, as Linux tells it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what == "peak":
        peak(Path(sys.argv[2]))
    if what in ("speed", "all"):
        speed({Path(name): int(side) for name, side in (given.rsplit("=", 1) for given in sys.argv[2:])})
    if what in ("memory", "all"):
        memory()
