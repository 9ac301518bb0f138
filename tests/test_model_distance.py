"""Eq. 1 against a literal loop over latents with the lpips package, and what must not change a distance."""

import copy
import dataclasses
import weakref

import numpy as np
import pytest
import torch
from distance_models import CONFIG, NOISE_MODES, count_calls
from distance_models import generators as generators
from scipy import stats
from torch import Tensor, nn

from ui2i.errors import CheckpointError, ConfigError, DataError
from ui2i.metrics.model_distance import PairDistance, latents, model_distances
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig, NoiseMode

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


def by_pair(distances: list[PairDistance]) -> dict[tuple[str, str], PairDistance]:
    return {(distance.source, distance.target): distance for distance in distances}


def literal_values(source: Generator, target: Generator, perceptual: Perceptual, config: DistanceConfig) -> np.ndarray:
    """One latent after the other: two images of it, and lpips' own module between them."""
    import lpips

    reference: nn.Module = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    reference.net.load_state_dict(perceptual.backbone.state_dict())
    z_stream, noise_stream = (np.random.RandomState([config.seed, index]) for index in (0, 1))
    noise: list[Tensor] | None = None
    values = []
    for index in range(config.num_latents):
        z = torch.from_numpy(z_stream.standard_normal((1, source.config.z_dim))).float()
        if config.noise_mode == "random" or (config.noise_mode == "const" and index == 0):
            noise = [
                torch.from_numpy(noise_stream.standard_normal((1, 1, r, r))).float() for r in (4, 8, 8, 16, 16, 32, 32)
            ]
        images = []
        for generator in (source, target):
            w = generator.w_avg + config.truncation_psi * (generator.mapping(z) - generator.w_avg)
            ws = w[:, None].repeat(1, generator.config.num_ws, 1)
            images.append(generator.synthesis(ws, noise_mode=config.noise_mode, noise=noise))
        values.append(reference(*images).item())
    return np.array(values)


@pytest.mark.parametrize("noise_mode", NOISE_MODES)
@torch.no_grad()
def test_equals_a_literal_loop(generators: dict[str, Generator], perceptual: Perceptual, noise_mode: NoiseMode) -> None:
    config = dataclasses.replace(CONFIG, noise_mode=noise_mode)
    distances = model_distances(generators, perceptual, config, keep_values=True)
    assert [(distance.source, distance.target) for distance in distances] == [("a", "b"), ("a", "c"), ("b", "c")]
    for distance in distances:
        expected = literal_values(generators[distance.source], generators[distance.target], perceptual, config)
        assert distance.values is not None
        assert expected.std() > 1e-3
        np.testing.assert_allclose(distance.values, expected, rtol=0, atol=2e-6)


