"""Training that diverges keeps the last good state."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_run import CONFIG, SNAPSHOT_STEPS
from training_run import dense_snapshots as dense_snapshots

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import TrainingError
from ui2i.losses import path_lengths
from ui2i.settings import NetworkConfig
from ui2i.training import loop
from ui2i.training import step as step_module
from ui2i.training.loop import train
from ui2i.training.state import TrainingState
from ui2i.training.step import train_step


def test_divergence_keeps_the_last_good_state(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path
) -> None:
    train(tiny_dataset, tmp_path, network_config, dataclasses.replace(CONFIG, total_kimg=0.012))
    good = (tmp_path / "state.pt").read_bytes()

    def spoil(*args: Any, **options: Any) -> Tensor:
        return path_lengths(*args, **options) * math.nan

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

    def spoiling_step(state: TrainingState, *args: Any, **options: Any) -> dict[str, Tensor]:
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
