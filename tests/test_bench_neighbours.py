"""The benchmark beside busy neighbours: what is due, and that its neighbours come and go."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = ("neighbour_load", "bench_neighbours")
CORES = 2


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The benchmark's modules by their names, on two cores."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)), raising=False)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("threads", "number", "others", "by_session", "expected"),
    [
        (2, 0, 0, True, 1.0),
        (1, 0, 0, True, 0.5),
        (2, 8, 0, True, 1 / 9),  # nine sessions
        (1, 8, 0, True, 1 / 9),
        (2, 8, 0, False, 2 / 18),  # eighteen threads
        (1, 8, 0, False, 1 / 17),
        (2, 3, 1, True, 1 / 5),
    ],
)
def test_due_share(
    bench: SimpleNamespace, threads: int, number: int, others: float, by_session: bool, expected: float
) -> None:
    share = bench.bench_neighbours.due_share(threads, number, others, by_session=by_session)
    assert share == pytest.approx(expected)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("own_sessions", [True, False])
def test_neighbours_are_gone_afterwards(bench: SimpleNamespace, own_sessions: bool) -> None:
    load = bench.neighbour_load.__file__

    def running() -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (folder / "cmdline").read_text()
            except OSError:  # it has ended meanwhile
                continue
            if load in arguments and os.getsid(int(folder.name)) >= 0:
                found.append(int(folder.name))
        return found

    with bench.neighbour_load.neighbours("arithmetic", 2, own_sessions=own_sessions):
        inside = running()
        sessions = {os.getsid(process) for process in inside}
    assert len(inside) == 2
    assert (os.getsid(0) in sessions) != own_sessions
    assert not running()
