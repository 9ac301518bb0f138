"""Tensors of safetensors files that other tools wrote, as views of the mapped file."""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ui2i.converters.inert import RefusedError
from ui2i.converters.tensor_views import Storage, TensorView, row_major_strides, tensor_view
from ui2i.tensor_files import KEY, last_line, read_layout
from ui2i.untrusted import shortened, shown

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def is_safetensors(data: memoryview) -> bool:
    """Whether a file begins as safetensors do."""
    return len(data) > 9 and data[8] == ord("{") and int.from_bytes(data[:8], "little") <= len(data)


def is_native(path: Path) -> bool:
    """Whether a safetensors file is this project's, or too damaged to tell."""
    try:
        layout = read_layout(path)
        return KEY in layout.get("__metadata__", {})
    except (ValueError, TypeError, RecursionError):
        return True


def read_safetensors(path: Path, data: memoryview) -> dict[str, TensorView]:
    """Return the tensors of a file by name.

    Raises:
        RefusedError: it is damaged.
    """
    try:
        layout = read_layout(path)
        with safe_open(path, framework="pt"):  # checks that tensors fill the file, each its place, and none another's
            pass
    except (SafetensorError, ValueError, OSError, RecursionError) as error:
        raise RefusedError(
            f"is not a readable checkpoint ({shortened(last_line(error))}), expected safetensors; fetch it again"
        ) from error
    start = 8 + int.from_bytes(data[:8], "little")
    views = {}
    for name, entry in layout.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise RefusedError(
                f"has {shown(name)} of {shown(entry['dtype'])}, expected floating-point weights; save the networks "
                "again without quantisation"
            )
        shape = tuple(entry["shape"])
        storage = Storage(_DTYPES[entry["dtype"]], math.prod(shape))
        first, last = entry["data_offsets"]
        storage.attach(data[start + first : start + last])
        views[name] = tensor_view(storage, 0, shape, row_major_strides(shape))
    return views
