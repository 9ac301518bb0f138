"""The cost of running a stage: seconds, processor seconds, peak memory. Kept next to the data, not tracked.

A stage that was stopped and went on has the sum of its runs; only a kill that leaves no time to write loses its part.
Memory is that of the largest single process, and on a GPU what PyTorch reserved there.
"""

import contextlib
import dataclasses
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ui2i.errors import UI2IError
from ui2i.files import write_text

_UNITS_PER_GIB = 2**30 if sys.platform == "darwin" else 2**20  # of ru_maxrss: bytes there, else KiB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage took, all its runs since it was last complete together."""

    seconds: float
    processor_seconds: float  # of all cores
    peak_gib: float  # of the largest process
    gpu_gib: float | None  # None: no GPU was used
    device: str
    commit: str
    num_runs: int  # above 1: it was stopped and went on
    is_complete: bool
    finished_at: str  # UTC


def read_cost(path: Path) -> Cost | None:
    """Return what a file notes; None: there is no such file, or it cannot be read."""
    try:
        return Cost(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def noted_cost(path: Path) -> Iterator[None]:
    """Note what the block takes, also if it is stopped; not if it ends with what a user must mend."""
    start, processor_start = time.monotonic(), _processor_seconds()

    def note(*, is_complete: bool) -> None:
        with contextlib.suppress(OSError):  # the stage itself is done, or has its own trouble
            _note(path, time.monotonic() - start, _processor_seconds() - processor_start, is_complete=is_complete)

    try:
        yield
    except UI2IError:
        raise
    except BaseException:
        note(is_complete=False)
        raise
    note(is_complete=True)


def _note(path: Path, seconds: float, processor_seconds: float, *, is_complete: bool) -> None:
    from ui2i.provenance import code_commit

    before, gpu_gib = read_cost(path), _gpu_gib()
    if before is not None and before.is_complete:
        before = None
    cost = Cost(
        seconds=seconds + (before.seconds if before else 0),
        processor_seconds=processor_seconds + (before.processor_seconds if before else 0),
        peak_gib=max(_peak_gib(), before.peak_gib if before else 0),
        gpu_gib=gpu_gib,
        device="cpu" if gpu_gib is None else "cuda",
        commit=code_commit(),
        num_runs=1 + (before.num_runs if before else 0),
        is_complete=is_complete,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_text(path, json.dumps(dataclasses.asdict(cost), indent=2) + "\n")


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_gib() -> float:
    """Return the largest resident memory that this process or one that it has waited for had."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage.ru_maxrss for usage in usages) / _UNITS_PER_GIB


def _gpu_gib() -> float | None:
    """Return the most memory that PyTorch reserved on a GPU; None: it used none."""
    torch = sys.modules.get("torch")  # a stage that did not import it used none
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_reserved()) / 2**30
