"""How alike are the two most alike of many images? Perceptual distances between all of them.

LPIPS is a squared Euclidean distance: between the backbone's unit-length features, each channel scaled by the root of
its head over the number of pixels. All pairs of n images therefore cost n passes through the backbone and one product
of matrices, not n (n - 1) / 2 comparisons, and the values are exact.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ui2i.perceptual import Perceptual


def pairwise_distances(images: Float[Tensor, "n 3 h w"], perceptual: Perceptual) -> Float[Tensor, "n n"]:
    """Return LPIPS between every two images, float64, 0 on the diagonal.

    Memory: the features of all images, 0.45 MB each at 64 px with the squeeze backbone.

    Args:
        images: in [-1, 1].
        perceptual: measures.
    """
    layers: list[list[Tensor]] = []
    with torch.no_grad():
        for batch in images.split(32):
            maps = perceptual.features(batch)
            layers.append([_as_vectors(layer, head) for layer, head in zip(maps, perceptual.heads, strict=True)])
        products = torch.zeros(len(images), len(images), dtype=torch.float64)
        for layer in zip(*layers, strict=True):
            vectors = torch.cat(layer)
            products += (vectors @ vectors.T).cpu()
    squares = products.diagonal()
    distances = (squares[:, None] + squares - 2 * products).clamp(min=0)
    return distances.fill_diagonal_(0)


def nearest_neighbours(distances: Float[Tensor, "n n"]) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return each image's distance to the nearest other one, and which that is."""
    others = distances.clone().fill_diagonal_(torch.inf)
    nearest = others.min(dim=1)
    return nearest.values.numpy(), nearest.indices.numpy()


def _as_vectors(maps: Float[Tensor, "n c h w"], head: Float[Tensor, " c"]) -> Float[Tensor, "n chw"]:
    """Feature maps as vectors whose squared distances are that layer's term of LPIPS."""
    scale = (head / (maps.shape[2] * maps.shape[3])).sqrt()
    return (maps * scale[:, None, None]).flatten(1)
