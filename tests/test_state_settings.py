"""What a saved state must agree with to be taken up: all that decides what a step computes, and nothing else."""

import dataclasses
import json
from pathlib import Path

from training_run import CONFIG

from ui2i.datasets.prepared import PreparedDataset
from ui2i.inversion.encoder_state import read_state, settings_of, write_state
from ui2i.settings import EncoderConfig, NetworkConfig, TrainingConfig
from ui2i.training.snapshots import run_identity

HASHES = {"base_hash": "1", "dataset_hash": "2", "backbone_hash": "3"}
LENGTH = {"total_kimg", "num_micro_batches", "snapshot_kimg", "evaluation_kimg", "evaluation_images", "patience"}


def names(config_type: type) -> set[str]:
    return {field.name for field in dataclasses.fields(config_type)}


def test_an_encoder_s_state_is_of_every_setting_but_two(tmp_path: Path) -> None:
    settings = settings_of(EncoderConfig(precision="fp32"), **HASHES)
    assert set(settings) == names(EncoderConfig) - {"snapshot_kimg", "num_held_out"} | set(HASHES)
    assert settings.items() >= HASHES.items()
    path = tmp_path / "state.pt"
    write_state(path, {"settings": settings, "precision": "fp32"})
    assert read_state(path, settings) is not None
    assert [name for name in settings if read_state(path, settings | {name: "another"}) is not None] == []


def test_a_run_is_of_its_images_network_base_and_every_setting_but_six(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig
) -> None:
    parts = json.loads(run_identity(tiny_dataset, network_config, CONFIG, "b"))
    assert set(parts.pop("training")) == names(TrainingConfig) - LENGTH
    assert parts == {"dataset": tiny_dataset.hash, "network": dataclasses.asdict(network_config), "base": "b"}
