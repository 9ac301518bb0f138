"""Times several forms of one computation in turns, so that whatever else the machine does falls on all of them.

Each form has the allocator that its users have: stages keep freed memory in the process (`ui2i.allocator`), a program
that does not know of it has glibc's defaults, which hand large blocks back to the system. Both settings are
measured for every form, because they are worth as much as the form itself.
"""

import ctypes
import dataclasses
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

from ui2i.allocator import keep_freed_memory

# mallopt's parameters, and the thresholds that glibc settles at by itself once large blocks come and go
_M_TRIM_THRESHOLD, _TRIM_BYTES = -1, 64 << 20
_M_MMAP_THRESHOLD, _MMAP_BYTES = -3, 32 << 20


@dataclasses.dataclass(frozen=True)
class Form:
    """One way to compute something, and the allocator it runs under."""

    run: Callable[[], Any]
    keeps_memory: bool
    warm_up: Callable[[], Any] | None = None  # once before it is timed, in place of a whole run


def in_turns(forms: dict[str, Form], num_turns: int) -> dict[str, dict[str, list[float]]]:
    """Return seconds of each form's runs: `wall` by the clock, `cpu` of the processor, `system` of that in the system.

    Each form runs once before it is timed, or its `warm_up` does.
    """
    seconds: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": [], "system": []} for name in forms}
    for turn in range(num_turns + 1):
        for name, form in forms.items():
            _set_allocator(keeps_memory=form.keeps_memory)
            measured = _seconds(form.run if turn else form.warm_up or form.run)
            if turn:
                for kind, value in measured.items():
                    seconds[name][kind].append(value)
    return seconds


def rates(seconds: dict[str, dict[str, list[float]]], num_images: int) -> dict[str, Any]:
    """Return images a second of each form and by how much the first of them is faster than the others.

    `ratio` compares median times by the clock; `cpu_ratio` least processor time, which other programs disturb less.
    """
    wall = {name: statistics.median(values["wall"]) for name, values in seconds.items()}
    cpu = {name: min(values["cpu"]) for name, values in seconds.items()}
    first, *others = seconds
    return {
        "images_per_second": {name: num_images / value for name, value in wall.items()},
        "images_per_cpu_second": {name: num_images / value for name, value in cpu.items()},
        "ratio": {name: wall[name] / wall[first] for name in others},
        "cpu_ratio": {name: cpu[name] / cpu[first] for name in others},
        "seconds": seconds,
    }


def describe(title: str, result: dict[str, Any]) -> str:
    """Return a table for a person."""
    lines = [f"{title:26s}  images/s  ratio   a cpu second  ratio"]
    for name, rate in result["images_per_second"].items():
        ratio, cpu_ratio = result["ratio"].get(name, 1.0), result["cpu_ratio"].get(name, 1.0)
        cpu_rate = result["images_per_cpu_second"][name]
        lines.append(f"  {name:24s}  {rate:8.2f}  {ratio:5.2f}  {cpu_rate:13.2f}  {cpu_ratio:5.2f}")
    return "\n".join(lines)


def _seconds(run: Callable[[], Any]) -> dict[str, float]:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    run()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {"wall": wall, "cpu": after.ru_utime - before.ru_utime + system, "system": system}


def _set_allocator(*, keeps_memory: bool) -> None:
    if keeps_memory:
        keep_freed_memory()
    elif hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        libc.malloc_trim(0)
