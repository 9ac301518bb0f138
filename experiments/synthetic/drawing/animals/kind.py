"""What a style says about its animal: how it is built, what grows on its head, and how its coat is marked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.ears import Ear, pricked_ear
from experiments.synthetic.drawing.animals.muzzle import Muzzle, cat_muzzle, nose_colour
from experiments.synthetic.drawing.animals.palette import EYES, FURS
from experiments.synthetic.drawing.pose import Pose


def natural_fur(attributes: AnimalAttributes) -> np.ndarray:
    """Colour [3] of the fur as the attributes say."""
    return np.clip(np.array(FURS[attributes.fur_colour]) * attributes.fur_brightness, 0, 1)


def natural_eyes(attributes: AnimalAttributes) -> np.ndarray:
    """Colour [3] of the irises as the attributes say."""
    return np.array(EYES[attributes.eye_colour])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of animal, a cat but for its markings by default."""

    build: Build
    mark: Callable[[Coat, Muzzle], None]
    """Paints markings over the coat, whose fur is of one colour."""
    fur: Callable[[AnimalAttributes], np.ndarray] = natural_fur
    eyes: Callable[[AnimalAttributes], np.ndarray] = natural_eyes
    nose: Callable[[Coat], np.ndarray] = nose_colour
    ear: Callable[[AnimalAttributes, Build, Pose, int], Ear] = pricked_ear
    muzzle: Callable[[AnimalAttributes, Build, Pose], Muzzle] = cat_muzzle
    mane: Callable[[Coat], None] | None = None
    """Paints what surrounds the head, behind it and its ears."""
    collar: bool = True
    """Whether it may wear one."""
