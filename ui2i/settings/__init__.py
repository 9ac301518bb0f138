"""Every setting of the library: frozen dataclasses whose values are checked whenever one is made, in Python or a file.

    TrainingConfig(r1_gamma=1)                                            in a notebook
    from_mapping(TrainingConfig, {"r1_gamma": 1}, section="finetune")     from a file
    config_of_mode(TrainingConfig(), "FC-FT", img_resolution=256)         as a mode of the paper has it

A value of another type, outside its bounds, or of a name that does not exist is a ConfigError.
"""

from ui2i.settings.configs import (
    Augmentation,
    BackboneName,
    DistanceConfig,
    EncoderConfig,
    Framing,
    IngestConfig,
    InversionConfig,
    InversionMethod,
    NetworkConfig,
    NoiseMode,
    PerceptualConfig,
    Precision,
    Resampling,
    TrainingConfig,
    TranslatorConfig,
)
from ui2i.settings.modes import Mode, config_of_mode
from ui2i.settings.validation import Expected, dataclass, from_mapping, to_mapping

__all__ = [
    "Augmentation",
    "BackboneName",
    "DistanceConfig",
    "EncoderConfig",
    "Expected",
    "Framing",
    "IngestConfig",
    "InversionConfig",
    "InversionMethod",
    "Mode",
    "NetworkConfig",
    "NoiseMode",
    "PerceptualConfig",
    "Precision",
    "Resampling",
    "TrainingConfig",
    "TranslatorConfig",
    "config_of_mode",
    "dataclass",
    "from_mapping",
    "to_mapping",
]
