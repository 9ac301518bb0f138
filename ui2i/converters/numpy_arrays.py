"""Arrays of numpy in pickles, as tensors: some tools keep the mean of w as one."""

import math
from typing import Any

import torch

from ui2i.converters.inert import Bystander
from ui2i.converters.tensor_views import Storage, row_major_strides, tensor_view

ARRAY = "an array of numpy"
_DTYPES = {"f2": torch.float16, "f4": torch.float32, "f8": torch.float64}


def as_view(value: Any) -> Any:
    """Return an array of floating-point numbers as a view of its bytes, and anything else as it is.

    Raises:
        RefusedError: the array has another number of bytes than its shape needs.
    """
    match value:
        case Bystander(
            kind=kind,
            state=(
                _,
                tuple(shape),
                Bystander(kind="numpy.dtype", value=str(code), state=None | (_, "<" | "|" | "=", *_)),
                bool(is_fortran),
                memoryview() as data,
            ),
        ) if kind == ARRAY and code in _DTYPES and all(type(size) is int and size >= 0 for size in shape[:9]):
            storage = Storage(_DTYPES[code], math.prod(shape[:9]))
            storage.attach(data)
            strides = row_major_strides(shape[::-1])[::-1] if is_fortran else row_major_strides(shape)
            return tensor_view(storage, 0, shape, strides)
        case _:
            return value
