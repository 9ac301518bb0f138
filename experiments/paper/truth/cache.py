"""Trained regressors on disk: safetensors with a JSON header that says what made them, found again by its hash.

Nothing in such a file is ever executed. The hash is over the settings and over a few drawings, so that a change of the
drawing makes another regressor.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth.columns import Column
from experiments.paper.truth.regressor import AttributeRegressor, HeldOut
from experiments.paper.truth.regressor_training import drawing_sample, train_regressor
from ui2i.errors import CheckpointError, UI2IError
from ui2i.files import sha256_bytes
from ui2i.precision import choose_precision
from ui2i.progress import Progress, no_progress
from ui2i.provenance import provenance
from ui2i.settings import from_mapping, to_mapping
from ui2i.tensor_files import read_tensors, write_tensors

FORMAT_VERSION = 1
KIND = "attribute_regressor"


def cached_regressor(
    folder: Path,
    style: str,
    config: RegressorConfig,
    *,
    resolution: int,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> AttributeRegressor:
    """Return the regressor of these settings: from `folder` if it is there, else trained and saved there.

    With the precision auto one of either precision will do, first of all one of that which this device would take.

    Raises:
        CheckpointError: the file is there and damaged.
        ConfigError, TrainingError: as `train_regressor`.
    """
    chosen = dataclasses.replace(config, precision=choose_precision(config.precision, device))
    accepted = [chosen]
    if config.precision == "auto":
        accepted.append(dataclasses.replace(config, precision="fp32" if chosen.precision == "bf16" else "bf16"))
    paths = [folder / f"{style}-{settings_hash(style, it, resolution)[:16]}.safetensors" for it in accepted]
    for path in paths:
        if path.exists():
            progress(1, 1, f"{style} at hand")
            return load_regressor(path, device=device)
    regressor = train_regressor(style, chosen, resolution=resolution, device=device, progress=progress)
    save_regressor(paths[0], regressor)
    return regressor


def settings_hash(style: str, config: RegressorConfig, resolution: int) -> str:
    """Return the SHA-256 of all that makes a regressor: its format, settings and drawings."""
    drawings = drawing_sample(style, config, resolution)
    made_of = [FORMAT_VERSION, style, resolution, to_mapping(config), sha256_bytes(drawings.tobytes())]
    return sha256_bytes(json.dumps(made_of, sort_keys=True).encode())


def save_regressor(path: Path, regressor: AttributeRegressor) -> None:
    """Write a trained regressor atomically."""
    header = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "style": regressor.style,
        "resolution": regressor.resolution,
        "config": to_mapping(regressor.config),
        "columns": [dataclasses.asdict(column) for column in regressor.columns],
        "held_out": {name: dataclasses.asdict(measure) for name, measure in regressor.held_out.items()},
        "provenance": provenance(),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in regressor.state_dict().items()}
    write_tensors(path, tensors, header)


def load_regressor(path: Path, *, device: torch.device | str = "cpu") -> AttributeRegressor:
    """Read a regressor, in evaluation mode and without gradients.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, or holds something else.
    """
    try:
        stored = read_tensors(path, what="an attribute regressor")
        regressor = _build(stored.header)
        regressor.load_state_dict(stored.tensors)
    except (UI2IError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if not path.exists():
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is no readable attribute regressor ({reason}), expected one that this version wrote; remove it, "
            "and it is trained again"
        ) from error
    stored.check()
    return regressor.requires_grad_(False).eval().to(device)


def _build(header: dict[str, Any]) -> AttributeRegressor:
    """Return the untrained network that a header describes."""
    if (header["format_version"], header["kind"]) != (FORMAT_VERSION, KIND):
        raise ValueError(f"it is a {header['kind']} of format version {header['format_version']}")
    columns = [Column(**values | {"classes": tuple(values["classes"])}) for values in header["columns"]]
    config = from_mapping(RegressorConfig, header["config"], section="config")
    regressor = AttributeRegressor(header["style"], columns, header["resolution"], config)
    regressor.held_out = {name: HeldOut(**values) for name, values in header["held_out"].items()}
    return regressor
