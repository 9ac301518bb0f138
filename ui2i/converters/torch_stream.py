"""torch's first file format: five pickles one after another, then the storages. Old `.pt` files have it, and every
tensor inside a `.pkl` of NVIDIA's is one.

    magic number, protocol version, facts of the machine, the value, keys of the storages, {length, numbers} each
"""

import struct
from typing import Any

from ui2i.converters.budget import Budget
from ui2i.converters.inert import DAMAGED, RefusedError
from ui2i.converters.pickle_reader import read_pickle
from ui2i.converters.tensor_views import Storage
from ui2i.converters.vocabulary import TorchVocabulary, new_storage
from ui2i.untrusted import shown

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAGIC_BYTES = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little") + b"."

_LENGTH = struct.Struct("<q")


def read_stream(data: memoryview, budget: Budget) -> Any:
    """Return the value of a stream.

    Raises:
        RefusedError: it is no stream, ends early, or has other storages than it says.
    """
    return _read(data, budget, can_embed=True)


def read_embedded_storage(data: memoryview, budget: Budget) -> Storage:
    """Return the storage that a byte string inside a pickle holds.

    Raises:
        RefusedError: as `read_stream`, or it holds something else.
    """
    value = _read(data, budget, can_embed=False)
    if type(value) is not Storage:
        raise RefusedError(f"embeds {shown(value)}, expected the numbers of a tensor; fetch the file again")
    return value


def _read(data: memoryview, budget: Budget, *, can_embed: bool) -> Any:
    storages: dict[str, Storage] = {}

    def find_storage(kind: str, key: str, num_elements: int) -> Storage:
        new = new_storage(kind, num_elements)
        found = storages.setdefault(key, new)
        if (found.dtype, found.num_elements) != (new.dtype, new.num_elements):
            raise RefusedError(f"describes storage {shown(key)} in two ways, expected one; fetch the file again")
        return found

    vocabulary = TorchVocabulary(budget, find_storage, read_embedded_storage if can_embed else None)
    position = _read_header(data, budget)
    value, position = read_pickle(data, vocabulary, position)
    keys, position = read_pickle(data, vocabulary, position)
    _attach(data, position, keys, storages)
    return value


def _read_header(data: memoryview, budget: Budget) -> int:
    plain = TorchVocabulary(budget)
    magic, position = read_pickle(data, plain)
    version, position = read_pickle(data, plain, position)
    machine, position = read_pickle(data, plain, position)
    if magic != MAGIC_NUMBER or version != PROTOCOL_VERSION or type(machine) is not dict:
        raise RefusedError(
            f"begins with {shown(magic)} and {shown(version)}, expected torch's magic number and version "
            f"{PROTOCOL_VERSION}; fetch it again"
        )
    if machine.get("little_endian") is not True:
        raise RefusedError("has big-endian numbers, expected little-endian ones; save it again on a usual machine")
    return position


def _attach(data: memoryview, position: int, keys: Any, storages: dict[str, Storage]) -> None:
    if type(keys) is not list or set(storages) - {key for key in keys if type(key) is str}:
        raise RefusedError(f"lists the storages {shown(keys)}, expected those it uses; fetch it again")
    for key in keys:
        storage = storages.pop(key, None) if type(key) is str else None
        if storage is None:
            raise RefusedError(f"lists storage {shown(key)}, expected those it uses, once each; fetch it again")
        start = position + _LENGTH.size
        if start > len(data) or _LENGTH.unpack_from(data, position)[0] != storage.num_elements:
            raise RefusedError(
                f"has another length for storage {shown(key)} than the {storage.num_elements:,} elements it claims, "
                f"expected the same; {DAMAGED}"
            )
        storage.attach(data[start : start + storage.num_bytes])
        position = start + storage.num_bytes
