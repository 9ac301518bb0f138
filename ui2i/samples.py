"""The same latents in every model of a family: down a column the face stays and its style changes (paper, Fig. 7)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ui2i.contact_sheet import Row, contact_sheet
from ui2i.images import to_uint8
from ui2i.networks.generator import Generator

NUM_COLUMNS = 12
HELD_OUT = 1 << 20
"""Added to a setting's seed for what measures, which no training then draws."""
_SEED_STEP = 1_000_003  # between the seeds of two settings


def step_seed(seed: int, number: int) -> int:
    """Return the seed of a step's or a part's random numbers.

    Args:
        seed: the setting.
        number: of the step or part, below 1,000,003: up to there no two settings have one in common.
    """
    return seed * _SEED_STEP + number


def seeded_latents(seeds: Sequence[int], z_dim: int) -> Float[Tensor, "n z_dim"]:
    """Return one latent z a seed, the one that NVIDIA's StyleGAN tools draw for it."""
    latents = [np.random.RandomState(seed).randn(z_dim) for seed in seeds]
    return torch.from_numpy(np.stack(latents)).float()


def sample_latents(seed: int, count: int, z_dim: int) -> Float[Tensor, "n z_dim"]:
    """Return standard normal latents z [count, z_dim]; fewer are a prefix of more."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((count, z_dim))).float()


@torch.no_grad()
def shared_latents_sheet(
    generators: Mapping[str, Generator],
    *,
    num_images: int = NUM_COLUMNS,
    seed: int = 0,
    truncation_psi: float = 1.0,
    title: str | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Return a labelled sheet with one row a model and one column a latent z.

    Args:
        generators: by the label of their row; all of the same `z_dim`.
        truncation_psi: 1: as trained; below 1: each model nearer to its own mean.
    """
    rows = []
    for label, generator in generators.items():
        z = sample_latents(seed, num_images, generator.config.z_dim).to(generator.w_avg.device)
        rows.append(Row(label, to_uint8(generator(z, truncation_psi=truncation_psi))))
    return contact_sheet(rows, title=title)
