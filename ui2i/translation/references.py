"""Reference images: the appearance of an image of the target domain, as a latent code of that domain's model.

w_a = Inv(reference, G_t) (paper, section III-C): it is a latent code of W already and is not mapped again.
"""

import dataclasses
from pathlib import Path

import numpy as np

from ui2i.errors import DataError
from ui2i.files import sha256_bytes, sha256_listing
from ui2i.images.framing import CENTERED, Framer
from ui2i.inversion import Inverter, stack_latents
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import InversionConfig
from ui2i.translation.inputs import Inputs, Reject, SourceImage, list_inputs
from ui2i.translation.outputs import Reference

STEPS_FROM_MEAN = 200  # of a search where the settings count on an encoder's start


def find_references(
    references: Inputs | None,
    generator: Generator,
    perceptual: Perceptual,
    config: InversionConfig,
    *,
    framer: Framer = CENTERED,
    store: Path | None = None,
    progress: Progress = no_progress,
) -> list[Reference]:
    """Return the latent codes of reference images in the model of their domain.

    There is no encoder of that model: settings that need one are replaced by a search from the mean, in at least
    `STEPS_FROM_MEAN` steps.

    Args:
        references: None: there are none.
        generator: of the target domain.

    Raises:
        DataError: a reference cannot be read.
    """
    if references is None:
        return []
    with list_inputs(references, generator.config.img_resolution, framer) as listing:
        images = [_readable(entry) for entry in listing.entries]
    if config.needs_encoder:
        method = "w" if config.method in ("encoder", "in_domain") else config.method
        num_steps = max(config.num_steps, STEPS_FROM_MEAN)
        config = dataclasses.replace(config, method=method, start="mean", learning_rate=None, num_steps=num_steps)
    inverter = Inverter(generator, perceptual, config, base_hash=_fingerprint(generator), store=store)
    latents = inverter.find(np.stack([image.image for image in images]), progress=progress)
    ws, _ = stack_latents(latents, generator)
    return [
        Reference(path=image.path, sha256=image.sha256, ws=ws[place : place + 1]) for place, image in enumerate(images)
    ]


def _readable(entry: SourceImage | Reject) -> SourceImage:
    if isinstance(entry, Reject):
        raise DataError(f"the reference {entry.path} is {entry.reason}, expected a readable image; name another one")
    return entry


def _fingerprint(generator: Generator) -> str:
    """Return a hash of the parameters: the model need not be that of a checkpoint."""
    state = generator.state_dict()
    return sha256_listing((name, sha256_bytes(state[name].cpu().numpy().tobytes())) for name in sorted(state))
