"""StyleGAN2's losses: non-saturating logistic loss, R1 and path length. No state, no optimiser.

The paper writes Eq. 2 as the saturating minimax loss and trains with StyleGAN2's "unchanged" ones (section IV-B);
these are the latter. `logits` are [N, 1], `img` is [N, 3, R, R], `ws` is [N, num_ws, w_dim].
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ui2i.ops.convolution import without_weight_gradients


def generator_loss(fake_logits: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
    """Mean of -log sigmoid(logits) (Goodfellow et al., arXiv 1406.2661, section 3)."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Float[Tensor, "n 1"], fake_logits: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
    """Mean of -log sigmoid(real) - log(1 - sigmoid(fake)) (paper, Eq. 2)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_img: Float[Tensor, "n 3 r r"], real_logits: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
    """Mean squared norm of the logits' gradient with respect to real images (Mescheder et al., arXiv 1801.04406).

    Args:
        real_img: requires a gradient, and `real_logits` was computed from it.

    Returns:
        A scalar, without the factor gamma / 2.
    """
    with without_weight_gradients():
        (gradient,) = torch.autograd.grad(real_logits.sum(), real_img, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(
    fake_img: Float[Tensor, "n 3 r r"],
    ws: Float[Tensor, "n num_ws w_dim"],
    noise: Float[Tensor, "n 3 r r"] | None = None,
    *,
    create_graph: bool = True,
) -> Float[Tensor, " n"]:
    """Length of J_w^T y for image noise y, one an image (Karras et al., arXiv 1912.04958, Eq. 4).

    Args:
        ws: requires a gradient, and `fake_img` was computed from it. With a frozen mapping network it has no gradient
            of its own: make it a leaf that requires one.
        noise: y, of the shape of `fake_img` and unit variance; None draws it.
        create_graph: False: the lengths are only to be known, not to be optimised.

    Returns:
        [N].
    """
    noise = torch.randn_like(fake_img) if noise is None else noise
    noise = noise / math.sqrt(fake_img.shape[2] * fake_img.shape[3])
    with without_weight_gradients():
        (gradient,) = torch.autograd.grad((fake_img * noise).sum(), ws, create_graph=create_graph)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
