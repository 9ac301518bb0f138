"""The baseline CycleGAN: shapes, losses by hand, the buffer, the schedule."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from tiny_baselines import blobs, settings_of
from tiny_baselines import gan as gan
from torch import nn

# Networks


def test_generator_keeps_the_size_and_the_range(gan: SimpleNamespace) -> None:
    generator = randomize(gan.networks.Generator(width=3, num_blocks=2))
    images = generator(10 * torch.randn(2, 3, 36, 36))
    assert images.shape == (2, 3, 36, 36) and images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_generator_has_the_papers_parameters(gan: SimpleNamespace) -> None:
    # c7s1-64, d128, d256, 6 x R256, u128, u64, c7s1-3: weights, and the last layer's bias.
    expected = 2 * 3 * 64 * 49 + 2 * (64 * 128 + 128 * 256) * 9 + 12 * 256 * 256 * 9 + 3
    generator = gan.networks.Generator(width=64, num_blocks=6)
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected


@pytest.mark.parametrize(("patch_size", "outputs"), [(16, 30), (34, 14), (70, 6)])
def test_discriminator_sees_patches(gan: SimpleNamespace, patch_size: int, outputs: int) -> None:
    discriminator = gan.networks.Discriminator(width=2, patch_size=patch_size)
    for name, layer in list(discriminator.layers.named_children()):
        if isinstance(layer, gan.networks.InstanceNorm):  # which sees everything
            setattr(discriminator.layers, name, nn.Identity())
    size = 64 if patch_size < 70 else 160
    images = torch.randn(1, 3, size, size, requires_grad=True)
    logits = discriminator(images)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(dim=(0, 1)) > 0
    assert int(seen.sum()) == patch_size
    assert discriminator(torch.randn(2, 3, 64, 64)).shape == (2, 1, outputs, outputs)


@pytest.mark.parametrize(("resolution", "patch_size"), [(32, 16), (48, 16), (64, 34), (96, 34), (128, 70), (512, 70)])
def test_patches_are_at_most_about_half_a_image(gan: SimpleNamespace, resolution: int, patch_size: int) -> None:
    assert gan.networks.find_patch_size(resolution) == patch_size


def test_large_images_have_more_blocks(gan: SimpleNamespace) -> None:
    assert [gan.networks.find_num_blocks(resolution) for resolution in (64, 128, 256)] == [6, 6, 9]


@pytest.mark.parametrize("kind", ["Generator", "Discriminator"])
def test_images_of_a_batch_do_not_mix(gan: SimpleNamespace, kind: str) -> None:
    network = randomize(getattr(gan.networks, kind)(2, {"Generator": 1, "Discriminator": 16}[kind]))
    images = torch.randn(3, 3, 32, 32)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone)


def test_norm_is_that_of_an_instance(gan: SimpleNamespace) -> None:
    x = 3 * torch.randn(2, 5, 8, 8) + 1
    torch.testing.assert_close(gan.networks.InstanceNorm()(x), nn.functional.instance_norm(x))
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gan.networks.InstanceNorm(), x)


# Losses


class Scaled(nn.Module):
    """Multiplies by a parameter: a generator or discriminator whose losses can be worked out by hand."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.factor * images


def scaled_model(gan: SimpleNamespace, settings: Any) -> Any:
    """G doubles, F halves and negates, D_Y multiplies by 3 and D_X by 5."""
    model = gan.cyclegan.CycleGAN(settings)
    model.to_target, model.to_source = Scaled(2.0), Scaled(-0.5)
    model.discriminator_target, model.discriminator_source = Scaled(3.0), Scaled(5.0)
    # Plain descent at rate 1, so that a parameter's change is its gradient.
    generators = [model.to_target.factor, model.to_source.factor]
    discriminators = [model.discriminator_target.factor, model.discriminator_source.factor]
    model.generator_optimizer = torch.optim.SGD(generators, lr=1.0)
    model.discriminator_optimizer = torch.optim.SGD(discriminators, lr=1.0)
    return model


