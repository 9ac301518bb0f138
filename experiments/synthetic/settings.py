"""The section `synthetic` of `params.yaml`: which images are drawn."""

from collections.abc import Mapping

from tasks.project.names import Name
from tasks.project.params import Params
from ui2i.settings import dataclass
from ui2i.settings.bounds import Count, Seed


@dataclass(frozen=True, kw_only=True)
class SyntheticSet:
    """A set of synthetic images (`synthetic.<name>`)."""

    style: str
    num_images: Count
    seed: Seed
    resolution: Count = 64  # pixels


@dataclass(frozen=True, kw_only=True)
class SyntheticSections:
    """The sections of the synthetic domains."""

    synthetic: Mapping[Name, SyntheticSet]

    def check(self, params: Params) -> None:
        """Nothing: no other section has to fit them."""


def synthetic_of(params: Params) -> Mapping[str, SyntheticSet]:
    """Return the section `synthetic`."""
    sections: SyntheticSections = params.experiments["synthetic"]
    return sections.synthetic


def drawn_style(params: Params, name: str) -> str | None:
    """Return the style in which a dataset's images are drawn; None: they come from elsewhere."""
    drawn = synthetic_of(params).get(name)
    is_used = name in params.datasets and params.datasets[name].images == f"data/raw/{name}"
    return drawn.style if drawn is not None and is_used else None
