"""Grey of more than 8 bits -> 8 bits, by what white is in the file."""

import io

import numpy as np
from jaxtyping import UInt16
from PIL import Image, TiffImagePlugin, TiffTags

_TAGS = {name: number for number, name in TiffTags.TAGS.items() if isinstance(number, int)}
_SIGNED, _WHITE_IS_ZERO = 2, 0  # values of the tags SampleFormat and PhotometricInterpretation


class DepthError(Exception):
    """The levels of an image have no agreed white."""


def reduce_depth(image: Image.Image) -> Image.Image:
    """Scale grey of up to 16 bits to 8 bits: 65535 becomes 255, and so does 4095 where a TIFF has 12 bits.

    Raises:
        DepthError: the values are signed, or do not fit 16 bits.
    """
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise DepthError(f"32-bit values of mode {image.mode}")
    if _tag(image, "SampleFormat", 1) == _SIGNED:
        raise DepthError("signed values")
    white = 2 ** min(16, _tag(image, "BitsPerSample", 16)) - 1
    reduced = np.rint(levels * (255 / white)).astype(np.uint8)
    return Image.fromarray(255 - reduced if _tag(image, "PhotometricInterpretation", 1) == _WHITE_IS_ZERO else reduced)


def opaque_mask(image: Image.Image) -> Image.Image | None:
    """Return where grey of more than 8 bits is not of its transparent level (a PNG's tRNS); None: it has none."""
    level = image.info.get("transparency")
    if not isinstance(level, int):
        return None
    levels: UInt16[np.ndarray, "h w"] = np.asarray(image)
    return Image.fromarray(np.where(levels == level, 0, 255).astype(np.uint8))


def is_of_unknown_kind(data: bytes) -> bool:
    """Return whether a TIFF is complete as far as its header goes, but of a depth that Pillow has no mode for."""
    try:
        TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except SyntaxError as error:
        return "unknown pixel mode" in str(error)
    except Exception:  # a damaged file raises anything
        return False
    return False


def _tag(image: Image.Image, name: str, default: int) -> int:
    """Return the first value of a TIFF's tag; the default for other files, and where it is missing."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return default
    value = image.tag_v2.get(_TAGS[name], default)
    return int(value[0] if isinstance(value, tuple) else value)
