"""Resampling and modulation against the formulas read literally, with first and second derivatives."""

from collections.abc import Callable

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from ui2i.ops.modulation import demodulation
from ui2i.ops.resample import downsample2x, fold_downsampling, fold_upsampling, upsample2x

TOLERANCE = 1e-10
SHAPES = [(1, 1, 2, 2), (2, 3, 4, 6), (3, 5, 8, 2), (1, 2, 16, 16)]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def upsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """As `SynthesisLayer` uses the folded weight."""
    return F.pixel_shuffle(F.conv2d(x, fold_upsampling(weight), padding=1), 2)


def downsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """As `Convolution` uses the folded weight."""
    return F.conv2d(F.pixel_unshuffle(x, 2), fold_downsampling(weight), padding=1)


def modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, *, up: bool = False) -> Tensor:
    """As `SynthesisLayer` scales inputs and outputs."""
    x = x * styles[:, :, None, None]
    y = upsampling_conv2d(x, weight) if up else F.conv2d(x, weight, padding=1)
    return y * demodulation(weight, styles)[:, :, None, None]


def largest_difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape and a.dtype == b.dtype
    return float((a - b).abs().max())


@pytest.mark.parametrize("shape", SHAPES)
def test_upsample2x(shape: tuple[int, ...]) -> None:
    x = random(*shape)
    assert largest_difference(upsample2x(x), reference.upsample2x(x)) < TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_downsample2x(shape: tuple[int, ...]) -> None:
    x = random(*shape)
    assert largest_difference(downsample2x(x), reference.downsample2x(x)) < TOLERANCE


def test_known_values() -> None:
    # By hand: one pixel of 64 spreads as [1, 3, 3, 1] x [1, 3, 3, 1] / 16; what leaves the border is lost.
    corner = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    corner[0, 0, 0, 0] = 16
    assert upsample2x(corner)[0, 0].tolist() == [[9, 9, 3, 0], [9, 9, 3, 0], [3, 3, 1, 0], [0, 0, 0, 0]]
    # The mean of a constant is kept where the filter sees no border.
    constant = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(upsample2x(constant)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 14, 14, dtype=torch.float64))
    assert torch.equal(downsample2x(constant)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 2, 2, dtype=torch.float64))
    assert downsample2x(constant)[0, 0, 0, 0] == (7 / 8) ** 2


def test_down_is_the_adjoint_of_up() -> None:
    x, y = random(1, 2, 4, 6), random(1, 2, 8, 12, seed=1)
    # <up x, y> = 4 <x, down y>: the same filter read in both directions, with gain 4 and 1.
    assert torch.isclose((upsample2x(x) * y).sum(), 4 * (x * downsample2x(y)).sum(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_out", [1, 3, 4])
def test_folded_convolutions(shape: tuple[int, ...], num_out: int) -> None:
    x, weight = random(*shape), random(num_out, shape[1], 3, 3, seed=1)
    up = largest_difference(upsampling_conv2d(x, weight), reference.upsampling_conv2d(x, weight))
    down = largest_difference(downsampling_conv2d(x, weight), reference.downsampling_conv2d(x, weight))
    assert max(up, down) < TOLERANCE


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("channels", [(1, 1), (3, 5), (4, 2)])
def test_modulated_convolution(up: bool, channels: tuple[int, int]) -> None:
    x, weight, styles = (
        random(3, channels[0], 4, 6),
        random(*channels[::-1], 3, 3, seed=1),
        random(3, channels[0], seed=2),
    )
    expected = reference.modulated_conv2d(x, weight, styles, up=up)
    assert largest_difference(modulated_conv2d(x, weight, styles, up=up), expected) < TOLERANCE


def test_demodulated_weights_have_unit_norm() -> None:
    weight, styles = random(5, 3, 3, 3), random(4, 3, seed=1)
    norms = reference.modulated_weight(weight, styles).square().sum(dim=(2, 3, 4))
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-7)
    scaled = weight[None] * styles[:, None, :, None, None] * demodulation(weight, styles)[:, :, None, None, None]
    assert largest_difference(scaled, reference.modulated_weight(weight, styles)) < TOLERANCE


def test_demodulation_of_nothing_is_finite() -> None:
    zero = torch.zeros(2, 3)
    assert torch.equal(demodulation(torch.ones(4, 3, 3, 3), zero), torch.full((2, 4), 1e4))


OPERATORS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "upsample2x": (upsample2x, [(1, 2, 2, 3)]),
    "downsample2x": (downsample2x, [(1, 2, 4, 2)]),
    "upsampling_conv2d": (upsampling_conv2d, [(1, 2, 2, 2), (1, 2, 3, 3)]),
    "downsampling_conv2d": (downsampling_conv2d, [(1, 1, 4, 4), (2, 1, 3, 3)]),
    "demodulation": (demodulation, [(2, 2, 3, 3), (2, 2)]),
    "modulated_conv2d": (modulated_conv2d, [(2, 2, 2, 2), (1, 2, 3, 3), (2, 2)]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives(name: str) -> None:
    operator, shapes = OPERATORS[name]
    inputs = tuple(random(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes))
    assert gradcheck(operator, inputs)
    assert gradgradcheck(operator, inputs)


def test_taps_follow_the_dtype() -> None:
    weight = torch.ones(1, 1, 3, 3)
    for fold in (fold_upsampling, fold_downsampling):
        assert fold(weight).dtype == torch.float32
        assert fold(weight.double()).dtype == torch.float64
        assert fold(weight.bfloat16()).dtype == torch.bfloat16