def test_loss_terms_by_hand(gan: SimpleNamespace) -> None:
    settings = settings_of(gan)
    model = scaled_model(gan, settings)
    source, target = torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 4, 4), 0.4)
    terms = {name: float(term) for name, term in model.train_step(source, target).items()}
    fake_target, fake_source = 2 * 0.1, -0.5 * 0.4
    assert terms["adversarial"] == pytest.approx((3 * fake_target - 1) ** 2 + (5 * fake_source - 1) ** 2)
    assert terms["cycle"] == pytest.approx(abs(-0.5 * fake_target - 0.1) + abs(2 * fake_source - 0.4))
    assert terms["identity"] == pytest.approx(abs(2 * 0.4 - 0.4) + abs(-0.5 * 0.1 - 0.1))
    of_target = ((3 * 0.4 - 1) ** 2 + (3 * fake_target) ** 2) / 2
    of_source = ((5 * 0.1 - 1) ** 2 + (5 * fake_source) ** 2) / 2
    assert terms["discriminator"] == pytest.approx(of_target + of_source)


def test_step_updates_by_the_weighted_sum(gan: SimpleNamespace) -> None:
    settings = settings_of(gan, cycle_weight=7.0, identity_weight=3.0)
    model = scaled_model(gan, settings)
    x, y, g, f = 0.1, 0.4, 2.0, -0.5
    model.train_step(torch.full((2, 3, 4, 4), x), torch.full((2, 3, 4, 4), y))
    # d/dg of (3 g x - 1)^2 + 7 (|f g x - x| + |g f y - y|) + 3 |g y - y|; both cycles' insides are negative.
    change = 2 * (3 * g * x - 1) * 3 * x + 7 * (-f * x - f * y) + 3 * y
    assert model.to_target.factor.item() == pytest.approx(g - change)
    # d/df of (5 f y - 1)^2 + 7 (|f g x - x| + |g f y - y|) + 3 |f x - x|, all of whose insides are negative.
    change = 2 * (5 * f * y - 1) * 5 * y - 7 * (g * x + g * y) - 3 * x
    assert model.to_source.factor.item() == pytest.approx(f - change)
    # d/dd of ((d y - 1)^2 + (d g x)^2) / 2: the fake is the one from before the update.
    change = (3 * y - 1) * y + 3 * (g * x) ** 2
    assert model.discriminator_target.factor.item() == pytest.approx(3 - change)
    change = (5 * x - 1) * x + 5 * (f * y) ** 2
    assert model.discriminator_source.factor.item() == pytest.approx(5 - change)


def test_bf16_gives_nearly_the_same_losses(gan: SimpleNamespace) -> None:
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    terms = []
    for precision in ("fp32", "bf16"):
        settings = settings_of(gan, precision=precision)
        terms.append(gan.cyclegan.CycleGAN(settings).train_step(source, target))
    for name in terms[0]:
        torch.testing.assert_close(terms[1][name], terms[0][name], rtol=0.02, atol=0.01)


# Buffer


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_buffer_hands_out_what_comes_until_it_is_full(gan: SimpleNamespace) -> None:
    buffer = gan.cyclegan.ImageBuffer(4, seed=0)
    assert torch.equal(buffer.exchange(numbered(0, 4)), numbered(0, 4))
    assert [float(picture.mean()) for picture in buffer.images] == [0, 1, 2, 3]


def test_buffer_hands_out_older_images_half_of_the_time(gan: SimpleNamespace) -> None:
    buffer = gan.cyclegan.ImageBuffer(50, seed=0)
    buffer.exchange(numbered(0, 50))
    older, now = 0, {float(number) for number in range(50)}
    for first in range(50, 1050):
        kept = now
        (got,) = buffer.exchange(numbered(first, 1)).mean(dim=(1, 2, 3)).tolist()
        now = {float(picture.mean()) for picture in buffer.images}
        if got == first:
            assert now == kept
        else:
            assert got in kept and now == kept - {got} | {first}
            older += 1
    assert 450 < older < 550
    assert min(now) >= 50, "every place is exchanged"


