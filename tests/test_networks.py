"""Generator and discriminator against the literal formulas, reference images, and their own promises."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from network_values import random, with_config
from torch import Tensor, nn

from ui2i.converters.formats import read_checkpoint
from ui2i.errors import ConfigError
from ui2i.networks.discriminator import Discriminator, minibatch_stddev
from ui2i.networks.generator import Generator
from ui2i.networks.layers import Convolution, SynthesisLayer
from ui2i.settings import NetworkConfig


def double_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.double() for name, value in network.state_dict().items()}


# -- literal formulas -------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_generator_is_the_literal_one(generator: Generator, clamp: float | None) -> None:
    generator = with_config(generator, conv_clamp=clamp)
    z, state = random(3, 10), double_state(generator)
    w = reference.mapping(state, generator.config, z.double())
    assert (generator.mapping(z) - w).abs().max() < 1e-5
    ws = generator.broadcast(w.float())
    expected = reference.synthesis(state, generator.config, ws.double())
    assert expected.std() > 0.1
    assert (generator.synthesis(ws) - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (generator(z) - expected).abs().max() < 2e-5 * expected.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("num_images", [1, 2, 4])
def test_discriminator_is_the_literal_one(discriminator: Discriminator, clamp: float | None, num_images: int) -> None:
    config = dataclasses.replace(discriminator.config, conv_clamp=clamp)
    clamped = Discriminator(config)
    clamped.load_state_dict(discriminator.state_dict())
    img = random(num_images, 3, 32, 32)
    state = double_state(discriminator)
    expected = reference.discriminator(state, config, img.double())
    magnitudes = reference.logit_magnitudes(state, config, img.double())
    assert clamped(img).shape == (num_images, 1)
    assert ((clamped(img) - expected).abs() / magnitudes).max() < 5e-6


@pytest.mark.parametrize("up", [False, True])
def test_synthesis_layer_has_the_literal_gradients(up: bool) -> None:
    """In float64, first and second derivatives with respect to input, code, weight and bias."""
    torch.manual_seed(0)
    layer = SynthesisLayer(3, 2, w_dim=4, resolution=4, up=up).double()
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.bias.normal_()
    x = random(2, 3, *((2, 2) if up else (4, 4))).double().requires_grad_()
    w = random(2, 4, seed=1).double().requires_grad_()
    state = {f"layer.{name}": value for name, value in layer.named_parameters()}

    def literal() -> Tensor:
        return reference._synthesis_layer(state, "layer", x, w, layer.noise_const, up=up, clamp=None)

    inputs = [x, w, layer.weight, layer.bias, layer.affine.weight, layer.noise_strength]
    pairs = zip(_two_derivatives(layer(x, w), inputs), _two_derivatives(literal(), inputs), strict=True)
    for ours, expected in pairs:
        assert torch.allclose(ours, expected, rtol=0, atol=1e-9 * max(1.0, expected.abs().max().item()))
        assert expected.abs().max() > 1e-6


def _two_derivatives(y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(torch.stack([value.square().sum() for value in first]).sum(), inputs)
    return [value.detach() for value in (y, *first, *second)]


@pytest.mark.parametrize(("num_images", "group_size"), [(1, 4), (2, 2), (6, 2), (6, 3), (8, 4), (3, 8)])
def test_minibatch_stddev(num_images: int, group_size: int) -> None:
    x = random(num_images, 3, 4, 4).double()
    result = minibatch_stddev(x, group_size)
    assert torch.allclose(result, reference.minibatch_stddev(x, group_size), rtol=0, atol=1e-12)
    assert result.shape == (num_images, 1, 4, 4)


# -- reference images -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rosinality_fixture(golden: Path) -> tuple[Generator, Discriminator, dict[str, Tensor]]:
    """Networks of the reference checkpoint, and what they must give."""
    with np.load(golden / "rosinality-32-expected.npz") as file:
        expected = {name: torch.from_numpy(file[name]) for name in file.files}
    checkpoint = read_checkpoint(golden / "rosinality-source-32.pt")
    assert checkpoint.discriminator is not None
    return checkpoint.generator, checkpoint.discriminator, expected


@torch.no_grad()
def test_parity_with_rosinality(
    rosinality_fixture: tuple[Generator, Discriminator, dict[str, Tensor]],
) -> None:
    generator, discriminator, expected = rosinality_fixture
    z = expected["z"]
    ours = {
        "w": generator.mapping(z),
        "image_psi1": generator(z),
        "image_psi07": generator(z, truncation_psi=0.7),
        "d_logits": discriminator(expected["image_psi1"]),
    }
    for name, value in ours.items():
        part = value[: len(expected[name])]  # of the truncated images the file holds the first alone
        assert part.shape == expected[name].shape
        assert (part - expected[name]).abs().max() < 1e-4, name
    # Fails on images so alike that the comparison above would mean nothing.
    assert (expected["image_psi1"][:1] - expected["image_psi07"][:1]).abs().max() > 0.1


# -- shapes, order of codes, truncation -------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512, 1024])
def test_every_resolution(resolution: int) -> None:
    config = NetworkConfig(
        img_resolution=resolution, z_dim=3, w_dim=4, num_mapping_layers=1, channel_base=2 * resolution, channel_max=2
    )
    generator, discriminator = Generator(config), Discriminator(config)
    img = generator(random(1, 3))
    assert img.shape == (1, 3, resolution, resolution) and img.dtype == torch.float32
    assert torch.isfinite(img).all() and img.std() > 0
    logits = discriminator(img)
    assert logits.shape == (1, 1) and torch.isfinite(logits).all()
    assert generator.synthesis.block(resolution).resolution == resolution


def test_names_of_stylegan2_ada_pytorch(generator: Generator, discriminator: Discriminator) -> None:
    conv = {"weight", "bias", "noise_const", "noise_strength", "affine.weight", "affine.bias"}
    rgb = {"weight", "bias", "affine.weight", "affine.bias"}
    expected = {"mapping.w_avg", "synthesis.b4.const"}
    expected |= {f"mapping.fc{index}.{leaf}" for index in range(2) for leaf in ("weight", "bias")}
    for resolution in (4, 8, 16, 32):
        for layer in ("conv0", "conv1")[resolution == 4 :]:
            expected |= {f"synthesis.b{resolution}.{layer}.{leaf}" for leaf in conv}
        expected |= {f"synthesis.b{resolution}.torgb.{leaf}" for leaf in rgb}
    assert set(generator.state_dict()) == expected

    expected = {f"b4.{layer}.{leaf}" for layer in ("conv", "fc", "out") for leaf in ("weight", "bias")}
    for resolution in (8, 16, 32):
        layers = ("fromrgb", "conv0", "conv1")[resolution != 32 :]
        expected |= {f"b{resolution}.{layer}.{leaf}" for layer in layers for leaf in ("weight", "bias")}
        expected.add(f"b{resolution}.skip.weight")
    assert set(discriminator.state_dict()) == expected


def test_each_layer_takes_its_own_code(generator: Generator) -> None:
    """The table in CHECKPOINTS.md: ToRGB shares its code with the next block's first convolution."""
    codes = torch.arange(8.0)[None, :, None].expand(1, 8, 9)
    seen: dict[str, float] = {}

    def recorder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, args: seen.update({name: float(args[0][0, 0])})

    for name, module in generator.synthesis.named_modules():
        if name.endswith(".affine"):
            module.register_forward_pre_hook(recorder(name.removesuffix(".affine")))
    generator.synthesis(codes)
    assert seen == {
        "b4.conv1": 0,
        "b4.torgb": 1,
        "b8.conv0": 1,
        "b8.conv1": 2,
        "b8.torgb": 3,
        "b16.conv0": 3,
        "b16.conv1": 4,
        "b16.torgb": 5,
        "b32.conv0": 5,
        "b32.conv1": 6,
        "b32.torgb": 7,
    }


