"""The folder of a trained model: what pretrain@, import@ and finetune@ write and later stages read.

generator.safetensors      the averaged generator
discriminator.safetensors  to fine-tune from; an imported model may lack it
encoder.safetensors        of an imported model that came with one: reads codes of its images
domain_check.safetensors   what images of its domain look like, as statistics (`ui2i.domain_check`)
card.json                  the generator's card, architecture and hash, for people
training.parquet           losses and measurements over training
samples.png                images of fixed latents
film-strip.png             some of them through training

Beside the modes of a domain lies curves.png, which sets their training side by side.
"""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ui2i.files import sha256_file, write_text
from ui2i.model_files import DISCRIMINATOR_FILE, DOMAIN_CHECK_FILE, ENCODER_FILE, GENERATOR_FILE, TRANSLATOR_FILE

if TYPE_CHECKING:
    from tasks.models.trained_model import TrainedModel
    from ui2i.checkpoints import ModelCard
    from ui2i.networks.discriminator import Discriminator
    from ui2i.networks.generator import Generator

CARD_FILE = "card.json"
TRAINING_FILE = "training.parquet"
SAMPLES_FILE = "samples.png"
FILM_STRIP_FILE = "film-strip.png"
CURVES_FILE = "curves.png"

MODEL_FILES = (
    GENERATOR_FILE,
    DISCRIMINATOR_FILE,
    ENCODER_FILE,
    TRANSLATOR_FILE,
    DOMAIN_CHECK_FILE,
    CARD_FILE,
    TRAINING_FILE,
    SAMPLES_FILE,
    FILM_STRIP_FILE,
)
"""All that there may be in the folder of one model, a packed one too."""


def write_model(folder: Path, model: "TrainedModel") -> None:
    """Write a trained model into a folder, which is made."""
    from ui2i.checkpoints import save_discriminator, save_generator
    from ui2i.images import save_png
    from ui2i.tables import TRAINING_SCHEMA, write_table
    from ui2i.training.watching import film_strip, sample_grid

    folder.mkdir(parents=True, exist_ok=True)
    state = model.state
    save_generator(folder / GENERATOR_FILE, state.generator_ema, model.card)
    save_discriminator(folder / DISCRIMINATOR_FILE, state.discriminator, model.card)
    write_table(folder / TRAINING_FILE, state.log, TRAINING_SCHEMA)
    save_png(folder / SAMPLES_FILE, sample_grid(state.generator_ema))
    strip = film_strip(model.run_dir, state.generator_ema.config.img_resolution)
    if strip is not None:
        save_png(folder / FILM_STRIP_FILE, strip)
    write_card(folder)


def write_card(folder: Path) -> None:
    """Write `card.json` from the generator's own header."""
    from ui2i.checkpoints import read_card

    network, card = read_card(folder / GENERATOR_FILE)
    values = {
        "card": dataclasses.asdict(card),
        "network": dataclasses.asdict(network),
        "generator_sha256": sha256_file(folder / GENERATOR_FILE),
    }
    write_text(folder / CARD_FILE, json.dumps(values, indent=2) + "\n")


def read_model(folder: Path, *, device: str = "cpu") -> tuple["Generator", "Discriminator | None", "ModelCard"]:
    """Read a model's generator, discriminator (None: there is none) and card.

    Raises:
        CheckpointError: a file is missing or damaged, or the two have different architectures.
    """
    from ui2i.checkpoints import load_discriminator, load_generator
    from ui2i.training.state import check_architecture

    generator, card = load_generator(folder / GENERATOR_FILE, device=device)
    if not (folder / DISCRIMINATOR_FILE).exists():
        return generator, None, card
    discriminator, _ = load_discriminator(folder / DISCRIMINATOR_FILE, device=device)
    check_architecture(discriminator.config, generator.config)
    return generator, discriminator, card
