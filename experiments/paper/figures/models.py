"""The models that figures show: a base, the domains fine-tuned from it, and models made in other ways."""

import dataclasses
from collections.abc import Mapping, Sequence

from ui2i.errors import CheckpointError
from ui2i.layer_swap import swap_weights
from ui2i.networks.generator import Generator

DIRECT = "Direct-LS"
"""Layers swapped between models none of which was fine-tuned from the other (paper, Fig. 8)."""
SCRATCH = "scratch"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureModel:
    """One generator, with its names in figures and tables."""

    domain: str
    mode: str  # scratch, FT, FC-FT, FC-FT-LS8, Direct-LS8, ...
    generator: Generator
    hash: str  # SHA-256 of its checkpoint; of a swap made here, of the one that gives the fine layers
    swap_resolution: int | None = None  # pixels; None: no layers swapped

    @property
    def name(self) -> str:
        """`cartoon/FC-FT`, as tables name models."""
        return f"{self.domain}/{self.mode}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A base and the models of its domains."""

    base: FigureModel
    domains: Mapping[str, Sequence[FigureModel]]  # each with its modes, then the variants of the first

    @property
    def first(self) -> dict[str, FigureModel]:
        """The model that translates to each domain: its first mode."""
        return {domain: models[0] for domain, models in self.domains.items()}


def of_mode(models: Sequence[FigureModel], mode: str) -> FigureModel | None:
    """Return the model of a mode; None: there is none."""
    return next((model for model in models if model.mode == mode), None)


def variants(models: Sequence[FigureModel]) -> list[FigureModel]:
    """Return the models whose layers are swapped, in their order."""
    return [model for model in models if model.swap_resolution is not None]


def direct_swaps(base: FigureModel, other: FigureModel, resolutions: Sequence[int]) -> list[FigureModel]:
    """Return `other` with the coarse layers of a base that it was not made from (Direct-LS); it keeps its own mapping.

    None are returned of an architecture that cannot exchange layers with the base's.

    Args:
        resolutions: pixels up to which layers are the base's, one model each.
    """
    try:
        return [
            dataclasses.replace(
                other,
                mode=f"{DIRECT}{resolution}",
                generator=swap_weights(base.generator, other.generator, resolution),
                swap_resolution=resolution,
            )
            for resolution in resolutions
        ]
    except CheckpointError:
        return []
