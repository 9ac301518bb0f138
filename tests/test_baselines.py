"""MUNIT and DRIT++: shapes and losses."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import randomize
from tiny_baselines import MULTI_MODAL, networks, tiny
from torch import nn

from experiments.paper.baselines import drit, drit_networks, munit, munit_networks
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


def test_munit_s_style_network_and_decoder_have_the_paper_s_parameters() -> None:
    convolutions = 8 * (256 * 256 * 9 + 256) + 256 * 128 * 25 + 3 * 128 + 128 * 64 * 25 + 3 * 64 + 64 * 3 * 49 + 3
    expected = convolutions + 8 * 256 + 256 + 256 * 256 + 256 + 256 * 4096 + 4096
    assert sum(parameter.numel() for parameter in munit_networks.Decoder(64, 4, 8).parameters()) == expected


@pytest.mark.parametrize("size", [32, 48, 64, 128, 256])
def test_the_content_discriminator_fits_its_content(size: int) -> None:
    discriminator = drit_networks.ContentDiscriminator(2, drit_networks.find_num_content_layers(size))
    assert discriminator(torch.randn(3, 2, size // 4, size // 4)).shape == (3, 9 if size == 48 else 1)


def test_discriminators_begin_with_small_weights_and_encoders_of_munit_with_those_of_he() -> None:
    torch.manual_seed(0)
    layer = munit_networks.MultiScaleDiscriminator(16, 1).scales[0][4]
    assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)  # not 1 / sqrt(8 * 32)
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


class Logits(nn.Module):
    """Returns the mean of an image, and twice that, as logits of two scales."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        mean = images.mean(dim=(1, 2, 3))[:, None]
        return [mean, 2 * mean]


def test_losses_of_munit_sum_over_scales() -> None:
    real, fake = torch.full((1, 3, 2, 2), 0.4), torch.full((1, 3, 2, 2), 0.1)
    expected = (0.4 - 1) ** 2 + 0.1**2 + (0.8 - 1) ** 2 + 0.2**2
    assert float(munit.discriminator_loss(Logits(), real, fake)) == pytest.approx(expected)
    assert float(munit.fooling_loss(Logits(), fake)) == pytest.approx(0.9**2 + 0.8**2)


def test_munit_s_terms_compare_what_the_paper_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eq. 1 to 5: a domain's own image back, the content and the drawn style of a fake, and who judges it."""
    model = munit.MUNIT(dataclasses.replace(tiny("munit"), image_weight=2.0, content_weight=3.0, style_weight=5.0))
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    styles = model.normal(4, model.settings.style_dim)
    drawn = {"target": styles[:2], "source": styles[2:]}
    sides = {
        "target": (model.target, model.source, target, source, model.discriminator_target),
        "source": (model.source, model.target, source, target, model.discriminator_source),
    }
    expected = dict.fromkeys(("adversarial", "image", "content", "style"), 0.0)
    with torch.no_grad():
        for name, (own, other, image, foreign, judge) in sides.items():
            content = other.content(foreign)
            fake = own.decoder(content, drawn[name])
            back = own.decoder(own.content(image), own.style(image))
            expected["image"] += float((back - image).abs().mean())
            expected["content"] += float((own.content(fake) - content).abs().mean())
            expected["style"] += float((own.style(fake) - drawn[name]).abs().mean())
            expected["adversarial"] += sum(float((logits - 1).square().mean()) for logits in judge(fake))
    losses: list[float] = []
    monkeypatch.setattr(munit, "update", lambda _, loss: losses.append(loss.item()))
    found = model.train_step(source, target)
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, rel=1e-3)
    weights = {"adversarial": 1, "image": 2, "content": 3, "style": 5}
    total = sum(weight * expected[name] for name, weight in weights.items())
    assert losses == pytest.approx([total, float(found["discriminator"])], rel=1e-3)


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


def test_a_content_discriminator_that_does_not_know_costs_an_encoder_least() -> None:
    model = build("drit", tiny("drit"), "cpu")
    costs = []
    for logit in (-2.0, 0.0, 2.0):
        model.content_discriminator = lambda _, logit=logit: torch.full((1, 1), logit)
        costs.append(float(drit._undecided(model, torch.zeros(1))))
    assert costs[1] == pytest.approx(np.log(2)) and costs[0] == pytest.approx(costs[2]) and costs[0] > costs[1]


def test_domains_of_drit_share_a_layer_of_encoders_and_of_generators() -> None:
    model = build("drit", tiny("drit"), "cpu")
    assert model.source.content.shared is model.target.content.shared
    assert model.source.generator.shared is model.target.generator.shared
    assert model.source.content.layers[0] is not model.target.content.layers[0]


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_bf16_gives_nearly_the_same_losses(system: str) -> None:
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    models = [build(system, tiny(system, precision=kind), "cpu") for kind in ("fp32", "bf16")]
    for model in models:
        model.num_steps = 2  # of DRIT++ the first that updates everything
    terms = [model.train_step(source, target) for model in models]
    for name in terms[0]:
        torch.testing.assert_close(terms[1][name].float(), terms[0][name], rtol=0.1, atol=0.05)
