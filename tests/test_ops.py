"""Resampling and modulation against the formulas read literally, with first and second derivatives."""

import functools
from collections.abc import Callable

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from ui2i.ops import convolution
from ui2i.ops.convolution import conv2d, conv_transpose2d, sum_of_products, without_weight_gradients
from ui2i.ops.modulation import demodulation, map_pixels
from ui2i.ops.resample import blur, downsample2x, upsample2x

TOLERANCE = 1e-10
SHAPES = [(1, 1, 2, 2), (2, 3, 4, 6), (3, 5, 8, 2), (1, 2, 16, 16)]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def upsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """As `SynthesisLayer` samples up."""
    return blur(conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)


def downsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """As `Convolution` samples down."""
    return conv2d(blur(x, padding=2), weight, stride=2)


def modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, *, up: bool = False) -> Tensor:
    """As `SynthesisLayer` scales inputs and outputs."""
    x = x * styles[:, :, None, None]
    y = upsampling_conv2d(x, weight) if up else conv2d(x, weight, padding=1)
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
    products = upsample2x(x) * y
    # Rounding is relative to the terms, whose sum may be near 0.
    assert (products.sum() - 4 * (x * downsample2x(y)).sum()).abs() < 1e-13 * products.abs().sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_out", [1, 3, 4])
def test_resampling_convolutions(shape: tuple[int, ...], num_out: int) -> None:
    x, weight = random(*shape), random(num_out, shape[1], 3, 3, seed=1)
    up = largest_difference(upsampling_conv2d(x, weight), reference.upsampling_conv2d(x, weight))
    down = largest_difference(downsampling_conv2d(x, weight), reference.downsampling_conv2d(x, weight))
    assert max(up, down) < TOLERANCE


@pytest.mark.parametrize("gain", [1.0, 4.0])
@pytest.mark.parametrize("padding", [0, 1, 2, 3])
def test_blur(padding: int, gain: float) -> None:
    x = random(2, 3, 5, 6)
    expected = reference.upfirdn2d(x, reference.fir_kernel(gain), pad=(padding, padding))
    assert largest_difference(blur(x, padding=padding, gain=gain), expected) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_upsampling_by_inserted_zeros(dtype: torch.dtype) -> None:
    """In low precision on a CPU; the numbers are multiples of 1/16 below 16, so that nothing is rounded."""
    x = torch.arange(24.0).reshape(1, 2, 3, 4) % 8
    assert torch.equal(upsample2x(x.to(dtype)).float(), upsample2x(x))


@pytest.mark.parametrize("size", [(5, 5), (6, 5), (8, 8)])
@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(3, 1, 1), (3, 2, 0), (1, 1, 0), (3, 2, 1)])
def test_convolution_is_torchs(kernel_size: int, stride: int, padding: int, size: tuple[int, int]) -> None:
    """Values and two derivatives; with stride 2, sizes that the kernel covers and that it does not."""
    x = random(2, 3, *size).requires_grad_()
    weight, bias = random(4, 3, kernel_size, kernel_size, seed=1).requires_grad_(), random(4, seed=2).requires_grad_()
    inputs = [x, weight, bias]
    ours = two_derivatives(conv2d(x, weight, bias, stride=stride, padding=padding), inputs)
    expected = two_derivatives(F.conv2d(x, weight, bias, stride=stride, padding=padding), inputs)
    assert max(map(relative_difference, ours, expected)) < TOLERANCE


def test_transposed_convolution_is_torchs() -> None:
    x, weight = random(2, 3, 4, 5).requires_grad_(), random(3, 4, 3, 3, seed=1).requires_grad_()
    ours = two_derivatives(conv_transpose2d(x, weight, stride=2), [x, weight])
    expected = two_derivatives(F.conv_transpose2d(x, weight, stride=2), [x, weight])
    assert max(map(relative_difference, ours, expected)) < TOLERANCE


@pytest.mark.parametrize("operator", [conv2d, functools.partial(conv_transpose2d, stride=2)])
def test_without_weight_gradients(operator: Callable[..., Tensor]) -> None:
    """First derivatives skip the weight, second ones reach it."""
    x, weight = random(2, 3, 4, 5).requires_grad_(), random(3, 3, 3, 3, seed=1).requires_grad_()
    with without_weight_gradients():
        dx, dweight = torch.autograd.grad(operator(x, weight).sum(), [x, weight], create_graph=True, allow_unused=True)
    assert dweight is None
    (second,) = torch.autograd.grad(dx.square().sum(), weight)
    (expected,) = torch.autograd.grad(operator(x, weight).sum(), x, create_graph=True)
    assert torch.equal(second, torch.autograd.grad(expected.square().sum(), weight)[0])
    with pytest.raises(ZeroDivisionError), without_weight_gradients():
        raise ZeroDivisionError
    assert torch.autograd.grad(operator(x, weight).sum(), weight)[0].abs().max() > 0


