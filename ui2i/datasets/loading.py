"""Batches for training, decoded ahead of the step that asks for them.

The batches of steps `start_step`, `start_step` + 1, ... are those that `BatchSampler` names, whatever decodes them and
wherever one starts. Images that fit in memory are taken from there. Otherwise threads read and decode the next
batches while the step computes; each batch is divided among all threads, and a few batches are in work at a time.

Threads, not processes: Pillow releases the interpreter lock while it decodes, so they are as fast; they share one
index of the dataset, start at once, hand over images without copying, and end with the process however it ends.
`docs/results/loading.md` compares both.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator
from typing import Self

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from ui2i.datasets.prepared import BatchSampler, PreparedDataset
from ui2i.errors import ConfigError
from ui2i.processors import usable_cores

MAX_WORKERS = 8

_AHEAD_BYTES = 1 << 26  # memory for batches in work, as far as it makes 2 to 8 of them
_MIN_AHEAD, _MAX_AHEAD = 2, 8

Images = UInt8[np.ndarray, "n h w 3"]


@dataclasses.dataclass(frozen=True)
class _Batch:
    """A batch in work: `images` is whole when all parts are done."""

    images: Images
    parts: list[concurrent.futures.Future[None]]


class BatchLoader(contextlib.AbstractContextManager["BatchLoader"], Iterator[Images]):
    """The batches of steps `start_step` to `stop_step` - 1, each uint8 [N, H, W, 3] and the caller's own.

        with BatchLoader(dataset, sampler, start_step, stop_step) as loader:
            for images in loader:
                ...

    Leaving the `with`, by an error too, ends the threads. `wait_seconds` is how long the caller has waited so far.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        sampler: BatchSampler,
        start_step: int,
        stop_step: int,
        *,
        mirror: bool = True,
        positions: Int64[np.ndarray, " n"] | None = None,
        num_workers: int | None = None,
    ) -> None:
        """Set up; decoding starts on entering the `with`.

        Args:
            sampler: one for as many items as the dataset has images.
            mirror: show those images mirrored that `sampler.mirror_flags` names.
            positions: the places in each batch, 0 to batch_size - 1, that are wanted, in this order; None: all.
                Processes that share a batch take a part each.
            num_workers: threads; 0: decode a batch when it is asked for; None: `default_num_workers()`. Has no
                influence on the batches. Images in memory need none.

        Raises:
            ConfigError: a position is outside the batch, or `num_workers` is negative.
        """
        assert sampler.num_items == len(dataset)
        self._dataset = dataset
        self._sampler = sampler
        self._mirror = mirror
        self._positions = _check_positions(positions, sampler.batch_size)
        self._steps = iter(range(start_step, stop_step))
        num_workers = default_num_workers() if num_workers is None else _check_num_workers(num_workers)
        self.num_workers = 0 if dataset.fits_in_memory else num_workers
        self.wait_seconds = 0.0
        self._pool = concurrent.futures.ThreadPoolExecutor(self.num_workers, "loading") if self.num_workers else None
        batch_bytes = len(self._positions) * dataset.resolution**2 * 3
        self._num_ahead = min(_MAX_AHEAD, max(_MIN_AHEAD, _AHEAD_BYTES // max(1, batch_bytes)))
        self._ahead: collections.deque[_Batch] = collections.deque()

    def __enter__(self) -> Self:
        self._start_batches()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __next__(self) -> Images:
        """Return the next batch.

        Raises:
            DataError: one of its images is damaged.
        """
        start_seconds = time.perf_counter()
        try:
            return self._take() if self._pool is not None else self._read(next(self._steps))
        finally:
            self.wait_seconds += time.perf_counter() - start_seconds

    def _read(self, step: int) -> Images:
        """Return a batch without threads."""
        indices, mirrored = self._choose(step)
        images = self._dataset.images(indices)
        images[mirrored] = images[mirrored, :, ::-1]
        return images

    def _take(self) -> Images:
        """Wait for the next batch that threads have in work."""
        self._start_batches()
        if not self._ahead:
            raise StopIteration
        batch = self._ahead.popleft()
        for part in batch.parts:
            part.result()
        return batch.images

    def _start_batches(self) -> None:
        """Give the threads work as far ahead as is allowed."""
        if self._pool is None:
            return
        for step in itertools.islice(self._steps, self._num_ahead - len(self._ahead)):
            indices, mirrored = self._choose(step)
            images = np.empty((len(indices), self._dataset.resolution, self._dataset.resolution, 3), np.uint8)
            places = [slice(worker, None, self.num_workers) for worker in range(self.num_workers)]
            parts = [self._pool.submit(self._decode, indices[at], mirrored[at], images[at]) for at in places]
            self._ahead.append(_Batch(images, parts))

    def _decode(self, indices: Int64[np.ndarray, " n"], mirrored: Bool[np.ndarray, " n"], images: Images) -> None:
        """Decode a thread's part of a batch."""
        for index, is_mirrored, image in zip(indices, mirrored, images, strict=True):
            self._dataset.decode_into(int(index), image, mirrored=bool(is_mirrored))

    def _choose(self, step: int) -> tuple[Int64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Return which images a batch has, and which of them are mirrored."""
        indices = self._sampler.indices(step)[self._positions]
        if not self._mirror:
            return indices, np.zeros(len(indices), bool)
        return indices, self._sampler.mirror_flags(step)[self._positions]


def default_num_workers() -> int:
    """Return the processors this process may use, shared among torchrun's processes on this machine, 1 to 8."""
    num_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(MAX_WORKERS, max(1, usable_cores() // num_processes))


def _check_num_workers(num_workers: int) -> int:
    if num_workers < 0:
        raise ConfigError(f"num_workers is {num_workers}, expected 0 or more; leave it out to have it chosen")
    return num_workers


def _check_positions(positions: Int64[np.ndarray, " n"] | None, batch_size: int) -> Int64[np.ndarray, " n"]:
    if positions is None:
        return np.arange(batch_size)
    if len(positions) == 0 or positions.min() < 0 or positions.max() >= batch_size:
        raise ConfigError(
            f"positions {positions.tolist()} do not fit, expected at least one number from 0 to {batch_size - 1}; "
            "take them from range(batch_size)"
        )
    return positions
