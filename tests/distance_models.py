"""What tests of model distances share: tiny generators, and counts of their calls."""

from collections.abc import Callable

import pytest
import torch
from conftest import randomize
from torch import Tensor, nn

from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig, NetworkConfig, NoiseMode

CONFIG = DistanceConfig(num_latents=7, batch_size=3, truncation_psi=0.8, seed=5)
NOISE_MODES: list[NoiseMode] = ["const", "random", "none"]


@pytest.fixture
def generators(network_config: NetworkConfig) -> dict[str, Generator]:
    torch.manual_seed(7)
    return {name: randomize(Generator(network_config)).eval() for name in "abc"}


def count_calls(generators: dict[str, Generator], perceptual: Perceptual, patch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count latents that pass through each generator, and images through the backbone."""
    counts = dict.fromkeys([*generators, "backbone"], 0)

    def counter(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            counts[name] += len(args[0])

        return count

    for name, generator in generators.items():
        generator.synthesis.register_forward_hook(counter(name))
    features = perceptual.features

    def counted_features(x: Tensor) -> list[Tensor]:
        counts["backbone"] += len(x)
        return features(x)

    patch.setattr(perceptual, "features", counted_features)
    return counts
