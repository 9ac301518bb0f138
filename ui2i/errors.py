"""Errors a user can cause. Anything else that goes wrong is a bug and raises what Python raises.

A message has three parts: what came, what was expected, what to do. The command line prints it as one line and
exits with status 2. What it quotes may come from a stranger's file, so nothing in it can steer a terminal or fill it.
"""

import errno

from ui2i.names import printable

MAX_MESSAGE_LENGTH = 8000  # characters
_NO_MEMORY = ("DefaultCPUAllocator", "out of memory")  # in what PyTorch says on a CPU and on a GPU


class UI2IError(Exception):
    """Base of every error that a user can cause and mend."""

    def __init__(self, message: str = "") -> None:
        shown = printable(message[:MAX_MESSAGE_LENGTH], keep="\n\t")
        super().__init__(shown if len(message) <= MAX_MESSAGE_LENGTH else f"{shown} ...")


class ConfigError(UI2IError):
    """A setting is unknown, missing, or outside its range."""


class DataError(UI2IError):
    """Images are missing, unreadable, or of the wrong size."""


class CheckpointError(UI2IError):
    """A checkpoint is missing, damaged, or does not fit the model that was asked for."""


class BackboneError(UI2IError):
    """The perceptual backbone's weights cannot be had."""


class UI2IWarning(UserWarning):
    """Something that people ought to know of a result that is made all the same; the command line prints one line."""


class SlowPrecisionWarning(UI2IWarning):
    """A precision was asked for that this machine can only emulate. It works, slowly."""


class TrainingError(UI2IError):
    """Training cannot go on: a loss is not finite, or the settings contradict each other."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory did not suffice. It then says nothing about what was being read."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)
