"""Other busy programs, to be run beside what is measured: arithmetic, streaming through memory, short processes."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

KINDS = ("arithmetic", "memory", "processes")
THREADS = 2  # of each neighbour
_SIZE = 512  # rows of a matrix product of some milliseconds
_STREAMED = 16 << 20  # float32 values of a copy, 64 MiB: larger than any cache


@contextlib.contextmanager
def neighbours(kind: str, number: int, *, own_sessions: bool = True) -> Iterator[None]:
    """Run so many neighbours; they are up when the block begins and gone when it has ended.

    Args:
        own_sessions: each has a session of its own, as programs of several terminals or services have. Linux then
            shares the cores among the sessions first (`kernel.sched_autogroup_enabled`), whatever each runs.
    """
    command = [sys.executable, __file__, kind]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    started: list[subprocess.Popen[str]] = []
    try:
        for _ in range(number):
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=own_sessions
            )
            started.append(process)
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def main() -> None:
    """Keep two threads busy until killed."""
    run = {"arithmetic": multiply, "memory": stream, "processes": spawn}[sys.argv[1]]
    for _ in range(THREADS):
        threading.Thread(target=run, daemon=True).start()
    print("busy", flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # nobody is left to kill it
        time.sleep(0.5)


def multiply() -> None:
    import numpy as np

    matrix = np.random.default_rng(0).random((_SIZE, _SIZE))
    while True:
        matrix @ matrix


def stream() -> None:
    import numpy as np

    source, target = np.ones(_STREAMED, np.float32), np.zeros(_STREAMED, np.float32)
    while True:
        np.copyto(target, source)


def spawn() -> None:
    while True:
        subprocess.run(["true"], check=True)


if __name__ == "__main__":
    main()
