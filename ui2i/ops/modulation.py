"""Modulated convolution around one shared weight.

StyleGAN2 writes it as a convolution whose weights differ from image to image, w'_oi = s_i w_oi / ||s w_o||, and the
usual code runs that as a grouped convolution. Scaling the input channels by s and the output channels by the norms'
inverse gives the same numbers from one plain convolution with one weight for the whole batch.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function


def demodulation(weight: Float[Tensor, "o i kh kw"], styles: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
    """Inverse norms of the modulated weights (Karras et al., arXiv 1912.04958, Eq. 3).

    Args:
        weight: [O, I, kh, kw].
        styles: [N, I].

    Returns:
        [N, O].
    """
    energy = weight.square().sum(dim=(2, 3))
    return torch.rsqrt(styles.square() @ energy.t() + 1e-8)


def map_pixels(x: Float[Tensor, "n i h w"], weight: Float[Tensor, "n o i"]) -> Float[Tensor, "n o h w"]:
    """Apply each image's matrix `weight` [N, O, I] to its pixels: `x` [N, I, H, W] -> [N, O, H, W].

    That is a 1x1 convolution with weights of each image's own, for a handful of output channels.
    """
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # a view, if `x` is channels last
    return _MatrixOfEachImage.apply(pixels, weight).mT.unflatten(2, x.shape[2:])


class _MatrixOfEachImage(Function):
    """[N, P, I] and [N, O, I] -> [N, P, O]; torch's own gradient in the matrices is a product five times as slow."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(pixels, weight)
        return pixels @ weight.mT

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (pixels, weight), (dy,) = ctx.saved_tensors, grads
        return dy @ weight, dy.mT @ pixels
