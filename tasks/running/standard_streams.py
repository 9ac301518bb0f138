"""Standard streams that whoever started the command has closed."""

import os
import sys


def open_closed_streams() -> None:
    """Have closed streams be empty to readers and lose what is written, in this process and those that it starts.

    Otherwise Python has None in their place, and the next file that is opened gets their number.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
