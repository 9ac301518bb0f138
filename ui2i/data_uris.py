"""Images as part of a page: `data:` URIs of bounded size, which no browser has to fetch."""

import base64
import io
from pathlib import Path

from PIL import Image

MAX_WIDTH = 1600  # pixels; wider images are made smaller
MAX_BYTES = 1_500_000  # a larger PNG becomes a JPEG, and that as small as it needs to be
_SHRINK = 0.8
_MIN_EDGE = 32  # pixels


def data_uri(data: bytes, kind: str) -> str:
    """Return an encoded image (`kind` is png, jpeg or svg+xml) as a URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def image_uri(source: Path | bytes, *, max_width: int = MAX_WIDTH, max_bytes: int = MAX_BYTES) -> str:
    """Return an image as a URI: as it is if it is small enough, else as a smaller JPEG.

    Args:
        source: a file, or what one holds.
        max_width: pixels.
        max_bytes: of the encoded image; the URI is a third longer.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    with Image.open(io.BytesIO(data)) as file:
        if file.width <= max_width and len(data) <= max_bytes and file.format == "PNG":
            return data_uri(data, "png")
        image = file.convert("RGB")
    width = min(image.width, max_width)
    while True:
        data = _jpeg(image, width)
        if len(data) <= max_bytes or width <= _MIN_EDGE:
            return data_uri(data, "jpeg")
        width = max(_MIN_EDGE, round(width * _SHRINK))


def _jpeg(image: Image.Image, width: int) -> bytes:
    if width < image.width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=88)
    return buffer.getvalue()
