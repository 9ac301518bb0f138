"""Puts a base of the project into one folder to hand on: its model, and its encoder where there is one.

The generator's file is copied as it is, so that encoders, latent codes and tables made with it stay its own. What only
starts a training or a search, the discriminator and the encoder, is kept as float16, in half the size.
"""

import shutil
from pathlib import Path

from tasks.models.domain_checks import kept_check
from tasks.models.inversion_models import encoder_path
from tasks.models.model_folder import DISCRIMINATOR_FILE, DOMAIN_CHECK_FILE, GENERATOR_FILE
from tasks.project.params import load_params
from tasks.project.paths import ENCODER_FILE, Project
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import atomic_folder


def pack_base(project: Project, name: str, folder: Path) -> Path:
    """Write the model of a base, with its encoder, to `folder`, which must not exist.

    Raises:
        ConfigError: the project has no such base, or the folder exists.
        CheckpointError: the model is missing, a file is damaged, or the encoder is of another model.
    """
    from ui2i.checkpoints import file_hash, load_discriminator, save_discriminator
    from ui2i.inversion import load_encoder, save_encoder

    params = load_params(project)
    bases = [*params.bases, *params.imported]
    if name not in bases:
        raise ConfigError(f"there is no base {name!r}, expected one of {', '.join(bases) or 'none'}; correct the name")
    if folder.exists():
        raise ConfigError(f"{folder} already exists, expected a new folder; choose another")
    source, encoder = project.checkpoint(name), encoder_path(project, name)
    if not (source / GENERATOR_FILE).is_file():
        raise CheckpointError(f"{source} holds no model, expected {GENERATOR_FILE}; make it with dvc repro")
    halved = (DISCRIMINATOR_FILE, ENCODER_FILE)
    with atomic_folder(folder) as temporary:
        for path in sorted(source.iterdir()):
            if path.is_file() and path.name not in halved:
                shutil.copyfile(path, temporary / path.name)
        if (source / DISCRIMINATOR_FILE).exists():
            discriminator, card = load_discriminator(source / DISCRIMINATOR_FILE)
            save_discriminator(temporary / DISCRIMINATOR_FILE, discriminator, card, half=True)
        kept = kept_check(project, name, file_hash(source / GENERATOR_FILE))
        if kept.is_file():
            shutil.copyfile(kept, temporary / DOMAIN_CHECK_FILE)
        if encoder.exists():
            loaded = load_encoder(encoder, base_hash=file_hash(source / GENERATOR_FILE))
            save_encoder(temporary / ENCODER_FILE, loaded, half=True)
    return folder
