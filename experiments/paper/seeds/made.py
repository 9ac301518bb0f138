"""What made the tables of repeated trainings, in a file beside them."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.published import MADE_FILE
from ui2i.errors import ConfigError
from ui2i.files import sha256_file, write_text
from ui2i.provenance import provenance

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings
    from ui2i.perceptual import Perceptual


def read_notes(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what made each part of the folder's tables, by its name."""
    path = folder / MADE_FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def check_backbone(folder: Path, perceptual: "Perceptual") -> None:
    """Refuse a folder whose distances were measured on another backbone: findings would mix them.

    Raises:
        ConfigError: it is one.
    """
    for name, note in read_notes(folder).items():
        if note.get("backbone_hash", perceptual.weights_hash) != perceptual.weights_hash:
            raise ConfigError(
                f"{folder} has distances ({name}) measured on the backbone {note['backbone']}, expected "
                f"{perceptual.name} as params.yaml says; name another folder with --out"
            )


def note_what_made(folder: Path, name: str, trainings: "Trainings", perceptual: "Perceptual") -> None:
    """Record what made a part of the folder's tables, beside those noted before.

    Args:
        name: of the part; an earlier note of that name is replaced.
    """
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.model_files import GENERATOR_FILE

    project, earlier = trainings.project, read_notes(folder)
    apart = trainings.apart
    own = {
        "provenance": provenance(trainings.device),
        "base_hash": sha256_file(project.checkpoint(trainings.base) / GENERATOR_FILE),
        "apart": apart,
        "apart_hash": None if apart is None else sha256_file(project.checkpoint(apart) / GENERATOR_FILE),
        "apart_kimg": None if apart is None else trainings.config(APART).total_kimg,
        "dataset_hash": PreparedDataset(project.prepared(trainings.domain)).hash,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "finetune": dataclasses.asdict(trainings.config("FT")),
        "distance": dataclasses.asdict(trainings.params.distance),
    }
    write_text(folder / MADE_FILE, json.dumps(earlier | {name: own}, indent=2) + "\n")
