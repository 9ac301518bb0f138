"""Distances between sets of images: against scipy and literal sums, and what a measurement must not depend on."""

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import torch
from conftest import randomize

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.metrics import frechet
from ui2i.metrics.frechet import embed, frechet_distance, frechet_standard_error, held_out_evaluator, kernel_distance
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import NetworkConfig


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 6)) @ random.normal(size=(6, 6))
    return x, random.normal(size=(30, 6)) @ random.normal(size=(6, 6)) + 0.5


def test_frechet_distance_is_scipys(features: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = features
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(cov_x @ cov_y).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(cov_x + cov_y - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_shifted_and_stretched_sets() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert frechet_distance(x, x + np.array([3, 0, 4])) == pytest.approx(25)
    # Standard deviations s and 2 s on one axis: (2 s - s)^2.
    stretched = (x - x.mean(0)) * [2, 1, 1] + x.mean(0)
    assert frechet_distance(x, stretched) == pytest.approx(x[:, 0].var(ddof=1))


def test_frechet_distance_with_fewer_images_than_features() -> None:
    """Singular covariances, of which scipy's square root can be anything."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(5, 20)), random.normal(size=(6, 20))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, y) > 1


def test_standard_error_is_the_spread_of_both_sets_drawn_again(
    features: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frechet, "KEPT_VARIANCE", 1.0)
    x, y = features
    random = np.random.RandomState(7)
    drawn = [frechet_distance(*(part[random.randint(0, len(part), len(part))] for part in (x, y))) for _ in range(4)]
    found = frechet.frechet_standard_error(x, y, seed=7, num_resamples=4)
    assert found == pytest.approx(np.std(drawn, ddof=1), rel=1e-6)


def test_kernel_distance_is_the_literal_sum(features: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = (part[:7] for part in features)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / 6 + 1) ** 3

    within = [np.mean([kernel(part[i], part[j]) for i, j in itertools.permutations(range(7), 2)]) for part in (x, y)]
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(within[0] + within[1] - 2 * across)


def test_kernel_distance_takes_memory_for_a_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    x, y = random.normal(size=(130, 4)), random.normal(size=(3000, 4))
    at_once = kernel_distance(x, y)
    monkeypatch.setattr(frechet, "KERNEL_ROWS", 7)
    assert kernel_distance(x, y) == pytest.approx(at_once, rel=1e-9)
    tracemalloc.start()
    kernel_distance(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 3000 * 8 / 10, "of the kernel of all pairs"


def test_kernel_distance_of_equal_distributions_is_around_zero() -> None:
    random = np.random.default_rng(2)
    values = [kernel_distance(*random.normal(size=(2, 60, 4))) for _ in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(40)
    assert kernel_distance(random.normal(size=(60, 4)), random.normal(size=(60, 4)) + 1) > 10 * np.std(values)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_order_and_too_few_images(distance: frechet.Callable[..., float], features: tuple[np.ndarray, ...]) -> None:
    x, y = features
    assert distance(x, y) == pytest.approx(distance(y, x))
    with pytest.raises(DataError, match="sets of 1 and 30 images came"):
        distance(x[:1], y)


@pytest.mark.parametrize("num_features", [3, 40], ids=["covariances", "products"])
def test_the_standard_error_is_that_of_literal_draws_from_both_sets(
    num_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frechet, "KEPT_VARIANCE", 1.0)
    x, y = (np.random.default_rng(count).normal(size=(count, num_features)) for count in (20, 30))
    random = np.random.RandomState(3)
    values = [frechet_distance(x[random.randint(0, 20, 20)], y[random.randint(0, 30, 30)]) for _ in range(4)]
    found = frechet_standard_error(x, y, seed=3, num_resamples=4)
    assert found == pytest.approx(np.std(values, ddof=1), rel=1e-6)


def test_embedding_does_not_depend_on_batches(perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(7, 3, 32, 32) * 2 - 1
    whole = embed(lambda part: images[part], 7, perceptual)
    monkeypatch.setattr(frechet, "BATCH_SIZE", 3)
    assert np.allclose(embed(lambda part: images[part], 7, perceptual), whole, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        maps = perceptual.backbone(perceptual.scaling(images))[-1]
        expected = (maps / maps.square().mean(dim=1, keepdim=True).sqrt()).mean(dim=(2, 3))
    assert np.allclose(whole, expected, rtol=1e-4, atol=1e-5) and whole.dtype == np.float64


def test_evaluator(perceptual: Perceptual, tiny_dataset: PreparedDataset, network_config: NetworkConfig) -> None:
    """The same generator gives the same values, whatever the random state, which is left alone."""
    evaluator = held_out_evaluator(tiny_dataset, perceptual, num_images=12, device="cpu")
    torch.manual_seed(0)
    generator = randomize(Generator(network_config)).eval()
    before = torch.get_rng_state()
    values = evaluator(generator)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert evaluator(generator) == values and set(values) == {"fd", "kd"}
    assert evaluator(randomize(Generator(network_config)).eval()) != values


def test_a_generator_of_real_images_is_at_no_distance(
    perceptual: Perceptual, tiny_dataset: PreparedDataset, network_config: NetworkConfig
) -> None:
    count = len(tiny_dataset)
    evaluator = held_out_evaluator(tiny_dataset, perceptual, num_images=count, device="cpu")

    class Copier(Generator):
        def forward(self, z: torch.Tensor, **options: object) -> torch.Tensor:  # type: ignore[override]
            return frechet.to_tensor(tiny_dataset.images(range(len(z))))

    assert evaluator(Copier(network_config))["fd"] == pytest.approx(0, abs=1e-5)
