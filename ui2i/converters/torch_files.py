"""Foreign files as trees of plain containers and tensor views: `.pt` of either format, and `.pkl`.

The kind of file is told by its first bytes, never by its name. The file is mapped into memory, not read: only the
parts that are used are ever touched.
"""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ui2i.converters.budget import Budget
from ui2i.converters.file_kinds import raise_if_known
from ui2i.converters.inert import RefusedError
from ui2i.converters.pickle_reader import read_pickle
from ui2i.converters.tensor_views import Storage
from ui2i.converters.torch_stream import MAGIC_BYTES, read_embedded_storage, read_stream
from ui2i.converters.vocabulary import TorchVocabulary, new_storage
from ui2i.converters.zip_records import Record, read_directory
from ui2i.errors import CheckpointError
from ui2i.tensor_files import refuse_pipe
from ui2i.untrusted import shown

MIN_PICKLE_PROTOCOL, MAX_PICKLE_PROTOCOL = 2, 5


def map_file(path: Path) -> memoryview:
    """Return a file's bytes, mapped. Tensors made of them may be written to: the file never changes.

    Raises:
        CheckpointError: it is missing, empty or unreadable.
    """
    refuse_pipe(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise RefusedError("is empty, expected a checkpoint; fetch it again")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}), expected a checkpoint; correct the path"
        ) from error


def release(data: memoryview) -> None:
    """Give back the memory of a mapped file's pages. Those that tensors still use come back when they are read."""
    mapped = data.obj
    if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def read_tree(data: memoryview) -> Any:
    """Return what a foreign file describes.

    Raises:
        RefusedError: it is no checkpoint, damaged, or contains more than data.
    """
    start, budget = bytes(data[:512]), Budget(len(data))
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(data, budget)
    if start.startswith(MAGIC_BYTES):
        return read_stream(data, budget)
    if len(start) > 1 and start[0] == 0x80 and MIN_PICKLE_PROTOCOL <= start[1] <= MAX_PICKLE_PROTOCOL:
        return read_pickle(data, TorchVocabulary(budget, read_embedded=read_embedded_storage))[0]
    raise_if_known(start)
    raise RefusedError(
        f"begins with {shown(start[:8])}, expected a checkpoint of ui2i (.safetensors), rosinality (.pt) or "
        "stylegan2-ada-pytorch (.pkl); check which file it is"
    )


def is_torch_zip(records: Mapping[str, Record]) -> bool:
    """Whether a zip is one that `torch.save` wrote, and not an archive of files."""
    return any(name.count("/") == 1 and name.endswith(("/data.pkl", "/constants.pkl")) for name in records)


def _read_zip(data: memoryview, budget: Budget) -> Any:
    records = read_directory(data)
    roots = [name.removesuffix("/data.pkl") for name in records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1 or f"{roots[0]}/constants.pkl" in records:
        raise RefusedError(
            "is a zip without one data.pkl, or a TorchScript program, expected a checkpoint that torch.save wrote; "
            "save the networks' state_dict"
        )
    root = roots[0]
    if f"{root}/byteorder" in records and records[f"{root}/byteorder"].checked() != b"little":
        raise RefusedError("has big-endian numbers, expected little-endian ones; save it again on a usual machine")
    storages: dict[str, Storage] = {}

    def find_storage(kind: str, key: str, num_elements: int) -> Storage:
        new = new_storage(kind, num_elements)
        if key not in storages:
            if f"{root}/data/{key}" not in records:
                raise RefusedError(f"lacks the storage {shown(key)}, expected a whole file; fetch it again")
            record = records[f"{root}/data/{key}"]
            new.attach(record.stored())
            new.crc32 = record.crc32
            storages[key] = new
        if (storages[key].dtype, storages[key].num_elements) != (new.dtype, num_elements):
            raise RefusedError(f"describes storage {shown(key)} in two ways, expected one; fetch the file again")
        return storages[key]

    pickle = records[f"{root}/data.pkl"].checked()
    vocabulary = TorchVocabulary(budget, find_storage, read_embedded_storage)
    return read_pickle(pickle, vocabulary)[0]
