"""What an inversion needs beside a generator: its encoder, and the store of codes that were found before."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.project import Project
from tasks.stage_cli import RESTART_VARIABLE

if TYPE_CHECKING:
    from tasks.domain_models import Model
    from ui2i.config import InversionConfig
    from ui2i.inversion import Encoder


def encoder_of(
    project: Project, model: "Model", config: "InversionConfig", *, device: str
) -> "tuple[Encoder | None, str | None]":
    """Return the encoder of a base's model and its file's hash; both None: the settings need none.

    Raises:
        CheckpointError: they need one, and it is missing, damaged or of another model.
    """
    return find_encoder(project, model, device=device) if config.needs_encoder else (None, None)


def find_encoder(project: Project, model: "Model", *, device: str) -> "tuple[Encoder, str]":
    """Return the encoder of a base's model and its file's hash.

    Raises:
        CheckpointError: it is missing, damaged or of another model.
    """
    from ui2i.checkpoints import file_hash
    from ui2i.inversion import load_encoder

    path = project.encoder(model.domain)
    return load_encoder(path, base_hash=file_hash(model.path), device=device), file_hash(path)


def latent_store(project: Project) -> Path | None:
    """Return where codes are kept; None: the environment asks for new ones."""
    return None if os.environ.get(RESTART_VARIABLE) == "1" else project.latents
