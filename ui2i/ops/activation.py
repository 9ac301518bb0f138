"""What follows a convolution: scale, bias, noise, leaky ReLU and clamp.

On a CPU these are torch's operators, in place where that is allowed. On a GPU one kernel forwards and one backwards do
all of it; a backward pass that is to be differentiated again (R1, path length) is composed of operators, whose own
derivatives torch knows.
"""

import functools
import importlib.util
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd import Function

from ui2i.ops.convolution import computes_weight_gradients

LRELU_SLOPE = 0.2


def scale_channels(x: Float[Tensor, "n c h w"], scale: Float[Tensor, "n c"]) -> Float[Tensor, "n c h w"]:
    """Multiply each image's channels by its own numbers: `x` [N, C, H, W], `scale` [N, C]."""
    if is_fused(x):
        return _Fused.apply(x, scale, None, None, 1.0, None)
    return x * per_channel(scale, x)


def activate(
    x: Float[Tensor, "n c h w"],
    *,
    scale: Float[Tensor, "n c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    noise: Float[Tensor, "#n 1 h w"] | Float[Tensor, "h w"] | None = None,
    slope: float = LRELU_SLOPE,
    clamp: float | None = None,
) -> Float[Tensor, "n c h w"]:
    """Return clamp(leaky_relu(x * scale + bias + noise)) in the dtype of `x`, which is not to be used any more.

    Args:
        x: [N, C, H, W].
        scale: [N, C].
        bias: [C].
        noise: [N or 1, 1, H, W] or [H, W].
        slope: of the leaky ReLU below 0; 1: there is none.
        clamp: bound of the result's absolute value; None: there is none.
    """
    if is_fused(x):
        return _Fused.apply(x, scale, bias, noise, slope, clamp)
    if scale is not None:
        x = x * per_channel(scale, x)
    if bias is not None:
        x = x.add_(per_channel(bias, x))
    if noise is not None:
        x = x.add_(noise.to(x.dtype))
    if slope != 1:
        x = F.leaky_relu_(x, slope)
    return x if clamp is None else x.clamp(-clamp, clamp)


def is_fused(x: Shaped[Tensor, "..."]) -> bool:
    """Tell whether the GPU's kernels take `x`."""
    return x.is_cuda and x.dtype != torch.float64 and _has_triton()


@functools.cache
def _has_triton() -> bool:
    """Tell whether Triton is there, which comes with torch for Linux."""
    return importlib.util.find_spec("triton") is not None


def per_channel(values: Float[Tensor, "*n c"], x: Float[Tensor, "_ c _ _"]) -> Float[Tensor, "_ c 1 1"]:
    """View [C] or [N, C] so that it broadcasts over the pixels of `x` [N, C, r, r], in the dtype of `x`."""
    return values.to(x.dtype).reshape(-1, x.shape[1], 1, 1)


class _Fused(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        bias: Tensor | None,
        noise: Tensor | None,
        slope: float,
        clamp: float | None,
    ) -> Tensor:
        from ui2i.ops import activation_triton

        y = activation_triton.forward(x, scale, bias, noise, slope, clamp)
        bends = slope != 1 or clamp is not None
        ctx.save_for_backward(None if scale is None else x, scale, noise, y if bends else None)
        ctx.settings = slope, clamp
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x, scale, noise, y), (slope, clamp), (dy,) = ctx.saved_tensors, ctx.settings, grads
        wants_scale = ctx.needs_input_grad[1]
        wants_bias, wants_noise = (
            wanted and computes_weight_gradients() for wanted in (ctx.needs_input_grad[2], ctx.needs_input_grad[3])
        )
        if not torch.is_grad_enabled():
            from ui2i.ops import activation_triton

            found = activation_triton.backward(
                dy,
                x,
                y,
                scale,
                slope,
                clamp,
                wants_scale=wants_scale,
                wants_bias=wants_bias,
                wants_noise=wants_noise,
            )
            dnoise = None if found.noise is None else found.noise.sum_to_size(noise.shape)
            return found.x, found.scale, found.bias, dnoise, None, None
        gradient = dy if y is None else _Slope.apply(dy, y, slope, clamp)
        dx = gradient if scale is None else scale_channels(gradient, scale)
        return (
            dx,
            (gradient * x).sum(dim=(2, 3), dtype=torch.float32) if wants_scale else None,
            gradient.sum(dim=(0, 2, 3), dtype=torch.float32) if wants_bias else None,
            gradient.sum(dim=1, keepdim=True, dtype=torch.float32).sum_to_size(noise.shape) if wants_noise else None,
            None,
            None,
        )


class _Slope(Function):
    """The gradient behind leaky ReLU and clamp: linear in `dy`, piecewise constant in `y`."""

    @staticmethod
    def forward(ctx: Any, dy: Tensor, y: Tensor, slope: float, clamp: float | None) -> Tensor:
        from ui2i.ops import activation_triton

        ctx.save_for_backward(y)
        ctx.settings = slope, clamp
        return activation_triton.backward(dy, None, y, None, slope, clamp).x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return _Slope.apply(grads[0], y, *ctx.settings), None, None, None
