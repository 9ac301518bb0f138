"""The GPU's kernels without a GPU: Triton's interpreter computes them, and its compiler translates them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not IS_INTERPRETED, reason="run by test_in_the_interpreter in a process of its own")


@pytest.mark.slow  # a minute
@pytest.mark.skipif(IS_INTERPRETED, reason="starts the others")
def test_in_the_interpreter() -> None:
    """Triton decides at its import whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert " passed" in run.stdout


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send CPU tensors to the kernels."""
    from ui2i.ops import activation, resample

    for module in (activation, resample):
        monkeypatch.setattr(module, "is_fused", lambda x: True)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def derivatives(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The value, its gradients, and the gradients of the squared gradient in the first input, as R1 takes them."""
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = function(*inputs)
    weight = random(*y.shape, seed=9)
    first = torch.autograd.grad((y * weight).sum(), inputs, retain_graph=True)
    (dx,) = torch.autograd.grad((y.square() * weight).sum(), inputs[:1], create_graph=True)
    second = torch.autograd.grad(dx.square().sum(), inputs)
    return [y, *first, dx, *second]


def expect_equal(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    from ui2i.ops import activation, resample

    came = derivatives(function, inputs)
    for module in (activation, resample):
        monkeypatch.setattr(module, "is_fused", lambda x: False)
    for a, b in zip(came, derivatives(function, inputs), strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@interpreted
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (2, 3, 10, 6)])
@pytest.mark.parametrize("name", ["upsample2x", "downsample2x", "blur"])
def test_resampling(kernels: None, monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, ...]) -> None:
    from ui2i.ops import resample

    function = getattr(resample, name)
    arguments = {"padding": 2, "gain": 4.0} if name == "blur" else {}
    expect_equal(monkeypatch, lambda x: function(x, **arguments), [random(*shape)])


@interpreted
@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (2, 70, 10, 6)])
def test_activation(
    kernels: None, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], clamp: float | None
) -> None:
    from ui2i.ops.activation import activate

    num_images, channels, height, width = shape
    noise = random(num_images, 1, height, width, seed=3)
    inputs = [random(*shape), random(num_images, channels, seed=1), random(channels, seed=2), noise]

    def everything(x: Tensor, scale: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        return activate(x * 1, scale=scale, bias=bias, noise=noise, clamp=clamp)

    expect_equal(monkeypatch, everything, inputs)
    for module in ("activation", "resample"):
        monkeypatch.setattr(f"ui2i.ops.{module}.is_fused", lambda x: True)
    expect_equal(monkeypatch, everything, [*inputs[:3], noise[0, 0]])  # one map for all images, as a model stores it


@interpreted
def test_scaling(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui2i.ops.activation import scale_channels

    expect_equal(monkeypatch, scale_channels, [random(2, 3, 6, 4), random(2, 3, seed=1)])
