"""Small generators for tests: random ones, and reference checkpoints in rosinality's format."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import randomize
from torch import Tensor

from ui2i.converters.formats import read_checkpoint
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig


def random_generator(seed: int = 0, **settings: Any) -> Generator:
    """A 32 px generator that shares no value with one of another seed; its images nearly fill [-1, 1]."""
    torch.manual_seed(seed)
    config = {
        "img_resolution": 32,
        "z_dim": 8,
        "w_dim": 8,
        "num_mapping_layers": 2,
        "channel_base": 256,
        "channel_max": 8,
    }
    generator = randomize(Generator(NetworkConfig(**(config | settings)))).eval().requires_grad_(False)
    scale = 3 * generator.synthesis(random_ws(generator, 64)).std()
    for resolution in generator.config.block_resolutions:
        torgb = generator.synthesis.block(resolution).torgb
        torgb.weight.div_(scale)
        torgb.bias.div_(scale)
    return generator


def random_ws(generator: Generator, num_images: int, seed: int = 0) -> Tensor:
    """Codes around the mean, one an image: a mapping network of random weights hardly leaves it."""
    random = torch.Generator().manual_seed(seed)
    return generator.broadcast(generator.w_avg + torch.randn(num_images, generator.config.w_dim, generator=random))


def rosinality_generator(folder: Path, side: str) -> Generator:
    """The reference checkpoint `source` or `target` in a folder."""
    return read_checkpoint(folder / f"rosinality-{side}-32.pt").generator


def rosinality_expected(folder: Path) -> dict[str, Tensor]:
    """What the reference checkpoints in a folder must produce."""
    with np.load(folder / "rosinality-32-expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}
