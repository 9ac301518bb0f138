"""Measurements of model distances that are interrupted go on bit for bit."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from distance_models import CONFIG, NOISE_MODES, count_calls
from distance_models import generators as generators

from ui2i.metrics import unfinished
from ui2i.metrics.model_distance import model_distances
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import NoiseMode

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


class StoppedError(Exception):
    """The measurement was killed."""


def stop_after(num_latents: int) -> Callable[..., None]:
    def progress(done: int, total: int, note: str = "") -> None:
        if done > num_latents:
            raise StoppedError

    return progress


@pytest.mark.parametrize("noise_mode", NOISE_MODES)
def test_an_interrupted_measurement_goes_on_bit_for_bit(
    generators: dict[str, Generator],
    perceptual: Perceptual,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    noise_mode: NoiseMode,
) -> None:
    monkeypatch.setattr(unfinished, "SAVE_INTERVAL_SECONDS", 0)
    config = dataclasses.replace(CONFIG, noise_mode=noise_mode)
    whole = model_distances(generators, perceptual, config, keep_values=True)
    state = tmp_path / "state.npz"
    with pytest.raises(StoppedError):
        model_distances(generators, perceptual, config, keep_values=True, state_file=state, progress=stop_after(3))
    counts = count_calls(generators, perceptual, monkeypatch)
    resumed = model_distances(generators, perceptual, config, keep_values=True, state_file=state)
    assert counts["a"] == 4, "the first batch of 3 of 7 latents was not measured again"
    assert resumed == whole
    for again, before in zip(resumed, whole, strict=True):
        assert np.array_equal(again.values, before.values)
    assert not state.exists()


@pytest.mark.parametrize("change", ["config", "weights", "backbone", "pairs", "values", "damage"])
def test_the_state_of_another_measurement_is_passed_over(
    generators: dict[str, Generator],
    perceptual: Perceptual,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: str,
) -> None:
    monkeypatch.setattr(unfinished, "SAVE_INTERVAL_SECONDS", 0)
    state, pairs = tmp_path / "state.npz", [("a", "b")]
    with pytest.raises(StoppedError):
        model_distances(generators, perceptual, CONFIG, pairs=pairs, state_file=state, progress=stop_after(3))
    config, keep_values = CONFIG, change == "values"
    if change == "config":
        config = dataclasses.replace(CONFIG, truncation_psi=0.7)
    if change == "weights":
        generators["a"].mapping.fc1.bias.data[0] += 0.1
    if change == "backbone":
        perceptual = copy.copy(perceptual)
        perceptual.weights_hash = "another"
    if change == "pairs":
        pairs = [("b", "a")]
    if change == "damage":
        state.write_bytes(state.read_bytes()[:200])
    options = {"pairs": pairs, "keep_values": keep_values}
    expected = model_distances(generators, perceptual, config, **options)
    counts = count_calls(generators, perceptual, monkeypatch)
    assert model_distances(generators, perceptual, config, state_file=state, **options) == expected
    assert counts["a"] == 7
    assert not state.exists()


def test_nothing_is_saved_in_short_measurements(
    generators: dict[str, Generator], perceptual: Perceptual, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        model_distances(generators, perceptual, CONFIG, state_file=tmp_path / "state.npz", progress=stop_after(3))
    assert list(tmp_path.iterdir()) == []
