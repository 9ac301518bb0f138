"""Errors a user can cause. Anything else that goes wrong is a bug and raises what Python raises.

A message has three parts: what came, what was expected, what to do. The command line prints it as one line and
exits with status 2.
"""


class UI2IError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(UI2IError):
    """A setting is unknown, missing, or outside its range."""


class DataError(UI2IError):
    """Pictures are missing, unreadable, or of the wrong size."""


class CheckpointError(UI2IError):
    """A checkpoint is missing, damaged, or does not fit the model that was asked for."""


class BackboneError(UI2IError):
    """The perceptual trunk's weights cannot be had."""


class UI2IWarning(UserWarning):
    """Something that people ought to know of a result that is made all the same; the command line prints one line."""


class SlowPrecisionWarning(UI2IWarning):
    """A precision was asked for that this machine can only emulate. It works, slowly."""


class TrainingError(UI2IError):
    """Training cannot go on: a loss is not finite, or the settings contradict each other."""
