"""StyleGAN2's [1, 3, 3, 1] filter on a GPU: one pass over memory, in Triton.

A program takes a strip of some rows. Each input row is filtered across once, and the last rows stay in registers, from
which an output row is summed. Sums are in float32. Functions take and return NCHW tensors in channels-last layout;
`resample` says what they compute.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from ui2i.ops.triton_blocks import block_shape

_ROWS = 8  # output rows of a program


def filter2d(x: Float[Tensor, "n c h w"], *, stride: int, padding: int, gain: float) -> Float[Tensor, "n c _ _"]:
    """Filter `x` [N, C, H, W] and keep every `stride`-th (1 or 2) row and column; zeros lie beyond the border."""
    num_images, channels, height, width = x.shape
    size = [(side + 2 * padding - 4) // stride + 1 for side in (height, width)]
    x, y = _channels_last(x), _empty(x, size)
    block_c, block_x = block_shape(channels, size[1])
    grid = (triton.cdiv(size[1], block_x) * triton.cdiv(channels, block_c), triton.cdiv(size[0], _ROWS), num_images)
    _filter_kernel[grid](
        x, y, channels, height, width, size[0], size[1], padding, gain / 64, stride, _ROWS, block_x, block_c
    )
    return y


def upsample2x(x: Float[Tensor, "n c h w"], *, gain: float) -> Float[Tensor, "n c 2*h 2*w"]:
    """Return `x` [N, C, H, W] at twice the resolution, filtered; zeros lie beyond the border."""
    num_images, channels, height, width = x.shape
    x, y = _channels_last(x), _empty(x, [2 * height, 2 * width])
    block_c, block_x = block_shape(channels, width)
    rows = _ROWS // 2
    grid = (triton.cdiv(width, block_x) * triton.cdiv(channels, block_c), triton.cdiv(height, rows), num_images)
    _upsample_kernel[grid](x, y, channels, height, width, gain / 64, rows, block_x, block_c)
    return y


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _empty(x: Tensor, size: list[int]) -> Tensor:
    shape = (*x.shape[:2], *size)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


@triton.jit
def _load(x, row, column, channel, channels, height, width):  # type: ignore[no-untyped-def]
    """Return pixels of one row [BLOCK_X, BLOCK_C] as float32; 0 beyond the border."""
    rows = row + 0 * column  # Triton 3.9's interpreter mixes up types where a mask meets a single truth value
    inside = (column >= 0) & (column < width) & (rows >= 0) & (rows < height)
    mask = inside[:, None] & (channel < channels)[None, :]
    offsets = (row * width + column)[:, None] * channels + channel[None, :]
    return tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _across(x, row, column, channel, channels, height, width):  # type: ignore[no-untyped-def]
    """Return a row filtered across, the first of the four taps at `column`."""
    outer = _load(x, row, column, channel, channels, height, width) + _load(
        x, row, column + 3, channel, channels, height, width
    )
    inner = _load(x, row, column + 1, channel, channels, height, width) + _load(
        x, row, column + 2, channel, channels, height, width
    )
    return outer + 3.0 * inner


@triton.jit
def _filter_kernel(  # type: ignore[no-untyped-def]
    x,
    y,
    channels,
    height,
    width,
    out_height,
    out_width,
    padding,
    scale,
    STRIDE: tl.constexpr,  # noqa: N803
    ROWS: tl.constexpr,  # noqa: N803
    BLOCK_X: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    num_blocks_c = tl.cdiv(channels, BLOCK_C)
    channel = (tl.program_id(0) % num_blocks_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    out_column = (tl.program_id(0) // num_blocks_c) * BLOCK_X + tl.arange(0, BLOCK_X)
    first_row = tl.program_id(1) * ROWS
    image = tl.program_id(2).to(tl.int64)
    x += image * height * width * channels
    y += image * out_height * out_width * channels
    column = out_column * STRIDE - padding
    mask = (out_column < out_width)[:, None] & (channel < channels)[None, :]

    top = first_row * STRIDE - padding
    row0 = _across(x, top, column, channel, channels, height, width)
    row1 = _across(x, top + 1, column, channel, channels, height, width)
    row2 = row1  # of stride 1 alone, which keeps three rows
    if STRIDE == 1:
        row2 = _across(x, top + 2, column, channel, channels, height, width)
    for index in range(ROWS):
        out_row = first_row + index
        row = out_row * STRIDE - padding
        if STRIDE == 2:
            row2 = _across(x, row + 2, column, channel, channels, height, width)
        row3 = _across(x, row + 3, column, channel, channels, height, width)
        value = (row0 + row3 + 3.0 * (row1 + row2)) * scale
        offsets = (out_row * out_width + out_column)[:, None] * channels + channel[None, :]
        is_row = (out_row + 0 * out_column < out_height)[:, None]
        tl.store(y + offsets, value.to(y.dtype.element_ty), mask=mask & is_row)
        if STRIDE == 1:
            row0, row1, row2 = row1, row2, row3
        else:
            row0, row1 = row2, row3


@triton.jit
def _upsample_kernel(  # type: ignore[no-untyped-def]
    x,
    y,
    channels,
    height,
    width,
    scale,
    ROWS: tl.constexpr,  # noqa: N803
    BLOCK_X: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    """Each pixel makes 2 x 2, of which two sides take a third of their weight from the neighbour there."""
    num_blocks_c = tl.cdiv(channels, BLOCK_C)
    channel = (tl.program_id(0) % num_blocks_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    column = (tl.program_id(0) // num_blocks_c) * BLOCK_X + tl.arange(0, BLOCK_X)
    first_row = tl.program_id(1) * ROWS
    image = tl.program_id(2).to(tl.int64)
    x += image * height * width * channels
    y += image * height * width * channels * 4
    mask = (column < width)[:, None] & (channel < channels)[None, :]

    above = _load(x, first_row - 1, column, channel, channels, height, width)
    here = _load(x, first_row, column, channel, channels, height, width)
    left_above = 3.0 * above + _load(x, first_row - 1, column - 1, channel, channels, height, width)
    right_above = 3.0 * above + _load(x, first_row - 1, column + 1, channel, channels, height, width)
    left = 3.0 * here + _load(x, first_row, column - 1, channel, channels, height, width)
    right = 3.0 * here + _load(x, first_row, column + 1, channel, channels, height, width)
    for index in range(ROWS):
        row = first_row + index
        below = _load(x, row + 1, column, channel, channels, height, width)
        left_below = 3.0 * below + _load(x, row + 1, column - 1, channel, channels, height, width)
        right_below = 3.0 * below + _load(x, row + 1, column + 1, channel, channels, height, width)
        inside = mask & (row + 0 * column < height)[:, None]
        offsets = (2 * row * 2 * width + 2 * column)[:, None] * channels + channel[None, :]
        next_row = 2 * width * channels
        dtype = y.dtype.element_ty
        tl.store(y + offsets, ((3.0 * left + left_above) * scale).to(dtype), mask=inside)
        tl.store(y + offsets + channels, ((3.0 * right + right_above) * scale).to(dtype), mask=inside)
        tl.store(y + offsets + next_row, ((3.0 * left + left_below) * scale).to(dtype), mask=inside)
        tl.store(y + offsets + next_row + channels, ((3.0 * right + right_below) * scale).to(dtype), mask=inside)
        left_above, right_above, left, right = left, right, left_below, right_below
