"""What a run measures, keeps and shows: the best state, early stops, collapse, film strip, events, memory."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from training_run import CONFIG, NUM_STEPS, SNAPSHOT_STEPS, advance, differences, snapshot
from training_run import dense_snapshots as dense_snapshots

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import ConfigError, TrainingError
from ui2i.images import grid, grid_cells, save_png
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training import loop, memory
from ui2i.training.loop import train
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.step import train_step
from ui2i.training.watching import describe, diversity, duration, film_strip, sample_grid, samples_path

MEASURED = dataclasses.replace(CONFIG, evaluation_kimg=0.012)  # at every snapshot


@pytest.fixture
def run(tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path) -> Callable[..., TrainingState]:
    def run(config: TrainingConfig, **options: Any) -> TrainingState:
        return train(tiny_dataset, tmp_path, network_config, config, **options)

    return run


def distances(values: list[float]) -> Callable[[Generator], dict[str, float]]:
    """An evaluator that gives these Frechet distances one after the other."""
    remaining = iter(values)
    return lambda _generator: {"fd": next(remaining), "kd": 0.5}


def saved_steps(path: Path) -> int:
    return torch.load(path, weights_only=True)["num_steps"]


# -- measurements ------------------------------------------------------------------------------------------------------


def test_the_last_two_states_and_the_best_are_kept(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    notes: list[str] = []
    state = run(
        MEASURED,
        evaluator=distances([2.0, 1.0, 3.0]),
        progress=lambda _done, _total, note="": notes.append(note),
    )
    assert [note.split(", ")[1] for note in notes if "FD" in note] == ["FD 2", "FD 1", "FD 3"]
    assert [row.get("fd") for row in state.log] == [None, None, 2.0, None, None, 1.0, None, None, 3.0]
    kept = {path.name: saved_steps(path) for path in tmp_path.glob("*.pt")}
    assert kept == {"state.pt": 9, "state-previous.pt": 6, "state-best.pt": 6}
    assert state.num_steps == NUM_STEPS  # without patience training goes to the end and returns what it has there


def test_measurements_do_not_disturb_training(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    def disturbing(generator: Generator) -> dict[str, float]:
        return {"fd": float(generator(torch.zeros(2, 10)).mean()), "kd": 0.0}

    plain = snapshot(run(CONFIG))
    measured = snapshot(run(MEASURED, evaluator=disturbing, restart=True))
    for row in measured["log"]:
        assert row.keys() >= {"fd"} if row["kimg"] in (0.012, 0.024, 0.036) else "fd" not in row
        row.pop("fd", None), row.pop("kd", None)
    assert differences(plain, measured) == []
    assert (tmp_path / "state-superseded.pt").exists()


def test_measurements_at_their_own_interval(run: Callable[..., TrainingState]) -> None:
    """Every second snapshot, and at the end."""
    config = dataclasses.replace(CONFIG, evaluation_kimg=0.024)
    state = run(config, evaluator=distances([1.0, 2.0]))
    assert [index for index, row in enumerate(state.log, 1) if "fd" in row] == [6, 9]


def test_patience_of_a_finished_run_without_measurements_returns_its_end(run: Callable[..., TrainingState]) -> None:
    finished = snapshot(run(CONFIG))
    patient = dataclasses.replace(CONFIG, evaluation_kimg=0.012, patience=2)
    assert differences(finished, snapshot(run(patient, evaluator=distances([])))) == []


def test_early_stop_returns_to_the_best(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    config = dataclasses.replace(MEASURED, total_kimg=0.12, patience=2)
    state = run(config, evaluator=distances([3.0, 1.0, 2.0, 1.5]))
    assert state.num_steps == 2 * SNAPSHOT_STEPS and len(state.log) == 4 * SNAPSHOT_STEPS
    assert saved_steps(tmp_path / "state.pt") == 4 * SNAPSHOT_STEPS
    again = run(config, evaluator=distances([]))  # a run that stopped is over, and asks for no more measurements
    assert differences(snapshot(state), snapshot(again)) == []


def test_measurements_of_another_backbone_are_dropped_before_training_goes_on(
    run: Callable[..., TrainingState], tmp_path: Path
) -> None:
    short = dataclasses.replace(MEASURED, patience=2, total_kimg=0.024)
    run(short, evaluator=distances([1.0, 0.5]), evaluator_hash="first")
    again = run(short, evaluator=distances([]), evaluator_hash="second")  # over: nothing is measured or compared
    assert [row["fd"] for row in again.log if "fd" in row] == [1.0, 0.5]
    notes: list[str] = []
    state = run(
        dataclasses.replace(short, total_kimg=0.06),
        evaluator=distances([7.0, 8.0, 9.0]),
        evaluator_hash="second",
        progress=lambda _done, _total, note="": notes.append(note),
    )
    assert notes[0] == "resumed, without what another backbone measured, in fp32"
    assert [row["fd"] for row in state.log if "fd" in row] == [7.0, 8.0, 9.0]
    assert not any("kd" in row for row in state.log[: 2 * SNAPSHOT_STEPS])
    assert state.num_steps == 3 * SNAPSHOT_STEPS == saved_steps(tmp_path / "state-best.pt")


def test_measurements_of_a_state_that_records_no_backbone_count_as_the_present_one_s(
    run: Callable[..., TrainingState], tmp_path: Path
) -> None:
    short = dataclasses.replace(MEASURED, total_kimg=0.012)
    run(short, evaluator=distances([1.0]), evaluator_hash="first")
    values = torch.load(tmp_path / "state.pt", weights_only=True)
    del values["measured_by"]
    torch.save(values, tmp_path / "state.pt")
    state = run(MEASURED, evaluator=distances([2.0, 3.0]), evaluator_hash="second")
    assert [row["fd"] for row in state.log if "fd" in row] == [1.0, 2.0, 3.0]
    assert (state.measured_by, saved_steps(tmp_path / "state-best.pt")) == ("second", SNAPSHOT_STEPS)


@pytest.mark.parametrize("settings", [{"patience": 2}, {"patience": 0, "evaluation_kimg": 1.0}])
def test_patience_that_makes_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^patience is"):
        dataclasses.replace(CONFIG, **settings)


def test_measurements_need_an_evaluator(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation_kimg is 0\.012 without an evaluator"):
        run(MEASURED)
    assert not list(tmp_path.iterdir())


# -- states ------------------------------------------------------------------------------------------------------------


def test_the_state_before_takes_the_place_of_a_damaged_one(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    undisturbed = snapshot(run(CONFIG))
    (tmp_path / "state.pt").write_bytes(b"torn")
    notes: list[str] = []
    mended = run(CONFIG, progress=lambda _done, _total, note="": notes.append(note))
    assert notes[0] == "resumed from the state before the last, in fp32"
    assert differences(undisturbed, snapshot(mended)) == []
    assert (tmp_path / "state-superseded.pt").read_bytes() == b"torn"


def test_a_run_beyond_the_end_starts_afresh(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    run(CONFIG)
    notes: list[str] = []
    short = run(
        dataclasses.replace(CONFIG, total_kimg=0.012), progress=lambda _done, _total, note="": notes.append(note)
    )
    assert notes[0].startswith("start afresh: the saved state is of a longer training")
    assert short.num_steps == 3 and saved_steps(tmp_path / "state-superseded.pt") == NUM_STEPS


def test_restart(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    first = snapshot(run(CONFIG))
    notes: list[str] = []
    again = run(CONFIG, restart=True, progress=lambda _done, _total, note="": notes.append(note))
    assert notes[0] == "start, in fp32" and differences(first, snapshot(again)) == []
    assert saved_steps(tmp_path / "state-superseded.pt") == NUM_STEPS


def test_a_missing_discriminator_is_said(
    run: Callable[..., TrainingState], generator: Generator, tmp_path: Path
) -> None:
    notes: list[str] = []
    run(CONFIG, base=(generator, None), progress=lambda _done, _total, note="": notes.append(note))
    assert notes[0] == "start; the base has no discriminator: a fresh one, in fp32"


def test_collapse_stops_and_names_the_last_good_state(
    run: Callable[..., TrainingState], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsing_step(state: TrainingState, *args: Any, **options: Any) -> Any:
        scalars = train_step(state, *args)
        if state.num_steps == 2 * SNAPSHOT_STEPS:
            with torch.no_grad():
                for resolution in state.generator_ema.config.block_resolutions:
                    state.generator_ema.synthesis.block(resolution).torgb.weight.zero_()
        return scalars

    monkeypatch.setattr(loop, "train_step", collapsing_step)
    with pytest.raises(TrainingError, match=r"the generator collapsed at step 6: .*the last good state is .*state\.pt"):
        run(CONFIG)
    assert saved_steps(tmp_path / "state.pt") == SNAPSHOT_STEPS


def test_a_slow_collapse_is_measured_by_the_most_that_samples_ever_differed(
    run: Callable[..., TrainingState], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.1, 0.5, 0.2, 0.04])
    monkeypatch.setattr(loop, "diversity", lambda _images: next(values))
    monkeypatch.setattr(loop, "LOG_ROWS_PER_SNAPSHOT", 1)
    with pytest.raises(TrainingError, match=r"at step 4: .* differ by 0\.0400, expected at least 10% of the 0\.5000"):
        run(dataclasses.replace(CONFIG, snapshot_kimg=0.004))


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine that cannot hold two images at once: the sizes of the parts that were tried."""
    tried: list[int] = []

    def step(state: TrainingState, real_img: Any, config: TrainingConfig, sharding: Sharding, **options: Any) -> Any:
        tried.append(config.batch_size // sharding.num_micro_batches)
        if tried[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return train_step(state, real_img, config, sharding)

    for module in (loop, memory):
        monkeypatch.setattr(module, "train_step", step)
    return tried


def test_out_of_memory_names_the_batch_that_fits(run: Callable[..., TrainingState], small_memory: list[int]) -> None:
    config = dataclasses.replace(CONFIG, batch_size=8)
    with pytest.raises(TrainingError, match=r"a batch of 8 does not fit the memory, expected at most 2 .*batches: 4"):
        run(config)
    assert small_memory == [8, 4, 2]


def test_out_of_memory_is_mended_if_asked(
    run: Callable[..., TrainingState], network_config: NetworkConfig, small_memory: list[int]
) -> None:
    config = dataclasses.replace(CONFIG, batch_size=8, learning_rate=1e-4, total_kimg=0.024, num_micro_batches=0)
    notes: list[str] = []
    state = run(config, progress=lambda _done, _total, note="": notes.append(note))
    assert state.num_steps == 3 and "start, in 4 micro-batches to fit the memory, in fp32" in notes
    assert small_memory == [8, 4, 2, 2, 2, 2]


def test_out_of_memory_with_a_single_group(run: Callable[..., TrainingState], monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*args: Any, **options: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    for module in (loop, memory):
        monkeypatch.setattr(module, "train_step", step)
    with pytest.raises(TrainingError, match=r"nor does one minibatch-stddev group at a time, expected a smaller model"):
        run(CONFIG)


# -- images and numbers ----------------------------------------------------------------------------------------------


def test_every_snapshot_has_samples_and_the_shortest_training_a_step(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path
) -> None:
    train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert [path.name for path in sorted(tmp_path.glob("samples-*"))] == [
        f"samples-000000.{kimg}.png" for kimg in ("012", "024", "036")
    ]
    steps = {kimg: dataclasses.replace(CONFIG, total_kimg=kimg).num_steps for kimg in (0.0005, 0.004, 1.001, 1.004)}
    assert steps == {0.0005: 1, 0.004: 1, 1.001: 251, 1.004: 251}


def test_film_strip(tmp_path: Path) -> None:
    """A row a time, in order, of the first latents; of many times the first and the last are there."""
    assert film_strip(tmp_path, 16) is None
    values = [2 * index for index in range(30)]
    for value in values:
        cells = np.full((9, 16, 16, 3), value, np.uint8)
        save_png(samples_path(tmp_path, value * 4.0), grid(cells, 3))
    strip = film_strip(tmp_path, 16)
    assert strip is not None
    column = strip[:, -40]  # through the last images of the rows
    shown = [int(value) for value, _ in itertools.groupby(column[:, 0]) if value < 200]
    assert shown[0] == 0 and shown[-1] == values[-1] and len(shown) == 12
    assert shown == sorted(shown)


def test_a_run_ends_with_its_film_strip(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    state = run(CONFIG)
    with Image.open(tmp_path / "film-strip.png") as image:
        strip = np.asarray(image)
    final = grid_cells(sample_grid(state.generator_ema), 32)[0]
    windows = np.lib.stride_tricks.sliding_window_view(strip, (32, 32, 3))[:, :, 0]
    assert (windows == final).all(axis=(2, 3, 4)).any()


def test_events_show_every_row_once(run: Callable[..., TrainingState], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(dataclasses.replace(CONFIG, total_kimg=0.024))
    run(CONFIG)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss_generator", "r1", "images_per_second", "memory_gib"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss_generator")] == [4 * step for step in range(1, NUM_STEPS + 1)]
    assert events.Tags()["images"] == ["samples"]


def test_diversity() -> None:
    images = torch.rand(6, 3, 8, 8)
    assert diversity(images[:1].expand(6, -1, -1, -1)) == pytest.approx(0, abs=1e-7)
    assert diversity(images) == pytest.approx(images.numpy().std(axis=0, ddof=1).mean(), rel=1e-5)


def test_notes() -> None:
    row = {"loss_generator": 1.0, "loss_discriminator": 0.5, "images_per_second": 10.0, "fd": 0.123456}
    assert describe(row, 6000) == "G 1.00 D 0.50, FD 0.1235, 10 images/s, 10 min left"
    assert describe(row | {"augment_probability": 0.25}, 0) == "G 1.00 D 0.50, FD 0.1235, p 0.25, 10 images/s"
    assert [duration(seconds) for seconds in (3, 600, 9000)] == ["3 s", "10 min", "2.5 h"]


def test_cells_of_a_grid() -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 5, 5, 3), dtype=np.uint8)
    assert np.array_equal(grid_cells(grid(images, 3), 5), images)
    assert np.array_equal(grid_cells(grid(images[:5], 3), 5)[:5], images[:5])


def test_log_says_what_a_step_cost(network_config: NetworkConfig, run: Callable[..., TrainingState]) -> None:
    log = run(CONFIG).log
    assert all(row["memory_gib"] > 0.05 and 0 <= row["data_seconds"] <= row["seconds"] for row in log)
    assert all(-1 <= row["real_sign"] <= 1 for row in log)
    assert not math.isnan(advance(initial_state(network_config, CONFIG), CONFIG, 1)[0]["real_sign"])
