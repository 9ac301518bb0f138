"""Sheets of images for people to look at: a random choice of what was kept, and of what was not, by reason."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from ui2i.contact_sheet import Row, contact_sheet
from ui2i.images import ImageError, fit_square, load_image
from ui2i.images.left_out import REASONS

NUM_SAMPLES = 64  # images on the sheet of samples
NUM_REJECTS = 8  # files of each reason on the sheet of rejects

_SAMPLE_COLUMNS = 8
_SAMPLE_CELL = 128  # pixels: smaller images are enlarged,
_MAX_SAMPLE_CELL = 256  # and larger ones shrunk
_REJECT_CELL = 96  # pixels: larger images are shrunk
_PAPER = (236, 236, 236)
_CROSS = (190, 60, 60)
_EDGE = (200, 200, 200)


def samples_sheet(pngs: Sequence[bytes], title: str, img_resolution: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return a sheet of kept images."""
    side = min(img_resolution, _MAX_SAMPLE_CELL)
    images = np.stack([np.asarray(fit_square(load_image(png), side)) for png in pngs])
    rows = [Row("", images[start : start + _SAMPLE_COLUMNS]) for start in range(0, len(images), _SAMPLE_COLUMNS)]
    return contact_sheet(rows, upscale=max(1, _SAMPLE_CELL // img_resolution), title=title)


def rejects_sheet(
    files: Mapping[str, Sequence[bytes | None]],
    originals: Mapping[str, Sequence[bytes]],
    counts: Mapping[str, int],
    title: str,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a sheet of rejected files, a row a reason; what cannot be decoded is a cross.

    Args:
        files: reason -> bytes of files that were rejected for it; None: they were not read.
        originals: reason -> the images that were kept instead of these, shown in a row below.
        counts: reason -> how many were rejected for it.
    """
    rows = []
    for reason in sorted(files, key=list(REASONS).index):
        rows.append(Row(f"{reason} ({counts[reason]:,})", np.stack([_thumbnail(data) for data in files[reason]])))
        if reason in originals:
            rows.append(Row("kept instead", np.stack([_thumbnail(data) for data in originals[reason]])))
    return contact_sheet(rows, title=title)


def _thumbnail(data: bytes | None) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image in a square cell, or a cross."""
    cell = Image.new("RGB", (_REJECT_CELL, _REJECT_CELL), _PAPER)
    try:
        image = None if data is None else load_image(data)
    except ImageError:
        image = None
    pen, last = ImageDraw.Draw(cell), _REJECT_CELL - 1
    if image is None:
        for line in ((0, 0, last, last), (0, last, last, 0)):
            pen.line(line, fill=_CROSS)
    else:
        scale = _REJECT_CELL / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        resized = image.resize((width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
        cell.paste(resized, ((_REJECT_CELL - width) // 2, (_REJECT_CELL - height) // 2))
    pen.rectangle((0, 0, last, last), outline=_EDGE)  # white images end somewhere too
    return np.asarray(cell)
