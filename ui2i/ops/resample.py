"""Resampling by 2 with StyleGAN2's [1, 3, 3, 1] filter, alone or folded into a 3x3 convolution.

The literal form inserts zeros (or blurs at full resolution) and then runs a 4x4 filter over every channel: more passes
over the largest activations, forwards and backwards. Here

* a filter that stands alone is a polyphase sum of shifted slices;
* a filter beside a 3x3 convolution is multiplied into its weight. The product has 6x6 taps at stride 2, and splits by
  phase into an ordinary 3x3 convolution at the *lower* resolution, between which and the higher one lies only a
  rearrangement of channels (`pixel_shuffle`, `pixel_unshuffle`).

Both are exact, borders included: `tests/test_ops.py` compares them with the literal form in float64. The folded
weight has four times the multiplications of a stride-2 convolution, in exchange for no filter at all; which wins
depends on dtype and width, and `benchmarks/bench_training.py` measures it. Filters and paddings: Karras et al.,
arXiv 1912.04958.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def upsample2x(x: Tensor) -> Tensor:
    """Return `x` [N, C, H, W] at twice the resolution; zeros lie beyond the border."""
    return _upsample_axis(_upsample_axis(x, 2), 3)


def downsample2x(x: Tensor) -> Tensor:
    """Return `x` [N, C, H, W] (even H, W) at half the resolution; zeros lie beyond the border."""
    return _downsample_axis(_downsample_axis(x, 3), 2)


def fold_upsampling(weight: Tensor) -> Tensor:
    """Multiply the upsampling filter into a 3x3 weight [O, I, 3, 3].

    Returns:
        Weight [4 O, I, 3, 3] of a convolution at the low resolution (padding 1). `pixel_shuffle(2)` of its output is
        what a stride-2 transposed convolution with `weight` followed by the filter gives.
    """
    num_out, num_in = weight.shape[:2]
    taps = _upsampling_taps(weight.device, weight.dtype)
    # y, x: taps of the 3x3 kernel; a, b: phase of the output row and column; p, q: low-resolution taps.
    folded = torch.einsum("oiyx,apy,bqx->oabipq", weight, taps, taps)
    return folded.reshape(4 * num_out, num_in, 3, 3)


def fold_downsampling(weight: Tensor) -> Tensor:
    """Multiply the downsampling filter into a 3x3 weight [O, I, 3, 3].

    Returns:
        Weight [O, 4 I, 3, 3] of a convolution (padding 1) on `pixel_unshuffle(2)` of the input. It gives what the
        filter followed by a stride-2 convolution with `weight` gives.
    """
    num_out, num_in = weight.shape[:2]
    taps = _downsampling_taps(weight.device, weight.dtype)
    folded = torch.einsum("oiyx,apy,bqx->oiabpq", weight, taps, taps)
    return folded.reshape(num_out, 4 * num_in, 3, 3)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # a cached inference tensor could not be used in training later
def _upsampling_taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[2 phases, 3 low-resolution taps, 3 kernel taps]; the gain of 2 per axis makes up for the inserted zeros."""
    taps = torch.zeros(2, 3, 3, dtype=torch.float64)
    for phase in range(2):
        for low in range(3):
            for kernel in range(3):
                fir = kernel - (phase - 2 * (low - 1) - 1)
                if 0 <= fir < 4:
                    taps[phase, low, kernel] = FIR_TAPS[fir] / 4
    return taps.to(device=device, dtype=dtype)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # a cached inference tensor could not be used in training later
def _downsampling_taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[2 phases, 3 low-resolution taps, 3 kernel taps]."""
    taps = torch.zeros(2, 3, 3, dtype=torch.float64)
    for phase in range(2):
        for low in range(3):
            for kernel in range(3):
                fir = 2 * low + phase - kernel
                if 0 <= fir < 4:
                    taps[phase, low, kernel] = FIR_TAPS[fir] / 8
    return taps.to(device=device, dtype=dtype)


def _upsample_axis(x: Tensor, axis: int) -> Tensor:
    padded = F.pad(x, (1, 1) if axis == 3 else (0, 0, 1, 1))
    size = x.shape[axis]
    before, here, after = (padded.narrow(axis, start, size) for start in range(3))
    even = before.lerp(here, 0.75)
    odd = after.lerp(here, 0.75)
    return torch.stack((even, odd), dim=axis + 1).flatten(axis, axis + 1)


def _downsample_axis(x: Tensor, axis: int) -> Tensor:
    half = x.shape[axis] // 2
    even, odd = x.unflatten(axis, (half, 2)).unbind(axis + 1)
    pad_front, pad_back = ((1, 0), (0, 1)) if axis == 3 else ((0, 0, 1, 0), (0, 0, 0, 1))
    before = F.pad(odd, pad_front).narrow(axis, 0, half)
    after = F.pad(even, pad_back).narrow(axis, 1, half)
    return (even + odd) * 0.375 + (before + after) * 0.125
