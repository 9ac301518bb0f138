"""From images of the source domain to images of the target domain (paper, Eq. 4 and 10).

Names are imported when they are first used, because `ui2i.translation.inputs` also serves where there is no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui2i.inversion import LATENTS_SCHEMA
    from ui2i.translation.edits import semantic_step
    from ui2i.translation.family import check_family, share_mapping
    from ui2i.translation.folder import translate_folder
    from ui2i.translation.inputs import NamedImages
    from ui2i.translation.outputs import Output, Reference, TranslationConfig
    from ui2i.translation.parts import find_codes
    from ui2i.translation.references import find_references
    from ui2i.translation.styles import mix_styles, sample_style

__all__ = [
    "LATENTS_SCHEMA",
    "NamedImages",
    "Output",
    "Reference",
    "TranslationConfig",
    "check_family",
    "find_codes",
    "find_references",
    "mix_styles",
    "sample_style",
    "semantic_step",
    "share_mapping",
    "translate_folder",
]

_MODULES = ("inputs", "edits", "family", "folder", "outputs", "parts", "references", "styles")


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name in __all__:
        for module in _MODULES:
            found = vars(importlib.import_module(f"ui2i.translation.{module}"))
            if name in found:
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
