"""DRIT++: every term of its losses, who is trained by which and when, and its networks layer by layer."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from tiny_baselines import Logits, networks, tiny
from torch import Tensor, nn

from experiments.paper.baselines import drit, drit_networks
from experiments.paper.baselines.state import Baseline as Model
from experiments.paper.baselines.systems import build
from ui2i.errors import ConfigError

WEIGHTS = {
    "content_adversarial": 2.0,
    "cycle": 3.0,
    "domain_adversarial": 5.0,
    "reconstruction": 7.0,
    "latent": 11.0,
    "kl": 0.13,
    "content_norm": 17.0,
    "mode_seeking": 0.19,
}
EXCHANGE = ("content_adversarial", "cycle", "reconstruction", "adversarial", "kl", "content_norm")
DRAW = ("drawn_adversarial", "latent", "mode_seeking")

# Losses


def expected_terms(model: Model, before: Model, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Return the terms of a step as sections 3.1 to 3.4 and the released code have them, one output at a time.

    Args:
        before: with the discriminators as they were before the step, which nothing else changes here.
    """
    size, dim = len(source) // 2, model.settings.style_dim
    domains = (model.source, model.target)
    images, others = (source[:size], target[:size]), (source[size:], target[size:])
    drawn, other_drawn = model.normal(2 * size, dim, 4).split(size)

    def content(number: int, image: Tensor, stream: int) -> Tensor:
        clean = domains[number].content(image)
        return clean + model.normal(size, clean[0].numel(), stream).view_as(clean)

    def attributes(number: int, image: Tensor, stream: int) -> Tensor:
        mean, log_variance = domains[number].attributes(image)
        return mean + model.normal(size, dim, stream) * log_variance.exp().sqrt()

    def entropy(discriminator: Any, made: Tensor, label: float) -> Any:
        logits = discriminator(made)
        return sum(
            nn.functional.binary_cross_entropy(each.sigmoid(), torch.full_like(each, label))
            for each in (logits if isinstance(logits, list) else [logits])
        )

    def distance(one: Tensor, other: Tensor) -> Tensor:
        return (one - other).abs().mean()

    contents = [content(number, images[number], number) for number in (0, 1)]
    encoded = [attributes(number, images[number], 2 + number) for number in (0, 1)]
    exchanged = [domains[own].generator(contents[1 - own], encoded[own]) for own in (0, 1)]
    terms: dict[str, Any] = dict.fromkeys(("discriminator", "content_discriminator", *EXCHANGE, *DRAW), 0.0)
    for own, name in enumerate(("source", "target")):
        other, generator = 1 - own, domains[own].generator
        judge, drawn_judge = (f"{kind}discriminator_{name}" for kind in ("", "drawn_"))
        mean, log_variance = domains[own].attributes(images[own])
        fakes = [generator(contents[other], vector) for vector in (drawn, other_drawn)]
        back = generator(content(other, exchanged[other], 5 + own), attributes(own, exchanged[own], 7 + own))
        terms["content_discriminator"] += entropy(before.content_discriminator, contents[own].detach(), 1 - own)
        terms["discriminator"] += entropy(getattr(before, judge), images[own], 1)
        terms["discriminator"] += entropy(getattr(before, judge), exchanged[own].detach(), 0)
        terms["content_adversarial"] += entropy(model.content_discriminator, contents[own], 0.5)
        terms["cycle"] += distance(back, images[own])
        terms["reconstruction"] += distance(generator(contents[own], encoded[own]), images[own])
        terms["adversarial"] += entropy(getattr(model, judge), exchanged[own], 1)
        terms["kl"] += 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / size
        terms["content_norm"] += (contents[own] ** 2).mean()
        terms["latent"] += distance(domains[own].attributes(fakes[0])[0], drawn)
        terms["mode_seeking"] += 1 / (distance(*fakes) / distance(drawn, other_drawn) + 1e-5)
        for fake in fakes:
            terms["discriminator"] += entropy(getattr(before, drawn_judge), others[own], 1)
            terms["discriminator"] += entropy(getattr(before, drawn_judge), fake.detach(), 0)
            terms["drawn_adversarial"] += entropy(getattr(model, drawn_judge), fake, 1)
    return terms


