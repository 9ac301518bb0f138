"""Invariants of training: what is frozen stays, the rest learns, and a killed run ends as if it had not been killed."""

import copy
import dataclasses
import math
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from torch import Tensor, nn

from ui2i.config import NetworkConfig, TrainingConfig
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from ui2i.losses import path_lengths
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.training import loop
from ui2i.training import step as step_module
from ui2i.training.loop import sample_grid, train
from ui2i.training.state import TrainingState, initial_state, restore_state, state_to_dict
from ui2i.training.step import _frozen, sample_ws, train_step

CONFIG = TrainingConfig(
    total_kimg=0.036,  # 9 steps
    batch_size=4,
    learning_rate=0.01,
    r1_interval=4,
    path_length_interval=3,
    ema_half_life_kimg=0.02,
    snapshot_kimg=0.012,  # 3 steps, with the three log rows below
    seed=3,
)
NUM_STEPS = 9
SNAPSHOT_STEPS = 3

Base = tuple[Generator, Discriminator]


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture(autouse=True)
def dense_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """One log row a step, a snapshot every third."""
    monkeypatch.setattr(loop, "LOG_ROWS_PER_SNAPSHOT", SNAPSHOT_STEPS)
    monkeypatch.setattr(loop, "NUM_SAMPLES", 4)


@pytest.fixture
def base(generator: Generator, discriminator: Discriminator) -> Base:
    return generator, discriminator


