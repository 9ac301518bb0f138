"""The sections of `params.yaml` that say what is measured and when a change is too large."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ui2i.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a domain's models are judged by their outputs (`evaluation`); paper, Table II."""

    num_images: int = 2000  # outputs of each model
    truncation_psi: float = 1.0  # of the inputs and the outputs
    seed: int = 0  # of the latents and the pairs
    inception_weights: str | None = None  # file for FID and KID, in the project; None: torch hub's, else no FID

    def __post_init__(self) -> None:
        if self.num_images < 4 or not 0 <= self.seed < 2**32:
            raise ConfigError(
                f"evaluation.num_images is {self.num_images} and seed {self.seed}, expected at least 4 and 0 to "
                "2^32 - 1; correct them in params.yaml"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift:
    """When a re-evaluation that differs from the one before is a failure (`drift`)."""

    max_sems: float = 4.0  # change of a distance, in standard errors of the difference

    def __post_init__(self) -> None:
        if not self.max_sems > 0:
            raise ConfigError(
                f"drift.max_sems is {self.max_sems}, expected a number above 0; correct it in params.yaml"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperTable:
    """A table of the paper, over all domains (`tables.<number>`)."""

    source: str  # folder below data/tables whose tables it is made from; DVC needs it here


TABLE_SOURCES = {"1": "distance", "2": "evaluation", "3": "inversion"}


def parse_tables(values: Mapping[str, Any]) -> dict[str, PaperTable]:
    """Build the section `tables`.

    Raises:
        ConfigError: there is no such table, or it is made from something else.
    """
    tables = {}
    for number, entry in values.items():
        expected = TABLE_SOURCES.get(str(number))
        if expected is None or entry != {"source": expected}:
            known = ", ".join(f'"{number}": {{source: {source}}}' for number, source in TABLE_SOURCES.items())
            raise ConfigError(f"tables.{number} is {entry!r}, expected some of {known}; correct it in params.yaml")
        tables[str(number)] = PaperTable(source=expected)
    return tables
