"""Figure 6: does a semantic direction of the base move the same attributes in every model of the family?

The same latents are moved both ways in each model, and the attribute regressor of its style measures how traits change:
by half the difference between the two ways, in standard deviations. A model's changes along a direction are a vector
over the traits; two models agree if their vectors point the same way, as the cosine between them says. Chance is
the cosine between one direction in the base and another in the model: signs and attributes of directions are arbitrary,
so it is about 0 unless every direction does the same.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from ui2i.images import to_uint8
from ui2i.networks.generator import Generator
from ui2i.progress import Progress, no_progress
from ui2i.translation import semantic_step

Read = Callable[[UInt8[np.ndarray, "n r r 3"]], Float64[np.ndarray, "n traits"]]
Changes = Float64[np.ndarray, "directions traits"]

BATCH_SIZE = 32
NUM_PERMUTATIONS = 10_000
_TINY = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """Similarity of the directions' changes in two models."""

    cosines: Float64[np.ndarray, " directions"]  # of each direction with itself
    chance: Float64[np.ndarray, " directions"]  # of each in the base with the others in the model, the mean
    mean: float  # of the cosines
    chance_mean: float  # over all pairs of different directions
    chance_std: float  # of single pairs
    p_value: float | None  # share of random pairings whose mean is as high; None: there is one direction


def direction_steps(base: Generator, directions: Sequence[int], strength: float) -> Float[Tensor, "directions w_dim"]:
    """Return the steps along semantic directions of a base (SeFa), 1 the strongest, in standard deviations of w."""
    return torch.stack([semantic_step(base, direction, strength) for direction in directions])


@torch.no_grad()
def direction_changes(
    generator: Generator,
    z: Float[Tensor, "n z_dim"],
    steps: Float[Tensor, "directions w_dim"],
    read: Read,
    *,
    truncation_psi: float = 1.0,
    progress: Progress = no_progress,
) -> Float64[np.ndarray, "directions n traits"]:
    """Return how each latent's traits change by each step: (read(w + step) - read(w - step)) / 2.

    Codes are the model's own, w = f(z); in models with a frozen mapping they are those of the base.

    Args:
        read: of the model's style.
        progress: counts directions.
    """
    w = generator.truncate(generator.mapping(z.to(generator.w_avg.device)), truncation_psi)
    changes = []
    for place, step in enumerate(steps):
        forth, back = (_read_all(generator, w + sign * step, read) for sign in (1, -1))
        changes.append((forth - back) / 2)
        progress(place + 1, len(steps), f"direction {place + 1}")
    return np.stack(changes)


def compare_changes(base: Changes, model: Changes, *, seed: int = 0) -> Agreement:
    """Compare the changes of the same traits along the same directions in a base and a model.

    Args:
        seed: of the random pairings.
    """
    table = _cosines(base, model)
    num_directions = len(table)
    cosines = table.diagonal()
    others = table[~np.eye(num_directions, dtype=bool)]
    return Agreement(
        cosines=cosines.copy(),
        chance=(table.sum(axis=1) - cosines) / max(1, num_directions - 1),
        mean=float(cosines.mean()),
        chance_mean=float(others.mean()) if num_directions > 1 else 0.0,
        chance_std=float(others.std()) if num_directions > 1 else 0.0,
        p_value=_p_value(table, seed) if num_directions > 1 else None,
    )


def most_moved(changes: Changes, names: Sequence[str]) -> list[tuple[str, float]]:
    """Return for each direction the trait that moves most, and by how much."""
    places = np.abs(changes).argmax(axis=1)
    return [(names[place], float(row[place])) for place, row in zip(places, changes, strict=True)]


def telling_directions(changes: Changes, names: Sequence[str], count: int) -> list[int]:
    """Return the places of the directions whose strongest change is largest, no two of the same attribute.

    Args:
        names: of the traits; what stands before a colon is the attribute.
        count: at most so many.
    """
    moved = most_moved(changes, names)
    chosen: dict[str, int] = {}
    for place in sorted(range(len(moved)), key=lambda place: -abs(moved[place][1])):
        chosen.setdefault(moved[place][0].split(":")[0], place)
    return list(chosen.values())[:count]


def _read_all(generator: Generator, w: Float[Tensor, "n w_dim"], read: Read) -> Float64[np.ndarray, "n traits"]:
    images = [to_uint8(generator.synthesis(generator.broadcast(part))) for part in w.split(BATCH_SIZE)]
    return read(np.concatenate(images))


def _cosines(base: Changes, model: Changes) -> Float64[np.ndarray, "directions directions"]:
    """Return the cosine of each direction in the base (row) with each in the model; 0 where nothing changes."""
    units = [changes / np.maximum(np.linalg.norm(changes, axis=1, keepdims=True), _TINY) for changes in (base, model)]
    return units[0] @ units[1].T


def _p_value(table: Float64[np.ndarray, "directions directions"], seed: int) -> float:
    """Return the share of random pairings, the true one counted, whose mean cosine is at least the true one's."""
    rows = np.arange(len(table))
    pairings = np.random.default_rng(seed).permuted(np.tile(rows, (NUM_PERMUTATIONS, 1)), axis=1)
    means = table[rows, pairings].mean(axis=1)
    return float((1 + (means >= table.diagonal().mean() - _TINY).sum()) / (1 + NUM_PERMUTATIONS))
