"""Puts a model into one folder to hand on: a base with its encoder, a domain's model with its translator.

The generator's file is copied as it is, so that encoders, latent codes and tables made with it stay its own. What only
starts a training or a search, the discriminator and the encoder, is kept as float16, in half the size. The strip of
images of the training stays behind.
"""

import shutil
from pathlib import Path

from tasks.models.domain_checks import kept_check
from tasks.models.inversion_models import encoder_path
from tasks.models.model_folder import FILM_STRIP_FILE
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import atomic_folder, sha256_file
from ui2i.model_files import DISCRIMINATOR_FILE, DOMAIN_CHECK_FILE, ENCODER_FILE, GENERATOR_FILE, TRANSLATOR_FILE


def pack_base(project: Project, name: str, folder: Path) -> Path:
    """Write a base, or a domain's model as tables name it (`cartoon/FC-FT`), to `folder`, which must not exist.

    Raises:
        ConfigError: the project has no such model, or the folder exists.
        CheckpointError: the model is missing, a file is damaged, or the encoder is of another model.
    """
    source = _model_folder(project, load_params(project), name)
    if folder.exists():
        raise ConfigError(f"{folder} already exists, expected a new folder; choose another")
    if not (source / GENERATOR_FILE).is_file():
        raise CheckpointError(f"{source} holds no model, expected {GENERATOR_FILE}; make it with dvc repro")
    with atomic_folder(folder) as temporary:
        for path in sorted(source.iterdir()):
            if path.is_file() and path.name not in (DISCRIMINATOR_FILE, ENCODER_FILE, FILM_STRIP_FILE):
                shutil.copyfile(path, temporary / path.name)
        _pack_discriminator(source, temporary)
        domain, _, mode = name.partition("/")
        if mode:
            _pack_translator(project.translator(domain), source, temporary)
        else:
            _pack_base_files(project, name, source, temporary)
    return folder


def _model_folder(project: Project, params: Params, name: str) -> Path:
    models = {base: project.checkpoint(base) for base in (*params.bases, *params.imported)}
    for domain, entry in params.domains.items():
        models |= {f"{domain}/{mode}": project.mode_checkpoint(domain, mode) for mode in entry.modes}
    if name not in models:
        raise ConfigError(
            f"there is no model {name!r}, expected one of {', '.join(models) or 'none'}; correct the name"
        )
    return models[name]


def _pack_discriminator(source: Path, folder: Path) -> None:
    from ui2i.checkpoints import load_discriminator, save_discriminator

    if (source / DISCRIMINATOR_FILE).exists():
        discriminator, card = load_discriminator(source / DISCRIMINATOR_FILE)
        save_discriminator(folder / DISCRIMINATOR_FILE, discriminator, card, half=True)


def _pack_translator(translator: Path, source: Path, folder: Path) -> None:
    """Copy a translator of this very model."""
    from ui2i.distillation.translator_file import load_translator

    ours = sha256_file(source / GENERATOR_FILE)
    if translator.is_file() and load_translator(translator).card.target_hash == ours:
        shutil.copyfile(translator, folder / TRANSLATOR_FILE)


def _pack_base_files(project: Project, name: str, source: Path, folder: Path) -> None:
    """Add the domain check and the encoder."""
    from ui2i.inversion import load_encoder, save_encoder

    base_hash = sha256_file(source / GENERATOR_FILE)
    kept, encoder = kept_check(project, name, base_hash), encoder_path(project, name)
    if kept.is_file():
        shutil.copyfile(kept, folder / DOMAIN_CHECK_FILE)
    if encoder.exists():
        save_encoder(folder / ENCODER_FILE, load_encoder(encoder, base_hash=base_hash), half=True)
