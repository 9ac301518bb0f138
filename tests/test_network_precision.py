"""Generator and discriminator with clamping and in low precision."""

import pytest
import torch
from network_values import random, with_config
from torch import Tensor

from ui2i.losses import generator_loss, path_lengths, r1_penalty
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.networks.layers import Convolution, SynthesisLayer


@torch.no_grad()
def test_clamp_bounds_the_activations(generator: Generator, discriminator: Discriminator) -> None:
    clamped = with_config(generator, conv_clamp=0.25)
    largest: dict[str, float] = {}
    for name, module in clamped.synthesis.named_modules():
        if name.endswith(("conv0", "conv1", "torgb")):
            module.register_forward_hook(lambda _, __, y, name=name: largest.update({name: float(y.abs().max())}))
    clamped.synthesis(clamped.broadcast(random(2, 9)))
    assert len(largest) == 11 and max(largest.values()) == 0.25 and min(largest.values()) > 0
    unaffected = with_config(generator, conv_clamp=1e6)
    ws = generator.broadcast(random(2, 9))
    assert torch.equal(unaffected.synthesis(ws), generator.synthesis(ws))
    # A residual branch carries the gain sqrt(1/2), and its clamp with it.
    conv = Convolution(3, 2, 3, down=True, gain=0.5**0.5, clamp=0.25)
    assert conv(10 * random(2, 3, 8, 8)).abs().max() == torch.tensor(0.25 * 0.5**0.5)


@torch.no_grad()
def test_bf16_stays_near(generator: Generator, discriminator: Discriminator) -> None:
    """bf16 has 8 significant bits. Over six seeds the RMS error of images was at most 0.7 % of their RMS, that of
    logits 2 % of theirs; the bounds are about three times that."""
    ws = generator.broadcast(random(8, 9))
    img = generator.synthesis(ws)
    rough = generator.synthesis(ws, dtype=torch.bfloat16)
    logits, rough_logits = discriminator(img), discriminator(img, dtype=torch.bfloat16)
    assert rough.dtype == rough_logits.dtype == torch.float32
    assert 1e-4 < relative_rms(rough - img, img) < 0.02
    assert 1e-4 < relative_rms(rough_logits - logits, logits) < 0.06


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.4), (torch.float16, 0.1)])
def test_gradients_in_low_precision_stay_near(
    generator: Generator, discriminator: Discriminator, dtype: torch.dtype, bound: float
) -> None:
    """RMS errors of the losses' gradients in all parameters; docs/results/precision.md has those of wider networks."""
    ws = generator.broadcast(random(8, 9)).requires_grad_()
    real_img, noise = random(8, 3, 32, 32, seed=1), random(8, 3, 32, 32, seed=2)

    def gradients(dtype: torch.dtype) -> list[Tensor]:
        img = generator.synthesis(ws, dtype=dtype)
        real = real_img.clone().requires_grad_()
        losses = {
            "generator": (generator_loss(discriminator(img, dtype=dtype)), generator.synthesis),
            "path length": (path_lengths(img, ws, noise).square().mean(), generator.synthesis),
            "r1": (r1_penalty(real, discriminator(real, dtype=dtype)), discriminator),
        }
        result = []
        for loss, network in losses.values():
            grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
            result.append(torch.cat([grad.flatten() for grad in grads if grad is not None]))
        return result

    for rough, exact in zip(gradients(dtype), gradients(torch.float32), strict=True):
        assert 1e-5 < relative_rms(rough - exact, exact) < bound


@torch.no_grad()
def test_low_precision_at_the_top_alone(generator: Generator, discriminator: Discriminator) -> None:
    ws = generator.broadcast(random(4, 9))
    dtypes: dict[str, torch.dtype] = {}
    for kind, network in (("generator", generator.synthesis), ("discriminator", discriminator)):
        for name, module in network.named_modules(prefix=kind):
            if isinstance(module, SynthesisLayer | Convolution):
                module.register_forward_hook(lambda _, args, __, name=name: dtypes.update({name: args[0].dtype}))

    def run(num: int | None, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, Tensor]:
        img = generator.synthesis(ws, dtype=dtype, num_low_precision_resolutions=num)
        return img, discriminator(img, dtype=dtype, num_low_precision_resolutions=num)

    exact = run(0, torch.bfloat16)
    assert torch.equal(exact[0], generator.synthesis(ws)) and set(dtypes.values()) == {torch.float32}
    for num, resolutions in ((1, {32}), (2, {32, 16}), (3, {32, 16, 8}), (None, {32, 16, 8, 4})):
        outputs = run(num)
        low = {int(name.split(".")[1][1:]) for name, dtype in dtypes.items() if dtype == torch.bfloat16}
        assert low == resolutions and dtypes["discriminator.b4.conv"] == torch.float32
        for output, expected in zip(outputs, exact, strict=True):
            assert output.dtype == torch.float32 and 1e-4 < relative_rms(output - expected, expected) < 0.1
    assert len(dtypes) == 7 + 11


@torch.no_grad()
def test_float16_survives_large_styles(generator: Generator) -> None:
    for name, parameter in generator.named_parameters():
        if "conv" in name and "affine" in name:
            parameter.mul_(1e7)
    ws = generator.broadcast(random(2, 9))
    img = generator.synthesis(ws)
    assert relative_rms(generator.synthesis(ws, dtype=torch.float16) - img, img) < 0.01


def relative_rms(error: Tensor, value: Tensor) -> float:
    return float((error.square().mean() / value.square().mean()).sqrt())
