"""What a translator is: which models it imitates, and how the images that it takes are framed."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ui2i.errors import CheckpointError
from ui2i.settings import dataclass
from ui2i.settings.bounds import ImageResolution


@dataclass(frozen=True, kw_only=True)
class TranslatorCard:
    """What files of a translator say beside its weights."""

    source: str  # domain of the images
    domain: str  # that they are translated to
    variant: str  # the domain's model that it imitates: FC-FT, FC-FT-LS8, ...
    source_hash: str  # SHA-256 of the source's checkpoint
    target_hash: str
    img_resolution: ImageResolution  # pixels
    license: str = "Apache-2.0"
    framing: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # as `ui2i.images.framing` records it
    held_out: Mapping[str, float] = dataclasses.field(default_factory=dict)  # quality on held-out pairs, by measure
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check_models(self, path: Path, *, source_hash: str, target_hash: str) -> None:
        """Refuse a translator of other models than these.

        Args:
            path: of the translator, for the message.
            source_hash: SHA-256 of the source's checkpoint as it is now.
            target_hash: the same of the target.

        Raises:
            CheckpointError: one of the models is another.
        """
        pairs = ((self.source, self.source_hash, source_hash), (self.variant, self.target_hash, target_hash))
        for name, ours, theirs in pairs:
            if ours != theirs:
                raise CheckpointError(
                    f"{path} imitates the model {ours[:12] or 'unknown'} of {name}, expected {theirs[:12]}, which is "
                    f"there now; train it again with ui2i distill {self.domain}"
                )
