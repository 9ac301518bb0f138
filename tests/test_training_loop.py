"""The training loop: a killed run ends as if it had not been killed, and what does not fit is refused."""

import copy
import dataclasses
import math
import multiprocessing
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from training_run import CONFIG, NUM_STEPS, SNAPSHOT_STEPS, Base, Killed, advance, differences, snapshot
from training_run import dense_snapshots as dense_snapshots

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import CheckpointError, DataError
from ui2i.files import is_whole_zip
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig
from ui2i.training import loop, snapshots
from ui2i.training.loop import sample_grid, train
from ui2i.training.state import initial_state, restore_state


@pytest.fixture(scope="session")
def uninterrupted(
    tiny_prepared: Path, network_config: NetworkConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What 9 steps of `CONFIG` from scratch lead to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_ROWS_PER_SNAPSHOT", SNAPSHOT_STEPS)
        run_dir = tmp_path_factory.mktemp("uninterrupted")
        return snapshot(train(PreparedDataset(tiny_prepared), run_dir, network_config, CONFIG))


# -- resuming ---
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
        "film-strip.png",
        *(f"samples-000000.{kimg}.png" for kimg in ("012", "024", "036")),
        "state-previous.pt",
        "state.pt",
        "tensorboard",
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


def test_a_best_state_is_there_before_a_log_that_knows_of_it(
    tmp_path: Path, network_config: NetworkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, plain = initial_state(network_config, CONFIG), snapshots._duplicate

    def die_at_best(path: Path, copy_path: Path) -> None:
        if copy_path.name == snapshots.BEST_FILE:
            raise KeyboardInterrupt
        plain(path, copy_path)

    monkeypatch.setattr(snapshots, "_duplicate", die_at_best)
    with pytest.raises(KeyboardInterrupt):
        snapshots.save_state(state, tmp_path, "{}", is_best=True)
    assert not list(tmp_path.iterdir()), "else the resumed run would never write it again"


def test_a_run_that_starts_afresh_has_its_own_film_strip(tmp_path: Path) -> None:
    for name in ("state.pt", "samples-000200.000.png", "card.json"):
        (tmp_path / name).touch()
    snapshots.set_aside(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"state-superseded.pt", "card.json"}


def test_no_flipped_bit_of_a_state_is_more_than_damage(tmp_path: Path) -> None:
    def records() -> dict[str, bytes]:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    path = tmp_path / "state.pt"
    torch.save({"a": torch.arange(4)}, path)
    data, saved = bytearray(path.read_bytes()), records()
    for place in range(data.index(b"PK\x01\x02"), len(data)):
        for bit in range(8):
            data[place] ^= 1 << bit
            path.write_bytes(data)
            assert not is_whole_zip(path) or records().items() <= saved.items(), "and torch misses one that is gone"
            data[place] ^= 1 << bit


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
    long = snapshot(train(tiny_dataset, tmp_path, network_config, CONFIG))
    if first_steps % SNAPSHOT_STEPS:  # the end of the short run was a snapshot, which says how much samples differ
        assert long["log"][first_steps - 1].pop("diversity") > 0
    assert differences(uninterrupted, long) == []


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
    largest = max(abs(row["logits_real"]) for row in uninterrupted["log"])
    assert [row["logits_real"] for row in state["log"]] == pytest.approx(means, rel=0, abs=1e-6 * largest)


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
    assert notes[0] == "start, in fp32"
    assert notes[-1] == "resumed, in fp32"
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


def test_other_base_or_images_supersede_the_state(
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


# -- refusals ---


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


def test_too_few_images(tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, batch_size=50)
    with pytest.raises(DataError, match=rf"has {len(tiny_dataset)} training images, expected .* batch of 50; add"):
        train(tiny_dataset, tmp_path, network_config, config)


# -- images ---


def test_sample_grid(network_config: NetworkConfig) -> None:
    torch.manual_seed(0)
    generator = randomize(Generator(network_config)).eval()
    before = torch.get_rng_state()
    image = sample_grid(generator, num_images=9)
    assert image.shape[2] == 3 and image.dtype == np.uint8 and image.shape[0] == image.shape[1] >= 96
    assert np.array_equal(sample_grid(generator, num_images=9), image)
    assert not np.array_equal(sample_grid(generator, num_images=9, truncation_psi=0.1), image)
    assert torch.equal(torch.get_rng_state(), before)
