"""Tensors of foreign files: where their numbers lie in the file, checked before a byte of them is read.

torch itself resizes a storage to the shape that a file claims, and a stride of 0 makes a huge tensor of one number.
Here a tensor must lie wholly inside its storage, use every element at most once, and its storage must have just the
bytes that it claims.
"""

import dataclasses
import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from ui2i.converters.inert import DAMAGED, RefusedError
from ui2i.tensor_files import is_finite
from ui2i.untrusted import shown

MAX_DIMENSIONS = 8

# Names of torch's typed storages; what is no floating-point number can only be a bystander.
STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclasses.dataclass(slots=True)
class Storage:
    """A run of numbers; `data` is None until the place in the file is known."""

    dtype: torch.dtype
    num_elements: int
    data: memoryview | None = None
    crc32: int = 0  # of the numbers, as the file has it; 0: unknown, or found to be right

    @property
    def num_bytes(self) -> int:
        """Size of the numbers in the file."""
        return self.num_elements * self.dtype.itemsize

    def attach(self, data: memoryview) -> None:
        """Say where the numbers lie.

        Raises:
            RefusedError: the place has another size than the storage claims.
        """
        if len(data) != self.num_bytes:
            raise RefusedError(
                f"has {len(data):,} bytes for a storage that claims {self.num_bytes:,}, expected as many; {DAMAGED}"
            )
        self.data = data

    def check(self, name: str) -> None:
        """Raise RefusedError unless the numbers are those that were written, as far as the file says.

        Args:
            name: of a tensor in it, for the message.
        """
        if self.crc32 and self.data is not None and zlib.crc32(self.data) != self.crc32:
            raise RefusedError(
                f"has other numbers for {shown(name)} than were written (its checksum is another), expected the same; "
                f"{DAMAGED}"
            )
        self.crc32 = 0


@dataclasses.dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor inside a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def num_elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Size of the numbers."""
        return self.num_elements * self.storage.dtype.itemsize

    def to_tensor(self, name: str) -> Tensor:
        """Return the numbers as a float32 tensor, contiguous.

        It shares the file's bytes where those are float32, in order and aligned; otherwise it is a copy.

        Args:
            name: of the tensor, for messages.

        Raises:
            RefusedError: the numbers are no floating-point ones, were changed, or some are not finite.
        """
        if not self.storage.dtype.is_floating_point:
            raise RefusedError(
                f"has {shown(name)} of {self.storage.dtype}, expected floating-point weights; "
                "save the networks again without quantisation"
            )
        self.storage.check(name)
        tensor = self._raw().float().contiguous()
        if not is_finite(tensor):
            raise RefusedError(
                f"has values in {shown(name)} that are not finite, expected trained weights; take an earlier snapshot"
            )
        return tensor

    def _raw(self) -> Tensor:
        assert self.storage.data is not None
        if self.num_elements == 0:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        start = self.offset * self.storage.dtype.itemsize
        data = self.storage.data[start : start + self.num_bytes]
        flat = torch.frombuffer(data, dtype=self.storage.dtype, count=self.num_elements)
        if flat.data_ptr() % self.storage.dtype.itemsize:  # an embedded storage may begin at any byte
            flat = torch.frombuffer(bytearray(data), dtype=self.storage.dtype)
        return flat.as_strided(self.shape, self.strides)


def tensor_view(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorView:
    """Describe a tensor.

    Raises:
        RefusedError: it does not lie in its storage, or uses an element twice.
    """
    view = TensorView(storage, offset, shape, strides)
    numbers = (offset, *shape, *strides)
    if (
        len(shape) != len(strides)
        or len(shape) > MAX_DIMENSIONS
        or any(type(number) is not int or number < 0 for number in numbers)
        or offset + view.num_elements > storage.num_elements
        or not _is_dense(shape, strides)
    ):
        raise RefusedError(
            f"claims a tensor of shape {shown(shape)} and strides {shown(strides)} at {shown(offset)} in a storage of "
            f"{storage.num_elements:,} elements, expected it to lie inside; {DAMAGED}"
        )
    return view


def row_major_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements fill a run without gaps, in any order of the axes (converted files have permuted ones)."""
    if 0 in shape:
        return True
    expected = 1
    for stride, size in sorted((stride, size) for size, stride in zip(shape, strides, strict=True) if size != 1):
        if stride != expected:
            return False
        expected *= size
    return True