@pytest.mark.parametrize("num_steps", [0, 2])
def test_terms_and_their_gradients_are_the_papers(num_steps: int) -> None:
    """Discriminators learn first, then everything by one loss, then all but the attribute encoders by another."""
    weights = {f"{name}_weight": value for name, value in WEIGHTS.items()}
    others = {"learning_rate": 0.01, "content_learning_rate": 0.01, "content_gradient_norm": 1e9}
    model = build("drit", dataclasses.replace(tiny("drit"), **weights, **others), "cpu")
    for network in networks(model).values():
        for parameter in randomize(network).parameters():
            parameter.data *= 0.7  # no output is saturated, so that gradients of two orders of sums agree
    model.num_steps = num_steps
    before, steps = copy.deepcopy(model), recorded(model)
    for optimizer in (model.generator_optimizer, model.attribute_optimizer):
        optimizer.param_groups[0]["lr"] = 0.0
    source, target = torch.randn(2, 4, 3, 32, 32).clamp(-1, 1)
    found, expected = model.train_step(source, target), expected_terms(model, before, source, target)
    is_whole = num_steps == 2
    assert found.keys() == (expected.keys() if is_whole else {"content_discriminator"})
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-3), name
    factors = WEIGHTS | dict.fromkeys(("adversarial", "drawn_adversarial"), WEIGHTS["domain_adversarial"])
    exchange, draw = (sum(factors[name] * expected[name] for name in names) for names in (EXCHANGE, DRAW))
    judges = [
        (before, "discriminator_optimizer", expected["discriminator"]),
        (before, "content_optimizer", expected["content_discriminator"]),
    ]
    domains = [("generator_optimizer", exchange), ("attribute_optimizer", exchange), ("generator_optimizer", draw)]
    wanted = [*judges, *((model, *each) for each in domains)] if is_whole else judges[1:]
    assert [name for name, _ in steps] == [name for _, name, _ in wanted]
    for (name, gradients), (of, _, loss) in zip(steps, wanted, strict=True):
        parameters = getattr(of, name).param_groups[0]["params"]
        exact = torch.autograd.grad(loss, parameters, retain_graph=True)
        torch.testing.assert_close(gradients, list(exact), rtol=1e-3, atol=1e-4, msg=name)


def recorded(model: Model) -> list[tuple[str, list[Tensor]]]:
    """Return a list that gets the name of an optimiser and its gradients at each of its steps."""
    steps: list[tuple[str, list[Tensor]]] = []
    for name in model.parts:
        if name.endswith("_optimizer"):

            def record(optimizer: torch.optim.Optimizer, *_: Any, name: str = name) -> None:
                steps.append((name, [parameter.grad.clone() for parameter in optimizer.param_groups[0]["params"]]))

            getattr(model, name).register_step_pre_hook(record)
    return steps


def test_losses_of_drit_are_cross_entropies() -> None:
    real, fakes = torch.full((1, 3, 2, 2), 0.4), [torch.full((1, 3, 2, 2), value) for value in (0.1, -0.3)]
    one = sum(np.log1p(np.exp(-scale * 0.4)) + np.log1p(np.exp(scale * 0.1)) for scale in (1, 2))
    other = sum(np.log1p(np.exp(-scale * 0.4)) + np.log1p(np.exp(scale * -0.3)) for scale in (1, 2))
    assert float(drit.discriminator_loss(Logits(), real, fakes[:1])) == pytest.approx(one)
    assert float(drit.discriminator_loss(Logits(), real, fakes)) == pytest.approx(one + other)


def test_kl_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(3, 8), torch.randn(3, 8)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(drit.kl_divergence(mean, log_variance), expected)


def test_mode_seeking_punishes_equal_images() -> None:
    attributes, others = torch.zeros(1, 8), torch.ones(1, 8)
    images, far = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    assert float(drit.mode_seeking(images, far, attributes, others)) == pytest.approx(2, rel=1e-3)
    assert float(drit.mode_seeking(images, images, attributes, others)) > 1e4


def test_domains_of_drit_share_a_layer_of_encoders_and_of_generators() -> None:
    model = build("drit", tiny("drit"), "cpu")
    assert model.source.content.shared is model.target.content.shared
    assert model.source.generator.shared is model.target.generator.shared
    assert model.source.content.layers[0] is not model.target.content.layers[0]


# Training


def drit_step(num_steps: int = 2, **changes: Any) -> tuple[Model, dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Return a DRIT++ after a step, the weights that it had before, and the step's terms."""
    model = build("drit", dataclasses.replace(tiny("drit"), **changes), "cpu")
    before = {
        name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in networks(model).items()
    }
    model.num_steps = num_steps
    return model, before, model.train_step(*torch.randn(2, 2, 3, 32, 32).clamp(-1, 1))


@pytest.mark.parametrize("num_steps", range(3))
def test_two_of_three_steps_of_drit_train_the_content_discriminator_alone(num_steps: int) -> None:
    model, before, terms = drit_step(num_steps)
    for name, part in networks(model).items():
        is_same = [torch.equal(value, before[name][key]) for key, value in part.state_dict().items()]
        assert (not any(is_same)) if num_steps == 2 or name == "content_discriminator" else all(is_same), name
    assert (terms.keys() == {"content_discriminator"}) == (num_steps < 2)


def test_drawn_attributes_do_not_train_drit_s_attribute_encoders() -> None:
    silent = dict.fromkeys(("kl_weight", "cycle_weight", "reconstruction_weight", "weight_decay"), 0.0)
    model, before, _ = drit_step(**silent, domain_adversarial_weight=0.0)
    for key, value in model.target.state_dict().items():
        assert torch.equal(value, before["target"][key]) == key.startswith("attributes."), key


def test_rates_of_drit_fall_and_that_of_its_content_discriminator_is_lower() -> None:
    model = build("drit", tiny("drit"), "cpu")
    for share, factor in ((0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)):
        model.set_learning_rate(share)
        assert model.generator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4 * factor)
        assert model.content_optimizer.param_groups[0]["lr"] == pytest.approx(4e-5 * factor)


