"""What an inversion needs besides a generator: its encoder, and the store of latent codes found earlier."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.project.paths import Project
from tasks.running.stage_cli import RESTART_VARIABLE
from ui2i.files import sha256_file
from ui2i.model_files import ENCODER_FILE

if TYPE_CHECKING:
    from tasks.project.params import Params
    from ui2i.inversion import Encoder
    from ui2i.settings import InversionConfig


def encoder_of(
    project: Project, base: str, base_hash: str, config: "InversionConfig", *, device: str
) -> "tuple[Encoder | None, str | None]":
    """Return the encoder of a base, whose checkpoint has this hash, and its file's hash; both None: none is needed.

    Raises:
        CheckpointError: they need one, and it is missing, damaged or of another model.
    """
    return find_encoder(project, base, base_hash, device=device) if config.needs_encoder else (None, None)


def inversion_of(project: Project, params: "Params", base: str) -> "InversionConfig":
    """Return how images are inverted in a base: as set, but without its encoder where it has none."""
    config, method = params.inversion, params.translate.without_encoder
    if method is None or not config.needs_encoder or encoder_path(project, base).exists():
        return config
    return dataclasses.replace(config, method=method, start="mean", learning_rate=None)


def encoder_path(project: Project, base: str) -> Path:
    """Return the file of a base's encoder: the one that encode@ trained, else the one that came with the model."""
    trained, shipped = project.encoder(base), project.checkpoint(base) / ENCODER_FILE
    return shipped if shipped.exists() and not trained.exists() else trained


def find_encoder(project: Project, base: str, base_hash: str, *, device: str) -> "tuple[Encoder, str]":
    """Return the encoder of a base, whose checkpoint has this hash, and its file's hash.

    Raises:
        CheckpointError: it is missing, damaged or of another model.
    """
    from ui2i.inversion import load_encoder

    path = encoder_path(project, base)
    return load_encoder(path, base_hash=base_hash, device=device), sha256_file(path)


def latent_store(project: Project) -> Path | None:
    """Return where latent codes are kept; None: the environment asks for new ones."""
    return None if os.environ.get(RESTART_VARIABLE) == "1" else project.latents
