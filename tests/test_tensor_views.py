"""Tensors in foreign files: where they may lie, and what becomes of their numbers."""

import pytest
import torch

from ui2i.converters.inert import RefusedError
from ui2i.converters.tensor_views import Storage, tensor_view

NUMBERS = torch.arange(24, dtype=torch.float32)


def storage(values: torch.Tensor = NUMBERS, *, misalign: int = 0) -> Storage:
    data = bytearray(misalign) + bytearray(values.view(torch.uint8).numpy().tobytes())
    result = Storage(values.dtype, values.numel())
    result.attach(memoryview(data)[misalign:])
    return result


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((), (), 5),
        ((24,), (1,), 0),
        ((2, 3, 4), (12, 4, 1), 0),
        ((4, 3, 2), (1, 4, 12), 0),
        ((3, 2, 4), (4, 12, 1), 0),
        ((1, 24, 1), (99, 1, 7), 0),
        ((2, 3), (3, 1), 18),
        ((0, 5), (5, 1), 24),
    ],
)
@pytest.mark.parametrize("misalign", [0, 1, 2])
def test_views_are_torch_s(shape: tuple[int, ...], strides: tuple[int, ...], offset: int, misalign: int) -> None:
    view = tensor_view(storage(misalign=misalign), offset, shape, strides)
    result = view.to_tensor("x")
    assert torch.equal(result, NUMBERS.as_strided(shape, strides, offset)) and result.is_contiguous()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((25,), (1,), 0),
        ((2,), (1,), 23),
        ((4, 4), (0, 0), 0),
        ((4, 4), (1, 1), 0),
        ((4,), (2,), 0),
        ((-1,), (1,), 0),
        ((2,), (-1,), 3),
        ((2,), (1,), -1),
        ((2, 2), (2,), 0),
        ((1,) * 9, (1,) * 9, 0),
        ((True,), (1,), 0),
        (("2",), (1,), 0),
    ],
)
def test_views_outside_or_over_themselves(shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> None:
    with pytest.raises(RefusedError, match="expected it to lie inside"):
        tensor_view(storage(), offset, shape, strides)


def test_whole_storages_are_shared_and_others_copied() -> None:
    shared = storage()
    assert shared.data is not None
    tensor = tensor_view(shared, 0, (24,), (1,)).to_tensor("x")
    shared.data[0:4] = torch.tensor(9.0).view(1).view(torch.uint8).numpy().tobytes()
    assert tensor[0] == 9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype) -> None:
    result = tensor_view(storage(NUMBERS.to(dtype)), 0, (24,), (1,)).to_tensor("x")
    assert result.dtype == torch.float32 and torch.equal(result, NUMBERS)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(RefusedError, match="'conv' that are not finite"):
        tensor_view(storage(torch.tensor([1.0, value])), 0, (2,), (1,)).to_tensor("conv")


def test_whole_numbers_are_no_weights() -> None:
    with pytest.raises(RefusedError, match=r"torch\.int64, expected floating-point weights"):
        tensor_view(storage(torch.arange(2)), 0, (2,), (1,)).to_tensor("x")


def test_a_storage_has_the_bytes_it_claims() -> None:
    with pytest.raises(RefusedError, match="has 7 bytes for a storage that claims 8"):
        Storage(torch.float32, 2).attach(memoryview(bytes(7)))
