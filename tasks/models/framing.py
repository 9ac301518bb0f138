"""How outside images are framed for a model of the project: like its training images."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params
from tasks.project.paths import Project
from ui2i.errors import DataError

if TYPE_CHECKING:
    from ui2i.checkpoints import ModelCard
    from ui2i.images.framing import Framer


def choose_framer(project: Project, params: Params, record: Mapping[str, Any], framing: str | None) -> "Framer":
    """Return what frames images as `record` says (`ui2i.images.framing.framer_of`).

    Args:
        framing: center, fit or face instead; None: as recorded.

    Raises:
        ConfigError: the framing is `face` and `ingest.face_landmarks` names no table.
        DataError: what it names is missing or damaged.
    """
    from ui2i.images.framing import framer_of

    landmarks = params.ingest.face_landmarks
    place = None if landmarks is None else str(project.root / landmarks)
    return framer_of(record, framing=framing, face_landmarks=place)


def framing_of(project: Project, domain: str, card: "ModelCard | None" = None) -> Mapping[str, Any]:
    """Return the framing that a model's card records; else that of the project's dataset of its domain; else nothing.

    Args:
        card: None: that of the base `domain`, if it has been trained or added.
    """
    from ui2i.checkpoints import read_card
    from ui2i.datasets.manifest import read_manifest
    from ui2i.images.framing import recorded_framing
    from ui2i.model_files import GENERATOR_FILE

    file: Path = project.checkpoint(domain) / GENERATOR_FILE
    if card is None and file.is_file():
        card = read_card(file)[1]
    if card is not None and card.framing:
        return card.framing
    with contextlib.suppress(DataError):
        return recorded_framing(read_manifest(project.prepared(domain)).settings)
    return {}
