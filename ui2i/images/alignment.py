"""Cut a face out upright and at one size, as the FFHQ dataset does: eyes and mouth come to lie at fixed places.

The square is found from the eyes and the corners of the mouth alone (FFHQ: T. Karras et al., arXiv 1812.04948). Its x
axis lies along the eyes, evened out with the line from the eyes to the mouth; its side is 4 times the distance of the
eyes or 3.6 times that of eyes and mouth, whichever is longer; its center is a tenth of the way from the eyes to the
mouth. What the square has outside the image is filled with the image's reflection, which blurs with the distance
from its edge. FFHQ also fades that border to the median colour, which is left out here.
"""

import dataclasses
import math
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float64
from PIL import Image, ImageFilter

from ui2i.images import Box
from ui2i.images.decoding import ImageError

EYES_IN_SIDE = 4.0  # side of the square in distances of the eyes
MOUTH_IN_SIDE = 3.6  # side of the square in distances between eyes and mouth
CENTER_TOWARDS_MOUTH = 0.1  # from the middle of the eyes, as a share of the way to the mouth

_BLUR_RADIUS = 0.02  # of the reflected border, as a share of the side
_BLUR_RAMP = 0.05  # distance from the image's edge at which the border is wholly blurred, as a share of the side
_OVERSAMPLING = 2  # the turned square is sampled at no less than so many times the resolution, if it has them
_MAX_SIDE = 4  # a square this many times as long as the image is of no face in it

Point = tuple[float, float]  # x, y in pixels from the top left corner of the upright image


class Landmarks(NamedTuple):
    """The points of a face that alignment needs. Left is what is left in an upright face as one sees it."""

    left_eye: Point  # its middle
    right_eye: Point
    left_mouth: Point  # the corner
    right_mouth: Point


@dataclasses.dataclass(frozen=True)
class Square:
    """A square that may be turned, in pixels of an image."""

    center: Point
    half: Point  # from the center to the middle of the right side

    @classmethod
    def around(cls, face: Landmarks) -> Self:
        """Return the square of a face.

        Raises:
            ImageError: the points coincide, or are no numbers.
        """
        left_eye, right_eye, left_mouth, right_mouth = (np.asarray(point, dtype=np.float64) for point in face)
        eyes = right_eye - left_eye
        middle = (left_eye + right_eye) / 2
        down = (left_mouth + right_mouth) / 2 - middle
        axis = eyes + np.array([down[1], -down[0]])  # of an upright face both summands point to the right
        length = float(np.hypot(*axis))
        if not length > 1e-6 * max(1.0, float(np.abs(middle).max())):  # so that NaN is refused too
            raise ImageError(f"the landmarks {face} are of no face", "no_face")
        half_side = max(EYES_IN_SIDE * np.hypot(*eyes), MOUTH_IN_SIDE * np.hypot(*down)) / 2
        center_x, center_y = (middle + CENTER_TOWARDS_MOUTH * down).tolist()
        half_x, half_y = (axis / length * half_side).tolist()
        return cls((center_x, center_y), (half_x, half_y))

    @property
    def side(self) -> float:
        """Its length in pixels."""
        return 2 * math.hypot(*self.half)

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Top left, top right, bottom right, bottom left of the face."""
        (x, y), (a, b) = self.center, self.half
        return (x - a + b, y - b - a), (x + a + b, y + b - a), (x + a - b, y + b + a), (x - a - b, y - b + a)

    @property
    def bounds(self) -> Box:
        """The smallest upright box of whole pixels around it; may reach out of the image."""
        xs, ys = zip(*self.corners, strict=True)
        return math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))

    def check_lies_in(self, size: tuple[int, int]) -> None:
        """Raise ImageError unless its center is in an image of this width and height, and it is not far larger."""
        (x, y), (width, height) = self.center, size
        if not (0 <= x <= width and 0 <= y <= height and self.side <= _MAX_SIDE * max(size)):
            raise ImageError(f"the face at {self.center} does not lie in the image of {size} pixels", "no_face")

    def scaled(self, factor: float) -> "Square":
        """Return the same square in an image that was shrunk by `factor`."""
        (x, y), (a, b) = self.center, self.half
        return Square((x / factor, y / factor), (a / factor, b / factor))


def align(image: Image.Image, square: Square, resolution: int, resampling: Image.Resampling) -> Image.Image:
    """Return the content of a square, upright, at `resolution` pixels.

    Raises:
        ImageError: the square lies outside the image, or is far larger than it.
    """
    square.check_lies_in(image.size)
    factor = max(1, int(square.side / (_OVERSAMPLING * resolution)))
    square = square.scaled(factor)
    left, top, right, bottom = square.bounds
    region = _with_border(image.reduce(factor), (left - 2, top - 2, right + 2, bottom + 2), square.side)
    num_samples = max(resolution, round(square.side))
    places = _affine(square, num_samples, left - 2, top - 2)
    turned = region.transform((num_samples, num_samples), Image.Transform.AFFINE, places, Image.Resampling.BICUBIC)
    return turned.resize((resolution, resolution), resampling)


def _affine(square: Square, num_samples: int, left: int, top: int) -> tuple[float, float, float, float, float, float]:
    """Return the map from the turned image to a region that begins at (left, top), as Pillow takes it."""
    (x, y), _, _, _ = square.corners
    right, down = 2 * square.half[0] / num_samples, 2 * square.half[1] / num_samples  # one sample further
    return right, -down, x - left, down, right, y - top


def _with_border(image: Image.Image, box: Box, side: float) -> Image.Image:
    """Cut a box out of an image; where it reaches out of it, the image is reflected and blurred."""
    left, top, right, bottom = box
    if left >= 0 and top >= 0 and right <= image.width and bottom <= image.height:
        return image.crop(box)
    columns, rows = np.arange(left, right), np.arange(top, bottom)
    pixels = np.asarray(image)
    reflected = pixels[_reflect(rows, image.height)][:, _reflect(columns, image.width)]
    region = Image.fromarray(np.ascontiguousarray(reflected))
    outside = np.maximum(_distance(rows, image.height)[:, None], _distance(columns, image.width)[None])
    opacity = np.rint(255 * np.clip(outside / (_BLUR_RAMP * side), 0, 1)).astype(np.uint8)
    region.paste(region.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS * side)), mask=Image.fromarray(opacity))
    return region


def _reflect(places: np.ndarray, length: int) -> np.ndarray:
    """Return which pixel of a row of `length` stands at each place when the row is mirrored without end."""
    period = max(1, 2 * length - 2)
    folded = places % period
    return np.minimum(folded, period - folded)


def _distance(places: np.ndarray, length: int) -> Float64[np.ndarray, " n"]:
    """Return how far each place is outside of 0 ... length - 1."""
    return np.maximum(np.maximum(-places, places - (length - 1)), 0).astype(np.float64)
