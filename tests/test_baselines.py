"""MUNIT: shapes and losses; and what it has in common with DRIT++."""

import dataclasses
from typing import Any

import pytest
import torch
from conftest import randomize
from tiny_baselines import MULTI_MODAL, Logits, networks, tiny
from torch import nn

from experiments.paper.baselines import munit, munit_networks
from experiments.paper.baselines.systems import build

# Networks


def test_content_encoder_has_the_paper_s_parameters() -> None:
    # c7s1-64, d128, d256 with biases, and R256 four times without.
    expected = 3 * 64 * 49 + 64 + 64 * 128 * 16 + 128 + 128 * 256 * 16 + 256 + 8 * 256 * 256 * 9
    encoder = munit_networks.ContentEncoder(64, 4)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected


def test_style_encoder_has_the_paper_s_parameters() -> None:
    expected = 3 * 64 * 49 + 64 + (64 * 128 + 128 * 256 + 2 * 256 * 256) * 16 + 128 + 3 * 256 + 256 * 8 + 8
    encoder = munit_networks.StyleEncoder(64, 8)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected
    kinds = {type(layer) for layer in encoder.layers}
    assert kinds == {nn.Conv2d, nn.ReLU}, "a norm would leave every channel's mean, the style, at 0"


def test_munit_s_style_network_and_decoder_have_the_paper_s_parameters() -> None:
    convolutions = 8 * (256 * 256 * 9 + 256) + 256 * 128 * 25 + 3 * 128 + 128 * 64 * 25 + 3 * 64 + 64 * 3 * 49 + 3
    expected = convolutions + 8 * 256 + 256 + 256 * 256 + 256 + 256 * 4096 + 4096
    assert sum(parameter.numel() for parameter in munit_networks.Decoder(64, 4, 8).parameters()) == expected


def test_discriminators_begin_with_small_weights_and_encoders_of_munit_with_those_of_he() -> None:
    torch.manual_seed(0)
    layer = munit_networks.MultiScaleDiscriminator(16, 1).scales[0][4]
    assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)  # not 1 / sqrt(8 * 32)
    scale = munit_networks.Decoder(16, 1, 8).layers[2].scale.detach()
    assert 0 <= scale.min() < 0.2 and 0.8 < scale.max() < 1, "not all 1, as torch's norms begin"
    block = munit_networks.ContentEncoder(16, 1).layers[-1].layers[0]
    assert float(block.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)


def test_an_image_is_taken_apart_and_put_together() -> None:
    images = torch.randn(2, 3, 32, 32)
    content = munit_networks.ContentEncoder(3, 2)(images)
    assert content.shape == (2, 12, 8, 8)
    decoder = randomize(munit_networks.Decoder(3, 2, 8))
    made = decoder(content, torch.randn(2, 8))
    assert made.shape == images.shape and made.dtype == torch.float32 and made.abs().max() <= 1


@pytest.mark.parametrize(("size", "scales"), [(32, [2, 1]), (64, [4, 2, 1]), (128, [8, 4, 2])])
def test_the_discriminator_has_scales(size: int, scales: list[int]) -> None:
    discriminator = munit_networks.MultiScaleDiscriminator(2, munit_networks.find_num_scales(size))
    assert [logits.shape[-1] for logits in discriminator(torch.randn(1, 3, size, size))] == scales


def test_the_style_is_a_scale_and_a_shift_after_normalisation() -> None:
    block = randomize(munit_networks.StyledBlock(3))
    x, parameters = torch.randn(2, 3, 8, 8), torch.randn(2, block.num_parameters)
    scale, shift, second_scale, second_shift = (part[:, :, None, None] for part in parameters.chunk(4, dim=1))
    y = nn.functional.relu(nn.functional.instance_norm(block.first(x)) * scale + shift)
    y = nn.functional.instance_norm(block.second(y)) * second_scale + second_shift
    torch.testing.assert_close(block(x, parameters), x + y)


def test_each_styled_block_gets_numbers_of_its_own() -> None:
    decoder = randomize(munit_networks.Decoder(2, 2, 8))
    content, style = torch.randn(2, 8, 8, 8), torch.randn(2, 8)
    parameters = decoder.style(style)
    x = decoder.blocks[1](decoder.blocks[0](content, parameters[:, :32]), parameters[:, 32:])
    torch.testing.assert_close(decoder(content, style), decoder.layers(x).tanh())


