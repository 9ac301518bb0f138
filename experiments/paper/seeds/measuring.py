"""What is measured of each training of a pair: curves along it, and each latent's distance at its end."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.paper.seeds.tables import to_significant
from ui2i.layer_swap import swap_weights
from ui2i.metrics.frechet import HeldOutEvaluator
from ui2i.metrics.model_distance import model_distances
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig

BASE, BASE_MAPPING = "base", "FT, base's mapping"


@dataclasses.dataclass(frozen=True)
class AlongTraining:
    """Measures the averaged generator during training: Frechet distance to the domain, model distance to the base."""

    to_domain: HeldOutEvaluator
    base: Generator
    perceptual: Perceptual
    config: DistanceConfig

    def __call__(self, generator: Generator) -> Mapping[str, float]:
        """Return `fd`, `kd`, and the model distance `d` with its standard error `d_sem`."""
        (found,) = model_distances({BASE: self.base, "own": generator}, self.perceptual, self.config)
        return {**self.to_domain(generator), "d": found.mean, "d_sem": found.sem}


def variants(models: Mapping[str, Generator], base: Generator, resolutions: Sequence[int]) -> dict[str, Generator]:
    """Return the models of a pair, FT with the base's mapping network, and FC-FT with the base's coarse layers.

    FT's distance with its own mapping network against that with the base's is the effect of freezing without any
    training in it: both have the same synthesis network.
    """
    found = dict(models)
    if "FT" in models:
        found[BASE_MAPPING] = copy.deepcopy(models["FT"])
        found[BASE_MAPPING].mapping = copy.deepcopy(base.mapping)
    if "FC-FT" in models:
        for resolution in resolutions:
            found[f"FC-FT-LS{resolution}"] = swap_weights(base, models["FC-FT"], resolution)
    return found


def latent_distances(
    found: Mapping[str, Generator], base: Generator, perceptual: Perceptual, config: DistanceConfig
) -> list[dict[str, Any]]:
    """Return a row for each variant and latent: its distance to the base."""
    pairs = [(BASE, name) for name in found]
    rows = []
    for pair in model_distances({BASE: base, **found}, perceptual, config, pairs=pairs, keep_values=True):
        assert pair.values is not None
        values = enumerate(to_significant(pair.values))
        rows += [{"variant": pair.target, "latent": place, "d": float(value)} for place, value in values]
    return rows


def pair_distances(models: Mapping[str, Generator], perceptual: Perceptual, config: DistanceConfig) -> Iterator[float]:
    """Yield the distance between two models at each latent, as tables keep it."""
    (found,) = model_distances(models, perceptual, config, keep_values=True)
    assert found.values is not None
    yield from map(float, to_significant(found.values))
