"""Batches decoded ahead of training: the same ones whatever decodes them, and nothing left behind."""

import collections
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from loading_dataset import dataset as dataset
from loading_dataset import no_threads_left as no_threads_left
from loading_dataset import path as path
from loading_dataset import shared_path as shared_path
from PIL import Image

from ui2i.datasets import loading, png_store
from ui2i.datasets.loading import BatchLoader, default_num_workers
from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.errors import ConfigError, DataError
from ui2i.images import encode_png

BATCH_SIZE = 5
FOREVER = 10**9


def sampler_of(dataset: PreparedDataset) -> BatchSampler:
    return BatchSampler(len(dataset), BATCH_SIZE, seed=4)


def expected_batch(path: Path, step: int, *, mirror: bool = True) -> np.ndarray:
    """The literal form: every image from its row, one after the other."""
    rows = [row for shard in sorted(path.glob("images-*.parquet")) for row in pq.read_table(shard).to_pylist()]
    pictures = [np.asarray(Image.open(io.BytesIO(row["png"]))) for row in rows if row["split"] == "train"]
    sampler = BatchSampler(len(pictures), BATCH_SIZE, seed=4)
    batch = []
    for index, mirrored in zip(sampler.indices(step), sampler.mirror_flags(step), strict=True):
        batch.append(pictures[index][:, ::-1] if mirror and mirrored else pictures[index])
    return np.stack(batch)


# -- The batches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 1, 2, 7])
@pytest.mark.parametrize(("start", "mirror"), [(0, True), (3, True), (11, False)])
def test_batches_are_the_same_for_any_number_of_workers(
    dataset: PreparedDataset, path: Path, num_workers: int, start: int, mirror: bool
) -> None:
    with BatchLoader(dataset, sampler_of(dataset), start, start + 12, mirror=mirror, num_workers=num_workers) as loader:
        batches = list(loader)
    assert loader.num_workers == num_workers and len(batches) == 12 and loader.wait_seconds > 0
    for step, images in enumerate(batches, start):
        assert images.dtype == np.uint8 and np.array_equal(images, expected_batch(path, step, mirror=mirror))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_processes_take_their_part_of_a_batch(dataset: PreparedDataset, path: Path, num_workers: int) -> None:
    for positions in ([3, 0, 4], [1, 2], [2]):
        with BatchLoader(
            dataset, sampler_of(dataset), 2, 6, positions=np.array(positions), num_workers=num_workers
        ) as loader:
            for step, images in enumerate(loader, 2):
                assert np.array_equal(images, expected_batch(path, step)[positions])


def test_images_in_memory_need_no_workers(path: Path) -> None:
    dataset = PreparedDataset(path)
    num_threads = threading.active_count()
    with BatchLoader(dataset, sampler_of(dataset), 0, 9, num_workers=2) as loader:
        for step, images in enumerate(loader):
            assert np.array_equal(images, expected_batch(path, step))
            images[:] = 0  # the caller's own: later batches do not change
        assert threading.active_count() == num_threads and loader.num_workers == 0


def test_a_part_can_be_read_without_a_with(dataset: PreparedDataset, path: Path) -> None:
    loader = BatchLoader(dataset, sampler_of(dataset), 0, FOREVER, num_workers=2)
    for step, images in enumerate(itertools.islice(loader, 3)):
        assert np.array_equal(images, expected_batch(path, step))
    loader.__exit__()


def test_a_dataset_replaced_on_disk_goes_on_as_it_was(dataset: PreparedDataset, path: Path) -> None:
    expected = [expected_batch(path, step) for step in range(4)]
    for shard in path.glob("images-*.parquet"):
        shard.rename(shard.with_suffix(".old"))
        shard.write_bytes(bytes(100_000))
    with BatchLoader(dataset, sampler_of(dataset), 0, 4, num_workers=2) as loader:
        assert all(np.array_equal(*pair) for pair in zip(loader, expected, strict=True))


# -- What it costs ----------------------------------------------------------------------------------------------------


