"""The resumable states of a run, on disk.

state.pt            the newest
state-previous.pt   the one before it, taken up if the newest is damaged
state-best.pt       the one with the lowest Frechet distance so far, if that is measured
state-superseded.pt one of other settings or data, set aside
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import TrainingError, is_out_of_memory
from ui2i.files import atomic_file, is_whole_zip
from ui2i.settings import NetworkConfig, TrainingConfig, to_mapping
from ui2i.training.processes import process_rank
from ui2i.training.state import TrainingState, restore_state, state_to_dict

STATE_FILE = "state.pt"
PREVIOUS_FILE = "state-previous.pt"
BEST_FILE = "state-best.pt"
SUPERSEDED_FILE = "state-superseded.pt"
SAMPLES_PATTERN = "samples-*.png"
"""Of the grids that are drawn with each snapshot."""

WITHOUT_EFFECT = (
    "total_kimg",
    "num_micro_batches",
    "snapshot_kimg",
    "evaluation_kimg",
    "evaluation_images",
    "patience",
)
"""Settings that change how long a run goes on and what is kept of it, and not what step n computes."""


def run_identity(
    dataset: PreparedDataset, network_config: NetworkConfig, config: TrainingConfig, base_hash: str | None
) -> str:
    """Return everything that decides what step n computes, as canonical JSON."""
    training = {name: value for name, value in to_mapping(config).items() if name not in WITHOUT_EFFECT}
    parts: dict[str, Any] = {
        "dataset": dataset.hash,
        "network": to_mapping(network_config),
        "training": training,
        "base": base_hash,
    }
    return json.dumps(parts, sort_keys=True)


def save_state(state: TrainingState, run_dir: Path, identity: str, *, is_best: bool = False) -> None:
    """Write the newest state and keep the one before; at no moment is there none.

    The best state is there before a newest one whose log knows of it: a run that is killed between the two repeats the
    steps to it, and not the search for a better one.

    Raises:
        TrainingError: a weight is not finite. Nothing is written then.
    """
    _require_finite_weights(state)
    path = run_dir / STATE_FILE
    with atomic_file(path) as temporary:
        torch.save({"identity": identity, **state_to_dict(state)}, temporary)
        if path.exists():
            _duplicate(path, run_dir / PREVIOUS_FILE)
        if is_best:
            _duplicate(temporary, run_dir / BEST_FILE)


def resume_state(state: TrainingState, run_dir: Path, identity: str) -> str:
    """Take up the newest usable state of this run, and return in a few words what was done.

    States of other runs, and damaged ones, are set aside, by the first process of several.
    """
    newest = run_dir / STATE_FILE
    if not newest.exists() and not (run_dir / PREVIOUS_FILE).exists():
        return "start"
    for path, note in ((newest, "resumed"), (run_dir / PREVIOUS_FILE, "resumed from the state before the last")):
        values = _read(path, identity) if path.exists() else None
        if values is not None:
            if path != newest and newest.exists() and process_rank() == 0:
                newest.replace(run_dir / SUPERSEDED_FILE)
            restore_state(state, values)
            return note
    set_aside(run_dir)
    return "start afresh: the saved state is of other settings or data, and was set aside"


def restore_best(state: TrainingState, run_dir: Path, identity: str) -> None:
    """Return to the best state, but keep the whole log.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    path, log = run_dir / BEST_FILE, state.log
    values = _read(path, identity) if path.exists() else None
    if values is None:
        raise TrainingError(
            f"{path} is missing or damaged, expected the best state of this run; train again with --restart"
        )
    restore_state(state, values)
    state.log = log


def set_aside(run_dir: Path) -> None:
    """Move the states of a run out of the way, so that the next training starts afresh; the newest is kept.

    The images of its snapshots go, too: the next run's film strip is of that run.

    Of several processes only the first does anything.
    """
    if process_rank():
        return
    for name in (PREVIOUS_FILE, BEST_FILE):
        (run_dir / name).unlink(missing_ok=True)
    if (run_dir / STATE_FILE).exists():
        (run_dir / STATE_FILE).replace(run_dir / SUPERSEDED_FILE)
    for path in run_dir.glob(SAMPLES_PATTERN):
        path.unlink()


def _read(path: Path, identity: str) -> dict[str, Any] | None:
    """Return the values of a state of this run; None: it is of another or damaged."""
    if not is_whole_zip(path):
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        # Before states recorded their precision, it was always a setting.
        values.setdefault("precision", json.loads(values["identity"])["training"].get("precision", "fp32"))
        found, wanted = _comparable(values["identity"]), _comparable(identity)
        found["training"]["precision"] = values["precision"]
        if wanted["training"]["precision"] == "auto":
            wanted["training"]["precision"] = values["precision"]
        return values if found == wanted else None
    except OSError:  # says nothing about the file
        raise
    except Exception as error:  # truncated, damaged or something else: torch.load raises a dozen types for these
        if is_out_of_memory(error):
            raise
        return None


def _comparable(identity: str) -> dict[str, Any]:
    """Return the values of an identity: 5 and 5.0 are the same setting, and one that did not exist had its default."""
    parts = json.loads(identity)
    for name, config_type in (("training", TrainingConfig), ("network", NetworkConfig)):
        defaults = {field.name: field.default for field in dataclasses.fields(config_type)}
        parts[name] = {key: value for key, value in defaults.items() if key not in WITHOUT_EFFECT} | parts[name]
    return parts


def _duplicate(path: Path, copy_path: Path) -> None:
    """Let `copy_path` name the same content, without copying it where the file system can."""
    temporary = copy_path.with_name(f".{copy_path.name}.{os.getpid():08x}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        shutil.copyfile(path, temporary)
    temporary.replace(copy_path)


def _require_finite_weights(state: TrainingState) -> None:
    """Refuse to replace a good state by a broken one: losses are those before the update, and may not show it yet."""
    for network_name in ("generator", "discriminator", "generator_ema"):
        for name, value in getattr(state, network_name).state_dict().items():
            if not torch.isfinite(value).all():
                raise TrainingError(
                    f"{network_name} {name} became infinite or NaN at step {state.num_steps}, expected finite weights; "
                    "resume from the last saved state with a lower learning_rate or a higher r1_gamma"
                )
