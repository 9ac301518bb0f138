"""Examine many files in several processes, in order, with a bounded number in work.

Processes and not threads: Pillow holds the interpreter lock while it writes a PNG, which is most of the work. They are
started afresh (spawned), for a copy of a process with threads may hang; a script that calls `ingest` at its top level
therefore needs the usual `if __name__ == "__main__":`. Reading is left to the one process that has the source open.
"""

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ui2i.datasets.ingestion.examine import Examined, Examiner, Unread
from ui2i.errors import ConfigError, DataError
from ui2i.images.decoding import ImageError
from ui2i.images.members import Member, Source
from ui2i.processors import usable_cores

MAX_WORKERS = 8
FEW_FILES = 200  # which one process examines before others have started

_CHUNK_FILES = 32  # sent to a process at once
_CHUNK_BYTES = 1 << 22  # but no more than this and one file
_CHUNKS_AHEAD = 3  # in work or waiting, a process

Chunk = list[tuple[Member, Unread]]


def examine_all(
    source: Source, examiner: Examiner, num_workers: int | None = None
) -> Generator[tuple[Member, Examined], None, None]:
    """Yield every member of a source with what became of it, in order. Closing the generator ends the work.

    Args:
        num_workers: processes; None: one per usable core, at most `MAX_WORKERS`, and none but this one for few files.

    Raises:
        DataError: a process died.
        ConfigError: the number is not positive.
    """
    if num_workers is not None and num_workers < 1:
        raise ConfigError(f"num_workers is {num_workers}, expected at least 1; correct it, or leave it out")
    count = num_workers or default_workers(len(source.members))
    chunks = _chunks(source)
    if count == 1:
        for member, file in itertools.chain.from_iterable(chunks):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Pillow thinks of a file is in its reason
                examined = examiner(file)
            yield member, examined
        return
    with contextlib.closing(_examine_in_pool(chunks, examiner, count)) as results:
        yield from results


def default_workers(num_files: int) -> int:
    """Return how many processes examine a number of files."""
    return 1 if num_files <= FEW_FILES else min(MAX_WORKERS, usable_cores())


def read(source: Source, member: Member) -> Unread:
    """Return a member with its bytes, or with why it has none."""
    try:
        return Unread(member.path, member.num_bytes, source.read(member), None)
    except ImageError as error:
        return Unread(member.path, member.num_bytes, b"", (error.fault, str(error)))


def _chunks(source: Source) -> Iterator[Chunk]:
    chunk: Chunk = []
    num_bytes = 0
    for member in source.members:
        file = read(source, member)
        chunk.append((member, file))
        num_bytes += len(file.data)
        if len(chunk) == _CHUNK_FILES or num_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, num_bytes = [], 0
    if chunk:
        yield chunk


def _examine_in_pool(
    chunks: Iterable[Chunk], examiner: Examiner, count: int
) -> Generator[tuple[Member, Examined], None, None]:
    waiting: collections.deque[tuple[list[Member], Future[list[Examined]]]] = collections.deque()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_prepare, initargs=(examiner,)) as pool:
        try:
            for chunk in chunks:
                members, files = zip(*chunk, strict=True)
                try:
                    future = pool.submit(_examine_chunk, files)
                except BrokenProcessPool as error:
                    raise _died(waiting[0][0] if waiting else members) from error
                waiting.append((list(members), future))
                if len(waiting) >= count * _CHUNKS_AHEAD:
                    yield from _results(*waiting.popleft())
            while waiting:
                yield from _results(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _results(members: list[Member], future: Future[list[Examined]]) -> Iterator[tuple[Member, Examined]]:
    try:
        examined = future.result()
    except BrokenProcessPool as error:
        raise _died(members) from error
    yield from zip(members, examined, strict=True)


def _died(members: Sequence[Member]) -> DataError:
    return DataError(
        f"a process died while it or another examined {members[0].path} to {members[-1].path} or the files after, "
        "expected it to go on; if memory was short use fewer workers, else look for the file that kills a decoder"
    )


# In the other processes

_examiner: Examiner | None = None


def _prepare(examiner: Examiner) -> None:
    """Set up a process. It leaves Ctrl-C to the one that started it, and ends when that one is gone."""
    global _examiner
    _examiner = examiner
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _examine_chunk(files: Sequence[Unread]) -> list[Examined]:
    assert _examiner is not None  # set by _prepare
    return [_examiner(file) for file in files]
