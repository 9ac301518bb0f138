"""Tensors as pickle describes them for torch, each with its numbers in a stream of its own inside the byte string."""

import io
import struct

import torch
from torch import Tensor

from ui2i.converters.inert import Global
from ui2i.converters.pickle_writer import Bytes, Call, Persistent, write_pickle
from ui2i.converters.torch_stream import MAGIC_NUMBER, PROTOCOL_VERSION

_STORAGE_KEY = "0"
_MACHINE = {
    "protocol_version": PROTOCOL_VERSION,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def parameter(value: Tensor) -> Call:
    """Describe a torch.nn.Parameter that needs no gradient."""
    return Call(Global("torch._utils", "_rebuild_parameter"), (tensor(value), False, _no_hooks()))


def tensor(value: Tensor) -> Call:
    """Describe a float32 tensor on the CPU."""
    assert value.dtype == torch.float32, value.dtype
    value = value.detach().contiguous()
    shape, strides = tuple(value.shape), tuple(value.stride())
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), (_storage(value), 0, shape, strides, False, _no_hooks()))


def _storage(value: Tensor) -> Call:
    numbers = value.numpy().reshape(-1).view("uint8").data
    stream = Bytes((_header(value.numel()), numbers))
    return Call(Global("torch.storage", "_load_from_bytes"), (stream,))


def _header(num_elements: int) -> bytes:
    """Return a stream up to the numbers; `torch_stream` has its layout."""
    identifier = ("storage", Global("torch", "FloatStorage"), _STORAGE_KEY, "cpu", num_elements, None)
    file = io.BytesIO()
    for value in (MAGIC_NUMBER, PROTOCOL_VERSION, _MACHINE, Persistent(identifier), [_STORAGE_KEY]):
        write_pickle(file, value)
    return file.getvalue() + struct.pack("<q", num_elements)


def _no_hooks() -> Call:
    return Call(Global("collections", "OrderedDict"), ())
