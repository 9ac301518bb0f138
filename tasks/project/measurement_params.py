"""The sections of `params.yaml` that say what is measured and when a change is too large."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ui2i.bounds import Bounded, Bounds, Positive, Seed, Truncation
from ui2i.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Bounded):
    """How a domain's models are judged by their outputs (`evaluation`); paper, Table II."""

    num_images: Annotated[int, Bounds(low=4)] = 2000  # outputs of each model
    truncation_psi: Truncation = 1.0  # of the inputs and the outputs
    seed: Seed = 0  # of the latents and the pairs
    inception_weights: str | None = None  # file for FID and KID, in the project; None: torch hub's, else no FID


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift(Bounded):
    """When a re-evaluation that differs from the one before is a failure (`drift`)."""

    max_sems: Positive = 4.0  # change of a distance, in standard errors of the difference


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
