"""What the comparison of inversions measures of each image, and the images that it generates."""

import functools

import pytest
import torch
from tiny_models import random_generator

from experiments.paper import inversion_comparison
from experiments.paper.inversion_comparison import compare_inversions, generated_contestant
from ui2i.inversion import code_spread, invert
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig


@pytest.fixture(scope="module")
def loud() -> Generator:
    """A model whose images leave [-1, 1]."""
    generator = random_generator(7)
    for resolution in generator.config.block_resolutions:
        generator.synthesis.block(resolution).torgb.weight.mul_(4)
    generator.mapping.fc1.weight.mul_(8)  # so that latent codes differ visibly
    return generator


def test_each_image_has_its_own_errors_with_its_own_noise(
    loud: Generator, perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = functools.partial(inversion_comparison._parts, size=2)
    monkeypatch.setattr(inversion_comparison, "_parts", parts)
    config = InversionConfig(
        method="w_plus", num_steps=3, learning_rate=0.1, latent_noise=0.0, optimize_noise=True, noise_regularization=0.0
    )
    generated = generated_contestant(loud, 3, seed=1)
    rows = compare_inversions([generated], loud, perceptual, [config], columns={})
    found = invert(generated.images, loud, perceptual, config)
    made = loud.synthesis(found.ws, noise=list(found.noise))
    assert made.abs().max() > 1.2 and generated.w is not None
    for place, row in enumerate(rows):
        away = (generated.images[place] - made[place].clamp(-1, 1)).square().mean().item()
        error = (found.ws[place] - generated.w[place]).square().mean().item() / code_spread(loud).variance
        assert row["image"] == f"seed 1, {place}"
        assert row["l2"] == pytest.approx(away, rel=1e-3)
        assert row["latent_error"] == pytest.approx(error, rel=1e-3)
        for name in ("ssim", "lpips", "loss"):
            assert row[name] == pytest.approx(getattr(found, name)[place].item(), rel=1e-3)
    assert all(len({row[name] for row in rows}) == 3 for name in ("l2", "latent_error", "loss"))


def test_generated_images_are_those_of_their_codes_as_files_hold_them(loud: Generator) -> None:
    whole, pulled = (generated_contestant(loud, 2, seed=1, truncation_psi=psi) for psi in (1.0, 0.5))
    assert whole.w is not None and pulled.w is not None
    torch.testing.assert_close(pulled.w, loud.w_avg + 0.5 * (whole.w - loud.w_avg))
    made = loud.synthesis(loud.broadcast(pulled.w)).clamp(-1, 1)
    levels = (pulled.images + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert (pulled.images - made).abs().max() <= 1.01 / 255
    assert not torch.equal(generated_contestant(loud, 2, seed=2).w, whole.w)