def test_discriminators_see_what_the_buffers_hand_out(gan: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    model, came = scaled_model(gan, settings_of(gan, buffer_size=7, seed=3)), {}
    targets, sources = model.fake_targets, model.fake_sources
    assert targets.capacity == sources.capacity == 7
    assert not torch.equal(*(buffer.state_dict()["random"] for buffer in (targets, sources)))
    for buffer, older in ((targets, 0.7), (sources, -0.3)):

        def exchange(fakes: torch.Tensor, older: float = older) -> torch.Tensor:
            came[older] = fakes.mean().item()
            return torch.full_like(fakes, older)

        monkeypatch.setattr(buffer, "exchange", exchange)
    terms = model.train_step(torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 4, 4), 0.4))
    assert came == pytest.approx({0.7: 2 * 0.1, -0.3: -0.5 * 0.4})
    expected = (3 * 0.4 - 1) ** 2 + (3 * 0.7) ** 2 + (5 * 0.1 - 1) ** 2 + (5 * -0.3) ** 2
    assert terms["discriminator"].item() == pytest.approx(expected / 2)


# Schedule


def test_learning_rate_is_constant_and_then_falls_to_zero(gan: SimpleNamespace) -> None:
    factors = [gan.cyclegan.falling_factor(share) for share in (0, 0.3, 0.5, 0.75, 0.9, 1, 1.2)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.2, 0, 0])


def test_the_budget_that_is_spent_first_counts(gan: SimpleNamespace) -> None:
    model = SimpleNamespace(num_steps=100, seconds=30.0, processor_seconds=48.0)
    assert gan.state.spent_share(model, settings_of(gan, minutes=2, kimg=None)) == 0.25
    assert gan.state.spent_share(model, settings_of(gan, minutes=2, kimg=0.4)) == 0.5
    assert gan.state.spent_share(model, settings_of(gan, minutes=0.5, kimg=0.4)) == 1
    assert gan.state.spent_share(model, settings_of(gan, core_minutes=1, kimg=None)) == 0.8


def test_training_uses_the_schedule(gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates, settings = [], settings_of(gan, kimg=0.016)

    def step(model: Any, *_: Any) -> dict[str, torch.Tensor]:
        rates.append(model.discriminator_optimizer.param_groups[0]["lr"])
        return {}

    monkeypatch.setattr(gan.cyclegan.CycleGAN, "train_step", step)
    gan.training.train(gan.cyclegan.CycleGAN(settings), blobs(4, 0), blobs(4, 1), settings, tmp_path / "state.pt")
    assert rates == pytest.approx([2e-4] * 5 + [1.5e-4, 1e-4, 0.5e-4])


def test_batches_are_mirrored_half_of_the_time_and_not_paired(gan: SimpleNamespace) -> None:
    settings = settings_of(gan, batch_size=8)
    images = blobs(8, 0)
    streams = [gan.training.batches(images, settings, 0, stream) for stream in (0, 1)]
    first, second = (np.concatenate([(next(stream).numpy() + 1) * 127.5 for _ in range(20)]) for stream in streams)
    plain = images.transpose(0, 3, 1, 2)
    orders, mirrored = [], 0
    for pictures in (first, second):
        order = []
        for picture in pictures:
            both = np.stack([picture, picture[..., ::-1]])
            distances = [np.abs(both - other).mean(axis=(1, 2, 3)) for other in plain]
            order.append(int(np.argmin([distance.min() for distance in distances])))
            mirrored += int(distances[order[-1]].argmin())
        orders.append(order)
    assert 120 < mirrored < 200  # of 320
    assert orders[0] != orders[1]
    assert all(sorted(order[:8]) == list(range(8)) for order in orders)


# The command


def test_defaults_are_the_papers(gan: SimpleNamespace) -> None:
    settings = dataclasses.asdict(gan.cyclegan.CycleGANSettings(minutes=1))
    paper = {"learning_rate": 2e-4, "cycle_weight": 10, "identity_weight": 5, "buffer_size": 50, "batch_size": 1}
    assert paper.items() <= settings.items()
    model = gan.cyclegan.CycleGAN(settings_of(gan))
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)
