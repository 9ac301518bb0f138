"""StyleGAN2's [1, 3, 3, 1] filter: blurring, and resampling by 2.

On a CPU the filter is a depthwise 4x4 convolution, which is fast where the channels lie side by side in memory
(channels last); on a GPU it is a kernel of `resample_triton`.
It is symmetric, so its adjoint is itself with other padding, and the adjoint of sampling down is sampling up: every
derivative is again one of the three functions here. Filters and paddings: Karras et al., arXiv 1912.04958.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from ui2i.ops.activation import is_fused

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def blur(
    x: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1.0
) -> Float[Tensor, "n c h+2*{padding}-3 w+2*{padding}-3"]:
    """Filter `x` [N, C, H, W] to [N, C, H + 2 padding - 3, W + 2 padding - 3]; zeros lie beyond the border."""
    return _Blur.apply(x, padding, gain)


def upsample2x(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Return `x` [N, C, H, W] at twice the resolution; zeros lie beyond the border."""
    return _Upsample.apply(x, 4.0)


def downsample2x(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
    """Return `x` [N, C, H, W] (even H, W) at half the resolution; zeros lie beyond the border."""
    return _Downsample.apply(x, 1.0)


class _Blur(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, padding: int, gain: float) -> Tensor:
        ctx.settings = padding, gain
        if is_fused(x):
            from ui2i.ops import resample_triton

            return resample_triton.filter2d(x, stride=1, padding=padding, gain=gain)
        return F.conv2d(x, _kernel(x, gain), padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        padding, gain = ctx.settings
        return _Blur.apply(grads[0], len(FIR_TAPS) - 1 - padding, gain), None, None


class _Upsample(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: float) -> Tensor:
        ctx.gain = gain
        if is_fused(x):
            from ui2i.ops import resample_triton

            return resample_triton.upsample2x(x, gain=gain)
        kernel, channels = _kernel(x, gain), x.shape[1]
        if x.device.type == "cpu" and x.dtype != torch.float32:
            # oneDNN has no fast depthwise transposed convolution in bf16: 17 ms where this takes 0.5.
            return F.conv2d(_insert_zeros(x), kernel, groups=channels)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Downsample.apply(grads[0], ctx.gain), None


class _Downsample(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: float) -> Tensor:
        ctx.gain = gain
        if is_fused(x):
            from ui2i.ops import resample_triton

            return resample_triton.filter2d(x, stride=2, padding=1, gain=gain)
        return F.conv2d(x, _kernel(x, gain), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Upsample.apply(grads[0], ctx.gain), None


def _insert_zeros(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2 H + 3, 2 W + 3], channels last: a zero after each pixel, and the filter's padding."""
    num_images, channels, height, width = x.shape
    sparse = x.new_zeros(num_images, 2 * height + 3, 2 * width + 3, channels).permute(0, 3, 1, 2)
    sparse[:, :, 2:-1:2, 2:-1:2] = x
    return sparse


def _kernel(x: Tensor, gain: float) -> Tensor:
    return _depthwise_kernel(x.device, x.dtype, gain, x.shape[1])


@functools.lru_cache(maxsize=128)
@torch.inference_mode(False)  # a cached inference tensor could not be used in training later
def _depthwise_kernel(device: torch.device, dtype: torch.dtype, gain: float, channels: int) -> Tensor:
    """[C, 1, 4, 4], whose sum is `gain` for each channel."""
    taps = torch.tensor(FIR_TAPS, dtype=torch.float64)
    kernel = torch.outer(taps, taps) * (gain / taps.sum().square())
    return kernel.to(device=device, dtype=dtype).expand(channels, 1, -1, -1).contiguous()
