"""What can be read from images as numbers that may rise and fall: traits, in standard deviations.

A number among the attributes is a trait, divided by its standard deviation among drawings. So is every class of a
category (`glasses: round`), as 1 where it is read and 0 where not, of two classes only the second. Hues are left out:
they have no more and less. All drawings of one subject have the same people, so a trait has about the same standard
deviation in every style.
"""

import dataclasses

import numpy as np
from jaxtyping import Float64, UInt8

from experiments.paper.truth import AttributeRegressor, Column
from experiments.synthetic.drawing.registry import subject_of
from ui2i.images import to_tensor

MIN_SHARE = 0.03  # of drawings; rarer classes are left out, and those that nearly all have
NUM_PEOPLE = 2000  # from whom the shares of classes are counted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trait:
    """One number that is read from images."""

    name: str  # smile; glasses: round
    attribute: str  # smile; glasses
    place: int | None  # of the class; None: the attribute is a number
    scale: float  # standard deviation among drawings

    def of(self, read: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Return the trait in standard deviations, from what was read of the attribute."""
        return (read if self.place is None else (read == self.place)) / self.scale


@dataclasses.dataclass(frozen=True)
class TraitRegressor:
    """Predicts the traits of images of one style."""

    regressor: AttributeRegressor
    traits: tuple[Trait, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the traits, in the order in which they are read."""
        return tuple(trait.name for trait in self.traits)

    def read(self, images: UInt8[np.ndarray, "n r r 3"]) -> Float64[np.ndarray, "n traits"]:
        """Return the traits of images."""
        read = self.regressor.read(to_tensor(images))
        return np.stack([trait.of(read[trait.attribute]) for trait in self.traits], axis=1)


def trait_regressor(regressor: AttributeRegressor, min_skill: float) -> TraitRegressor:
    """Return the regressor of all traits that a regressor reads with a skill of at least `min_skill`."""
    config = regressor.config
    sample = subject_of(regressor.style).sample
    people = [sample(config.seed, index) for index in range(min(config.num_drawings, NUM_PEOPLE))]
    unreadable = set(regressor.unreadable(min_skill))
    traits: list[Trait] = []
    for column in regressor.columns:
        if column.name not in unreadable:
            traits += _traits(column, column.values(people))
    return TraitRegressor(regressor, tuple(traits))


def _traits(column: Column, values: Float64[np.ndarray, " n"]) -> list[Trait]:
    if column.kind == "hue":
        return []
    if column.kind == "number":
        return [Trait(name=column.name, attribute=column.name, place=None, scale=column.scale)]
    places = range(1, 2) if len(column.classes) == 2 else range(len(column.classes))
    shares = {place: float((values == place).mean()) for place in places}
    return [
        Trait(
            name=f"{column.name}: {column.classes[place]}",
            attribute=column.name,
            place=place,
            scale=float(np.sqrt(share * (1 - share))),
        )
        for place, share in shares.items()
        if MIN_SHARE <= share <= 1 - MIN_SHARE
    ]