def test_work_ahead_is_bounded(dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_AHEAD_BYTES", 3 * BATCH_SIZE * 16 * 16 * 3 + 1)
    decoded: collections.Counter[int] = collections.Counter()
    decode_into = dataset.decode_into

    def count(index: int, *args: Any, **keywords: Any) -> None:
        decoded[index] += 1
        decode_into(index, *args, **keywords)

    monkeypatch.setattr(dataset, "decode_into", count)
    with BatchLoader(dataset, sampler_of(dataset), 0, FOREVER, num_workers=2) as loader:
        for num_taken in range(3):
            for batch in loader._ahead:
                for part in batch.parts:
                    part.result()
            # Three at first; then the one just taken is gone, and the next is begun only when asked for.
            assert decoded.total() == BATCH_SIZE * (3 + max(0, num_taken - 1))
            next(loader)


def test_only_the_images_asked_for_are_read(
    dataset: PreparedDataset, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for shard in sorted(path.glob("images-*.parquet")) for row in pq.read_table(shard).to_pylist()]
    num_bytes: list[int] = []
    pread = os.pread
    monkeypatch.setattr(png_store.os, "pread", lambda *args: num_bytes.append(args[1]) or pread(*args))
    with BatchLoader(dataset, sampler_of(dataset), 1, 2, num_workers=2) as loader:
        next(loader)
    chosen = dataset.ids[sampler_of(dataset).indices(1)]
    assert sorted(num_bytes) == sorted(len(rows[image_id]["png"]) for image_id in chosen)


@pytest.mark.parametrize(
    ("processors", "processes", "expected"), [(2, None, 2), (64, None, 8), (16, "4", 4), (2, "4", 1), (3, "2", 1)]
)
def test_automatic_number_of_workers(
    monkeypatch: pytest.MonkeyPatch, processors: int, processes: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    if processes is None:
        monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    else:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert default_num_workers() == expected


# -- Errors, and the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("fault", ["pixels", "signature", "size"])
def test_a_damaged_image(dataset: PreparedDataset, path: Path, num_workers: int, fault: str) -> None:
    sampler = sampler_of(dataset)
    step = 2
    image_id = int(dataset.ids[sampler.indices(step)[1]])
    assert image_id not in dataset.ids[np.concatenate([sampler.indices(earlier) for earlier in range(step)])]
    shard_index = image_id // 10
    shard = path / f"images-{shard_index:05d}.parquet"
    png = pq.read_table(shard)["png"][image_id % 10].as_py()
    data = shard.read_bytes()
    spoiled = {
        "pixels": png[:60] + bytes(20) + png[80:],
        "signature": b"JPEG" + png[4:],
        "size": encode_png(np.zeros((16, 8, 3), np.uint8)).ljust(len(png), b"\0"),
    }
    with shard.open("r+b") as handle:  # in place, where the open dataset sees it
        handle.seek(data.index(png))
        handle.write(spoiled[fault])
    with (
        pytest.raises(DataError, match=rf"image {image_id} in .*images-0000{shard_index}.*ingest it again"),
        BatchLoader(dataset, sampler, 0, FOREVER, num_workers=num_workers) as loader,
    ):
        for num_taken, images in enumerate(loader):
            assert num_taken < step and len(images) == BATCH_SIZE
    assert num_taken == step - 1  # all before it came


def test_a_shard_that_was_cut_short(dataset: PreparedDataset, path: Path) -> None:
    for shard in path.glob("images-*.parquet"):
        os.truncate(shard, 30)
    with (
        pytest.raises(DataError, match="has become shorter"),
        BatchLoader(dataset, sampler_of(dataset), 0, FOREVER, num_workers=2) as loader,
    ):
        next(loader)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_error_in_the_step_ends_the_threads(dataset: PreparedDataset, error: type[BaseException]) -> None:
    before = threading.active_count()
    with pytest.raises(error), BatchLoader(dataset, sampler_of(dataset), 0, FOREVER, num_workers=2) as loader:
        next(loader)
        assert threading.active_count() > before
        raise error
    assert threading.active_count() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_at_once(path: Path, number: signal.Signals) -> None:
    program = f"""if True:
        from ui2i.datasets.loading import BatchLoader
        from ui2i.datasets.prepared import BatchSampler, PreparedDataset
        dataset = PreparedDataset({str(path)!r}, memory_budget_bytes=0)
        with BatchLoader(dataset, BatchSampler(len(dataset), 5, 0), 0, {FOREVER}, num_workers=2) as loader:
            for step, images in enumerate(loader):
                if step == 20:
                    print("running", flush=True)
    """
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "running\n", process.stderr.read()
        assert not children_of(process.pid)  # nothing that could outlive it
        process.send_signal(number)
        try:
            assert process.wait(timeout=60) == -number
        finally:
            process.kill()


def children_of(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task")
    return [name for task in tasks.glob("*/children") for name in task.read_text().split()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": -1}, "num_workers is -1"),
        ({"positions": np.array([0, BATCH_SIZE])}, r"positions \[0, 5\] do not fit"),
        ({"positions": np.array([-1])}, r"positions \[-1\]"),
        ({"positions": np.array([], int)}, r"positions \[\]"),
    ],
)
def test_bad_arguments(dataset: PreparedDataset, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BatchLoader(dataset, sampler_of(dataset), 0, 1, **arguments)
