"""Digests of drawings, and of the arithmetic under them: machines may differ in the last bit of a float32."""

import hashlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

ARITHMETIC = "5823268856d88892"
"""What `arithmetic` gave where the digests of drawings in the tests come from."""


def digest(*arrays: np.ndarray) -> str:
    """Sixteen digits of the SHA-256 of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def arithmetic() -> str:
    """Digest of what numpy and Pillow compute here."""
    values = np.linspace(-9, 9, 4099, dtype=np.float32)
    image = Image.new("L", (97, 97))
    ImageDraw.Draw(image).polygon([(9.3, 11.7), (90.2, 30.1), (44.4, 88.8)], fill=255)
    ImageDraw.Draw(image).line([(3.1, 90.7), (60.2, 20.4), (95.9, 70.1)], fill=128, width=3, joint="curve")
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for radius in (0.48, 1.02, 2.24)]
    functions = [np.exp(values), np.sin(values), np.arctan2(values, values[::-1] + 3), np.cos(values.astype(float))]
    return digest(*functions, *[np.asarray(picture) for picture in blurred], np.asarray(image.reduce(4)))


def cells(image: np.ndarray) -> np.ndarray:
    """Mean grey of 4 x 4 cells of an image of 64 px."""
    return np.asarray(image.mean(axis=2).reshape(4, 16, 4, 16).mean(axis=(1, 3)))