@pytest.fixture(scope="session")
def uninterrupted(
    tiny_prepared: Path, network_config: NetworkConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What 9 steps of `CONFIG` from scratch lead to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_ROWS_PER_SNAPSHOT", SNAPSHOT_STEPS)
        run_dir = tmp_path_factory.mktemp("uninterrupted")
        return snapshot(train(PreparedDataset(tiny_prepared), run_dir, network_config, CONFIG))


def snapshot(state: TrainingState) -> dict[str, Any]:
    return copy.deepcopy(state_to_dict(state))


def real_batch(num_images: int = 4) -> Tensor:
    return torch.rand(num_images, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1


def advance(state: TrainingState, config: TrainingConfig, num_steps: int) -> list[dict[str, Tensor]]:
    return [train_step(state, real_batch(config.batch_size), config) for _ in range(num_steps)]


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Names of what is not bit for bit equal in two nested results; times are not compared."""
    if isinstance(a, Tensor):
        return [] if isinstance(b, Tensor) and torch.equal(a, b) else [path]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [path]
        keys = [key for key in a if key not in ("seconds", "images_per_second")]
        return [name for key in keys for name in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [path]
        return [name for index in range(len(a)) for name in differences(a[index], b[index], f"{path}/{index}")]
    return [] if a == b else [path]


def changed_names(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


# -- freeze-FC --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_noise", [True, False])
def test_freeze_mapping(base: Base, network_config: NetworkConfig, use_noise: bool) -> None:
    network_config = dataclasses.replace(network_config, use_noise=use_noise)
    source = Generator(network_config)
    source.load_state_dict(base[0].state_dict())
    config = dataclasses.replace(CONFIG, freeze_mapping=True)
    state = initial_state(network_config, config, base=(source, base[1]))
    before = copy.deepcopy(source.state_dict())
    advance(state, config, 5)

    frozen = {name for name in before if name.startswith("mapping.") or name.endswith("noise_const")}
    assert "mapping.w_avg" in frozen and "mapping.fc1.bias" in frozen
    if not use_noise:
        frozen |= {name for name in before if name.endswith("noise_strength")}
    for generator in (state.generator, state.generator_ema):
        assert changed_names(before, generator.state_dict()) == set(before) - frozen
    assert changed_names(base[1].state_dict(), state.discriminator.state_dict()) == set(base[1].state_dict())
    # The source itself is a copy's origin, never trained.
    assert not changed_names(before, source.state_dict())

    _expect_gradients(state.generator, state.generator_optimizer, frozen)
    _expect_gradients(state.discriminator, state.discriminator_optimizer, set())


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


# -- one step ---------------------------------------------------------------------------------------------------------


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
        step_module._update_generator(state, 4, config)
    real_logit, better_fake = logits()
    assert better_fake > fake
    for _ in range(5):
        step_module._update_discriminator(state, real, config)
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


# -- codes ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_style_mixing(generator: Generator) -> None:
    """At most one change of code, at a layer from 1 to num_ws - 1, uniformly; the same layer for a whole batch."""
    config = dataclasses.replace(CONFIG, style_mixing_prob=0.75)
    torch.manual_seed(0)
    cutoffs = []
    for _ in range(800):
        ws = sample_ws(generator, 2, config)
        assert ws.shape == (2, 8, 9)
        is_new = (ws[:, 1:] != ws[:, :-1]).any(dim=2)
        assert torch.equal(is_new[0], is_new[1]) and is_new[0].sum() <= 1
        cutoffs.append(int(is_new[0].int().argmax()) + 1 if is_new[0].any() else 8)
    counts = np.bincount(cutoffs, minlength=9)
    assert counts[0] == 0
    assert counts[8] / 800 == pytest.approx(0.25, abs=0.05)
    assert counts[1:8] / 800 == pytest.approx(0.75 / 7, abs=0.04)


@torch.no_grad()
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_style_mixing_never_and_always(generator: Generator, probability: float) -> None:
    config = dataclasses.replace(CONFIG, style_mixing_prob=probability)
    mixed = [bool((ws != ws[:, :1]).any()) for ws in (sample_ws(generator, 2, config) for _ in range(50))]
    assert set(mixed) == {probability == 1.0}


@torch.no_grad()
def test_codes_are_not_truncated(generator: Generator) -> None:
    config = dataclasses.replace(CONFIG, style_mixing_prob=0.0)
    torch.manual_seed(0)
    ws = sample_ws(generator, 3, config)
    torch.manual_seed(0)
    z = torch.randn(2, 3, 10)[0]
    assert torch.equal(ws, generator.broadcast(generator.mapping(z)))


@torch.no_grad()
def test_w_avg_moves_only_when_asked_and_free(generator: Generator) -> None:
    before = generator.w_avg.clone()
    sample_ws(generator, 3, CONFIG)
    sample_ws(generator, 3, dataclasses.replace(CONFIG, freeze_mapping=True), update_w_avg=True)
    assert torch.equal(generator.w_avg, before)
    sample_ws(generator, 3, CONFIG, update_w_avg=True)
    assert not torch.equal(generator.w_avg, before)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_path_lengths_of_codes_with_and_without_a_mapping(generator: Generator, probability: float) -> None:
    """As a node of the graph and as a leaf, ws give the same lengths; as a node it carries them to the mapping."""
    config = dataclasses.replace(CONFIG, style_mixing_prob=probability)
    torch.manual_seed(0)
    node = sample_ws(generator, 2, config).contiguous()
    leaf = node.detach().requires_grad_()
    lengths = []
    for ws in (node, leaf):
        torch.manual_seed(1)
        lengths.append(path_lengths(generator.synthesis(ws), ws))
    assert torch.equal(*lengths)
    gradients = torch.autograd.grad(lengths[0].sum(), list(generator.mapping.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


# -- resuming ---------------------------------------------------------------------------------------------------------


def test_same_seed_same_run(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    torch.manual_seed(99)  # what came before has no influence
    again = snapshot(train(tiny_dataset, tmp_path / "again", network_config, CONFIG))
    assert differences(uninterrupted, again) == []
    other = snapshot(train(tiny_dataset, tmp_path / "other", network_config, dataclasses.replace(CONFIG, seed=4)))
    assert any(path.startswith("/log") for path in differences(uninterrupted, other))


def test_log(uninterrupted: dict[str, Any]) -> None:
    log = uninterrupted["log"]
    assert [row["kimg"] for row in log] == pytest.approx([0.004 * step for step in range(1, NUM_STEPS + 1)])
    always = {
        "loss_generator",
        "loss_discriminator",
        "logits_real",
        "logits_fake",
        "kimg",
        "seconds",
        "images_per_second",
    }
    assert all(always <= row.keys() for row in log)
    assert all(row["seconds"] > 0 and math.isfinite(row["loss_generator"]) for row in log)
    assert all(row["images_per_second"] == pytest.approx(4 / row["seconds"]) for row in log)


@pytest.mark.parametrize("kill_at", [(1,), (3,), (4,), (5, 8), (2, 6, 7)])
def test_killed_and_resumed(
    tiny_dataset: PreparedDataset,
    network_config: NetworkConfig,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    kill_at: tuple[int, ...],
) -> None:
    for kill_step in kill_at:

        def kill(done: int, total: int, note: str = "", *, step: int = kill_step) -> None:
            assert total == NUM_STEPS * 4
            if done == step * 4:
                raise Killed

        with pytest.raises(Killed):
            train(tiny_dataset, tmp_path, network_config, CONFIG, progress=kill)
        torch.manual_seed(kill_step)  # the next process starts with another random state
    steps: list[int] = []
    state = train(tiny_dataset, tmp_path, network_config, CONFIG, progress=lambda done, *_: steps.append(done // 4))
    # Progress comes before the snapshot of the same step, so a kill at step k leaves the last snapshot before k.
    assert steps[0] == (max(kill_at) - 1) // SNAPSHOT_STEPS * SNAPSHOT_STEPS
    assert differences(uninterrupted, snapshot(state)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "samples-000000.0.png",
        "state.pt",
    ]


def test_power_cut_while_saving(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    """A process that is killed halfway through the write of its second snapshot leaves the first."""
    tiny_dataset.images([0])  # decodes all of them, so that the forked process needs no thread of its parent
    process = multiprocessing.get_context("fork").Process(
        target=_train_until_power_cut, args=(tiny_dataset, tmp_path, network_config)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert torch.load(tmp_path / "state.pt", weights_only=True)["num_steps"] == SNAPSHOT_STEPS
    assert len(list(tmp_path.glob(".state.pt.*.tmp"))) == 1
    state = train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert differences(uninterrupted, snapshot(state)) == []


def _train_until_power_cut(dataset: PreparedDataset, run_dir: Path, network_config: NetworkConfig) -> None:
    save, num_saves = torch.save, 0

    def half_a_save(values: Any, path: Path) -> None:
        nonlocal num_saves
        num_saves += 1
        save(values, path)
        if num_saves == 2:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = half_a_save  # type: ignore[assignment]
    train(dataset, run_dir, network_config, CONFIG)


def test_state_round_trip(network_config: NetworkConfig) -> None:
    state = initial_state(network_config, CONFIG)
    advance(state, CONFIG, 5)
    saved = snapshot(state)
    fresh = initial_state(network_config, dataclasses.replace(CONFIG, seed=8))
    restore_state(fresh, copy.deepcopy(saved))
    assert differences(saved, snapshot(fresh)) == []
    rows = []
    for one in (state, fresh):
        restore_state(one, copy.deepcopy(saved))
        rows.append(advance(one, CONFIG, 4))
    assert differences(rows[0], rows[1]) == []


def test_finished_run_is_left_alone(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    train(tiny_dataset, tmp_path, network_config, CONFIG)
    before = (tmp_path / "state.pt").read_bytes()
    state = train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert differences(uninterrupted, snapshot(state)) == []
    assert (tmp_path / "state.pt").read_bytes() == before


@pytest.mark.parametrize("first_steps", [3, 4, 5])
def test_prolonged_run_is_one_long_run(
    tiny_dataset: PreparedDataset,
    network_config: NetworkConfig,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    first_steps: int,
) -> None:
    short = dataclasses.replace(CONFIG, total_kimg=first_steps * 4 / 1000)
    assert train(tiny_dataset, tmp_path, network_config, short).num_steps == first_steps
    state = train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert differences(uninterrupted, snapshot(state)) == []


def test_snapshots_may_be_rarer_in_a_prolonged_run(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    """How often a run is saved and logged is no part of what it computes."""
    config = dataclasses.replace(CONFIG, snapshot_kimg=0.024)
    state = snapshot(train(tiny_dataset, tmp_path, network_config, config))
    assert [row["kimg"] for row in state["log"]] == pytest.approx([0.008, 0.016, 0.024, 0.032, 0.036])
    assert {path.split("/")[1] for path in differences(uninterrupted, state)} == {"log"}
    means = [
        np.mean([row["logits_real"] for row in uninterrupted["log"][start : start + 2]]) for start in (0, 2, 4, 6, 8)
    ]
    assert [row["logits_real"] for row in state["log"]] == pytest.approx(means)


def test_a_whole_number_is_the_same_setting_as_its_float(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path
) -> None:
    """A notebook says 5 where params.yaml gives 5.0: the run goes on, and says so."""
    notes: list[str] = []
    for half_life in (5, 5.0):
        config = dataclasses.replace(CONFIG, total_kimg=0.012, ema_half_life_kimg=half_life)
        train(
            tiny_dataset, tmp_path, network_config, config, progress=lambda _done, _total, note="": notes.append(note)
        )
    assert notes[0] == "start"
    assert notes[-1] == "resumed"
    assert not (tmp_path / "state-superseded.pt").exists()


CHANGES: list[dict[str, Any]] = [
    {"learning_rate": 0.02},
    {"freeze_mapping": True},
    {"seed": 4},
    {"batch_size": 8},
    {"r1_gamma": 1.0},
    {"precision": "bf16"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_other_settings_supersede_the_state(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, change: dict[str, Any]
) -> None:
    short = dataclasses.replace(CONFIG, total_kimg=0.012)
    train(tiny_dataset, tmp_path / "run", network_config, short)
    old = (tmp_path / "run" / "state.pt").read_bytes()
    changed = dataclasses.replace(short, **change)
    state = snapshot(train(tiny_dataset, tmp_path / "run", network_config, changed))
    assert (tmp_path / "run" / "state-superseded.pt").read_bytes() == old
    fresh = snapshot(train(tiny_dataset, tmp_path / "fresh", network_config, changed))
    assert differences(fresh, state) == []


def test_other_base_or_pictures_supersede_the_state(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, base: Base
) -> None:
    short = dataclasses.replace(CONFIG, total_kimg=0.004)
    superseded = tmp_path / "state-superseded.pt"

    def run(base_hash: str) -> bool:
        superseded.unlink(missing_ok=True)
        train(tiny_dataset, tmp_path, network_config, short, base=base, base_hash=base_hash)
        return superseded.exists()

    assert not run("aa") and not run("aa")
    assert run("bb")
    tiny_dataset.manifest = dataclasses.replace(tiny_dataset.manifest, dataset_sha256="other")
    assert run("bb")


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "list", "tensor", "text", "pickle"])
def test_damaged_state_is_set_aside(
    tiny_dataset: PreparedDataset,
    network_config: NetworkConfig,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    damage: str,
) -> None:
    path = tmp_path / "state.pt"
    train(tiny_dataset, tmp_path, network_config, dataclasses.replace(CONFIG, total_kimg=0.012))
    data = path.read_bytes()
    if damage == "list":
        torch.save([1, 2], path)
    elif damage == "tensor":
        torch.save(torch.zeros(3), path)
    else:
        contents = {"empty": b"", "half": data[: len(data) // 2], "garbage": b"\xff" * 99}
        contents |= {"text": b"hello", "pickle": b"\x80\x02N."}
        path.write_bytes(contents[damage])
    spoiled = path.read_bytes()
    state = train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert differences(uninterrupted, snapshot(state)) == []
    assert (tmp_path / "state-superseded.pt").read_bytes() == spoiled


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"w_dim": 8}, {"channel_max": 6}, {"use_noise": False}, {"num_mapping_layers": 3}], ids=str
)
def test_base_of_another_architecture(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, base: Base, change: dict[str, Any]
) -> None:
    ((name, value),) = change.items()
    wanted = dataclasses.replace(network_config, **change)
    with pytest.raises(CheckpointError, match=rf"the base model has {name} .*, expected {name} {value};"):
        train(tiny_dataset, tmp_path / "run", wanted, CONFIG, base=base)
    assert not (tmp_path / "run").exists()


def test_wrong_resolution(tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path) -> None:
    wanted = dataclasses.replace(network_config, img_resolution=64)
    with pytest.raises(DataError, match="the dataset tiny has 32 px, expected the network's 64 px; ingest it again"):
        train(tiny_dataset, tmp_path, wanted, CONFIG)


def test_too_few_pictures(tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, batch_size=50)
    with pytest.raises(DataError, match=rf"has {len(tiny_dataset)} training pictures, expected .* batch of 50; add"):
        train(tiny_dataset, tmp_path, network_config, config)


# -- divergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scalar", ["loss_generator", "loss_discriminator", "logits_real", "logits_fake", "path_length", "r1"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_any_scalar_that_is_not_finite_stops(scalar: str, value: float) -> None:
    scalars = {"loss_generator": torch.tensor(1.0), "r1": torch.tensor(1.0)} | {scalar: torch.tensor(value)}
    with pytest.raises(TrainingError, match=rf"^{scalar} became infinite or NaN at step 7, expected .*; resume"):
        step_module._require_finite(scalars, 7)


def test_divergence_keeps_the_last_good_state(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path
) -> None:
    train(tiny_dataset, tmp_path, network_config, dataclasses.replace(CONFIG, total_kimg=0.012))
    good = (tmp_path / "state.pt").read_bytes()

    def spoil(*args: Any) -> Tensor:
        return path_lengths(*args) * math.nan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "path_lengths", spoil)
        with pytest.raises(TrainingError, match=r"path_length, .*became infinite or NaN at step 4"):
            train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert (tmp_path / "state.pt").read_bytes() == good


@pytest.mark.parametrize("network", ["generator", "discriminator", "generator_ema"])
def test_weights_that_are_not_finite_are_never_saved(
    tiny_dataset: PreparedDataset,
    network_config: NetworkConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: str,
) -> None:
    """Losses are those before the update: in the step of a snapshot they can be fine while the weights are not."""

    def spoiling_step(state: TrainingState, *args: Any) -> dict[str, Tensor]:
        scalars = train_step(state, *args)
        if state.num_steps == 2 * SNAPSHOT_STEPS:
            with torch.no_grad():
                next(iter(getattr(state, network).parameters())).view(-1)[0] = math.nan
        return scalars

    monkeypatch.setattr(loop, "train_step", spoiling_step)
    with pytest.raises(TrainingError, match=rf"{network} .*at step 6"):
        train(tiny_dataset, tmp_path, network_config, CONFIG)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    assert saved["num_steps"] == SNAPSHOT_STEPS


# -- pictures ---------------------------------------------------------------------------------------------------------


def test_sample_grid(network_config: NetworkConfig) -> None:
    torch.manual_seed(0)
    generator = randomize(Generator(network_config)).eval()
    before = torch.get_rng_state()
    picture = sample_grid(generator, num_images=9)
    assert picture.shape[2] == 3 and picture.dtype == np.uint8 and picture.shape[0] == picture.shape[1] >= 96
    assert np.array_equal(sample_grid(generator, num_images=9), picture)
    assert not np.array_equal(sample_grid(generator, num_images=9, truncation_psi=0.1), picture)
    assert torch.equal(torch.get_rng_state(), before)


def test_mirroring(tiny_dataset: PreparedDataset, network_config: NetworkConfig) -> None:
    config = dataclasses.replace(CONFIG, batch_size=8)
    state = initial_state(network_config, config)
    sampler = loop.BatchSampler(len(tiny_dataset), 8, 0)
    plain = loop._real_batch(tiny_dataset, sampler, state, dataclasses.replace(config, mirror=False))
    mirrored = loop._real_batch(tiny_dataset, sampler, state, config)
    flags = torch.from_numpy(sampler.mirror_flags(0))
    assert 0 < flags.sum() < 8
    assert torch.equal(mirrored[~flags], plain[~flags])
    assert torch.equal(mirrored[flags], plain[flags].flip(3)) and not torch.equal(mirrored[flags], plain[flags])
    assert plain.min() >= -1 and plain.max() <= 1 and plain.shape == (8, 3, 32, 32)
