"""One training step: what is frozen stays, the rest learns, regularisers run when and as they should."""

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn
from training_run import CONFIG, Base, Killed, advance, changed_names, differences, real_batch, snapshot

from ui2i.errors import ConfigError, TrainingError
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training import step as step_module
from ui2i.training.sharding import Sharding
from ui2i.training.state import initial_state
from ui2i.training.step import Step, _frozen


# -- freezing ---
@pytest.mark.parametrize("use_noise", [True, False])
def test_freeze_mapping(base: Base, network_config: NetworkConfig, use_noise: bool) -> None:
    network_config = dataclasses.replace(network_config, use_noise=use_noise)
    _expect_frozen(base, network_config, {"freeze_mapping": True}, ("mapping.",), ())


@pytest.mark.parametrize("freeze_mapping", [True, False])
def test_freeze_coarse_blocks_of_the_generator(base: Base, network_config: NetworkConfig, freeze_mapping: bool) -> None:
    prefixes = ("synthesis.b4.", "synthesis.b8.") + (("mapping.",) if freeze_mapping else ())
    settings = {"freeze_generator_resolution": 8, "freeze_mapping": freeze_mapping}
    _expect_frozen(base, network_config, settings, prefixes, ())


@pytest.mark.parametrize(("resolution", "prefixes"), [(32, ("b32.",)), (16, ("b32.", "b16."))])
def test_freeze_upper_blocks_of_the_discriminator(
    base: Base, network_config: NetworkConfig, resolution: int, prefixes: tuple[str, ...]
) -> None:
    _expect_frozen(base, network_config, {"freeze_discriminator_resolution": resolution}, (), prefixes)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("freeze_generator_resolution", 32, "4, 8, 16 or null"),  # the whole synthesis network
        ("freeze_generator_resolution", 64, "4, 8, 16 or null"),
        ("freeze_discriminator_resolution", 4, "8, 16, 32 or null"),
        ("freeze_discriminator_resolution", 64, "8, 16, 32 or null"),
    ],
)
def test_resolutions_that_cannot_be_frozen(network_config: NetworkConfig, name: str, value: int, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}, expected one of {allowed}; correct it"):
        initial_state(network_config, dataclasses.replace(CONFIG, **{name: value}))  # type: ignore[arg-type]


def _expect_frozen(
    base: Base,
    network_config: NetworkConfig,
    settings: dict[str, Any],
    generator_prefixes: tuple[str, ...],
    discriminator_prefixes: tuple[str, ...],
) -> None:
    """What has one of the prefixes stays bit for bit in 5 steps, in the average too; all else moves and learns."""
    source = Generator(network_config)
    source.load_state_dict(base[0].state_dict())
    config = dataclasses.replace(CONFIG, **settings)
    state = initial_state(network_config, config, base=(source, base[1]))
    before = copy.deepcopy(source.state_dict())
    advance(state, config, 5)

    never = {name for name in before if name.endswith("noise_const")}
    if not network_config.use_noise:
        never |= {name for name in before if name.endswith("noise_strength")}
    frozen = never | {name for name in before if name.startswith(generator_prefixes or ("-",))}
    if "mapping." in generator_prefixes:
        assert "mapping.w_avg" in frozen and "mapping.fc1.bias" in frozen
    for generator in (state.generator, state.generator_ema):
        assert changed_names(before, generator.state_dict()) == set(before) - frozen
    weights = base[1].state_dict()
    frozen_weights = {name for name in weights if name.startswith(discriminator_prefixes or ("-",))}
    assert changed_names(weights, state.discriminator.state_dict()) == set(weights) - frozen_weights
    # The source itself is a copy's origin, never trained.
    assert not changed_names(before, source.state_dict())

    _expect_gradients(state.generator, state.generator_optimizer, frozen)
    _expect_gradients(state.discriminator, state.discriminator_optimizer, frozen_weights)


def _expect_gradients(network: nn.Module, optimizer: torch.optim.Optimizer, frozen: set[str]) -> None:
    """Adam's moving mean of squared gradients tells who got one."""
    for name, parameter in network.named_parameters():
        if name in frozen:
            assert parameter not in optimizer.state and not parameter.requires_grad and parameter.grad is None
        else:
            assert optimizer.state[parameter]["exp_avg_sq"].max() > 0, name


def test_fine_tuning_without_freezing_moves_the_mapping(base: Base, network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG, base=base)
    before = copy.deepcopy(base[0].state_dict())
    advance(state, CONFIG, 3)
    expected = {name for name in before if not name.endswith("noise_const")}
    for generator in (state.generator, state.generator_ema):
        assert changed_names(before, generator.state_dict()) == expected
    assert torch.equal(state.generator_ema.w_avg, state.generator.w_avg)
    _expect_gradients(state.generator, state.generator_optimizer, set())


