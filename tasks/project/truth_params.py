"""The section `truth` of `params.yaml`: which domains are compared with the truth, and how."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ui2i.bounds import Bounded, Count, Seed, ShareBelowOne
from ui2i.config import RegressorConfig, from_mapping
from ui2i.errors import ConfigError

if TYPE_CHECKING:
    from tasks.project.params import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth(Bounded):
    """How a drawn domain's translations are compared with their true counterparts (`truth.<name>`)."""

    base: str  # as in domains.<name>; DVC needs it here
    num_draws: Count = 8  # random images of the domain that stand for chance, for each translated image
    min_skill: ShareBelowOne = 0.25  # attributes that the regressor reads worse from held-out drawings are left out
    seed: Seed = 0  # of the draws and the intervals
    regressor: RegressorConfig = dataclasses.field(default_factory=RegressorConfig)  # what reads the attributes


def parse_truth(values: Mapping[str, Any], where: str) -> Truth:
    """Build an entry of the section.

    Raises:
        ConfigError: a key is missing or unknown, or a value is not allowed.
    """
    if "base" not in values:
        raise ConfigError(f"{where} lacks 'base', expected the base of the domain; add it")
    truth = from_mapping(Truth, {key: value for key, value in values.items() if key != "regressor"}, section=where)
    regressor = from_mapping(RegressorConfig, values.get("regressor", {}), section=f"{where}.regressor")
    return dataclasses.replace(truth, regressor=regressor)


def check_truth(params: "Params") -> None:
    """Refuse a comparison with the truth where it is not known: only drawn images have counterparts.

    Raises:
        ConfigError: a domain does not exist, has another base, or it or its base is not drawn.
    """
    for name, truth in params.truth.items():
        base = params.domains[name].base if name in params.domains else None
        if truth.base != base:
            raise ConfigError(
                f"truth.{name}.base is {truth.base!r}, expected {base!r} as in domains.{name}; correct it or remove "
                f"truth.{name}"
            )
        for side in (name, truth.base):
            if side not in params.drawn or params.datasets[side].images != f"data/raw/{side}":
                raise ConfigError(
                    f"truth.{name} needs the images of {side} to be drawn, expected drawn.{side} and "
                    f"datasets.{side}.images data/raw/{side}; add them or remove truth.{name}"
                )