@torch.no_grad()
def test_truncation(generator: Generator) -> None:
    w, w_avg = random(3, 9), generator.w_avg
    assert generator.truncate(w, 1.0) is w
    assert torch.equal(generator.truncate(w, 0.0), w_avg.expand(3, -1))
    assert torch.allclose(generator.truncate(w, 0.7), w_avg + 0.7 * (w - w_avg), atol=1e-6)
    # Mixed codes are truncated one by one.
    ws = random(3, 8, 9, seed=1)
    each = torch.stack([generator.truncate(ws[:, index], 0.3) for index in range(8)], dim=1)
    assert torch.equal(generator.truncate(ws, 0.3), each)
    z = random(4, 10)
    mean_images = generator(z, truncation_psi=0.0)
    assert torch.allclose(mean_images, mean_images[:1].expand_as(mean_images), atol=1e-5)
    assert torch.equal(generator(z, truncation_psi=1.0), generator.synthesis(generator.broadcast(generator.mapping(z))))
    assert torch.equal(
        generator(z, truncation_psi=0.5),
        generator.synthesis(generator.broadcast(generator.truncate(generator.mapping(z), 0.5))),
    )


@torch.no_grad()
def test_w_avg_moves_by_half_a_percent(generator: Generator) -> None:
    w, before = random(6, 9), generator.w_avg.clone()
    generator.mapping.update_w_avg(w)
    assert torch.allclose(generator.w_avg, 0.995 * before + 0.005 * w.mean(dim=0), atol=1e-6)


@torch.no_grad()
def test_z_has_no_length(generator: Generator) -> None:
    z = random(2, 10)
    assert torch.allclose(generator.mapping(z), generator.mapping(7 * z), atol=1e-5)