def test_fine_tuning_starts_at_the_base(base: Base, network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG, base=base)
    for network in (state.generator, state.generator_ema):
        assert not changed_names(base[0].state_dict(), network.state_dict())
    assert not changed_names(base[1].state_dict(), state.discriminator.state_dict())
    alone = initial_state(network_config, CONFIG, base=(base[0], None))
    assert not changed_names(base[0].state_dict(), alone.generator.state_dict())
    assert changed_names(base[1].state_dict(), alone.discriminator.state_dict())


# -- one step ---


def test_regularisers_run_at_their_intervals(network_config: NetworkConfig) -> None:
    rows = advance(initial_state(network_config, CONFIG), CONFIG, 9)
    assert [index for index, row in enumerate(rows) if "path_length" in row] == [0, 3, 6]
    assert [index for index, row in enumerate(rows) if "r1" in row] == [0, 4, 8]


def test_path_length_off(network_config: NetworkConfig) -> None:
    config = dataclasses.replace(CONFIG, path_length_interval=0)
    state = initial_state(network_config, config)
    assert state.generator_optimizer.param_groups[0]["lr"] == config.learning_rate
    assert state.generator_optimizer.param_groups[0]["betas"] == (0.0, config.adam_beta2)
    assert not any("path_length" in row for row in advance(state, config, 4))
    assert state.path_length_mean == 0


def test_lazy_regularisation_corrects_adam(network_config: NetworkConfig) -> None:
    state = initial_state(network_config, TrainingConfig(path_length_interval=4, r1_interval=16))
    for optimizer, ratio in ((state.generator_optimizer, 4 / 5), (state.discriminator_optimizer, 16 / 17)):
        group = optimizer.param_groups[0]
        assert group["lr"] == pytest.approx(0.002 * ratio)
        assert group["betas"] == (0.0, pytest.approx(0.99**ratio))


@pytest.mark.parametrize("name", ["r1_gamma", "path_length_weight"])
def test_weights_of_the_regularisers_count(network_config: NetworkConfig, name: str) -> None:
    ends = []
    for value in (0.0, 5.0):
        config = dataclasses.replace(CONFIG, **{name: value})  # type: ignore[arg-type]
        state = initial_state(network_config, config)
        advance(state, config, 1)
        ends.append(snapshot(state))
    touched = {path.split("/")[1] for path in differences(ends[0], ends[1])}
    assert touched & {"generator", "discriminator"} == (
        {"discriminator"} if name == "r1_gamma" else {"generator", "discriminator"}
    )


def test_r1_shrinks_the_gradient(network_config: NetworkConfig) -> None:
    norms = []
    for gamma in (0.0, 100.0):
        config = dataclasses.replace(CONFIG, r1_gamma=gamma, r1_interval=1, path_length_interval=0)
        norms.append(float(advance(initial_state(network_config, config), config, 12)[-1]["r1"]))
    assert norms[1] < 0.5 * norms[0]


def test_adversaries_pull_apart(base: Base, network_config: NetworkConfig) -> None:
    """The generator's step raises the logits of what it makes; the discriminator's step tells real from fake."""
    config = dataclasses.replace(CONFIG, path_length_interval=0, learning_rate=0.002)
    state = initial_state(network_config, config, base=base)
    real = real_batch()
    z = torch.randn(16, 10, generator=torch.Generator().manual_seed(4))

    @torch.no_grad()
    def logits() -> tuple[float, float]:
        return float(state.discriminator(real).mean()), float(state.discriminator(state.generator(z)).mean())

    _, fake = logits()
    for _ in range(5):
        Step(state, config, Sharding()).update_generator()
    real_logit, better_fake = logits()
    assert better_fake > fake
    for _ in range(5):
        Step(state, config, Sharding()).update_discriminator(real)
    after = logits()
    assert after[0] - after[1] > real_logit - better_fake


def test_path_length_mean_follows(network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG)
    first = advance(state, CONFIG, 1)[0]["path_length"]
    assert torch.isclose(state.path_length_mean, CONFIG.path_length_decay * first)


def test_ema_is_the_weighted_mean(network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG)
    before = copy.deepcopy(dict(state.generator_ema.named_parameters()))
    advance(state, CONFIG, 1)
    # 4 images at a half-life of 20.
    keep = 0.5 ** (4 / 20)
    now = dict(state.generator.named_parameters())
    for name, value in state.generator_ema.named_parameters():
        assert torch.allclose(value, keep * before[name] + (1 - keep) * now[name], atol=1e-6), name


