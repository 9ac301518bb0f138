"""Contact sheets combined into one image, and images as small WebP files."""

import io
import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ui2i.files import write_bytes

Sheet = UInt8[np.ndarray, "h w 3"]

MAX_BYTES = 40_000
QUALITIES = range(80, 29, -5)
"""Of WebP, the first that fits is taken."""


def white(like: UInt8[np.ndarray, "r r 3"]) -> UInt8[np.ndarray, "r r 3"]:
    """Return an empty cell of an image's size."""
    return np.full_like(like, 255)


def below(sheets: Sequence[Sheet]) -> Sheet:
    """Return sheets stacked vertically, aligned left, on white."""
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate([_padded(sheet, sheet.shape[0], width) for sheet in sheets])


def beside(sheets: Sequence[Sheet]) -> Sheet:
    """Return sheets side by side, aligned at the top, on white."""
    height = max(sheet.shape[0] for sheet in sheets)
    return np.concatenate([_padded(sheet, height, sheet.shape[1]) for sheet in sheets], axis=1)


def save_webp(path: str | os.PathLike[str], sheet: Sheet, *, max_bytes: int = MAX_BYTES) -> int:
    """Write a sheet as WebP of the best of `QUALITIES` that fits, of the worst if none does; return that quality."""
    for quality in QUALITIES:
        data = _webp(sheet, quality)
        if len(data) <= max_bytes:
            break
    write_bytes(path, data)
    return quality


def _webp(sheet: Sheet, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="WEBP", quality=quality, method=6)
    return buffer.getvalue()


def _padded(sheet: Sheet, height: int, width: int) -> Sheet:
    rows, columns = height - sheet.shape[0], width - sheet.shape[1]
    return np.pad(sheet, ((0, rows), (0, columns), (0, 0)), constant_values=255)
