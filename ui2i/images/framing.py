"""From an image of any shape to squares of one size: the middle, all of it with a border, or its faces.

A model takes squares that are cut as those of its training were. So a prepared dataset's manifest and the card of every
model trained on it record their framing (`recorded_framing`), and `framer_of` makes the `Framer` that repeats it.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ui2i.errors import ConfigError
from ui2i.images.alignment import Landmarks, Point, Square, align
from ui2i.images.arrays import Box, center_square, fit_square
from ui2i.images.decoding import ImageError, decode
from ui2i.images.landmarks import Detector, open_detector
from ui2i.settings import Framing, IngestConfig, Resampling, from_mapping
from ui2i.untrusted import shortened

RECORDED = ("framing", "background", "resampling")
"""Settings of `IngestConfig` that say how the images of a model's domain are framed."""

RESAMPLING = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


class Framed(NamedTuple):
    """One square of an image."""

    image: Image.Image  # RGB, the resolution squared
    crop: Box  # in the upright source; of a turned square the box around it
    corners: tuple[Point, ...] | None  # of a turned square: top left, top right, bottom right, bottom left
    content: Box | None = None  # in `image`: what is not filled with the background; None: all of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framer:
    """Cuts squares out of images; unless told otherwise, the middle of every image that can be read."""

    framing: Framing = "center"  # the centered square; the whole image, padded; or each face, upright, as in FFHQ
    background: str = "white"  # under transparent pixels and beside padded images
    resampling: Resampling = "lanczos"
    max_faces: int = 1  # of one image, the largest first
    max_upscale: float = math.inf  # an image that would have to be enlarged more is too small
    max_aspect: float = math.inf  # an image longer than this times its width, or the reverse, is refused
    detector: Detector | None = None  # for the framing face

    @classmethod
    def of(cls, config: IngestConfig, detector: Detector | None) -> Self:
        """Return what frames images as the settings of ingestion say, with their limits."""
        names = {field.name for field in dataclasses.fields(cls)} - {"detector"}
        return cls(**{name: getattr(config, name) for name in names}, detector=detector)

    @property
    def protocol(self) -> str:
        """What metrics note of it: the filter, and the framing unless it is the usual one."""
        return self.resampling if self.framing == "center" else f"{self.resampling} {self.framing}"

    def square(self, data: bytes, path: str, resolution: int) -> tuple[UInt8[np.ndarray, "r r 3"], tuple[int, int]]:
        """Return the square of an image file, of several faces the largest, and the upright image's width and height.

        Args:
            path: what errors call it, and a table of landmarks.

        Raises:
            ImageError: it cannot be decoded, or has no face.
        """
        image = decode(data, name=path, background=self.background).image
        return np.asarray(self.squares(image, path, resolution)[0].image), image.size

    def squares(self, image: Image.Image, path: str, resolution: int) -> list[Framed]:
        """Return the squares of an upright RGB image: one, or for the framing `face` up to `max_faces`.

        Raises:
            ImageError: it is too small, too long, or has no face.
        """
        if self.framing == "face":
            return self._faces(image, path, resolution)
        whole = self.framing == "fit"
        self._check_side(path, max(image.size) if whole else min(image.size), resolution)
        if max(image.size) > self.max_aspect * min(image.size):
            raise ImageError(
                f"{path} has {image.width} x {image.height} pixels, over {self.max_aspect:g} : 1", "extreme_aspect"
            )
        return [self._padded(image, resolution) if whole else self._center(image, resolution)]

    def _center(self, image: Image.Image, resolution: int) -> Framed:
        square = fit_square(image, resolution, RESAMPLING[self.resampling])
        return Framed(square, center_square(*image.size), None)

    def _padded(self, image: Image.Image, resolution: int) -> Framed:
        """Return all of an image in the middle of a square of the background's colour."""
        longer = max(image.size)
        width, height = (max(1, round(side * resolution / longer)) for side in image.size)
        square = Image.new("RGB", (resolution, resolution), self.background)
        resized = image.resize((width, height), RESAMPLING[self.resampling])
        left, top = (resolution - width) // 2, (resolution - height) // 2
        square.paste(resized, (left, top))
        return Framed(square, (0, 0, *image.size), None, (left, top, left + width, top + height))

    def _faces(self, image: Image.Image, path: str, resolution: int) -> list[Framed]:
        assert self.detector is not None  # whoever makes a framer for faces makes sure
        squares = _squares_of(self.detector.find(image, path), image.size, path)
        squares.sort(key=lambda square: (-square.side, square.center))
        self._check_side(path, squares[0].side, resolution)
        large = [square for square in squares[: self.max_faces] if self._is_large_enough(square.side, resolution)]
        resampling = RESAMPLING[self.resampling]
        return [Framed(align(image, square, resolution, resampling), square.bounds, square.corners) for square in large]

    def _check_side(self, path: str, side: float, resolution: int) -> None:
        if not self._is_large_enough(side, resolution):
            least = resolution / self.max_upscale
            raise ImageError(f"{path} gives a square of {side:g} pixels, under {least:g}", "too_small")

    def _is_large_enough(self, side: float, resolution: int) -> bool:
        return side * self.max_upscale >= resolution


def _squares_of(faces: Iterable[Landmarks], size: tuple[int, int], path: str) -> list[Square]:
    """Return the squares of the faces that can be cut out of an image; landmarks that are of no face are passed over.

    Raises:
        ImageError: there is none.
    """
    squares, fault = [], ImageError(f"{path} has no face", "no_face")
    for face in faces:
        try:
            square = Square.around(face)
            square.check_lies_in(size)
        except ImageError as error:
            fault = error
        else:
            squares.append(square)
    if not squares:
        raise fault
    return squares


CENTERED = Framer()
"""The middle of every image, which is how images are framed where nothing is known of those that a model was trained
on."""


def recorded_framing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a dataset's recorded settings its images' framing is; an old dataset records nothing."""
    return {name: settings[name] for name in RECORDED if name in settings}


def framer_of(record: Mapping[str, Any], *, framing: str | None = None, face_landmarks: str | None = None) -> Framer:
    """Return what frames images as a model's training images were.

    Args:
        record: what `recorded_framing` returned, from a model's card for example; what is not in it is as in
            `CENTERED`.
        framing: center, fit or face instead of the recorded one.
        face_landmarks: as in `IngestConfig`, for the framing `face`.

    Raises:
        ConfigError: a value of the record is none that is known, or the framing `face` has nothing that finds faces.
        DataError: what should find them is missing or damaged.
    """
    if framing not in (None, *get_args(Framing)):
        raise ConfigError(f"the framing is {framing!r}, expected one of {', '.join(get_args(Framing))}; correct it")
    values = recorded_framing(record) | ({} if framing is None else {"framing": framing})
    try:
        config = from_mapping(IngestConfig, values, section="framing")
    except ConfigError as error:
        raise ConfigError(
            f"the framing cannot be used ({shortened(str(error))}), expected {', '.join(RECORDED)} as ui2i records "
            "them; update ui2i, or fetch the model again"
        ) from error
    detector = open_detector(face_landmarks) if config.framing == "face" else None
    return Framer(framing=config.framing, background=config.background, resampling=config.resampling, detector=detector)
