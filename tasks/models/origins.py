"""Who made a model's weights, kept beside the state of its training.

A stage that takes up a finished training, for instance because its domain got another mode, makes no weights. The model
keeps the version, commit, machine and time of the training that made them, so that its files stay as they are to the
byte, and nothing that follows from them is made again.
"""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui2i.errors import CheckpointError
from ui2i.files import write_text

if TYPE_CHECKING:
    from ui2i.checkpoints import ModelCard
    from ui2i.networks.generator import Generator

ORIGIN_FILE = "origin.json"


def with_origin(card: "ModelCard", generator: "Generator", run_dir: Path, model_path: Path) -> "ModelCard":
    """Return a card with the origin of its weights if they were made before; otherwise it is the card's own.

    Args:
        run_dir: of the training, where `keep_origin` keeps it.
        model_path: the generator's file as it was written before, for a run of before origins were kept.
    """
    weights = _weights_hash(generator)
    version, provenance = _kept(run_dir / ORIGIN_FILE, weights) or _written(model_path, weights) or (None, None)
    if version is None or provenance is None:
        return card
    framing = {"framing": card.provenance["framing"]}  # of the images, which may have been recorded since
    return dataclasses.replace(card, version=version, provenance=provenance | framing)


def keep_origin(card: "ModelCard", generator: "Generator", run_dir: Path) -> None:
    """Write the origin of the generator's weights, which its card has, beside the state of its training."""
    values = {"weights": _weights_hash(generator), "version": card.version, "provenance": card.provenance}
    write_text(run_dir / ORIGIN_FILE, json.dumps(values, indent=2) + "\n")


def _kept(path: Path, weights: str) -> tuple[str, dict[str, Any]] | None:
    """Return the origin that was kept of these weights; None: there is none, or it is of others."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return (str(values["version"]), dict(values["provenance"])) if values["weights"] == weights else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _written(path: Path, weights: str) -> tuple[str, dict[str, Any]] | None:
    """Return the origin in the card of a generator's file; None: it has other weights, or cannot be read."""
    from ui2i.checkpoints import load_network
    from ui2i.networks.generator import Generator

    try:
        found = load_network(path, Generator)
    except CheckpointError:
        return None
    return (found.card.version, found.card.provenance) if _weights_hash(found.network) == weights else None


def _weights_hash(generator: "Generator") -> str:
    from ui2i.checkpoints import stored_tensors
    from ui2i.tensor_files import digest

    return digest({}, stored_tensors(generator))
