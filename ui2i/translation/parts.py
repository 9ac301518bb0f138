"""Latent codes of a part of a folder's images: several processes, on one machine or many, share the search.

Nearly all time of a translation goes into latent codes, and `translate_folder` takes those that it finds in the store.
Parts are whole batches of it, since the last bits of a latent code depend on the images that advance together.
"""

from pathlib import Path

import numpy as np

from ui2i.images.framing import CENTERED, Framer
from ui2i.inversion import Encoder, Inverter
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import InversionConfig
from ui2i.translation.inputs import Inputs, list_inputs, readable_batches


def find_codes(
    inputs: Inputs,
    source: Generator,
    perceptual: Perceptual,
    inversion_config: InversionConfig,
    store: Path,
    *,
    part: int,
    num_parts: int,
    source_hash: str,
    framer: Framer = CENTERED,
    encoder: Encoder | None = None,
    encoder_hash: str | None = None,
    progress: Progress = no_progress,
) -> int:
    """Find the latent codes of one batch in `num_parts` and keep them in the store.

    Other arguments are those of `translate_folder`. All images are read, whosever they are.

    Args:
        part: 0 to `num_parts` - 1: the batches `part`, `part + num_parts`, ...
        progress: counts images.

    Returns:
        How many images that were.

    Raises:
        DataError: there are no images.
        ConfigError: there is no encoder, and the settings need one.
    """
    assert 0 <= part < num_parts
    inverter = Inverter(
        source,
        perceptual,
        inversion_config,
        base_hash=source_hash,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=store,
    )
    num_seen = num_mine = 0
    with list_inputs(inputs, source.config.img_resolution, framer) as listing:
        for index, images in enumerate(readable_batches(listing, inversion_config.batch_size)):
            if index % num_parts == part:
                inverter.find(np.stack([image.image for image in images]))
                num_mine += len(images)
            num_seen += len(images)
            progress(num_seen, listing.count)
    return num_mine
