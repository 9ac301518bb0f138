"""From an image of any shape to squares of one size: the middle, all of it with a border, or its faces."""

from typing import NamedTuple

from PIL import Image

from ui2i.config import IngestConfig
from ui2i.datasets.ingestion.alignment import Point, Square, align
from ui2i.datasets.ingestion.landmarks import Detector
from ui2i.decoding import ImageError
from ui2i.images import Box, center_square, fit_square

RESAMPLING = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


class Framed(NamedTuple):
    """One square of an image."""

    image: Image.Image  # RGB, `img_resolution` squared
    crop: Box  # in the upright source; of a turned square the box around it
    corners: tuple[Point, ...] | None  # of a turned square: top left, top right, bottom right, bottom left


def frame(image: Image.Image, path: str, config: IngestConfig, detector: Detector | None) -> list[Framed]:
    """Return the squares of an upright RGB image: one, or for the framing `face` up to `max_faces`.

    Raises:
        ImageError: it is too small, too long, or has no face.
    """
    if config.framing == "face":
        assert detector is not None  # `ingest` makes sure
        return _faces(image, path, config, detector)
    whole = config.framing == "fit"
    _check_side(path, max(image.size) if whole else min(image.size), config)
    if max(image.size) > config.max_aspect * min(image.size):
        raise ImageError(
            f"{path} has {image.width} x {image.height} pixels, over {config.max_aspect:g} : 1", "extreme_aspect"
        )
    return [_padded(image, config) if whole else _center(image, config)]


def _center(image: Image.Image, config: IngestConfig) -> Framed:
    square = fit_square(image, config.img_resolution, RESAMPLING[config.resampling])
    return Framed(square, center_square(*image.size), None)


def _padded(image: Image.Image, config: IngestConfig) -> Framed:
    """Return all of an image in the middle of a square of the background's colour."""
    resolution, longer = config.img_resolution, max(image.size)
    width, height = (max(1, round(side * resolution / longer)) for side in image.size)
    square = Image.new("RGB", (resolution, resolution), config.background)
    resized = image.resize((width, height), RESAMPLING[config.resampling])
    square.paste(resized, ((resolution - width) // 2, (resolution - height) // 2))
    return Framed(square, (0, 0, *image.size), None)


def _faces(image: Image.Image, path: str, config: IngestConfig, detector: Detector) -> list[Framed]:
    squares = [Square.around(face) for face in detector.find(image, path)]
    if not squares:
        raise ImageError(f"{path} has no face", "no_face")
    squares.sort(key=lambda square: (-square.side, square.center))
    large = [square for square in squares[: config.max_faces] if _is_large_enough(square.side, config)]
    _check_side(path, squares[0].side, config)
    resampling = RESAMPLING[config.resampling]
    return [
        Framed(align(image, square, config.img_resolution, resampling), square.bounds, square.corners)
        for square in large
    ]


def _check_side(path: str, side: float, config: IngestConfig) -> None:
    if not _is_large_enough(side, config):
        least = config.img_resolution / config.max_upscale
        raise ImageError(f"{path} gives a square of {side:g} pixels, under {least:g}", "too_small")


def _is_large_enough(side: float, config: IngestConfig) -> bool:
    return side * config.max_upscale >= config.img_resolution
