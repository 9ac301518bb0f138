"""The state of a pickle that is being read: position, stack, marks, memo; and the bounds that none may exceed."""

import struct
from typing import Any, Protocol

from ui2i.converters.budget import Budget
from ui2i.converters.inert import DAMAGED, Global, RefusedError

MAX_DEPTH = 64  # levels of containers inside each other
MAX_MARKS = 1000  # containers that are open while their contents are read
MAX_TEXT_BYTES = 8192  # longer texts are stepped over
MAX_LINE_BYTES = 256  # of a name
MAX_INTEGER_BYTES = 16


class Vocabulary(Protocol):
    """What names and persistent ids mean in a kind of file, and what reading it may cost."""

    budget: Budget

    def build(self, name: Global, arguments: tuple[Any, ...]) -> Any:
        """Return the description of what `name` would make of the arguments, or raise RefusedError."""

    def check(self, name: Global) -> None:
        """Raise RefusedError unless `name` may occur."""

    def persistent(self, identifier: Any) -> Any:
        """Return what lies outside the pickle under an identifier, or raise RefusedError."""


class PickleStack:
    """What opcodes work on. Every method that reads or takes raises RefusedError where there is nothing."""

    def __init__(self, data: memoryview, vocabulary: Vocabulary, position: int = 0):
        self.data = data
        self.position = position
        self.vocabulary = vocabulary
        self.budget = vocabulary.budget
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}

    def take(self, size: int) -> memoryview:
        """Return the next bytes."""
        if size > len(self.data) - self.position:
            raise RefusedError(
                f"ends at byte {len(self.data):,} where {size:,} more were announced at {self.position:,}, expected a "
                "whole file; fetch it again"
            )
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, layout: struct.Struct) -> Any:
        """Return the next number."""
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        """Return the next line, without its end."""
        window = bytes(self.data[self.position : self.position + MAX_LINE_BYTES])
        length = window.find(b"\n")
        if length < 0:
            raise RefusedError(f"has a name without end at byte {self.position:,}, expected a short one; {DAMAGED}")
        return decode(self.take(length + 1)[:-1])

    def pop(self) -> Any:
        """Take the top of the stack."""
        if not self.stack:
            raise RefusedError(f"takes from an empty stack at byte {self.position:,}, expected a pickle; {DAMAGED}")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """Return the top of the stack, which must be a container of a kind."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise RefusedError(f"adds to no {kind.__name__} at byte {self.position:,}, expected a pickle; {DAMAGED}")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """Take what lies above the last mark."""
        if not self.marked:
            raise RefusedError(f"lacks a mark at byte {self.position:,}, expected a pickle; {DAMAGED}")
        items, self.stack = self.stack, self.marked.pop()
        return items


def decode(data: memoryview) -> str:
    """Return a short text."""
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise RefusedError(f"has text that is no UTF-8, expected names; {DAMAGED}") from error
