"""Runs a command that must not outlive whoever asked for it: `python -m tasks.running.tether COMMAND...`.

Standard input is the tether. Its other end is held by the process that started this one, and closes when that ends,
by whatever signal; then the whole process group, which this process leads, is ended. The command itself gets an
empty standard input. A parent's death could also be asked of the kernel, but only Linux tells, and of threads.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

STOP_SECONDS = 10.0  # between asking the group to end and ending it
_POLL_SECONDS = 0.1
_SHELL_SIGNAL_BASE = 128  # exit status of a command that a signal ended


def tethered(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` on a tether; start it with a pipe as stdin and in a session of its own."""
    return [sys.executable, "-m", "tasks.running.tether", *command]


def main(command: Sequence[str]) -> int:
    """Run a command and return its exit status, as a shell counts it."""
    # The group is asked to end as a whole: the command decides how, and this process waits for it. A handler, unlike
    # being deaf to the signal, is not inherited.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_end_group_with_input, daemon=True).start()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    status = process.wait()
    return _SHELL_SIGNAL_BASE - status if status < 0 else status


def _end_group_with_input() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    group = os.getpgrp()
    if group != os.getpid():  # somebody ran this by hand: the group is theirs
        return
    os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and _has_other_members(group):
        time.sleep(_POLL_SECONDS)
    os.killpg(group, signal.SIGKILL)


def _has_other_members(group: int) -> bool:
    import psutil

    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if pid != group and os.getpgid(pid) == group:
                return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
