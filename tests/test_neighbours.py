"""Distances between all pairs against lpips one pair at a time, and how different synthetic images are."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.synthetic.neighbours import nearest_neighbours, pairwise_distances
from experiments.synthetic.procedural import draw, sample_attributes, style_names
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import PerceptualConfig

WEIGHTS = Path(__file__).resolve().parents[2] / "shared/weights/squeezenet1_1-caffe-features.pth"


def _drawn(people: list, style: str) -> Tensor:
    images = np.stack([draw(person, style) for person in people])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_distances_are_those_of_each_pair(perceptual: Perceptual) -> None:
    images = _drawn([sample_attributes(0, index) for index in range(40)], "face")
    distances = pairwise_distances(images, perceptual)
    assert distances.shape == (40, 40)
    for shift in (1, 7, 39):
        expected = perceptual.distance(images, images.roll(-shift, 0)).double()
        found = distances[torch.arange(40), torch.arange(40).roll(-shift)]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(distances.diagonal(), torch.zeros(40).double())


def test_a_twin_is_the_nearest(perceptual: Perceptual) -> None:
    people = [sample_attributes(0, index) for index in range(6)]
    twins = [replace(person, texture_seed=person.texture_seed + 1) for person in people]
    nearest, which = nearest_neighbours(pairwise_distances(_drawn(people + twins, "face"), perceptual))
    assert which.tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    assert (nearest > 0).all()


def test_of_two_equal_images_each_is_the_others_nearest(perceptual: Perceptual) -> None:
    images = _drawn([sample_attributes(0, index) for index in (0, 1, 2)], "cartoon")
    nearest, which = nearest_neighbours(pairwise_distances(images[[0, 1, 2, 1]], perceptual))
    assert which[[1, 3]].tolist() == [3, 1]
    assert np.abs(nearest[[1, 3]]).max() < 1e-5 < nearest[[0, 2]].min()


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.exists(), reason="features of an untrained network do not tell likeness")
@pytest.mark.parametrize("style", style_names())
def test_no_two_of_1000_images_look_alike(style: str) -> None:
    """The two most alike differ more than an image from itself with the head turned by 3 degrees (95 % of them)."""
    perceptual = load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(WEIGHTS)))
    subjects = [sample_attributes(0, index, style) for index in range(1000)]
    turned = [replace(subject, yaw=subject.yaw + math.radians(3)) for subject in subjects[:200]]
    images = _drawn(subjects, style)
    nearest, _ = nearest_neighbours(pairwise_distances(images, perceptual))
    floor = np.quantile(perceptual.distance(images[:200], _drawn(turned, style)).numpy(), 0.95)
    assert nearest.min() > floor
