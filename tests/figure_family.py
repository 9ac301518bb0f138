"""What tests of figures share: a family of tiny models."""

import pytest
from tiny_models import random_generator

from experiments.paper.figures.models import Family, FigureModel


def model(domain, mode, seed, swap_resolution=None):
    generator = random_generator(seed)
    return FigureModel(
        domain=domain, mode=mode, generator=generator, hash=f"{domain}{seed}", swap_resolution=swap_resolution
    )


@pytest.fixture(scope="module")
def family():
    return Family(
        base=model("face", "scratch", 0),
        domains={"cartoon": [model("cartoon", "FC-FT", 1)], "anime": [model("anime", "FC-FT", 2)]},
    )
