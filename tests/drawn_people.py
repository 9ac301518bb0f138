"""What tests of the ground truth share: drawn people in two styles."""

import numpy as np
import pytest

from experiments.paper.truth import draw_images
from experiments.synthetic.drawing.subjects import Attributes
from experiments.synthetic.procedural import sample_attributes


def people_of(seed: int, count: int, style: str = "face") -> list[Attributes]:
    return [sample_attributes(seed, index, style) for index in range(count)]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The people of `faces` as cartoons."""
    return draw_images(people_of(0, 40), "cartoon", 32)
