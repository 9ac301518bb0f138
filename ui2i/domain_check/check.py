"""Judges the images of a translation: before they are inverted, and by how well the result gives them back."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ui2i.domain_check.features import Extractor
from ui2i.domain_check.reference import DomainReference, Reconstructions, inverted_with
from ui2i.errors import DataError
from ui2i.names import printable

MAX_NAMED = 3  # images in a message


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of one image. None: it could not be told."""

    distance: float | None = None  # of its features from those of the source's training images; 1: held-out ones end
    looks_like_source: bool | None = None
    reconstructs_as_source: bool | None = None
    reference: str | None = None  # what it was compared with: images, or samples of the source

    @property
    def is_marked(self) -> bool:
        """Whether poor results are to be expected of it."""
        return self.looks_like_source is False or self.reconstructs_as_source is False

    @property
    def label(self) -> str:
        """What a contact sheet says of it; empty: nothing."""
        if self.looks_like_source is False:
            return "unlike the training images"
        return "poorly reconstructed" if self.reconstructs_as_source is False else ""

    def columns(self) -> dict[str, Any]:
        """Return the columns of the manifest."""
        return {
            "domain_distance": self.distance,
            "looks_like_source": self.looks_like_source,
            "reconstructs_as_source": self.reconstructs_as_source,
            "domain_reference": self.reference,
        }


class DomainCheck:
    """Compares images with what a source model was trained on.

    Attributes:
        source: the model's name, for messages.
    """

    def __init__(
        self,
        reference: DomainReference,
        extractor: Extractor,
        *,
        source: str,
        reconstructions: Reconstructions | None = None,
    ) -> None:
        """Set up.

        Args:
            extractor: of the reference's features.
            reconstructions: of the inversion that is used, where the reference has none of it.
        """
        assert extractor.hash == reference.features_hash
        self.source = source
        self._reference = reference
        self._extractor = extractor
        self._reconstructions = reconstructions

    def distances(self, images: UInt8[np.ndarray, "n r r 3"]) -> list[float]:
        """Return how far images are from the source's; up to 1 they look like them."""
        return [float(distance) for distance in self._reference.distances(self._extractor(images))]

    def verdicts(self, distances: Sequence[float], ssims: Sequence[float], columns: Mapping[str, Any]) -> list[Verdict]:
        """Return what to say of inverted images.

        Args:
            distances: what `distances` returned of them.
            ssims: between the images and their reconstructions.
            columns: how they were inverted (`Inverter.columns`).
        """
        limit = self._reference.reconstructions_with(inverted_with(columns)) or self._reconstructions
        return [
            Verdict(
                distance=distance,
                looks_like_source=distance <= 1,
                reconstructs_as_source=None if limit is None else ssim >= limit.ssim_low,
                reference=self._reference.origin,
            )
            for distance, ssim in zip(distances, ssims, strict=True)
        ]


def refuse(marked: Sequence[str], num_images: int, source: str, what: str) -> None:
    """Raise DataError if images are marked.

    Args:
        marked: their paths.
        what: they fail to do.
    """
    if marked:
        named = ", ".join(printable(path) for path in marked[:MAX_NAMED]) + (", ..." if len(marked) > MAX_NAMED else "")
        raise DataError(
            f"{len(marked)} of {num_images} images {what} ({named}), expected images like those that {source} was "
            "trained on; remove them, or leave out --strict to translate them all the same"
        )
