"""From the bytes of one file to the images it gives, or to the reason why it gives none.

What comes out depends on the bytes, the settings and what `processing_record` lists, the versions of the decoders above
all. So it can be done in any process, and need not be done again while these stay the same.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

from ui2i.datasets.ingestion.duplicates import perceptual_hash, thumbnail
from ui2i.files import sha256_bytes
from ui2i.images import Box, encode_png
from ui2i.images.alignment import Point
from ui2i.images.decoding import Decoded, ImageError, decode
from ui2i.images.framing import Framed, Framer
from ui2i.images.landmarks import Detector
from ui2i.settings import IngestConfig

EXAMINATION_VERSION = 4  # to be raised when equal bytes and settings give another image or another reason

_CODECS = ("libjpeg_turbo", "jpg", "zlib_ng", "zlib", "webp", "avif", "libtiff", "littlecms2")
FREE_SETTINGS = ("max_images", "test_share", "max_reject_share", "near_duplicate_bits", "face_landmarks")
"""Settings of `IngestConfig` on which it does not depend."""

_LEVELS = np.arange(256, dtype=np.int64)


class Unread(NamedTuple):
    """A file before it is examined."""

    path: str
    num_bytes: int
    data: bytes  # empty if there is a fault
    fault: tuple[str, str] | None  # reason and message, if it could not be read


class PreparedImage(NamedTuple):
    """A square cut from a file."""

    crop: Box
    corners: tuple[Point, ...] | None
    phash: int
    thumbnail: bytes
    level_sums: tuple[int, ...]  # of red, green and blue over all pixels
    level_squares: tuple[int, ...]  # the same of their squares
    png: bytes | None  # None: of an earlier dataset, in which it is not kept


class Examined(NamedTuple):
    """What became of a file."""

    path: str
    num_bytes: int
    sha256: str | None = None  # None: it was not read
    reason: str | None = None  # why it is rejected; None: it is not
    detail: str = ""
    file_format: str = ""
    mode: str = ""
    width: int = 0  # of the upright image; 0: it was not decoded
    height: int = 0
    images: tuple[PreparedImage, ...] = ()
    is_known: bool = False  # an earlier dataset has it; all but path, size and hash is there


@dataclasses.dataclass(frozen=True)
class Examiner:
    """Examines files with one set of settings."""

    config: IngestConfig
    detector: Detector | None = None
    known: Mapping[str, str] = dataclasses.field(default_factory=dict)  # path -> SHA-256 that needs no examination

    @functools.cached_property
    def framer(self) -> Framer:
        """Cuts out the squares, of what is large enough."""
        return Framer.of(self.config, self.detector)

    def __call__(self, file: Unread) -> Examined:
        """Return what becomes of a file; never raises for what its bytes are."""
        if file.fault is not None:
            reason, detail = file.fault
            return Examined(file.path, file.num_bytes, reason=reason, detail=detail)
        num_bytes, sha256 = len(file.data), sha256_bytes(file.data)
        if self.known.get(file.path) == sha256:
            return Examined(file.path, num_bytes, sha256, is_known=True)
        decoded: Decoded | None = None
        try:
            decoded = decode(file.data, name=file.path, background=self.config.background)
            framed = self.framer.squares(decoded.image, file.path, self.config.img_resolution)
            images = self._lively(file.path, framed)
        except ImageError as error:
            result = Examined(file.path, num_bytes, sha256, reason=error.fault, detail=str(error))
        else:
            result = Examined(file.path, num_bytes, sha256, images=images)
        if decoded is None:
            return result
        width, height = decoded.image.size
        return result._replace(file_format=decoded.file_format, mode=decoded.mode, width=width, height=height)

    def _lively(self, path: str, framed: list[Framed]) -> tuple[PreparedImage, ...]:
        """Return the squares whose content is not of one colour; the background around it does not count.

        Raises:
            ImageError: all of them are.
        """
        measured = [(square, *level_sums(square.image)) for square in framed]
        contrasts = [contrast_of(square.image.crop(square.content)) for square in framed]
        images = tuple(
            PreparedImage(
                square.crop,
                square.corners,
                perceptual_hash(square.image),
                thumbnail(square.image),
                sums,
                squares,
                encode_png(square.image),
            )
            for (square, sums, squares), deviation in zip(measured, contrasts, strict=True)
            if deviation >= self.config.min_contrast
        )
        if not images:
            raise ImageError(f"{path} deviates from one colour by {max(contrasts):.2f} levels", "near_uniform")
        return images


def level_sums(image: Image.Image) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sums of an RGB image's levels and of their squares, a channel each."""
    counts = np.array(image.histogram(), dtype=np.int64).reshape(3, 256)
    return tuple((counts @ _LEVELS).tolist()), tuple((counts @ _LEVELS**2).tolist())


def contrast_of(image: Image.Image) -> float:
    """Return the standard deviation of an RGB image's channel in which it is largest, in levels."""
    num_pixels = image.width * image.height
    both = zip(*level_sums(image), strict=True)
    variances = [square / num_pixels - (total / num_pixels) ** 2 for total, square in both]
    return float(max(0.0, *variances) ** 0.5)


def processing_record(config: IngestConfig, detector: Detector | None) -> dict[str, Any]:
    """Return what examination depends on beside the bytes and the settings, for the manifest."""
    codecs = {name: features.version(name) for name in _CODECS}
    return {
        "version": EXAMINATION_VERSION,
        "detector": detector.identity if detector is not None and config.framing == "face" else None,
        "codecs": {"pillow": pillow_version} | {name: version for name, version in codecs.items() if version},
    }
