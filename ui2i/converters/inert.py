"""What foreign files are read as: descriptions without behaviour, made of numbers, text and containers.

A file that was written with pickle describes objects by the names of functions and classes. Nothing here ever looks
such a name up: each one that may occur becomes one of the classes below, or a plain container.
"""

import dataclasses
from typing import Any

from ui2i.errors import CheckpointError


class RefusedError(CheckpointError):
    """A file's content is refused. The message is a predicate: the reader puts the path in front of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Global:
    """The name of a function or class, as pickle writes it. Only a label."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(slots=True)
class PersistentObject:
    """An object of stylegan2-ada-pytorch's persistence: class name and attributes, without its source text."""

    class_name: str
    state: dict[Any, Any]


@dataclasses.dataclass(slots=True)
class Bystander:
    """An object that no network is made of, such as training options or an array of an optimiser."""

    kind: str
    value: Any = None  # what it was made from
    state: Any = None  # attributes that were set afterwards


@dataclasses.dataclass(frozen=True, slots=True)
class SkippedText:
    """A long text, such as embedded source code, that was stepped over without being decoded."""

    num_bytes: int
