"""Modulated convolution around one shared weight.

StyleGAN2 writes it as a convolution whose weights differ from image to image, w'_oi = s_i w_oi / ||s w_o||, and the
usual code runs that as a grouped convolution. Scaling the input channels by s and the output channels by the norms'
inverse gives the same numbers from one plain convolution with one weight for the whole batch.
"""

import torch
from torch import Tensor


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Inverse norms of the modulated weights (Karras et al., arXiv 1912.04958, Eq. 3).

    Args:
        weight: [O, I, kh, kw].
        styles: [N, I].

    Returns:
        [N, O].
    """
    energy = weight.square().sum(dim=(2, 3))
    return torch.rsqrt(styles.square() @ energy.t() + 1e-8)