def relative_difference(a: Tensor, b: Tensor) -> float:
    return largest_difference(a, b) / float(b.abs().max())


def two_derivatives(y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    first = torch.autograd.grad(y.pow(3).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(torch.stack([value.square().sum() for value in first]).sum(), inputs)
    return [value.detach() for value in (y, *first, *second)]


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


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_map_pixels_is_a_convolution_with_weights_of_each_image(memory_format: torch.memory_format) -> None:
    x, weight = random(3, 4, 2, 5), random(3, 2, 4, seed=1)
    expected = torch.cat([F.conv2d(x[n : n + 1], weight[n, :, :, None, None]) for n in range(3)])
    assert largest_difference(map_pixels(x.contiguous(memory_format=memory_format), weight), expected) < TOLERANCE


def test_demodulation_of_nothing_is_finite() -> None:
    zero = torch.zeros(2, 3)
    assert torch.equal(demodulation(torch.ones(4, 3, 3, 3), zero), torch.full((2, 4), 1e4))


OPERATORS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "upsample2x": (upsample2x, [(1, 2, 2, 3)]),
    "downsample2x": (downsample2x, [(1, 2, 4, 2)]),
    "blur": (functools.partial(blur, padding=2), [(1, 2, 3, 2)]),
    "conv2d": (functools.partial(conv2d, stride=2), [(2, 2, 4, 5), (1, 2, 3, 3), (1,)]),
    "conv_transpose2d": (functools.partial(conv_transpose2d, stride=2), [(1, 2, 2, 3), (2, 1, 3, 3)]),
    "upsampling_conv2d": (upsampling_conv2d, [(1, 2, 2, 2), (1, 2, 3, 3)]),
    "downsampling_conv2d": (downsampling_conv2d, [(1, 1, 4, 4), (2, 1, 3, 3)]),
    "map_pixels": (map_pixels, [(2, 2, 2, 3), (2, 3, 2)]),
    "demodulation": (demodulation, [(2, 2, 3, 3), (2, 2)]),
    "modulated_conv2d": (modulated_conv2d, [(2, 2, 2, 2), (1, 2, 3, 3), (2, 2)]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives(name: str) -> None:
    operator, shapes = OPERATORS[name]
    inputs = tuple(random(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes))
    assert gradcheck(operator, inputs)
    assert gradgradcheck(operator, inputs)


@pytest.mark.parametrize(("size", "out_channels"), [((1, 1, 1, 1), 1), ((2, 3, 4, 6), 5), ((3, 5, 7, 3), 2)])
def test_weight_gradients_as_products(size: tuple[int, ...], out_channels: int) -> None:
    x, dy = random(*size), random(size[0], out_channels, *size[2:], seed=1)
    weight = random(out_channels, size[1], 3, 3, seed=2).requires_grad_()
    (expected,) = torch.autograd.grad(F.conv2d(x, weight, padding=1), weight, dy)
    assert largest_difference(sum_of_products(x, dy), expected) < TOLERANCE


@pytest.mark.parametrize("suits", [True, False])
def test_both_weight_gradients_are_differentiated_alike(suits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "suits_products", lambda size, shape: suits)
    x, weight = random(2, 3, 6, 6).float(), random(4, 3, 3, 3, seed=1).float()
    leaves = [value.requires_grad_() for value in (x, weight)]
    (gradient,) = torch.autograd.grad(conv2d(*leaves, padding=1).square().sum(), weight, create_graph=True)
    came = torch.autograd.grad(gradient.square().sum(), leaves)
    doubles = [value.detach().double().requires_grad_() for value in (x, weight)]
    (gradient,) = torch.autograd.grad(F.conv2d(*doubles, padding=1).square().sum(), doubles[1], create_graph=True)
    for a, b in zip(came, torch.autograd.grad(gradient.square().sum(), doubles), strict=True):
        assert (a.double() - b).norm() < 1e-5 * b.norm()
