"""Processes that draw side by side and can be stopped: what waits is dropped, what is in hand ends with its image.

Three things keep an end quiet and sure. An interrupt reaches the caller alone, who then stops the others. A process
ends by itself when the one that started it is gone. And since any of them may be killed at any moment, none holds a
lock while it works (so a plain byte says stop) or sends more than a pipe takes at once (so it tells how many images
it wrote, and not what is in them).
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from experiments.synthetic.drawing.files import draw_files
from ui2i.errors import DataError

_stop: Any = None
"""In a worker: a byte of shared memory, not 0 when its work is no longer wanted."""


def draw_chunks(
    style: str, seed: int, chunks: Sequence[range], resolution: int, folder: Path, num_workers: int
) -> Generator[int, None, None]:
    """Write each chunk of images into `folder`; yields how many images it had, in any order.

    Closing the generator, or an exception in it, leaves no process behind and nothing that still writes to `folder`.

    Args:
        style: a registered style.
        seed: of the dataset.
        chunks: runs of images, the unit of work.
        resolution: side in pixels.
        folder: where the files go.
        num_workers: processes; 1 draws in this one.

    Raises:
        DataError: a process died.
    """
    if min(num_workers, len(chunks)) == 1:
        for chunk in chunks:
            draw_files(style, seed, chunk, resolution, folder)
            yield len(chunk)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b", 0)
    pool = ProcessPoolExecutor(min(num_workers, len(chunks)), context, _start, (stop,))
    try:
        with _deaf_to_interrupts():
            tasks = [pool.submit(_draw, style, seed, chunk, resolution, folder) for chunk in chunks]
        for task in as_completed(tasks):
            yield task.result()
    except BrokenProcessPool as error:
        raise DataError(
            f"a process that drew {style} images died, expected it to go on; if memory was short use fewer workers"
        ) from error
    finally:
        stop.value = 1
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Hold interrupts back, so that processes started meanwhile never see one; it comes when this is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(stop: Any) -> None:
    """First thing that a worker does."""
    global _stop
    _stop = stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a worker may call this"
    parent.join()
    os._exit(1)


def _draw(style: str, seed: int, chunk: range, resolution: int, folder: Path) -> int:
    """What a worker does for a chunk; returns its length."""
    draw_files(style, seed, chunk, resolution, folder, unwanted=lambda: bool(_stop.value))
    return len(chunk)
