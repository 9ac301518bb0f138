"""Keeps freed memory in the process, because asking the system for it again costs more than a convolution.

glibc gives large blocks back to the system at once, or as soon as much is free, and each new one arrives as pages that
the system has to clear. A training step frees and allocates the same few hundred megabytes again and again: on a CPU a
fifth of its time went there (docs/results/benchmarks.md). Resident memory then stays at the peak between steps.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD = -1  # mallopt's names for its parameters
_M_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1  # the largest value that mallopt's int takes
_LARGEST_THRESHOLDS = (2**30, 2**25)  # older glibc refuses more than 32 MB


def keep_freed_memory() -> bool:
    """Let freed memory serve the next allocation instead of going back to the system.

    Returns:
        Whether the C library does so: glibc does, others have their own ways.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    took_one = any(mallopt(_M_MMAP_THRESHOLD, value) for value in _LARGEST_THRESHOLDS)
    return took_one and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