def test_statistics(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    for distance in model_distances(generators, perceptual, CONFIG, keep_values=True):
        values = distance.values
        assert values is not None
        assert values.dtype == np.float64
        assert distance.num_latents == len(values) == 7
        assert distance.mean == pytest.approx(values.mean(), rel=1e-12)
        assert distance.std == pytest.approx(values.std(ddof=1), rel=1e-10)
        assert distance.sem == pytest.approx(stats.sem(values), rel=1e-10)
        interval = stats.t.interval(0.95, df=6, loc=values.mean(), scale=stats.sem(values))
        assert (distance.ci95_low, distance.ci95_high) == pytest.approx(interval, rel=1e-10)


@pytest.mark.parametrize("noise_mode", NOISE_MODES)
def test_batch_size_does_not_matter(
    generators: dict[str, Generator], perceptual: Perceptual, noise_mode: NoiseMode
) -> None:
    configs = [dataclasses.replace(CONFIG, noise_mode=noise_mode, batch_size=size) for size in (1, 2, 7, 100)]
    results = [model_distances(generators, perceptual, config) for config in configs]
    for others in results[1:]:
        for first, other in zip(results[0], others, strict=True):
            assert other.mean == pytest.approx(first.mean, abs=1e-6)
            assert other.std == pytest.approx(first.std, abs=1e-6)


def test_deterministic_whatever_the_random_state(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    config = dataclasses.replace(CONFIG, noise_mode="random")
    torch.manual_seed(0)
    first = model_distances(generators, perceptual, config)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert model_distances(generators, perceptual, config) == first
    assert torch.equal(torch.get_rng_state(), state)
    other_seed = model_distances(generators, perceptual, dataclasses.replace(config, seed=6))
    assert all(a.mean != b.mean for a, b in zip(first, other_seed, strict=True))


def test_order_of_generators_and_of_a_pair_does_not_matter(
    generators: dict[str, Generator], perceptual: Perceptual
) -> None:
    forward = by_pair(model_distances(generators, perceptual, CONFIG))
    reverse = by_pair(model_distances(dict(reversed(generators.items())), perceptual, CONFIG))
    assert {pair[::-1] for pair in forward} == set(reverse)
    for (source, target), distance in forward.items():
        assert reverse[target, source] == dataclasses.replace(distance, source=target, target=source)
        (alone,) = model_distances(generators, perceptual, CONFIG, pairs=[(source, target)])
        assert alone == distance


def test_distance_to_itself_is_zero(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    twins = {"a": generators["a"], "twin": copy.deepcopy(generators["a"])}
    for distance in model_distances(twins, perceptual, CONFIG, pairs=[("a", "a"), ("a", "twin")]):
        assert (distance.mean, distance.std, distance.ci95_low, distance.ci95_high) == (0, 0, 0, 0)


@pytest.mark.parametrize("noise_mode", NOISE_MODES)
def test_noise_maps_are_shared(generators: dict[str, Generator], perceptual: Perceptual, noise_mode: NoiseMode) -> None:
    """Generators that differ in nothing but the maps stored with them are the same."""
    other = copy.deepcopy(generators["a"])
    for name, buffer in other.named_buffers():
        if name.endswith("noise_const"):
            buffer.normal_()
    z = torch.randn(1, other.config.z_dim)
    assert not torch.allclose(generators["a"](z), other(z))
    config = dataclasses.replace(CONFIG, noise_mode=noise_mode)
    (distance,) = model_distances({"a": generators["a"], "other": other}, perceptual, config)
    assert distance.mean == 0


def test_noise_modes_differ(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    configs = [dataclasses.replace(CONFIG, noise_mode=noise_mode) for noise_mode in NOISE_MODES]
    means = {model_distances(generators, perceptual, config)[0].mean for config in configs}
    assert len(means) == 3


def test_truncation_to_the_mean_leaves_no_spread(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    config = dataclasses.replace(CONFIG, truncation_psi=0.0)
    for distance in model_distances(generators, perceptual, config):
        assert distance.mean > 0.01
        assert distance.std < 1e-6


def test_each_latent_passes_each_generator_once(
    generators: dict[str, Generator], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_calls(generators, perceptual, monkeypatch)
    model_distances(generators, perceptual, CONFIG)
    assert counts == {"a": 7, "b": 7, "c": 7, "backbone": 21}


def test_generators_without_a_pair_are_not_run(
    generators: dict[str, Generator], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_calls(generators, perceptual, monkeypatch)
    (distance,) = model_distances(generators, perceptual, CONFIG, pairs=[("c", "a")])
    assert (distance.source, distance.target) == ("c", "a")
    assert counts == {"a": 7, "b": 0, "c": 7, "backbone": 14}


def test_features_are_kept_no_longer_than_needed(
    generators: dict[str, Generator], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = perceptual.features
    made: list[weakref.ref[Tensor]] = []
    num_alive = []

    def watched_features(x: Tensor) -> list[Tensor]:
        num_alive.append(sum(reference() is not None for reference in made))
        maps = features(x)
        made.append(weakref.ref(maps[0]))
        return maps

    monkeypatch.setattr(perceptual, "features", watched_features)
    config = dataclasses.replace(CONFIG, num_latents=6)
    model_distances(generators, perceptual, config, pairs=[("a", "b"), ("a", "c")])
    assert num_alive == [0, 1, 1] * 2  # a is kept for c, b is not, and nothing for the next batch


def test_latent_space_is_w_where_the_mapping_networks_are_equal(
    generators: dict[str, Generator], perceptual: Perceptual
) -> None:
    frozen, drifted = copy.deepcopy(generators["a"]), copy.deepcopy(generators["a"])
    frozen.synthesis.b8.conv0.weight.data.add_(0.1)
    drifted.mapping.fc1.bias.data[0] += 0.1
    family = {"base": generators["a"], "frozen": frozen, "drifted": drifted}
    found = by_pair(model_distances(family, perceptual, CONFIG, pairs=[("base", "frozen"), ("base", "drifted")]))
    assert found["base", "frozen"].latent_space == "w"
    assert found["base", "drifted"].latent_space == "z"
    assert all(distance.mean > 0 for distance in found.values())


def test_latents_are_standard_normal_and_fewer_are_a_prefix_of_more() -> None:
    many = latents(DistanceConfig(num_latents=2000, seed=3), 16)
    assert many.shape == (2000, 16)
    assert many.dtype == torch.float32
    assert abs(many.mean().item()) < 0.02
    assert abs(many.std().item() - 1) < 0.02
    assert torch.equal(latents(DistanceConfig(num_latents=10, seed=3), 16), many[:10])
    assert not torch.equal(latents(DistanceConfig(num_latents=10, seed=4), 16), many[:10])


def test_progress_and_no_values_by_default(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    calls = []
    distances = model_distances(
        generators, perceptual, CONFIG, progress=lambda done, total, note="": calls.append((done, total))
    )
    assert calls == [(3, 7), (6, 7), (7, 7)]
    assert all(distance.values is None for distance in distances)


def test_pairs_that_cannot_be(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    with pytest.raises(ConfigError, match="1 generators make no pair"):
        model_distances({"a": generators["a"]}, perceptual, CONFIG)
    with pytest.raises(ConfigError, match="make no pair"):
        model_distances(generators, perceptual, CONFIG, pairs=[])
    with pytest.raises(ConfigError, match="pairs name x, expected some of a, b, c"):
        model_distances(generators, perceptual, CONFIG, pairs=[("a", "x")])


@pytest.mark.parametrize(("setting", "value"), [("z_dim", 11), ("img_resolution", 64)])
def test_generators_that_share_no_latents(
    generators: dict[str, Generator], perceptual: Perceptual, setting: str, value: int
) -> None:
    other = Generator(dataclasses.replace(generators["a"].config, **{setting: value}))
    with pytest.raises(CheckpointError, match=rf"differ in {setting}: a \d+, other {value};"):
        model_distances({"a": generators["a"], "other": other}, perceptual, CONFIG)


def test_generator_with_broken_weights(generators: dict[str, Generator], perceptual: Perceptual) -> None:
    generators["b"].synthesis.b4.const.data[0] = torch.nan
    with pytest.raises(CheckpointError, match="between a and b is infinite or NaN"):
        model_distances(generators, perceptual, CONFIG)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(generators: dict[str, Generator], perceptual: Perceptual, seed: int) -> None:
    with pytest.raises(ConfigError, match=r"^seed is"):
        model_distances(generators, perceptual, dataclasses.replace(CONFIG, seed=seed))


def test_images_too_small_for_the_backbone(
    generators: dict[str, Generator], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "min_resolution", 33)
    with pytest.raises(DataError, match="expected at least 33 px"):
        model_distances(generators, perceptual, CONFIG)
