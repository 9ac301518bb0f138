"""What made the tables of repeated trainings, in a file beside them."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paper.tables.model_distance import APART
from ui2i.files import write_text
from ui2i.provenance import provenance

if TYPE_CHECKING:
    from experiments.paper.seeds.trainings import Trainings
    from ui2i.perceptual import Perceptual

MADE_FILE = "made.json"


def note_what_made(folder: Path, name: str, trainings: "Trainings", perceptual: "Perceptual") -> None:
    """Record what made a part of the folder's tables, beside those noted before.

    Args:
        name: of the part; an earlier note of that name is replaced.
    """
    from tasks.models.model_folder import GENERATOR_FILE
    from ui2i.checkpoints import file_hash
    from ui2i.datasets.prepared import PreparedDataset

    path, project = folder / MADE_FILE, trainings.project
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    apart = trainings.apart
    own = {
        "provenance": provenance(trainings.device),
        "base_hash": file_hash(project.checkpoint(trainings.base) / GENERATOR_FILE),
        "apart": apart,
        "apart_hash": None if apart is None else file_hash(project.checkpoint(apart) / GENERATOR_FILE),
        "apart_kimg": None if apart is None else trainings.config(APART).total_kimg,
        "dataset_hash": PreparedDataset(project.prepared(trainings.domain)).hash,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "finetune": dataclasses.asdict(trainings.config("FT")),
        "distance": dataclasses.asdict(trainings.params.distance),
    }
    write_text(path, json.dumps(earlier | {name: own}, indent=2) + "\n")
