"""Small generators for tests: random ones, and the fixtures in rosinality's format."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosinality import generator_state
from torch import Tensor

from ui2i.config import NetworkConfig
from ui2i.networks.generator import Generator

FIXTURES = Path(__file__).parents[2] / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared/fixtures is absent")


def random_generator(seed: int = 0, **settings: Any) -> Generator:
    """A 32 px generator in which no tensor has a value that its initialisation shares with another model's."""
    torch.manual_seed(seed)
    config = {"img_resolution": 32, "z_dim": 8, "w_dim": 8, "num_mapping_layers": 2, "channel_base": 256, "channel_max": 8}
    generator = Generator(NetworkConfig(**(config | settings)))
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("bias", "noise_strength", "w_avg")):
                value.add_(0.1 * torch.randn_like(value))
    return generator.eval().requires_grad_(False)


def rosinality_generator(side: str) -> Generator:
    """The fixture `source` or `target`."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        checkpoint = torch.load(FIXTURES / f"rosinality-{side}-32.pt", weights_only=True)
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


def rosinality_expected() -> dict[str, Tensor]:
    """What the fixtures must produce."""
    with np.load(FIXTURES / "rosinality-32-expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}
