"""Convolutions whose derivatives of every order are convolutions again.

With y = conv(x, w), the adjoint in x is a transposed convolution and the adjoint in w correlates x with y:

    dx = transposed(dy, w)        dw = weight_gradient(x, dy)

All three are linear in both arguments, and each one's derivatives are the other two. PyTorch's own second derivatives
take a detour by swapping images and channels; R1 and path length differentiate twice and pay for it. Geometry is that
of StyleGAN2: square kernels, no dilation, no groups.

A function written in Python is not told which of its gradients the caller of `torch.autograd.grad` asked for. Where
that is the gradient of activations alone, `without_weight_gradients` spares those of the weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

_DILATION = [1, 1]

_weight_gradients = True  # of the whole process: on a GPU, gradients are computed in a thread of their own


def conv2d(
    x: Float[Tensor, "n i _ _"],
    weight: Float[Tensor, "o i k k"],
    bias: Float[Tensor, " o"] | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
) -> Float[Tensor, "n o _ _"]:
    """Convolve `x` [N, I, H, W] with `weight` [O, I, k, k] and add `bias` [O]."""
    return _Convolution.apply(x, weight, bias, stride, padding)


def conv_transpose2d(
    x: Float[Tensor, "n i _ _"], weight: Float[Tensor, "i o k k"], *, stride: int
) -> Float[Tensor, "n o _ _"]:
    """Return the adjoint of `conv2d` with `weight` [I, O, k, k] and no padding: [N, I, H, W] -> [N, O, H', W']."""
    return _Transposed.apply(x, weight, stride, 0, (0, 0))


@contextmanager
def without_weight_gradients() -> Iterator[None]:
    """Within, differentiate convolutions in their inputs alone; weights and biases get no gradient.

    A graph created within still leads back to the weights, so a second derivative outside reaches them.
    """
    global _weight_gradients
    before, _weight_gradients = _weight_gradients, False
    try:
        yield
    finally:
        _weight_gradients = before


def computes_weight_gradients() -> bool:
    """Tell whether weights and biases get gradients now."""
    return _weight_gradients


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding
        return torch.convolution(
            x, weight, bias, [stride] * 2, [padding] * 2, _DILATION, transposed=False, output_padding=[0, 0], groups=1
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (stride, padding), (dy,) = ctx.saved_tensors, ctx.geometry, grads
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = _Transposed.apply(dy, weight, stride, padding, _leftover(x, weight, stride, padding))
        if ctx.needs_input_grad[1] and _weight_gradients:
            dw = _WeightGradient.apply(x, dy, weight.shape, stride, padding)
        if ctx.needs_input_grad[2] and _weight_gradients:
            db = dy.sum(dim=(0, 2, 3))
        return dx, dw, db, None, None


class _Transposed(Function):
    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, stride: int, padding: int, output_padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.geometry = stride, padding
        return torch.convolution(
            y,
            weight,
            None,
            [stride] * 2,
            [padding] * 2,
            _DILATION,
            transposed=True,
            output_padding=output_padding,
            groups=1,
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (y, weight), (stride, padding), (dx,) = ctx.saved_tensors, ctx.geometry, grads
        dy = dw = None
        if ctx.needs_input_grad[0]:
            dy = _Convolution.apply(dx, weight, None, stride, padding)
        if ctx.needs_input_grad[1] and _weight_gradients:
            dw = _WeightGradient.apply(dx, y, weight.shape, stride, padding)
        return dy, dw, None, None, None


class _WeightGradient(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, shape: torch.Size, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.geometry = stride, padding
        if x.device.type == "cpu" and x.dtype == torch.float32:
            if (stride, padding, shape[2]) == (1, 1, 3) and suits_products(x.shape, shape):
                return sum_of_products(x, y)
            if stride > 1 and max(shape[:2]) >= 128:
                x, y = x.contiguous(), y.contiguous()  # where oneDNN takes 2.5 times as long for channels last
        return torch.ops.aten.convolution_backward(
            y,
            x,
            x.new_empty(shape),  # its values do not matter
            None,
            [stride] * 2,
            [padding] * 2,
            _DILATION,
            False,
            [0, 0],
            1,
            [False, True, False],
        )[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x, y), (stride, padding), (dw,) = ctx.saved_tensors, ctx.geometry, grads
        dx = dy = None
        if ctx.needs_input_grad[0]:
            dx = _Transposed.apply(y, dw, stride, padding, _leftover(x, dw, stride, padding))
        if ctx.needs_input_grad[1]:
            dy = _Convolution.apply(x, dw, None, stride, padding)
        return dx, dy, None, None, None


def suits_products(size: torch.Size, shape: torch.Size) -> bool:
    """Tell whether `sum_of_products` is faster than oneDNN's weight gradient of a 3x3 kernel, on AVX2.

    Up to 3.8 times (docs/results/benchmarks.md); on narrower and smaller activations the two are even. AVX-512 was not
    measured.
    """
    num_channels, side = min(shape[:2]), max(size[2:])
    is_large = num_channels >= 256 or (num_channels >= 64 and side >= 64)
    return is_large and torch.backends.cpu.get_cpu_capability() == "AVX2"


def sum_of_products(x: Float[Tensor, "n i h w"], dy: Float[Tensor, "n o h w"]) -> Float[Tensor, "o i 3 3"]:
    """Return the weight gradient [O, I, 3, 3] of a convolution with padding 1 as nine matrix products.

    With both activations in one padded grid, a tap's shift is an offset in memory: each tap is one product over all
    pixels, and where a row or an image ends, zeros meet what comes next.

    Args:
        x: [N, I, H, W].
        dy: [N, O, H, W].
    """
    (num_images, in_channels, height, width), out_channels = x.shape, dy.shape[1]
    rows, columns = height + 2, width + 2
    num_pixels = num_images * rows * columns
    pixels = x.new_zeros(num_pixels + 2 * columns + 2, in_channels)  # the last taps reach beyond the grid
    pixels[:num_pixels].view(num_images, rows, columns, in_channels)[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
    gradients = dy.new_zeros(num_images, rows, columns, out_channels)
    gradients[:, :height, :width] = dy.permute(0, 2, 3, 1)
    transposed = gradients.view(num_pixels, out_channels).t()
    taps = x.new_empty(3, 3, out_channels, in_channels)
    for row in range(3):
        for column in range(3):
            start = row * columns + column
            torch.mm(transposed, pixels[start : start + num_pixels], out=taps[row, column])
    return taps.permute(2, 3, 0, 1)


def _leftover(x: Tensor, weight: Tensor, stride: int, padding: int) -> tuple[int, int]:
    """Rows and columns at the far border of `x` that the strided kernel never reaches."""
    height, width = ((size + 2 * padding - weight.shape[2]) % stride for size in x.shape[2:])
    return height, width
