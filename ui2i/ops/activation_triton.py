"""Scale, bias, noise, leaky ReLU and clamp on a GPU: one pass over memory forwards and one backwards, in Triton.

Written as separate operators, a layer's activations pass through memory six times forwards and fourteen backwards,
which on a GPU costs more than its convolution. `activation` says what is computed; here are the kernels alone.
Activations are NCHW in channels-last layout, P pixels an image, and sums are in float32. Reductions go through a table
of partial sums, not through atomics, so that equal inputs give equal bits.
"""

import dataclasses

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from ui2i.ops.triton_blocks import block_shape

_TILES = 16  # of a program that sums over pixels


@dataclasses.dataclass(frozen=True)
class Gradients:
    """Of the inputs that were asked for; the others are None."""

    x: Tensor
    scale: Tensor | None  # [N, C]
    bias: Tensor | None  # [C]
    noise: Tensor | None  # [N, 1, H, W]


def forward(
    x: Float[Tensor, "n c h w"],
    scale: Float[Tensor, "n c"] | None,
    bias: Float[Tensor, " c"] | None,
    noise: Float[Tensor, "#n 1 h w"] | Float[Tensor, "h w"] | None,
    slope: float,
    clamp: float | None,
) -> Float[Tensor, "n c h w"]:
    """Return clamp(leaky_relu(x * scale + bias + noise)) in the dtype of `x`.

    Args:
        x: [N, C, H, W].
        scale: [N, C].
        bias: [C].
        noise: [N or 1, 1, H, W] or [H, W].
        slope: of the leaky ReLU below 0; 1: there is none.
        clamp: bound of the result's absolute value; None: there is none.
    """
    num_images, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.empty_like(x, memory_format=torch.channels_last)
    block_c, block_p = block_shape(channels, height * width)
    grid = (triton.cdiv(height * width, block_p), triton.cdiv(channels, block_c), num_images)
    _forward_kernel[grid](
        x,
        y,
        _dense(scale, x),
        _dense(bias, x),
        _dense(noise, x),
        channels,
        height * width,
        0 if noise is None or noise.numel() == height * width else height * width,
        slope,
        clamp or 0.0,
        scale is not None,
        bias is not None,
        noise is not None,
        clamp is not None,
        block_p,
        block_c,
    )
    return y


def backward(
    dy: Float[Tensor, "n c h w"],
    x: Float[Tensor, "n c h w"] | None,
    y: Float[Tensor, "n c h w"] | None,
    scale: Float[Tensor, "n c"] | None,
    slope: float,
    clamp: float | None,
    *,
    wants_scale: bool = False,
    wants_bias: bool = False,
    wants_noise: bool = False,
) -> Gradients:
    """Return the gradients of `forward`.

    Args:
        dy: [N, C, H, W].
        x: what `forward` took; needed for the gradient of `scale` alone.
        y: what it returned; needed unless it neither activated nor clamped.
    """
    num_images, channels, height, width = dy.shape
    num_pixels = height * width
    dy = dy.contiguous(memory_format=torch.channels_last)
    dx = torch.empty_like(dy, memory_format=torch.channels_last)
    x, y = (None if value is None else value.contiguous(memory_format=torch.channels_last) for value in (x, y))
    block_c, block_p = block_shape(channels, num_pixels)
    tiles = min(_TILES, triton.cdiv(num_pixels, block_p))
    strips, blocks = triton.cdiv(num_pixels, tiles * block_p), triton.cdiv(channels, block_c)
    scale_sums = _sums(dy, num_images, strips, channels) if wants_scale else None
    bias_sums = _sums(dy, num_images, strips, channels) if wants_bias else None
    noise_sums = _sums(dy, num_images, blocks, num_pixels) if wants_noise else None
    _backward_kernel[(strips, blocks, num_images)](
        dy,
        dx,
        dy if x is None else x,
        dy if y is None else y,
        _dense(scale, dy),
        _dense(scale_sums, dy),
        _dense(bias_sums, dy),
        _dense(noise_sums, dy),
        channels,
        num_pixels,
        slope,
        clamp or 0.0,
        y is not None,
        scale is not None,
        clamp is not None,
        wants_scale,
        wants_bias,
        wants_noise,
        tiles,
        block_p,
        block_c,
    )
    return Gradients(
        dx,
        None if scale_sums is None else scale_sums.sum(dim=1),
        None if bias_sums is None else bias_sums.sum(dim=(0, 1)),
        None if noise_sums is None else noise_sums.sum(dim=1).view(num_images, 1, height, width),
    )


