"""How much the outputs of one input differ: LPIPS_d within an input, of systems that make several (Table II)."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float64

from experiments.paper.baselines.state import Images
from ui2i.images import to_tensor
from ui2i.perceptual import Perceptual


@torch.no_grad()
def style_distances(stacks: Iterable[Images], perceptual: Perceptual, device: str) -> Float64[np.ndarray, " inputs"]:
    """Return for each input the mean LPIPS between its outputs, neighbouring styles paired in a ring.

    Args:
        stacks: the outputs of each input.
    """
    batches = (to_tensor(outputs).to(device) for outputs in stacks)
    return np.array([float(perceptual.distance(images, images.roll(1, 0)).mean()) for images in batches])
