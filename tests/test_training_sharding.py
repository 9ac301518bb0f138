"""A batch cut into parts, and shared by processes, is computed as if it were whole."""

import dataclasses
import math
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from training_run import CONFIG, real_batch, snapshot

from ui2i.errors import ConfigError
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.step import train_step

# Small steps: what Adam makes of rounding errors grows with the rate.
SHARED = dataclasses.replace(
    CONFIG, batch_size=8, learning_rate=1e-4, augment="ada", ada_speed_kimg=1.0, ada_interval=1
)
NUM_STEPS = 5  # with two R1 penalties and two of path length


def advance(config: TrainingConfig, network_config: NetworkConfig, sharding: Sharding) -> tuple[TrainingState, Any]:
    """Take some steps and return what they led to."""
    state = initial_state(network_config, config)
    state.augment_probability = 0.5
    own = sharding.positions(config.batch_size, network_config.mbstd_group_size)
    rows = [train_step(state, real_batch(config.batch_size)[own], config, sharding) for _ in range(NUM_STEPS)]
    return state, [{name: value.item() for name, value in row.items()} for row in rows]


def test_parts_cover_the_batch_and_keep_groups_together() -> None:
    parts = [
        part
        for rank in range(2)
        for part in Sharding(rank=rank, num_processes=2, num_micro_batches=2).parts(24, group_size=4)
    ]
    assert sorted(torch.cat([part.positions for part in parts]).tolist()) == list(range(24))
    assert sum(part.share for part in parts) == pytest.approx(1)
    for part in parts:
        groups = part.positions.reshape(4, -1) % 6  # as minibatch_stddev groups the part, and the whole batch
        assert (groups == groups[:1]).all() and len(set(groups[0].tolist())) == groups.shape[1]


def test_positions_are_those_of_the_parts() -> None:
    sharding = Sharding(rank=1, num_processes=2, num_micro_batches=2)
    assert sharding.positions(8).tolist() == [4, 5, 6, 7]
    assert Sharding().positions(5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sharding", "message"),
    [
        (Sharding(num_micro_batches=5), r"8 images in groups of 2 make 4 parts at most, expected 5 \(1 processes x 5"),
        (Sharding(num_processes=3, num_micro_batches=2), r"expected 6 \(3 processes x 2 micro-batches\)"),
    ],
)
def test_more_parts_than_groups(sharding: Sharding, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sharding.parts(8, 2)


def test_groups_that_do_not_divide_the_batch() -> None:
    with pytest.raises(ConfigError, match=r"the batch has 10 images, expected a multiple of .* group of 4"):
        Sharding().parts(10, 4)


@pytest.mark.parametrize("num_micro_batches", [2, 4])
@pytest.mark.parametrize("freeze_mapping", [True, False])
def test_micro_batches_change_nothing(
    network_config: NetworkConfig, num_micro_batches: int, freeze_mapping: bool
) -> None:
    config = dataclasses.replace(SHARED, freeze_mapping=freeze_mapping)
    whole, rows = advance(config, network_config, Sharding())
    cut, cut_rows = advance(config, network_config, Sharding(num_micro_batches=num_micro_batches))
    expect_equal(rows, cut_rows, snapshot(whole), snapshot(cut))


def test_more_parts_than_images_of_path_lengths(network_config: NetworkConfig) -> None:
    config = dataclasses.replace(SHARED, path_length_batch_shrink=8)
    assert config.batch_size // config.path_length_batch_shrink < 2
    _, rows = advance(config, network_config, Sharding(num_micro_batches=2))
    assert all(math.isfinite(value) for row in rows for value in row.values())


@pytest.mark.parametrize("num_micro_batches", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_two_processes_change_nothing(network_config: NetworkConfig, tmp_path: Path, num_micro_batches: int) -> None:
    """Two processes with gloo reach the losses, R1, path lengths and weights of one with twice the batch."""
    whole, rows = advance(SHARED, network_config, Sharding())
    context = multiprocessing.get_context("spawn")  # a fork would miss the threads that other tests have started
    processes = [
        context.Process(target=one_of_two, args=(rank, tmp_path, network_config, num_micro_batches)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    errors = [(tmp_path / f"error-{rank}.txt").read_text() for rank in (0, 1)]
    assert [process.exitcode for process in processes] == [0, 0], "\n".join(errors)
    results = [torch.load(tmp_path / f"result-{rank}.pt", weights_only=True) for rank in (0, 1)]
    for result in results:
        expect_equal(rows, result["rows"], snapshot(whole), result["state"])
    for name, value in results[0]["state"]["generator"].items():  # both stay bit for bit together
        assert torch.equal(value, results[1]["state"]["generator"][name]), name


def one_of_two(rank: int, folder: Path, network_config: NetworkConfig, num_micro_batches: int) -> None:
    """What each of the processes does; they meet through a file and talk over loopback."""
    error_file = (folder / f"error-{rank}.txt").open("w", buffering=1)
    os.dup2(error_file.fileno(), sys.stderr.fileno())  # for the report of a failure
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    sharding = Sharding(rank=rank, num_processes=2, num_micro_batches=num_micro_batches)
    state, rows = advance(SHARED, network_config, sharding)
    torch.save({"state": snapshot(state), "rows": rows}, folder / f"result-{rank}.pt")
    distributed.destroy_process_group()


def expect_equal(rows: Any, other_rows: Any, state: dict[str, Any], other_state: dict[str, Any]) -> None:
    assert any("r1" in row for row in rows[1:]) and any("path_length" in row for row in rows[1:])
    for row, other in zip(rows, other_rows, strict=True):
        assert other == pytest.approx(row, rel=1e-4, abs=1e-4)
    assert float(other_state["path_length_mean"]) == pytest.approx(float(state["path_length_mean"]), rel=1e-4)
    assert other_state["augment_probability"] == state["augment_probability"] != 0.5
    for network in ("generator", "discriminator", "generator_ema"):
        for name, value in state[network].items():
            assert torch.allclose(value, other_state[network][name], atol=1e-4), f"{network} {name}"
