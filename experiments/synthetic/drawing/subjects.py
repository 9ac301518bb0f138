"""What a style can be an image of: the attributes of each subject and how they are sampled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes, sample_animal
from experiments.synthetic.drawing.attributes import FaceAttributes, sample_attributes

Attributes = FaceAttributes | AnimalAttributes


@dataclass(frozen=True)
class Subject:
    """What a group of styles draws: styles of one subject share the attributes, and so make pairs."""

    attributes: type[Any]
    """Dataclass of the attributes."""
    sample: Callable[[int, int], Attributes]
    """Attributes of a seed and an index; nothing else has an influence."""


SUBJECTS = {
    "person": Subject(FaceAttributes, sample_attributes),
    "animal": Subject(AnimalAttributes, sample_animal),
}
