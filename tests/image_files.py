"""Image files for tests, made on the spot: of every kind, whole or spoilt."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def gradient(width: int = 24, height: int = 16) -> Image.Image:
    """A smooth image without symmetry, so that every rotation looks different."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    levels = np.stack([200 * x + 20, 180 * y + 30, 90 * x + 90 * y + 40], axis=-1)
    return Image.fromarray(levels.astype(np.uint8))


def file_bytes(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def cmyk_profile() -> bytes:
    """An ICC profile of a printer that has black ink alone (ICC.1:2001-04, section 6.5.8)."""
    levels = bytes(range(256))
    header = struct.pack(">4s4x4B9i", b"mft1", 4, 3, 2, 0, 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = header + levels * 4 + bytes([255, 128, 128, 0, 128, 128]) * 2**3 + levels * 3
    about = struct.pack(">4xI4s4s4s12x4s", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp").ljust(64, b"\0")
    about += struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D).ljust(60, b"\0")  # D50
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    return struct.pack(">I", 144 + len(table)) + about + tags + table


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG file, with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb_png(side: int = 100_000) -> bytes:
    """A PNG whose header promises side^2 pixels (10^10) and that has none."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def noise(width: int = 64, height: int = 64, *, seed: int = 0) -> Image.Image:
    """Pixels of any colour: the file is long, and cut short it shows."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def blobs(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """A smooth image that looks like no other seed's."""
    levels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)


def textured(seed: int, width: int = 96, height: int = 80) -> Image.Image:
    """An image with detail of every size, the finer the fainter, as photographs have."""
    random = np.random.default_rng(seed)
    levels = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24, 48):
        layer = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        levels += (np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) - 128.0) * 2 / cells
    return Image.fromarray(np.clip(128 + levels, 0, 255).astype(np.uint8))
