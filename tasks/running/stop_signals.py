"""Requests to stop (SIGTERM, SIGHUP, SIGINT) as exceptions that do not get lost.

A handler that raises does so wherever the program happens to be. In a destructor, or in a callback of a weak reference,
of which the import system has one a module, Python drops the exception ("Exception ignored in ...") and goes on. What
was dropped is raised again a moment later.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NoReturn

AGAIN_SECONDS = 0.05
_raised: dict[int, BaseException] = {}  # by signal, the newest


def raise_on(numbers: Iterable[int], exception: Callable[[int], BaseException]) -> dict[int, Any]:
    """Have signals raise an exception in the main thread, which must call this; return their handlers of before.

    Args:
        exception: makes it from the signal's number.
    """

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        _raised[number] = exception(number)
        raise _raised[number]

    if sys.unraisablehook is not _ask_again:
        global _other_hook
        _other_hook, sys.unraisablehook = sys.unraisablehook, _ask_again
    return {number: signal.signal(number, stop) for number in numbers}


def _ask_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Send a signal again whose exception was dropped; show others as before."""
    number = next((number for number, raised in _raised.items() if raised is unraisable.exc_value), None)
    if number is None:
        _other_hook(unraisable)
        return
    timer = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


_other_hook: Callable[["sys.UnraisableHookArgs"], object] = sys.__unraisablehook__
