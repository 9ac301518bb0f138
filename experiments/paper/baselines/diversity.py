"""How much the outputs of one input differ: LPIPS_d within an input, of systems that make several (Table II)."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from experiments.paper.baselines.state import Images
from experiments.paper.stages.baseline import STYLES_FOLDER
from ui2i.images import load_image, to_tensor
from ui2i.metrics.image_sets import find_images
from ui2i.metrics.moments import estimate
from ui2i.perceptual import Perceptual


def style_diversities(folders: Mapping[str, Path], perceptual: Perceptual, device: str) -> dict[str, dict[str, Any]]:
    """Return for each system with several outputs of an input the mean LPIPS between them, over inputs.

    Args:
        folders: of what each system wrote; those without `styles` are left out.
    """
    found = {}
    for label, folder in folders.items():
        styles = sorted((folder / STYLES_FOLDER).glob("*"))
        if len(styles) > 1:
            own = estimate(style_distances(list(_stacks(styles)), perceptual, device))
            interval = {"ci95_low": own.ci95_low, "ci95_high": own.ci95_high}
            found[label] = {"lpips_d": own.mean, **interval, "num_inputs": own.count, "num_styles": len(styles)}
    return found


@torch.no_grad()
def style_distances(stacks: Iterable[Images], perceptual: Perceptual, device: str) -> Float64[np.ndarray, " inputs"]:
    """Return for each input the mean LPIPS between its outputs, neighbouring styles paired in a ring.

    Args:
        stacks: the outputs of each input.
    """
    batches = (to_tensor(outputs).to(device) for outputs in stacks)
    return np.array([float(perceptual.distance(images, images.roll(1, 0)).mean()) for images in batches])


def _stacks(styles: list[Path]) -> Iterator[Images]:
    files = [find_images(style) for style in styles]
    for name in files[0]:
        yield np.stack([np.asarray(load_image(own[name])) for own in files])
