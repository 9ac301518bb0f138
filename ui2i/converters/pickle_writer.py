"""Pickles of functions and classes that need not exist here: protocol 4, which Python 3.4 and later read.

Python's own pickler imports every name it writes. This one writes the names that it is given, numbers, texts and
containers, and takes the numbers of tensors from where they are.
"""

import dataclasses
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from ui2i.converters.inert import Global

PROTOCOL = 4
ALIGNMENT = 64  # bytes; numbers that begin so need not be copied by a reader that maps the file


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The result of a function, which whoever reads the pickle will call. Written once however often it occurs."""

    function: Global
    arguments: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """Something outside the pickle, by its identifier."""

    identifier: Any


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Bytes:
    """A byte string in parts, so that large ones need not be joined. The last part is aligned in the file."""

    parts: tuple[bytes | memoryview, ...]


def write_pickle(file: BinaryIO, value: Any) -> None:
    """Write a value: None, bool, int, float, str, list, tuple, dict, set, Global, Call, Persistent or Bytes."""
    file.write(bytes([0x80, PROTOCOL]))
    _Writer(file).write(value)
    file.write(b".")


class _Writer:
    """One pickle; `places` has the memo entries of calls that are written already."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.places: dict[int, int] = {}

    def write(self, value: Any) -> None:
        """Write a value of any kind."""
        if value is None or type(value) is bool:
            self.file.write({None: b"N", True: b"\x88", False: b"\x89"}[value])
        elif type(value) is int:
            self._integer(value)
        elif type(value) is float:
            self.file.write(b"G" + struct.pack(">d", value))
        elif type(value) is str:
            data = value.encode("utf-8", "surrogatepass")  # as pickle does: a file's name may be no text
            self.file.write(b"X" + struct.pack("<I", len(data)) + data)
        elif type(value) is Bytes:
            self._bytes(value)
        elif type(value) is Global:
            self._all((value.module, value.name), b"", b"\x93")
        elif type(value) is Call:
            self._call(value)
        elif type(value) is Persistent:
            self._all((value.identifier,), b"", b"Q")
        else:
            self._container(value)

    def _integer(self, value: int) -> None:
        if -(1 << 31) <= value < 1 << 31:
            self.file.write(b"J" + struct.pack("<i", value))
            return
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        self.file.write(b"\x8a" + bytes([len(data)]) + data)

    def _bytes(self, value: Bytes) -> None:
        self._align(9 + sum(map(len, value.parts[:-1])))
        self.file.write(b"\x8e" + struct.pack("<Q", sum(map(len, value.parts))))
        for part in value.parts:
            self.file.write(part)

    def _align(self, distance: int) -> None:
        """Make what begins `distance` bytes from here aligned, with a byte string that is dropped at once."""
        padding = -(self.file.tell() + distance) % ALIGNMENT
        if padding:
            padding += ALIGNMENT if padding < 3 else 0  # its opcodes alone take 3 bytes
            self.file.write(b"C" + bytes([padding - 3]) + bytes(padding - 3) + b"0")

    def _call(self, value: Call) -> None:
        if id(value) in self.places:
            self.file.write(b"j" + struct.pack("<I", self.places[id(value)]))
            return
        self._all((value.function, value.arguments), b"", b"R")
        self.places[id(value)] = len(self.places)
        self.file.write(b"\x94")

    def _container(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._all([part for item in value.items() for part in item], b"}(", b"u")
        elif isinstance(value, set):
            self._all(sorted(value), b"\x8f(", b"\x90")
        elif isinstance(value, tuple):
            self._all(value, b"(", b"t")
        else:
            assert isinstance(value, list), f"cannot write {type(value)}"
            self._all(value, b"](", b"e")

    def _all(self, values: Sequence[Any], before: bytes, after: bytes) -> None:
        self.file.write(before)
        for value in values:
            self.write(value)
        self.file.write(after)
