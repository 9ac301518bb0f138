"""Bounds how long OpenMP's threads wait in a loop for each other, because on a busy machine nothing else gets done.

Every convolution ends with its threads waiting for the last of them. GNU's OpenMP, which torch brings along, waits in a
loop for some milliseconds before it sleeps: right while each thread has a core. If other programs have the core of the
last thread, the first one burns its whole time slice in that loop, and the two hardly ever run at the same moment:
docs/results/neighbours.md has the figures. Results do not depend on it, the number of threads stays what it was.
"""

import os
from collections.abc import MutableMapping

WAITING_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
# Rounds of the loop: 0.2 to 0.4 ms, as long as a convolution of a small network takes, where OpenMP's own are 300,000.
SPIN_COUNT = 10_000


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set how long threads wait in a loop, unless the user has. Call it before torch is imported: it is read then.

    Processes that this one starts inherit it. Other OpenMP libraries (LLVM's, Intel's) do not read it.
    """
    if not any(name in environment for name in WAITING_VARIABLES):
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
