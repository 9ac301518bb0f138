"""Regressors of attributes: what they learn, how they are kept, and what they read."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawn_people import people_of
from drawn_people import truth as truth

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import (
    AttributeRegressor,
    HeldOut,
    attribute_columns,
    cache,
    cached_regressor,
    draw_images,
    kept_attributes,
    load_regressor,
    save_regressor,
    settings_hash,
    train_regressor,
)
from experiments.paper.truth.columns import held_out_score
from experiments.paper.truth.loss import Targets
from ui2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from ui2i.images import to_tensor

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")
TINY = RegressorConfig(
    num_drawings=8, num_held_out=4, num_epochs=1, batch_size=4, width=2, noise=0.1, precision="fp32", seed=77
)


# The regressor


@pytest.fixture(scope="module")
def tiny_regressor() -> AttributeRegressor:
    return train_regressor("cartoon", TINY, resolution=32)


def test_the_loss_starts_at_1_for_the_best_constant_and_ends_at_0() -> None:
    people = people_of(0, 300)
    columns = attribute_columns(people)
    targets = Targets.of(columns, people)
    constant, perfect = [], []
    for column in columns:
        values = column.values(people)
        if column.kind == "number":
            constant.append(np.zeros((300, 1)))
            perfect.append((values[:, None] - column.mean) / column.scale)
        elif column.kind == "hue":
            constant.append(np.zeros((300, 2)))
            perfect.append(np.stack([np.cos(2 * np.pi * values), np.sin(2 * np.pi * values)], axis=1))
        else:
            shares = np.bincount(values.astype(int), minlength=len(column.classes)) / 300
            constant.append(np.tile(np.log(shares), (300, 1)))
            perfect.append(50 * np.eye(len(column.classes))[values.astype(int)])
    everybody = torch.arange(300)
    assert targets.loss(torch.tensor(np.concatenate(constant, axis=1)), everybody).item() == pytest.approx(1, abs=1e-3)
    assert targets.loss(torch.tensor(np.concatenate(perfect, axis=1)), everybody).item() == pytest.approx(0, abs=1e-6)


def test_the_regressor_learns_a_handful_by_heart() -> None:
    config = dataclasses.replace(TINY, num_drawings=24, num_epochs=120, batch_size=24, width=8, noise=0.0)
    regressor = train_regressor("cartoon", config, resolution=32)
    people = people_of(config.seed, 24)
    read = regressor.read(to_tensor(draw_images(people, "cartoon", 32)))
    for column in regressor.columns:
        if column.name != "cheek_width":  # hardly shows at 32 px
            assert held_out_score(column.kind, column.values(people), read[column.name])[0] > 0.7, column.name


def test_equal_settings_train_equal_regressors(tiny_regressor: AttributeRegressor) -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    again = train_regressor("cartoon", TINY, resolution=32)
    assert torch.equal(before, torch.random.get_rng_state())
    assert again.held_out == tiny_regressor.held_out
    for name, value in tiny_regressor.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    other = train_regressor("cartoon", dataclasses.replace(TINY, seed=78), resolution=32)
    assert not torch.equal(other.layers[0].weight, tiny_regressor.layers[0].weight)


def test_an_image_is_read_alone_as_among_others(truth: np.ndarray) -> None:
    regressor = train_regressor("cartoon", dataclasses.replace(TINY, num_epochs=4), resolution=32).train()
    together, alone = regressor.read(to_tensor(truth)), regressor.read(to_tensor(truth[3:4]))
    assert all(np.allclose(alone[name], together[name][3:4], atol=1e-4) for name in together)


def test_large_images_are_averaged_down(tiny_regressor: AttributeRegressor) -> None:
    small = torch.rand(3, 3, 32, 32) * 2 - 1
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    read, read_large = tiny_regressor.read(small), tiny_regressor.read(large)
    assert all(np.allclose(read[name], read_large[name], atol=1e-4) for name in read)
    regressor = train_regressor("cartoon", dataclasses.replace(TINY, num_drawings=2, batch_size=2), resolution=128)
    assert regressor.resolution == 64
    for shape in [(1, 3, 16, 16), (1, 1, 32, 32), (3, 32, 32)]:
        with pytest.raises(DataError, match="at least 32"):
            tiny_regressor.read(torch.zeros(shape))


def test_skill_is_measured_on_drawings_that_were_not_trained_on(tiny_regressor: AttributeRegressor) -> None:
    people = people_of(TINY.seed, 12)[8:]
    read = tiny_regressor.read(to_tensor(draw_images(people, "cartoon", 32)))
    for column in tiny_regressor.columns:
        measure = tiny_regressor.held_out[column.name]
        expected = held_out_score(column.kind, column.values(people), read[column.name])
        assert (measure.score, measure.baseline) == pytest.approx(expected)


def test_progress_fills_once() -> None:
    reports: list[tuple[int, int]] = []
    train_regressor("cartoon", TINY, resolution=32, progress=lambda done, total, note="": reports.append((done, total)))
    assert reports == sorted(reports)
    assert reports[-1] == (20, 20)


def test_a_loss_that_explodes_is_an_error() -> None:
    with pytest.raises(TrainingError, match="lower its learning_rate"):
        train_regressor("cartoon", dataclasses.replace(TINY, num_epochs=8, learning_rate=1e30), resolution=32)


@pytest.mark.parametrize("change", [{"num_drawings": 1}, {"noise": -1.0}, {"seed": -1}, {"width": 0}])
def test_settings_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RegressorConfig(**change)


# On disk


def test_a_saved_regressor_reads_the_same(
    tiny_regressor: AttributeRegressor, tmp_path: Path, truth: np.ndarray
) -> None:
    save_regressor(tmp_path / "cartoon.safetensors", tiny_regressor)
    loaded = load_regressor(tmp_path / "cartoon.safetensors")
    assert (loaded.style, loaded.resolution, loaded.config) == ("cartoon", 32, TINY)
    assert (loaded.columns, loaded.held_out) == (tiny_regressor.columns, tiny_regressor.held_out)
    read, expected = loaded.read(to_tensor(truth)), tiny_regressor.read(to_tensor(truth))
    assert all(np.array_equal(read[name], expected[name]) for name in expected)


def test_a_damaged_regressor_is_refused(tiny_regressor: AttributeRegressor, tmp_path: Path) -> None:
    path = tmp_path / "cartoon.safetensors"
    with pytest.raises(CheckpointError, match="does not exist"):
        load_regressor(path)
    save_regressor(path, tiny_regressor)
    for damaged in (
        path.read_bytes()[:-40],
        b"",
        path.read_bytes().replace(b"attribute_regressor", b"attribute_regress0r"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="remove it, and it is trained again"):
            load_regressor(path)


def test_a_regressor_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def train(style: str, config: RegressorConfig, **options: Any) -> AttributeRegressor:
        trained.append(style)
        return train_regressor(style, config, **options)

    monkeypatch.setattr(cache, "train_regressor", train)
    for style, config in [
        ("cartoon", TINY),
        ("cartoon", TINY),
        ("face", TINY),
        ("face", dataclasses.replace(TINY, width=3)),
    ]:
        cached_regressor(tmp_path, style, config, resolution=32)
    assert trained == ["cartoon", "face", "face"]
    assert len(list(tmp_path.iterdir())) == 3


def test_another_drawing_makes_another_regressor(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_hash("cartoon", TINY, 32)
    assert before == settings_hash("cartoon", TINY, 32)
    monkeypatch.setattr(cache, "drawing_sample", lambda *_: np.zeros((4, 32, 32, 3), np.uint8))
    assert before != settings_hash("cartoon", TINY, 32)


# What was kept


def reading(columns: Any, values: dict[int, dict[str, np.ndarray]]) -> Any:
    """A regressor that reads given values from images whose first level is the key."""
    held_out = {column.name: HeldOut(score=0.9, baseline=0.0) for column in columns} | {
        "roll": HeldOut(score=0.1, baseline=0.0)
    }
    return SimpleNamespace(
        columns=columns,
        held_out=held_out,
        read=lambda images: values[round((images[0, 0, 0, 0].item() + 1) * 127.5)],
        unreadable=lambda least: [name for name, measure in held_out.items() if measure.skill < least],
    )


def test_what_is_read_as_from_the_truth_was_kept_and_what_is_shuffled_was_not() -> None:
    people = people_of(0, 200)
    columns = attribute_columns(people)
    exact = {column.name: column.values(people) for column in columns}
    shuffle = np.random.default_rng(0).permutation(200)
    noisy = {name: values[np.where(np.arange(200) % 2 == 0, np.arange(200), shuffle)] for name, values in exact.items()}
    regressor = reading(columns, {0: noisy, 1: {name: values[shuffle] for name, values in exact.items()}, 2: exact})

    def kept(outputs: int, counterparts: int) -> dict[str, Any]:
        images = [np.full((200, 32, 32, 3), level, np.uint8) for level in (outputs, counterparts)]
        return {it.attribute: it for it in kept_attributes(regressor, images[0], images[1], people)}

    whole, lost, half = kept(2, 2), kept(1, 2), kept(0, 2)
    assert set(whole) == set(exact) - {"roll"}, "what cannot be read is left out"
    for name, attribute in whole.items():
        assert attribute.kept == pytest.approx(1)
        assert attribute.agreement == attribute.ceiling == pytest.approx(1)
        assert abs(lost[name].kept) < 0.35
        assert lost[name].ci95_low < lost[name].kept < lost[name].ci95_high
        assert 0.25 < half[name].kept < 0.75
        assert half[name].ci95_low < half[name].kept < half[name].ci95_high
    assert np.mean([abs(it.kept) for it in lost.values()]) < 0.1
    draws = np.random.default_rng(0).integers(200, size=(1000, 200))
    again = [np.corrcoef(exact["yaw"][own], noisy["yaw"][own])[0, 1] for own in draws]  # the ceiling is 1
    found = half["yaw"].ci95_low, half["yaw"].ci95_high
    assert found == pytest.approx(tuple(np.quantile(again, [0.025, 0.975]))), "of images drawn again"
    # Where the ceiling itself is half, a translation that is read as well has kept all that can be known.
    assert kept(0, 0)["glasses"].kept == pytest.approx(1)
    assert kept(0, 0)["glasses"].ceiling < 0.9
    # Where the truth cannot be read at all, nothing can be said.
    assert kept(2, 1)["yaw"].kept is None or kept(2, 1)["yaw"].ceiling > 0.01


def test_too_few_images_to_compare(tiny_regressor: AttributeRegressor, truth: np.ndarray) -> None:
    for count, num_people in ((1, 1), (4, 3)):
        with pytest.raises(DataError, match="at least 2"):
            kept_attributes(tiny_regressor, truth[:count], truth[:count], people_of(0, num_people))
    two = kept_attributes(tiny_regressor, truth[:2], truth[:2], people_of(0, 2), min_skill=-9.0)
    assert two
    assert all(it.kept is None or np.isfinite(it.kept) for it in two)
