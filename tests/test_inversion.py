"""Inversion of generated images, whose codes are known; independence of neighbours; spaces and schedule."""

import dataclasses
import typing

import pytest
import torch
from tiny_models import random_generator, random_ws
from torch import Tensor

from ui2i.errors import DataError, TrainingError
from ui2i.factorization import gram, style_weights
from ui2i.inversion import SEARCHES, invert, latent_space
from ui2i.inversion.schedule import rate_scale
from ui2i.metrics.ssim import ssim
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig, InversionMethod

ALL_METHODS: tuple[InversionMethod, ...] = typing.get_args(InversionMethod)
METHODS = tuple(method for method in ALL_METHODS if method not in ("encoder", "in_domain"))  # these need an encoder
PER_LAYER = ("w_plus", "closed_form_plus", "in_domain")


@pytest.fixture(scope="module")
def model() -> Generator:
    return random_generator(7)


@pytest.fixture(scope="module")
def images(model: Generator) -> Tensor:
    return model.synthesis(model.truncate(random_ws(model, 3, seed=1), 0.4)).clamp(-1, 1)


def config(method: InversionMethod = "w", num_steps: int = 4, **settings: object) -> InversionConfig:
    # So that the defaults can be tuned without these tests, and that codes alone make an image.
    settings = {"learning_rate": 0.1, "latent_noise": 0.0, "optimize_noise": False} | settings
    return InversionConfig(method=method, num_steps=num_steps, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_a_generated_image_is_found_again(
    model: Generator, images: Tensor, perceptual: Perceptual, method: InversionMethod
) -> None:
    result = invert(images, model, perceptual, config(method, 60))
    least = 4 if method == "closed_form_mapping" else 8  # its weights slow the search down
    assert (result.losses[0] > least * result.loss).all(), result.losses[0] / result.loss
    assert result.ws.shape == (3, model.config.num_ws, 8)
    if method not in PER_LAYER:
        assert torch.equal(result.ws, result.ws[:, :1].expand_as(result.ws))
    if method == "w":
        assert (model.synthesis(result.ws) - images).abs().mean() < 0.01
        assert (result.ssim > 0.98).all()
        assert (result.lpips < 0.01).all()


@pytest.mark.parametrize("method", METHODS)
def test_an_image_does_not_depend_on_its_neighbours(
    model: Generator, images: Tensor, perceptual: Perceptual, method: InversionMethod
) -> None:
    noisy: dict[str, object] = {"latent_noise": 0.05, "optimize_noise": True}
    together = invert(images, model, perceptual, config(method, batch_size=3, **noisy))
    # In another order, so that an image's place does not matter either.
    for order, batch_size in (([2, 0, 1], 1), ([1, 2, 0], 2)):
        apart = invert(images[order], model, perceptual, config(method, batch_size=batch_size, **noisy))
        torch.testing.assert_close(apart.ws, together.ws[order], atol=1e-3, rtol=0)
        for maps, together_maps in zip(apart.noise, together.noise, strict=True):
            torch.testing.assert_close(maps, together_maps[order], atol=1e-3, rtol=0)
        torch.testing.assert_close(apart.losses, together.losses[:, order], atol=1e-4, rtol=0)
    assert (together.ws - model.w_avg).abs().max() > 0.01  # it did move


def test_equal_calls_give_equal_codes(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    noisy = config(latent_noise=0.05, optimize_noise=True, seed=3)
    first = invert(images, model, perceptual, noisy)
    torch.manual_seed(99)
    again = invert(images, model, perceptual, noisy)
    assert torch.equal(first.ws, again.ws)
    assert torch.equal(first.losses, again.losses)
    other = invert(images, model, perceptual, dataclasses.replace(noisy, seed=4))
    assert not torch.equal(first.losses[0], other.losses[0])  # the codes are jittered from the first step on


def test_the_best_code_is_kept_image_by_image(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    result = invert(images, model, perceptual, config(num_steps=12, learning_rate=0.6))  # it jumps about
    assert result.losses.shape == (13, 3)
    assert result.learning_rate == 0.6
    assert len(set(result.losses.argmin(dim=0).tolist())) > 1  # best at different steps
    assert torch.equal(result.loss, result.losses.amin(dim=0))
    generated = model.synthesis(result.ws)
    loss = (images - generated).abs().mean(dim=(1, 2, 3)) + perceptual.distance(images, generated)
    torch.testing.assert_close(loss, result.loss, atol=1e-5, rtol=0)


def test_the_start_is_the_mean_image_and_the_last_step_counts(
    model: Generator, images: Tensor, perceptual: Perceptual
) -> None:
    result = invert(images, model, perceptual, config(num_steps=1, l1_weight=2.0, perceptual_weight=0.5))
    mean_image = model.synthesis(model.broadcast(model.w_avg[None])).expand(3, -1, -1, -1)
    l1 = (images - mean_image).abs().mean(dim=(1, 2, 3))
    expected = 2 * l1 + 0.5 * perceptual.distance(images, mean_image)
    torch.testing.assert_close(result.losses[0], expected, atol=1e-5, rtol=0)
    assert len(result.losses) == 2
    assert torch.equal(result.loss, result.losses[1])


def test_quality_is_that_of_the_clamped_reconstruction(
    model: Generator, images: Tensor, perceptual: Perceptual
) -> None:
    loud = random_generator(7)
    for resolution in (4, 8, 16, 32):
        loud.synthesis.block(resolution).torgb.weight.mul_(8)
    result = invert(images, loud, perceptual, config())
    generated = loud.synthesis(result.ws)
    assert generated.abs().max() > 1.2
    torch.testing.assert_close(result.ssim, ssim(images, generated.clamp(-1, 1)))
    torch.testing.assert_close(result.lpips, perceptual.distance(images, generated.clamp(-1, 1)), atol=1e-5, rtol=1e-4)


def test_the_generator_stays_as_it_is(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    trained = random_generator(7).train().requires_grad_(True)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    result = invert(images, trained, perceptual, config())
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in trained.parameters())
    tensors = (result.ws, result.losses, result.loss, result.ssim, result.lpips)
    assert trained.training
    assert not any(tensor.requires_grad for tensor in tensors)


def test_progress_counts_every_step_of_every_batch(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    calls: list[tuple[int, int]] = []
    notes: list[str] = []

    def note_down(done: int, total: int, note: str = "") -> None:
        calls.append((done, total))
        notes.append(note)

    invert(images, model, perceptual, config(num_steps=3, batch_size=2), progress=note_down)
    assert calls == [(done, 6) for done in range(1, 7)]
    assert notes[0].startswith("loss 0.")


@pytest.mark.parametrize("method", METHODS)
def test_spaces_start_at_the_mean_and_reach_every_code(model: Generator, method: InversionMethod) -> None:
    space = latent_space(method, model)
    start = space.start(2)
    assert torch.equal(space.to_ws(start), model.w_avg.expand(2, model.config.num_ws, 8))
    assert start.shape == (2, model.config.num_ws if method in PER_LAYER else 1, 8)
    basis = torch.eye(8) if space.basis is None else space.basis
    assert torch.linalg.matrix_rank(basis) == 8


def test_the_mapping_reading_is_equation_9_with_the_mapping_network(model: Generator) -> None:
    layers = [getattr(model.mapping, f"fc{index}").weight for index in range(model.mapping.num_layers)]
    v_matrix = torch.stack([layer.T @ layer for layer in layers if layer.shape[1] == model.config.w_dim]).sum(dim=0)
    u = torch.randn(1, 1, model.config.w_dim)
    found = latent_space("closed_form_mapping", model).to_ws(u)[0, 0] - model.w_avg
    torch.testing.assert_close(found, u[0, 0] @ v_matrix / v_matrix.diagonal().mean(), atol=1e-4, rtol=1e-4)


def test_the_closed_form_is_equation_9(model: Generator) -> None:
    v_matrix = gram(style_weights(model))
    scaled = v_matrix / torch.linalg.eigvalsh(v_matrix).mean()
    u = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0))
    v = torch.linalg.solve(scaled.T, model.w_avg) + u[0, 0]  # from the v that gives w_avg
    torch.testing.assert_close(latent_space("closed_form", model).to_ws(u)[0, 0], v @ scaled, atol=1e-4, rtol=1e-4)


def test_directions_are_a_rotation(model: Generator) -> None:
    basis = latent_space("directions", model).basis
    assert basis is not None
    torch.testing.assert_close(basis @ basis.T, torch.eye(8), atol=1e-5, rtol=0)
    scales = (style_weights(model) @ basis.T).norm(dim=0)  # of the styles' change along each row
    assert (scales.diff() < 0).all()


def test_the_rate_rises_stays_and_falls() -> None:
    scales = [rate_scale(step, 1000) for step in range(1000)]
    assert scales[:50] == sorted(scales[:50])
    assert scales[0] == pytest.approx(0.01)
    assert all(scale == pytest.approx(1) for scale in scales[50:750])
    assert scales[750:] == sorted(scales[750:], reverse=True)
    assert 0 < scales[-1] < 1e-4
    assert scales[875] == pytest.approx(0.5, abs=0.01)
    assert 0 < rate_scale(0, 1) <= 1


def test_every_method_has_its_rate(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    assert set(SEARCHES) == set(ALL_METHODS) - {"encoder"}
    result = invert(images[:1], model, perceptual, config("w_plus", 1, learning_rate=None))
    assert (result.learning_rate, result.method, result.num_steps) == (SEARCHES["w_plus"].learning_rate, "w_plus", 1)
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda images: images[:0], r"shape \[0, 3, 32, 32\], expected float \[N, 3, 32, 32\] in \[-1, 1\]"),
        (lambda images: images[0], r"shape \[3, 32, 32\]"),
        (lambda images: images[..., :16, :16], r"shape \[3, 3, 16, 16\]"),
        (lambda images: 127.5 * (images + 1), r"from .* to .*, expected .* make them with images.to_tensor"),
        (lambda images: images.to(torch.int64), "images are torch.int64"),
        (lambda images: images * torch.nan, "from nan to nan"),
    ],
)
def test_unsuitable_images_are_refused(
    model: Generator, images: Tensor, perceptual: Perceptual, spoil: typing.Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        invert(spoil(images), model, perceptual, config())


def test_a_generator_without_finite_images_is_refused(images: Tensor, perceptual: Perceptual) -> None:
    broken = random_generator(7)
    broken.synthesis.b32.torgb.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match="3 of 3 images never had a finite loss"):
        invert(images, broken, perceptual, config())


def test_a_search_that_leaves_the_finite_keeps_its_best(
    model: Generator, images: Tensor, perceptual: Perceptual
) -> None:
    result = invert(images, model, perceptual, config(num_steps=3, learning_rate=1e30))
    assert not result.losses.isfinite().all()
    assert result.loss.isfinite().all()
    assert result.ws.isfinite().all()


def test_results_do_not_change_afterwards(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    result = invert(images, model, perceptual, config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.seconds = 0.0  # type: ignore[misc]
