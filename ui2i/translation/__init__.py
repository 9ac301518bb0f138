"""From pictures of the source domain to pictures of the target domain (paper, Eq. 4 and 10)."""

from ui2i.translation.folder import LATENTS_SCHEMA, translate_folder
from ui2i.translation.inputs import NamedImages
from ui2i.translation.styles import mix_styles, sample_style

__all__ = ["LATENTS_SCHEMA", "NamedImages", "mix_styles", "sample_style", "translate_folder"]
