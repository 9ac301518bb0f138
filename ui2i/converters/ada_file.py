"""Writing `.pkl` files that stylegan2-ada-pytorch and stylegan3's code load as their own."""

from typing import BinaryIO

import torch

from ui2i.converters.ada_modules import discriminator_module, generator_module
from ui2i.converters.note import KEY, Note
from ui2i.converters.pickle_writer import write_pickle
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

UNTRAINED_SEED = 0


def write_ada(file: BinaryIO, generator: Generator, discriminator: Discriminator | None, note: Note) -> tuple[str, ...]:
    """Write networks to a file. `G` and `G_ema` are one module; without a discriminator an untrained one stands in.

    Returns:
        What people should know of the file.
    """
    remarks = []
    if discriminator is None:
        remarks.append("the discriminator in it is untrained, because the format demands one")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(UNTRAINED_SEED)
            discriminator = Discriminator(generator.config)
    averaged = generator_module(generator)
    content = {
        "training_set_kwargs": None,
        "G": averaged,
        "D": discriminator_module(discriminator),
        "G_ema": averaged,
        "augment_pipe": None,
        KEY: note.to_mapping(),
    }
    write_pickle(file, content)
    return tuple(remarks)
