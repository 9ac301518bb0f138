"""The saved state of an encoder's or a translator's training, from which it resumes."""

from pathlib import Path
from typing import Any

import torch

from ui2i.errors import is_out_of_memory
from ui2i.files import atomic_file, is_whole_zip
from ui2i.settings import EncoderConfig, to_mapping

WITHOUT_EFFECT = ("snapshot_kimg", "num_held_out")
"""Settings of either that do not change what a step computes."""


def settings_of(config: EncoderConfig, base_hash: str, dataset_hash: str, backbone_hash: str) -> dict[str, Any]:
    """Return what an encoder's state must agree with to be taken up."""
    values = {name: value for name, value in to_mapping(config).items() if name not in WITHOUT_EFFECT}
    return values | {"base_hash": base_hash, "dataset_hash": dataset_hash, "backbone_hash": backbone_hash}


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically."""
    with atomic_file(path) as temporary:
        torch.save(state, temporary)


def read_state(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state at `path`; None: there is none, it is damaged, or it is of other settings or data.

    With the precision auto one of any precision is taken up, and goes on with it.
    """
    if not path.is_file() or not is_whole_zip(path):
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:  # says nothing about the file
        raise
    except Exception as error:  # the bytes of a damaged file can make the unpickler raise nearly anything
        if is_out_of_memory(error):
            raise
        return None
    if not isinstance(state, dict) or not isinstance(state.get("settings"), dict):
        return None
    state.setdefault("precision", state["settings"].get("precision"))  # older states have it as a setting alone
    found, wanted = (dict(values) for values in (state["settings"], settings))
    if "trunk_hash" in found:  # its name in version 0.1
        found["backbone_hash"] = found.pop("trunk_hash")
    found["precision"] = state["precision"]
    if wanted.get("precision") == "auto":
        wanted["precision"] = state["precision"]
    return state if found == wanted else None
