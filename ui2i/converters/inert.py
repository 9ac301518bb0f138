"""What foreign files are read as: descriptions without behaviour, made of numbers, text and containers.

A file that was written with pickle describes objects by the names of functions and classes. Nothing here ever looks
such a name up: each one that may occur becomes one of the classes below, or a plain container.
"""

import dataclasses
from typing import Any

from ui2i.errors import CheckpointError
from ui2i.untrusted import shown

_MAX_KEY = 1 << 48  # of whole numbers that are hashed; larger ones can be chosen to collide, each with all others

DAMAGED = "the file is damaged or forged: fetch it again"


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


@dataclasses.dataclass(slots=True, repr=False)
class PersistentObject:
    """An object of stylegan2-ada-pytorch's persistence: class name and attributes, without its source text."""

    class_name: str
    state: dict[Any, Any]

    def __repr__(self) -> str:
        """Return its class alone: attributes may share others, and following all would take for ever."""
        return f"<{self.class_name}>"


@dataclasses.dataclass(slots=True, repr=False)
class Bystander:
    """An object that no network is made of, such as training options or an array of an optimiser."""

    kind: str
    value: Any = None  # what it was made from
    state: Any = None  # attributes that were set afterwards

    def __repr__(self) -> str:
        """Return its kind alone, as for a PersistentObject."""
        return f"<{self.kind}>"


@dataclasses.dataclass(frozen=True, slots=True)
class SkippedText:
    """A long text, such as embedded source code, that was stepped over without being decoded."""

    data: memoryview

    def __repr__(self) -> str:
        """Return its length."""
        return f"<a text of {len(self.data):,} bytes>"


def hashable(value: Any) -> Any:
    """Return a key of a dict or an element of a set.

    Raises:
        RefusedError: it is another kind, such as a nested tuple, which would take exponential time to hash, or a whole
            number that is large enough to be chosen for its hash.
    """
    if type(value) not in (str, int, bool, type(None)) or (type(value) is int and not -_MAX_KEY <= value < _MAX_KEY):
        raise RefusedError(f"has the key {shown(value)}, expected a text or a usual whole number; {DAMAGED}")
    return value
