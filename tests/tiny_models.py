"""Small generators for tests: random ones, and the fixtures in rosinality's format."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import randomize
from rosinality import generator_state
from torch import Tensor

from ui2i.config import NetworkConfig
from ui2i.networks.generator import Generator


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


def rosinality_generator(shared: Path, side: str) -> Generator:
    """The fixture `source` or `target`."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        checkpoint = torch.load(shared / "fixtures" / f"rosinality-{side}-32.pt", weights_only=True)
    state = generator_state(checkpoint["g_ema"], checkpoint["latent_avg"])
    config = NetworkConfig(
        img_resolution=32,
        z_dim=state["mapping.fc0.weight"].shape[1],
        w_dim=state["mapping.fc0.weight"].shape[0],
        num_mapping_layers=sum(name.endswith("weight") and name.startswith("mapping") for name in state),
        channel_base=32 * state["synthesis.b32.conv1.weight"].shape[0],
        channel_max=state["synthesis.b4.conv1.weight"].shape[0],
    )
    generator = Generator(config)
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)


def rosinality_expected(shared: Path) -> dict[str, Tensor]:
    """What the fixtures must produce."""
    with np.load(shared / "fixtures" / "rosinality-32-expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}