# -- noise ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_noise_modes(generator: Generator) -> None:
    ws = generator.broadcast(random(2, 9))
    const, none = generator.synthesis(ws), generator.synthesis(ws, noise_mode="none")
    assert torch.equal(const, generator.synthesis(ws, noise_mode="const"))
    torch.manual_seed(0)
    first, second = (generator.synthesis(ws, noise_mode="random") for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(first, generator.synthesis(ws, noise_mode="random"))
    images = [const, none, first, second]
    assert all((images[i] - images[j]).abs().max() > 1e-2 for i in range(4) for j in range(i))

    silent = copy.deepcopy(generator)
    for name, parameter in silent.named_parameters():
        if name.endswith("noise_strength"):
            parameter.zero_()
    assert torch.allclose(silent.synthesis(ws, noise_mode="random"), none, atol=1e-5)


@torch.no_grad()
def test_given_noise(generator: Generator) -> None:
    ws = generator.broadcast(random(2, 9))
    stored = [value for name, value in generator.named_buffers() if name.endswith("noise_const")]
    assert [len(value) for value in stored] == [4, 8, 8, 16, 16, 32, 32]
    given = [value[None, None] for value in stored]
    assert torch.equal(generator.synthesis(ws, noise=given), generator.synthesis(ws))
    maps = [random(2, 1, *value.shape, seed=index) for index, value in enumerate(stored)]
    expected = reference.synthesis(double_state(generator), generator.config, ws.double(), [m.double() for m in maps])
    assert (generator.synthesis(ws, noise=maps) - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_random_noise_differs_between_images(generator: Generator) -> None:
    ws = generator.broadcast(random(1, 9).expand(2, -1))
    first, second = generator.synthesis(ws, noise_mode="random")
    assert (first - second).abs().max() > 1e-2


@torch.no_grad()
def test_network_without_noise(generator: Generator) -> None:
    silent = with_config(generator, use_noise=False)
    ws = silent.broadcast(random(2, 9))
    expected = generator.synthesis(ws, noise_mode="none")
    before = torch.get_rng_state()
    assert torch.equal(silent.synthesis(ws, noise_mode="const"), expected)
    assert torch.equal(silent.synthesis(ws, noise_mode="random"), expected)
    assert torch.equal(torch.get_rng_state(), before)
    frozen = [name for name, parameter in silent.named_parameters() if not parameter.requires_grad]
    assert frozen == [name for name, _ in silent.named_parameters() if name.endswith("noise_strength")]


# -- speed that no one sees -------------------------------------------------------------------------------------------


def test_activations_are_channels_last(generator: Generator, discriminator: Discriminator) -> None:
    """Forwards and backwards, above 4 px: another layout gives the same numbers at half the speed."""
    layouts: dict[str, bool] = {}

    def note(name: str, value: Tensor) -> None:
        layouts[name] = value.is_contiguous(memory_format=torch.channels_last)

    def watch(name: str, value: Tensor) -> None:
        if value.shape[3] > 4:
            note(name, value)
            value.register_hook(lambda grad: note(f"gradient of {name}", grad))

    for kind, network in (("generator", generator.synthesis), ("discriminator", discriminator)):
        for name, module in network.named_modules(prefix=kind):
            if isinstance(module, SynthesisLayer | Convolution):
                module.register_forward_hook(lambda _, __, y, name=name: watch(name, y))
    ws = generator.broadcast(random(3, 9)).requires_grad_()
    discriminator(generator.synthesis(ws)[:2].contiguous()).sum().backward()
    assert len(layouts) == 2 * (6 + 8) and all(layouts.values()), [name for name, last in layouts.items() if not last]


def test_batches_in_one_pass_have_their_own_groups(discriminator: Discriminator) -> None:
    batches = [random(4, 3, 32, 32, seed=seed) for seed in range(3)]
    together = discriminator(torch.cat(batches), num_batches=3)
    apart = torch.cat([discriminator(batch) for batch in batches])
    assert torch.allclose(together, apart, rtol=0, atol=1e-5)
    assert (together - discriminator(torch.cat(batches))).abs().max() > 1e-3


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 9), (2, 7, 9), (2, 8, 10), (2, 9, 9)])
def test_wrong_codes(generator: Generator, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"ws has shape .*, expected \(N, 8, 9\) at 32 px; make it with"):
        generator.synthesis(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (2, 1, 32, 32), (3, 32, 32), (2, 3, 32, 31)])
def test_wrong_images(discriminator: Discriminator, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"img has shape .*, expected \(N, 3, 32, 32\); resize"):
        discriminator(torch.zeros(shape))


def test_batch_that_groups_do_not_divide(discriminator: Discriminator) -> None:
    with pytest.raises(ConfigError, match=r"the batch has 3 images, expected a multiple of .* group of 2"):
        discriminator(torch.zeros(3, 3, 32, 32))
