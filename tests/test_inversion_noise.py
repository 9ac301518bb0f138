"""Noise maps that are searched for and kept white, and the fading noise on codes."""

import pytest
import torch
from tiny_models import random_generator, random_ws
from torch import Tensor

from ui2i.errors import ConfigError
from ui2i.inversion import code_spread, invert
from ui2i.inversion.noise import Jitter, jitter_scale, renormalize_, start_maps, whiteness_penalty
from ui2i.metrics.ssim import ssim
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig


@pytest.fixture(scope="module")
def model() -> Generator:
    return random_generator(7)


@pytest.fixture(scope="module")
def images(model: Generator) -> Tensor:
    return model.synthesis(model.truncate(random_ws(model, 2, seed=1), 0.4), noise_mode="random").clamp(-1, 1)


def config(**settings: object) -> InversionConfig:
    defaults = {"method": "w", "num_steps": 30, "learning_rate": 0.1, "latent_noise": 0.0, "optimize_noise": True}
    return InversionConfig(**(defaults | settings))  # type: ignore[arg-type]


def test_maps_of_the_image_are_found_and_make_it(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    found = invert(images, model, perceptual, config(noise_regularization=0.0))
    plain = invert(images, model, perceptual, config(optimize_noise=False))
    assert plain.noise == ()
    assert (found.loss < plain.loss).all()
    assert [maps.shape for maps in found.noise] == [(2, 1, r, r) for r in (4, 8, 8, 16, 16, 32, 32)]
    made = model.synthesis(found.ws, noise=list(found.noise))
    l1 = (images - made).abs().mean(dim=(1, 2, 3))
    torch.testing.assert_close(l1 + perceptual.distance(images, made), found.loss, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.ssim, ssim(images, made.clamp(-1, 1)))
    torch.testing.assert_close(found.lpips, perceptual.distance(images, made.clamp(-1, 1)), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found.noise[-1][0], found.noise[-1][1])  # each image has its own


def test_maps_stay_white_under_the_penalty(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    free = invert(images, model, perceptual, config(noise_regularization=0.0))
    kept = invert(images, model, perceptual, config(noise_regularization=1e5))
    assert (whiteness_penalty(kept.noise) < 0.5 * whiteness_penalty(free.noise)).all()
    for maps in kept.noise:
        torch.testing.assert_close(maps.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(maps.square().mean(dim=(1, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)


def test_a_generator_without_noise_has_none_to_find(perceptual: Perceptual) -> None:
    silent = random_generator(7, use_noise=False)
    image = silent.synthesis(random_ws(silent, 1)).clamp(-1, 1)
    assert start_maps(silent, 1) == []
    assert invert(image, silent, perceptual, config(num_steps=1)).noise == ()


def test_the_search_starts_from_the_generators_own_maps(model: Generator) -> None:
    maps = start_maps(model, 2)
    assert torch.equal(model.synthesis(random_ws(model, 2), noise=maps), model.synthesis(random_ws(model, 2)))


def test_the_penalty_is_the_papers() -> None:
    maps = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    expected = torch.zeros(2, dtype=torch.float64)
    for image in range(2):
        scaled = maps[image, 0]
        while True:
            size = len(scaled)
            across = sum(scaled[y, x] * scaled[y, x - 1] for y in range(size) for x in range(size)) / size**2
            down = sum(scaled[y, x] * scaled[y - 1, x] for y in range(size) for x in range(size)) / size**2
            expected[image] += across**2 + down**2
            if size == 8:
                break
            scaled = 0.5 * (scaled[::2, ::2] + scaled[1::2, ::2] + scaled[::2, 1::2] + scaled[1::2, 1::2])
    torch.testing.assert_close(whiteness_penalty([maps]), expected)
    torch.testing.assert_close(whiteness_penalty([maps, maps]), 2 * expected)


def test_renormalizing() -> None:
    maps = [3 * torch.randn(2, 1, 8, 8) + 5, torch.zeros(2, 1, 4, 4)]
    renormalize_(maps)
    torch.testing.assert_close(maps[0].mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(maps[0].square().mean(dim=(1, 2, 3)), torch.ones(2))
    assert torch.equal(maps[1], torch.zeros(2, 1, 4, 4))  # a flat one stays finite


def test_the_jitter_fades_and_is_the_same_for_every_image() -> None:
    assert [jitter_scale(step, 100) for step in (0, 75, 76, 100)] == [1.0, 0.0, 0.0, 0.0]
    assert jitter_scale(25, 100) == pytest.approx((2 / 3) ** 2)
    ws = torch.zeros(3, 2, 2000)
    added = Jitter(0.3, 100, seed=5).add(ws, 25)
    assert torch.equal(added, added[:1].expand(3, -1, -1))
    assert added.std().item() == pytest.approx(0.3 * (2 / 3) ** 2, rel=0.05)
    assert torch.equal(added, Jitter(0.3, 100, seed=5).add(ws, 25))
    assert not torch.equal(added, Jitter(0.3, 100, seed=6).add(ws, 25))
    assert Jitter(0.3, 100, seed=5).add(ws, 80) is ws


def test_jitter_is_measured_in_lengths_of_w(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    result = invert(images, model, perceptual, config(latent_noise=0.05, num_steps=1, learning_rate=1e-9, seed=5))
    jittered = Jitter(0.05 * code_spread(model).length, 1, seed=5).add(model.w_avg.expand(2, 1, -1), 0)
    made = model.synthesis(jittered.expand(-1, model.config.num_ws, -1))
    expected = (images - made).abs().mean(dim=(1, 2, 3)) + perceptual.distance(images, made)
    torch.testing.assert_close(result.losses[0], expected, atol=1e-5, rtol=0)


def test_the_spread_of_codes(model: Generator) -> None:
    spread = code_spread(model, 500)
    w = model.mapping(torch.randn(500, 8, generator=torch.Generator().manual_seed(0))) - model.w_avg
    assert spread.variance == pytest.approx(w.square().mean().item())
    assert spread.length == pytest.approx(w.square().sum(dim=1).mean().sqrt().item())
    unit = torch.eye(8)[2]
    assert spread.std_along(unit) == pytest.approx(w[:, 2].std().item())


def test_the_loss_of_features_is_equation_5(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    result = invert(images, model, perceptual, config(perceptual_loss="features", optimize_noise=False, num_steps=20))
    made = model.synthesis(result.ws)
    terms = [
        (x - y).square().sum(dim=1).mean(dim=(1, 2)).sqrt()
        for x, y in zip(perceptual.features(images), perceptual.features(made), strict=True)
    ]
    expected = (images - made).abs().mean(dim=(1, 2, 3)) + torch.stack(terms).mean(dim=0)
    torch.testing.assert_close(result.loss, expected, atol=1e-4, rtol=0)
    assert (result.loss < 0.8 * result.losses[0]).all()
    torch.testing.assert_close(result.lpips, perceptual.distance(images, made.clamp(-1, 1)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["l1_weight", "latent_noise", "noise_regularization", "domain_weight"])
def test_weights_below_zero_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} is -1.0, expected at least 0"):
        config(**{name: -1.0})
