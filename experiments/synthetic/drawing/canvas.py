"""Coverage masks and compositing.

Outlines are filled at `oversampling` times the resolution and averaged down to a coverage in [0, 1]; colours are then
composited at the final resolution, which antialiases like a supersampled image and costs a fraction of it.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from experiments.synthetic.drawing.curves import Points

Mask = np.ndarray
Colour = np.ndarray


def oversampling_of(resolution: int) -> int:
    """Subsamples a side: 4 up to 96 px, 3 up to 192 px, 2 above."""
    return 4 if resolution <= 96 else 3 if resolution <= 192 else 2


def _covered(mask: Mask) -> tuple[slice, slice] | None:
    """Rows and columns outside of which `mask` is 0, so that small features cost little; None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


class Canvas:
    """A float image [R, R, 3] in [0, 1] in frame units: (0, 0) is the top left corner, (1, 1) the bottom right."""

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        self.oversampling = oversampling_of(resolution)
        self.pixels = np.zeros((resolution, resolution, 3), dtype=np.float32)
        centres = (np.arange(resolution, dtype=np.float32) + 0.5) / resolution
        self.x, self.y = np.meshgrid(centres, centres)

    def fill(self, *outlines: Points) -> Mask:
        """Coverage [R, R] of the union of closed outlines."""
        image, draw = self._blank()
        for outline in outlines:
            draw.polygon((outline * image.width).ravel().tolist(), fill=255)
        return self._coverage(image)

    def stroke(self, *lines: Points, width: float, closed: bool = False) -> Mask:
        """Coverage [R, R] of lines of `width` frame units with round joints."""
        image, draw = self._blank()
        thickness = max(1, round(width * image.width))
        for line in lines:
            path = np.concatenate([line, line[:2]]) if closed else line
            draw.line((path * image.width).ravel().tolist(), fill=255, width=thickness, joint="curve")
        return self._coverage(image)

    def paint(self, mask: Mask, colour: Colour | tuple[float, float, float], opacity: float = 1.0) -> None:
        """Composite a colour [3] or an image [R, R, 3] over the canvas where `mask` covers it."""
        window = _covered(mask)
        if window is None:
            return
        source = np.asarray(colour, dtype=np.float32)
        alpha = (mask[window] * np.float32(opacity))[..., None]
        pixels = self.pixels[window]
        pixels += alpha * ((source if source.ndim == 1 else source[window]) - pixels)

    def shade(self, mask: Mask, factor: Colour | tuple[float, float, float]) -> None:
        """Multiply the canvas by `factor` [3] where `mask` is 1, by nothing where it is 0."""
        window = _covered(mask)
        if window is not None:
            pixels = self.pixels[window]
            pixels *= 1 + mask[window][..., None] * (np.asarray(factor, dtype=np.float32) - 1)

    def glow(self, mask: Mask, colour: Colour | tuple[float, float, float]) -> None:
        """Add light of `colour` [3] times `mask`."""
        self.pixels += mask[..., None] * np.asarray(colour, dtype=np.float32)

    def blur(self, mask: Mask, radius: float) -> Mask:
        """`mask` under a Gaussian of `radius` frame units."""
        image = Image.fromarray((np.clip(mask, 0, 1) * 255 + 0.5).astype(np.uint8))
        blurred = image.filter(ImageFilter.GaussianBlur(radius * self.resolution))
        return np.asarray(blurred, dtype=np.float32) * np.float32(1 / 255)

    def shifted(self, mask: Mask, dx: float, dy: float) -> Mask:
        """`mask` moved by whole pixels nearest to (dx, dy) frame units; what enters is empty."""
        step_x, step_y = round(dx * self.resolution), round(dy * self.resolution)
        moved = np.zeros_like(mask)
        size = self.resolution
        moved[max(0, step_y) : size + min(0, step_y), max(0, step_x) : size + min(0, step_x)] = mask[
            max(0, -step_y) : size - max(0, step_y), max(0, -step_x) : size - max(0, step_x)
        ]
        return moved

    def to_uint8(self) -> np.ndarray:
        """The image as uint8 [R, R, 3]."""
        return (np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _blank(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        image = Image.new("L", (self.resolution * self.oversampling,) * 2)
        return image, ImageDraw.Draw(image)

    def _coverage(self, image: Image.Image) -> Mask:
        """`image` averaged down; only the box of pixels that something was drawn in is worked on."""
        mask = np.zeros((self.resolution, self.resolution), dtype=np.float32)
        box = image.getbbox()
        if box is not None:
            factor = self.oversampling
            left, top, right, bottom = box[0] // factor, box[1] // factor, -(-box[2] // factor), -(-box[3] // factor)
            inked = image.reduce(factor, (left * factor, top * factor, right * factor, bottom * factor))
            inked_bytes = np.frombuffer(inked.tobytes(), dtype=np.uint8).reshape(inked.height, inked.width)
            np.multiply(inked_bytes, np.float32(1 / 255), out=mask[top:bottom, left:right])
        return mask
