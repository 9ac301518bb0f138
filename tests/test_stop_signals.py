"""A request to stop arrives, whatever the program is doing at that moment."""

import signal
import subprocess
import sys

import pytest

# Sends itself the signal inside a callback of a weak reference, where Python drops exceptions; imports make many.
PROGRAM = """
import os, signal, sys, time, weakref
{handle}

class Thing:
    pass

def callback(_):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(100):  # the handler runs in here
        pass

def work():
    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    for _ in range(400):
        time.sleep(0.01)
    print("went on")
    return 0

{run}
"""
COMMAND = (
    "from cli import app",
    "app.run = work\ntry:\n    app.main()\nexcept KeyboardInterrupt:\n    sys.exit(130)",
)
STAGE = (
    "from tasks.running import stage_cli",
    "with stage_cli._stopped_by_signals():\n    work()",
)


@pytest.mark.parametrize(("parts", "status"), [(COMMAND, 130), (STAGE, 128 + signal.SIGTERM)], ids=["command", "stage"])
def test_a_dropped_request_is_made_again(parts: tuple[str, str], status: int) -> None:
    program = PROGRAM.format(handle=parts[0], run=parts[1])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert "Exception ignored" not in done.stderr


def test_other_exceptions_in_callbacks_are_shown_as_before() -> None:
    program = (
        "import signal, weakref\nfrom tasks.running.stop_signals import raise_on\n"
        "raise_on([signal.SIGTERM], lambda _: KeyboardInterrupt())\n"
        "class Thing:\n    def __del__(self):\n        raise ValueError('mine')\n"
        "Thing()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "ValueError: mine" in done.stderr
