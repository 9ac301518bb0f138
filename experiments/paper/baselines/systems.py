"""The baselines by their names on the command line, and their settings for images of a size."""

import dataclasses
from typing import Any

from experiments.paper.baselines.cyclegan import CycleGAN, CycleGANSettings
from experiments.paper.baselines.drit import DRIT, DRITSettings
from experiments.paper.baselines.drit_networks import find_num_content_layers
from experiments.paper.baselines.munit import MUNIT, MUNITSettings
from experiments.paper.baselines.munit_networks import find_num_scales
from experiments.paper.baselines.networks import find_num_blocks, find_patch_size
from experiments.paper.baselines.state import Baseline, Settings

SYSTEMS: dict[str, tuple[type[Baseline], type[Settings]]] = {
    "cyclegan": (CycleGAN, CycleGANSettings),
    "munit": (MUNIT, MUNITSettings),
    "drit": (DRIT, DRITSettings),
}


def choose_settings(system: str, img_resolution: int, **chosen: Any) -> Settings:
    """Return the chosen settings, and for the rest, or where None is chosen, the paper's for images of this size.

    Raises:
        ConfigError: a number is out of range, or there is no end.
        DataError: no network fits the images.
    """
    kind = SYSTEMS[system][1]
    patch_size = find_patch_size(img_resolution)  # refuses images that are too small for any of them
    fitting: dict[str, Any] = {
        "patch_size": patch_size,
        "num_scales": find_num_scales(img_resolution),
        "num_content_layers": find_num_content_layers(img_resolution),
    }
    if system == "cyclegan":
        fitting["num_blocks"] = find_num_blocks(img_resolution)
    given = {name: value for name, value in chosen.items() if value is not None}
    own = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in {**fitting, **given}.items() if name in own})


def build(system: str, settings: Settings, device: str) -> Baseline:
    """Return an untrained baseline."""
    return SYSTEMS[system][0](settings, device)
