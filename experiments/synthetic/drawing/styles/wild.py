"""`wild`: the head of a lion, tiger, leopard, fox or wolf like a photograph. The pattern of the coat says which."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.big_cats import LEOPARD, LION, LIONESS, TIGER, has_mane
from experiments.synthetic.drawing.animals.kind import Kind
from experiments.synthetic.drawing.animals.portrait import paint_animal
from experiments.synthetic.drawing.animals.wild_dogs import FOX_KIND, WOLF_KIND
from experiments.synthetic.drawing.registry import register_style

KINDS = {"tabby": TIGER, "spots": LEOPARD, "tuxedo": FOX_KIND, "patches": WOLF_KIND, "points": WOLF_KIND}


def kind_of(attributes: AnimalAttributes) -> Kind:
    """The wild relative of a cat with such a coat."""
    if attributes.pattern == "plain":
        return LION if has_mane(attributes) else LIONESS
    return KINDS[attributes.pattern]


@register_style("wild", subject="animal")
def paint_wild(attributes: AnimalAttributes, resolution: int) -> np.ndarray:
    """A photo-like wild animal, uint8 [R, R, 3]."""
    return paint_animal(attributes, kind_of(attributes), resolution)