def test_ema_rampup_caps_the_half_life(network_config: NetworkConfig) -> None:
    config = dataclasses.replace(CONFIG, ema_half_life_kimg=1000.0, ema_rampup=0.5)
    state = initial_state(network_config, config)
    before = state.generator_ema.synthesis.block(4).const.clone()
    advance(state, config, 1)
    # After 4 images the half-life is 2 images, so 4 images leave a quarter.
    expected = 0.25 * before + 0.75 * state.generator.synthesis.block(4).const
    assert torch.allclose(state.generator_ema.synthesis.block(4).const, expected, atol=1e-6)


def test_frozen_restores_only_what_it_took(generator: Generator) -> None:
    generator.mapping.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in generator.named_parameters()}
    assert set(before.values()) == {True, False}
    with pytest.raises(Killed), _frozen(generator):
        assert not any(parameter.requires_grad for parameter in generator.parameters())
        raise Killed
    assert {name: parameter.requires_grad for name, parameter in generator.named_parameters()} == before


def test_nothing_but_a_step_leaves_gradients(network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG)
    advance(state, CONFIG, 1)
    for network in (state.generator, state.discriminator, state.generator_ema):
        assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("freeze_mapping", [True, False])
def test_every_mode_learns(network_config: NetworkConfig, precision: Any, freeze_mapping: bool) -> None:
    config = dataclasses.replace(CONFIG, precision=precision, freeze_mapping=freeze_mapping)
    state = initial_state(network_config, config)
    before = snapshot(state)
    rows = advance(state, config, 2)
    assert all(torch.isfinite(value) for row in rows for value in row.values())
    assert state.generator.synthesis.block(32).conv1.weight.dtype == torch.float32
    assert changed_names(before["generator"], state.generator.state_dict())


def test_group_that_does_not_divide_the_batch(network_config: NetworkConfig) -> None:
    config = dataclasses.replace(CONFIG, batch_size=5)
    with pytest.raises(ConfigError, match="the batch has 5 images"):
        advance(initial_state(network_config, config), config, 1)


@pytest.mark.parametrize(
    "scalar", ["loss_generator", "loss_discriminator", "logits_real", "logits_fake", "path_length", "r1"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_any_scalar_that_is_not_finite_stops(scalar: str, value: float) -> None:
    scalars = {"loss_generator": torch.tensor(1.0), "r1": torch.tensor(1.0)} | {scalar: torch.tensor(value)}
    with pytest.raises(TrainingError, match=rf"^{scalar} became infinite or NaN at step 7, expected .*; resume"):
        step_module.require_finite(scalars, 7)


# -- augmentation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", ["ada", "diffaugment"])
def test_augmentation_trains_every_parameter(base: Base, network_config: NetworkConfig, augment: Any) -> None:
    config = dataclasses.replace(CONFIG, augment=augment)
    state = initial_state(network_config, config, base=base)
    state.augment_probability = 0.8
    rows = advance(state, config, 5)
    assert all(torch.isfinite(value) for row in rows for value in row.values())
    _expect_gradients(state.generator, state.generator_optimizer, {n for n, _ in state.generator.named_buffers()})
    _expect_gradients(state.discriminator, state.discriminator_optimizer, set())


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_the_discriminator_sees_augmented_images(network_config: NetworkConfig, network: str) -> None:
    """With probability 0 nothing changes; above, the losses of both networks do."""
    losses = []
    for probability in (None, 0.0, 0.9):
        config = dataclasses.replace(CONFIG, augment="none" if probability is None else "ada", r1_gamma=0.0)
        state = initial_state(network_config, config)
        state.augment_probability = probability or 0.0
        torch.manual_seed(0)
        losses.append(float(advance(state, config, 1)[0][f"loss_{network}"]))
    if network == "generator":  # whose step is the first: the random numbers before it are the same
        assert losses[0] == losses[1]
    assert losses[1] != losses[2]


def test_the_probability_goes_by_the_signs(network_config: NetworkConfig) -> None:
    """It moves once in `ada_interval` steps, up while the discriminator is surer of real images than the target."""
    config = dataclasses.replace(CONFIG, augment="ada", ada_interval=3, ada_speed_kimg=0.12)  # 12 images: 0.1
    for logit, expected in ((5.0, [0.5, 0.5, 0.6]), (-5.0, [0.5, 0.5, 0.4])):
        state = initial_state(network_config, config)
        state.augment_probability = 0.5
        probabilities = []
        for _ in range(3):
            with torch.no_grad():
                state.discriminator.b4.out.weight.zero_()
                state.discriminator.b4.out.bias.fill_(logit)
            advance(state, config, 1)
            probabilities.append(state.augment_probability)
        assert probabilities == pytest.approx(expected)
        assert state.real_signs.tolist() == [0, 0]
