"""The modes of training: what each updates (paper, section III)."""

import dataclasses
import zlib
from typing import Literal

from ui2i.settings.configs import TrainingConfig

Mode = Literal["FC-FT", "FT", "FreezeD", "FreezeG", "scratch"]
"""All but the mapping network (freeze-FC); everything; all but the discriminator's blocks nearest to the image; all but
the generator's coarsest blocks; everything, from random weights."""

FREEZE_G_RESOLUTION = 8  # pixels; what FreezeG freezes unless freeze_generator_resolution says otherwise


def config_of_mode(config: TrainingConfig, mode: Mode, img_resolution: int) -> TrainingConfig:
    """Return the settings of a training in a mode: with what it freezes, beside whatever is frozen anyway.

    Args:
        img_resolution: pixels; FreezeD freezes from half of them up unless `freeze_discriminator_resolution` says
            otherwise.

    Examples:
        >>> config_of_mode(TrainingConfig(), "FC-FT", 256).freeze_mapping
        True
        >>> config_of_mode(TrainingConfig(), "FreezeD", 256).freeze_discriminator_resolution
        128
    """
    if mode == "FreezeD":
        resolution = config.freeze_discriminator_resolution or img_resolution // 2
        return dataclasses.replace(config, freeze_discriminator_resolution=resolution)
    if mode == "FreezeG":
        resolution = config.freeze_generator_resolution or FREEZE_G_RESOLUTION
        return dataclasses.replace(config, freeze_generator_resolution=resolution)
    return dataclasses.replace(config, freeze_mapping=mode == "FC-FT")


def scratch_seed(seed: int, domain: str) -> int:
    """Return the seed of a domain's training from scratch, which differs from `seed` and from other domains'.

    Models that begin with the same weights stay related, so each domain begins with its own.
    """
    return (seed + 1 + zlib.crc32(domain.encode()) % 1_000_000) % 2**32