def test_a_smaller_copy_is_of_means_that_no_padding_darkens() -> None:
    discriminator = munit_networks.MultiScaleDiscriminator(2, 2)
    seen: list[torch.Tensor] = []
    discriminator.scales[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(1, 3, 32, 32)
    discriminator(images)
    corner, inner = images[0, 0, :2, :2].mean(), images[0, 0, 1:4, 3:6].mean()
    torch.testing.assert_close(seen[0][0, 0, [0, 1], [0, 2]], torch.stack([corner, inner]))
    assert {layer.negative_slope for layer in discriminator.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_layer_norm_is_that_of_an_image() -> None:
    x = 3 * torch.randn(2, 4, 5, 5) + 1
    torch.testing.assert_close(munit_networks.LayerNorm(4)(x), nn.functional.layer_norm(x, x.shape[1:]))


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_images_of_a_batch_do_not_mix(system: str) -> None:
    model = build(system, tiny(system), "cpu")
    images = torch.randn(3, 3, 32, 32)
    for network in networks(model).values():
        randomize(network)
    together = model.translate_batch(images, torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(0)
    styles = torch.randn(3, 8, generator=random)
    encoder, decoder = model.source.content, (model.target.decoder if system == "munit" else model.target.generator)
    alone = torch.cat([decoder(encoder(image[None]), style[None]) for image, style in zip(images, styles, strict=True)])
    torch.testing.assert_close(together, alone)


# Losses


def test_losses_of_munit_sum_over_scales() -> None:
    real, fake = torch.full((1, 3, 2, 2), 0.4), torch.full((1, 3, 2, 2), 0.1)
    expected = (0.4 - 1) ** 2 + 0.1**2 + (0.8 - 1) ** 2 + 0.2**2
    assert float(munit.discriminator_loss(Logits(), real, fake)) == pytest.approx(expected)
    assert float(munit.fooling_loss(Logits(), fake)) == pytest.approx(0.9**2 + 0.8**2)


def test_munit_s_terms_compare_what_the_paper_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eq. 1 to 5: a domain's own image back, the content and the drawn style of a fake, and who judges it."""
    model = munit.MUNIT(dataclasses.replace(tiny("munit"), image_weight=2.0, content_weight=3.0, style_weight=5.0))
    for network in networks(model).values():
        for parameter in randomize(network).parameters():
            parameter.data *= 0.7
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    styles = model.normal(4, model.settings.style_dim)
    drawn = {"target": styles[:2], "source": styles[2:]}
    sides = {
        "target": (model.target, model.source, target, source, model.discriminator_target),
        "source": (model.source, model.target, source, target, model.discriminator_source),
    }
    expected: dict[str, Any] = dict.fromkeys(("adversarial", "image", "content", "style", "discriminator"), 0.0)
    for name, (own, other, image, foreign, judge) in sides.items():
        content = other.content(foreign)
        fake = own.decoder(content, drawn[name])
        back = own.decoder(own.content(image), own.style(image))
        expected["image"] += (back - image).abs().mean()
        expected["content"] += (own.content(fake) - content).abs().mean()
        expected["style"] += (own.style(fake) - drawn[name]).abs().mean()
        expected["adversarial"] += sum((logits - 1).square().mean() for logits in judge(fake))
        expected["discriminator"] += sum((logits - 1).square().mean() for logits in judge(image))
        expected["discriminator"] += sum(logits.square().mean() for logits in judge(fake.detach()))
    losses: list[torch.Tensor] = []
    monkeypatch.setattr(munit, "update", lambda _, loss: losses.append(loss))
    found = model.train_step(source, target)
    values = {name: value.item() for name, value in expected.items()}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(values, rel=1e-3)
    weights = {"adversarial": 1, "image": 2, "content": 3, "style": 5}
    totals = [sum(weight * expected[name] for name, weight in weights.items()), expected["discriminator"]]
    for loss, total, optimizer in zip(
        losses, totals, (model.generator_optimizer, model.discriminator_optimizer), strict=True
    ):
        parameters = optimizer.param_groups[0]["params"]
        gradients, exact = (torch.autograd.grad(each, parameters, retain_graph=True) for each in (loss, total))
        torch.testing.assert_close(gradients, exact, rtol=1e-3, atol=1e-4)


def test_drawn_numbers_are_standard_normal_and_of_a_step_a_stream_and_a_seed() -> None:
    model = build("munit", tiny("munit"), "cpu")
    drawn = model.normal(1000, 8)
    assert drawn.mean().item() == pytest.approx(0, abs=0.05) and drawn.std().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(model.normal(1000, 8), drawn)
    other = build("munit", tiny("munit", seed=1), "cpu").normal(1000, 8)
    others = [other, model.normal(1000, 8, 1)]
    model.num_steps = 1
    for numbers in (*others, model.normal(1000, 8)):
        assert not torch.isclose(numbers, drawn).any()


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_bf16_gives_nearly_the_same_losses(system: str) -> None:
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    models = [build(system, tiny(system, precision=kind), "cpu") for kind in ("fp32", "bf16")]
    for model in models:
        model.num_steps = 2  # of DRIT++ the first that updates everything
    terms = [model.train_step(source, target) for model in models]
    for name in terms[0]:
        torch.testing.assert_close(terms[1][name].float(), terms[0][name], rtol=0.1, atol=0.05)