def test_gradients_of_drit_s_content_discriminator_are_clipped() -> None:
    model = build("drit", dataclasses.replace(tiny("drit"), content_gradient_norm=1e-3), "cpu")
    model._update_content_discriminator(*(100 * torch.randn(2, 1, 8, 8, 8)))
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.content_discriminator.parameters()])
    assert float(gradients.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_contents_of_drit_are_noisy_in_training_alone() -> None:
    model, images = build("drit", tiny("drit"), "cpu"), torch.zeros(2, 3, 32, 32)
    noise = drit._noisy_content(model, model.source, images, 0) - model.source.content(images)
    assert float(noise.detach().std()) == pytest.approx(1, abs=0.1)
    outputs = [model.translate(np.zeros((2, 32, 32, 3), np.uint8)) for _ in range(2)]
    assert (outputs[0] == outputs[1]).all()


def test_an_odd_batch_of_drit_is_refused() -> None:
    with pytest.raises(ConfigError, match="--batch-size is 3, expected an even number"):
        tiny("drit", batch_size=3)


# Networks


def test_drit_s_networks_have_the_released_code_s_parameters() -> None:
    """Those of its defaults; biases before an instance norm, which have no effect, are left out in blocks."""
    block = 2 * 256 * 256 * 9
    shared = drit_networks.ResidualBlock(256)
    halving = sum(a * a * 9 + a + a * b * 9 + b + a * b + b for a, b in ((64, 128), (128, 192), (192, 256)))
    expected = {
        drit_networks.ContentEncoder(64, 3, shared): 3 * 64 * 49
        + 64
        + 64 * 128 * 9
        + 128
        + 128 * 256 * 9
        + 256
        + 4 * block,
        drit_networks.AttributeEncoder(64, 8): 3 * 64 * 16 + 64 + halving + 256 * 16 + 16,
        drit_networks.Generator(64, 3, 8, shared): block
        + 3 * 2 * 264 * 264 * 9
        + (272 * 136 * 9 + 3 * 136)
        + (144 * 72 * 9 + 3 * 72)
        + 80 * 3
        + 3,
        drit_networks.ContentDiscriminator(256, 3): 3 * (256 * 256 * 49 + 256) + 256 * 256 * 16 + 256 + 257,
    }
    for network, count in expected.items():
        assert sum(parameter.numel() for parameter in network.parameters()) == count, network


@pytest.mark.parametrize("size", [32, 48, 64, 128, 256])
def test_the_content_discriminator_fits_its_content(size: int) -> None:
    discriminator = drit_networks.ContentDiscriminator(2, drit_networks.find_num_content_layers(size))
    assert discriminator(torch.randn(3, 2, size // 4, size // 4)).shape == (3, 9 if size == 48 else 1)


def test_slopes_are_the_released_codes() -> None:
    model = build("drit", tiny("drit"), "cpu")
    parts = {**networks(model), "attributes": model.source.attributes, "content": model.source.content}
    slopes = {
        name: {layer.negative_slope for layer in part.modules() if isinstance(layer, nn.LeakyReLU)}
        for name, part in parts.items()
        if name not in ("source", "target")
    }
    assert slopes == {name: {0.01} for name in slopes} | {"attributes": {0.2}}


def test_a_halving_block_adds_means_of_four_pixels() -> None:
    block, x = randomize(drit_networks.HalvingBlock(2, 3)), torch.randn(2, 2, 8, 8)
    pad, leaky = nn.ReflectionPad2d(1), nn.LeakyReLU(0.2)
    first, second = block.layers[1], block.layers[3]
    y = nn.functional.conv2d(pad(leaky(x)), first.weight, first.bias)
    y = nn.functional.conv2d(pad(leaky(y)), second.weight, second.bias) + block.shortcut(x)
    torch.testing.assert_close(block(x), y.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean(dim=(3, 5)))


def test_attributes_are_put_beside_what_enters_every_layer_behind_the_shared_block() -> None:
    shared = drit_networks.ResidualBlock(8)
    generator = randomize(drit_networks.Generator(2, 1, 3, shared))
    content, attributes = torch.randn(2, 8, 8, 8), torch.randn(2, 3)

    def beside(x: Tensor) -> Tensor:
        return torch.cat([x, attributes[:, :, None, None] * torch.ones(2, 3, *x.shape[2:])], dim=1)

    x = generator.blocks(beside(shared(content)))
    for up in generator.ups:
        x = up(beside(x))
    torch.testing.assert_close(generator(content, attributes), generator.output(beside(x)).tanh())


def test_a_content_ends_with_the_shared_block() -> None:
    encoder = randomize(drit_networks.ContentEncoder(2, 1, drit_networks.ResidualBlock(8)))
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(encoder(images), encoder.shared(encoder.layers(images)))
    assert sum(isinstance(layer, drit_networks.InstanceNorm) for layer in encoder.layers) == 2
