"""What tests of networks share: random tensors, and networks in another precision or configuration."""

import dataclasses

import torch
from torch import Tensor

from ui2i.networks.generator import Generator


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_config(network: Generator, **changes: object) -> Generator:
    """The same parameters under another config."""
    changed = type(network)(dataclasses.replace(network.config, **changes)).eval()  # type: ignore[arg-type]
    changed.load_state_dict(network.state_dict())
    return changed
