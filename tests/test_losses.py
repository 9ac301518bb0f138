"""Losses against closed forms and whole Jacobians, in float64."""

import math

import pytest
import reference
import torch
from torch import Tensor

from ui2i.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_logistic_losses_at_zero() -> None:
    zero = torch.zeros(4, 1)
    assert generator_loss(zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))


def test_logistic_losses_are_cross_entropies() -> None:
    real, fake = 3 * random(7, 1), 3 * random(7, 1, seed=1)
    real_share, fake_share = torch.sigmoid(real), torch.sigmoid(fake)
    assert torch.allclose(generator_loss(fake), -fake_share.log().mean(), atol=1e-12)
    expected = -(real_share.log() + (1 - fake_share).log()).mean()
    assert torch.allclose(discriminator_loss(real, fake), expected, atol=1e-12)


def test_direction_of_the_gradients() -> None:
    """The generator raises the logits of its images; the discriminator raises real ones and lowers fake ones."""
    real, fake = random(3, 1).requires_grad_(), random(3, 1, seed=1).requires_grad_()
    (by_generator,) = torch.autograd.grad(generator_loss(fake), fake)
    by_real, by_fake = torch.autograd.grad(discriminator_loss(real, fake), (real, fake))
    assert (by_generator < 0).all() and (by_real < 0).all() and (by_fake > 0).all()
    assert torch.allclose(by_generator, -torch.sigmoid(-fake) / 3, atol=1e-12)


def test_losses_are_finite_for_extreme_logits() -> None:
    extreme = torch.tensor([[1e4], [-1e4]])
    assert generator_loss(extreme).item() == pytest.approx(5e3)
    assert discriminator_loss(extreme, extreme).item() == pytest.approx(1e4)


def test_r1_of_a_linear_discriminator() -> None:
    slope = random(3, 4, 4)
    img = random(5, 3, 4, 4, seed=1).requires_grad_()
    penalty = r1_penalty(img, (img * slope).sum(dim=(1, 2, 3))[:, None] + 7)
    assert torch.allclose(penalty, slope.square().sum(), atol=1e-12)


def test_r1_has_a_derivative() -> None:
    """For logits t |x|^2 / 2 the penalty is t^2 |x|^2 and its derivative 2 t |x|^2, means over images."""
    scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    img = random(5, 3, 4, 4).requires_grad_()
    penalty = r1_penalty(img, (scale * img.square().sum(dim=(1, 2, 3)) / 2)[:, None])
    energy = img.square().sum(dim=(1, 2, 3)).mean()
    assert torch.allclose(penalty, scale.square() * energy, atol=1e-10)
    (derivative,) = torch.autograd.grad(penalty, scale)
    assert torch.allclose(derivative, 2 * scale * energy, atol=1e-10)


def test_r1_is_the_jacobians() -> None:
    kernel = random(2, 3, 3, 3, seed=1)

    def logits_of(img: Tensor) -> Tensor:
        return torch.tanh(torch.nn.functional.conv2d(img, kernel)).sum(dim=(1, 2, 3))[:, None]

    img = random(4, 3, 5, 5).requires_grad_()
    assert r1_penalty(img, logits_of(img)).item() == pytest.approx(reference.r1_penalty(logits_of, img.detach()))


def images_of(ws: Tensor) -> Tensor:
    """A smooth stand-in for a generator: ws [N, 2, 3] -> images [N, 3, 4, 4], each layer with its own influence."""
    first, second = random(3, 48, seed=3), random(3, 48, seed=4)
    return (torch.tanh(ws[:, 0] @ first) + (ws[:, 1] @ second).square() / 4).unflatten(1, (3, 4, 4))


def test_path_lengths_are_the_jacobians() -> None:
    ws = random(4, 2, 3).requires_grad_()
    fake_img = images_of(ws)
    torch.manual_seed(5)
    lengths = path_lengths(fake_img, ws)
    torch.manual_seed(5)
    noise = torch.randn_like(fake_img)
    assert lengths.tolist() == pytest.approx(reference.path_lengths(images_of, ws.detach(), noise), rel=1e-10)


def test_path_lengths_have_a_derivative() -> None:
    """An image scaled by t has paths t times as long."""
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    ws = random(4, 2, 3).requires_grad_()
    lengths = path_lengths(scale * images_of(ws), ws)
    (derivative,) = torch.autograd.grad(lengths.sum(), scale)
    assert torch.allclose(derivative, lengths.sum(), atol=1e-12)


def test_path_lengths_of_a_linear_generator() -> None:
    """E |J^T y|^2 = |J|^2 / (H W) for y ~ N(0, 1 / (H W)), with one code and J the same for all images."""
    matrix = random(3, 3 * 16)
    ws = torch.zeros(20000, 1, 3, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    lengths = path_lengths((ws[:, 0] @ matrix).unflatten(1, (3, 4, 4)), ws)
    assert lengths.square().mean().item() == pytest.approx(matrix.square().sum().item() / 16, rel=0.03)


def test_expanded_codes_are_a_node_of_the_graph() -> None:
    """`expand` may stand between w and ws: the gradient is one a layer, and reaches w in the second derivative."""
    w = random(4, 3).requires_grad_()
    leaf = w.detach()[:, None].expand(-1, 2, -1).requires_grad_()
    results = []
    for ws in (leaf, w[:, None].expand(-1, 2, -1), w[:, None].expand(-1, 2, -1).contiguous()):
        torch.manual_seed(0)
        results.append(path_lengths(images_of(ws), ws))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    for lengths in results[1:]:
        (derivative,) = torch.autograd.grad(lengths.sum(), w)
        assert derivative.abs().min() > 0