def _sums(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, device=like.device, dtype=torch.float32)


def _dense(tensor: Tensor | None, instead: Tensor) -> Tensor:
    """Return a tensor that lies in memory without gaps; for one that the kernel will not read, any other."""
    return instead if tensor is None else tensor.contiguous()


@triton.jit
def _forward_kernel(  # type: ignore[no-untyped-def]
    x,
    y,
    scale,
    bias,
    noise,
    channels,
    num_pixels,
    noise_stride,
    slope,
    clamp,
    HAS_SCALE: tl.constexpr,  # noqa: N803
    HAS_BIAS: tl.constexpr,  # noqa: N803
    HAS_NOISE: tl.constexpr,  # noqa: N803
    HAS_CLAMP: tl.constexpr,  # noqa: N803
    BLOCK_P: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    pixel = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    image = tl.program_id(2).to(tl.int64)
    mask = (pixel < num_pixels)[:, None] & (channel < channels)[None, :]
    offsets = image * num_pixels * channels + pixel[:, None] * channels + channel[None, :]
    value = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    if HAS_SCALE:
        value *= tl.load(scale + image * channels + channel, mask=channel < channels, other=0.0)[None, :].to(tl.float32)
    if HAS_BIAS:
        value += tl.load(bias + channel, mask=channel < channels, other=0.0)[None, :].to(tl.float32)
    if HAS_NOISE:
        value += tl.load(noise + image * noise_stride + pixel, mask=pixel < num_pixels, other=0.0)[:, None].to(
            tl.float32
        )
    value = tl.where(value > 0, value, value * slope)
    if HAS_CLAMP:
        value = tl.minimum(tl.maximum(value, -clamp), clamp)
    tl.store(y + offsets, value.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _backward_kernel(  # type: ignore[no-untyped-def]
    dy,
    dx,
    x,
    y,
    scale,
    scale_sums,
    bias_sums,
    noise_sums,
    channels,
    num_pixels,
    slope,
    clamp,
    HAS_Y: tl.constexpr,  # noqa: N803
    HAS_SCALE: tl.constexpr,  # noqa: N803
    HAS_CLAMP: tl.constexpr,  # noqa: N803
    WANTS_SCALE: tl.constexpr,  # noqa: N803
    WANTS_BIAS: tl.constexpr,  # noqa: N803
    WANTS_NOISE: tl.constexpr,  # noqa: N803
    TILES: tl.constexpr,  # noqa: N803
    BLOCK_P: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    image = tl.program_id(2).to(tl.int64)
    base = image * num_pixels * channels
    is_channel = channel < channels
    factor = tl.full([BLOCK_C], 1.0, tl.float32)
    if HAS_SCALE:
        factor = tl.load(scale + image * channels + channel, mask=is_channel, other=0.0).to(tl.float32)
    scale_sum = tl.zeros([BLOCK_C], tl.float32)
    bias_sum = tl.zeros([BLOCK_C], tl.float32)
    for tile in range(TILES):
        pixel = (tl.program_id(0) * TILES + tile) * BLOCK_P + tl.arange(0, BLOCK_P)
        mask = (pixel < num_pixels)[:, None] & is_channel[None, :]
        offsets = base + pixel[:, None] * channels + channel[None, :]
        gradient = tl.load(dy + offsets, mask=mask, other=0.0).to(tl.float32)
        if HAS_Y:
            value = tl.load(y + offsets, mask=mask, other=0.0).to(tl.float32)
            gradient = tl.where(value > 0, gradient, gradient * slope)
            if HAS_CLAMP:
                gradient = tl.where(tl.abs(value) < clamp, gradient, 0.0)
        tl.store(dx + offsets, (gradient * factor[None, :]).to(dx.dtype.element_ty), mask=mask)
        if WANTS_SCALE:
            scale_sum += tl.sum(gradient * tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32), axis=0)
        if WANTS_BIAS:
            bias_sum += tl.sum(gradient, axis=0)
        if WANTS_NOISE:
            place = (image * tl.num_programs(1) + tl.program_id(1)) * num_pixels + pixel
            tl.store(noise_sums + place, tl.sum(gradient, axis=1), mask=pixel < num_pixels)
    row = (image * tl.num_programs(0) + tl.program_id(0)) * channels + channel
    if WANTS_SCALE:
        tl.store(scale_sums + row, scale_sum, mask=is_channel)
    if WANTS_BIAS:
        tl.store(bias_sums + row, bias_sum, mask=is_channel)
