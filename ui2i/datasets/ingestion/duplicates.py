"""Images that look the same: a perceptual hash, a search for near ones, and a comparison in colour that decides.

The hash is the sign pattern of the 256 lowest frequencies of an image's grey levels, each against their median, so it
survives another size, another compression and other brightness. 256 bits, because the 64 that are usual cannot tell
aligned faces apart: with them some different people differ by no more than copies do (docs/results/ingestion.md). All
numbers are whole, so the hash is the same on every machine; a cosine transform in floating point would leave the signs
of a symmetric image to rounding.

The hash is blind to colour and to thin lines: two drawn people who differ in their hair colour, glasses or mouth have
the same one (docs/results/near_duplicates.md). So images with near hashes count as near duplicates only if their
thumbnails agree cell by cell, after differences of brightness and contrast, which the whole image shares, are taken
out.

The search rests on the pigeonhole principle: two hashes that differ in at most d bits agree in one of d + 1 pieces. For
each piece it keeps a table from value to images, as chains in flat arrays: 0.2 KB an image, beside its thumbnail of
0.8 KB, and a few dozen images to compare with for each new one among 100,000.
"""

import functools
from array import array

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

HASH_BITS = 256
THUMBNAIL_SIDE = 16  # cells
THUMBNAIL_BYTES = THUMBNAIL_SIDE**2 * 3
MAX_CELL_DIFFERENCE = 16.0  # levels, between thumbnails of near duplicates: docs/results/near_duplicates.md
MAX_CONTRAST_RATIO = 4 / 3  # of near duplicates

_SIDE = 32  # pixels of the grey image that is transformed
_FREQUENCIES = 16  # in each direction: 16 x 16 = HASH_BITS
_COSINE_SCALE = 4096  # cosines are rounded to whole numbers of this
_MAX_TABLE_BITS = 15  # a table has at most 2^15 chains


def perceptual_hash(image: Image.Image) -> int:
    """Return the hash of an RGB image, `HASH_BITS` bits; two that differ in few bits look alike."""
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    levels = np.asarray(grey, dtype=np.float64)
    cosines = _cosines()
    # Products and sums of whole numbers far below 2^53: exact, whatever the order of summation.
    spectrum = cosines @ levels @ cosines.T
    flat = spectrum.ravel()
    median = np.sort(flat)[HASH_BITS // 2 - 1]
    return int.from_bytes(np.packbits(flat > median).tobytes(), "big")


def hash_bytes(phash: int) -> bytes:
    """Return a hash as tables store it."""
    return phash.to_bytes(HASH_BITS // 8, "big")


def thumbnail(image: Image.Image) -> bytes:
    """Return the mean colours of an RGB image's cells, row by row, `THUMBNAIL_BYTES` bytes."""
    return image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()


def thumbnail_levels(data: bytes) -> UInt8[np.ndarray, "16 16 3"]:
    """Return a thumbnail as levels of red, green and blue."""
    return np.frombuffer(data, np.uint8).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)


def cell_difference(one: bytes, other: bytes) -> float:
    """Return the largest difference of two thumbnails in a cell and channel, in levels.

    Mean colours and contrasts, up to `MAX_CONTRAST_RATIO`, are made equal before.
    """
    x, y = (thumbnail_levels(data).astype(np.float64) for data in (one, other))
    x, y = x - x.mean(axis=(0, 1)), y - y.mean(axis=(0, 1))
    gain = float((x * y).sum() / max((y * y).sum(), 1.0))
    gain = min(max(gain, 1 / MAX_CONTRAST_RATIO), MAX_CONTRAST_RATIO)
    return float(np.abs(x - gain * y).max())


class NearDuplicates:
    """Finds, among the images that were added, one that looks the same."""

    def __init__(self, max_distance: int) -> None:
        """Set up for hashes that differ in up to `max_distance` bits."""
        self.max_distance = max_distance
        self._hashes: list[int] = []
        self._thumbnails: list[bytes] = []
        num_pieces = max_distance + 1
        ends = [HASH_BITS * (index + 1) // num_pieces for index in range(num_pieces)]
        lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        self._pieces = [(end - length, (1 << length) - 1) for end, length in zip(ends, lengths, strict=True)]
        self._chains = [_Chains(min(length, _MAX_TABLE_BITS)) for length in lengths]

    def find(self, phash: int, colours: bytes) -> int | None:
        """Return which image (0: the first added) looks the same; None: none does.

        Of several it is the one with the nearest hash, and of these the earliest.

        Args:
            colours: the image's `thumbnail`.
        """
        for _, number in sorted(self._near(phash)):
            if cell_difference(self._thumbnails[number], colours) <= MAX_CELL_DIFFERENCE:
                return number
        return None

    def add(self, phash: int, colours: bytes) -> None:
        """Add an image; its number is how many were added before."""
        self._hashes.append(phash)
        self._thumbnails.append(colours)
        for (shift, mask), chains in zip(self._pieces, self._chains, strict=True):
            chains.append(phash >> shift & mask)

    def _near(self, phash: int) -> set[tuple[int, int]]:
        """Return the distance and number of every near hash."""
        found = set()
        for (shift, mask), chains in zip(self._pieces, self._chains, strict=True):
            for number in chains.with_value(phash >> shift & mask):
                distance = (self._hashes[number] ^ phash).bit_count()
                if distance <= self.max_distance:
                    found.add((distance, number))
        return found


class _Chains:
    """A table from values to the numbers of the entries that have them, newest first."""

    def __init__(self, num_bits: int) -> None:
        self._mask = (1 << num_bits) - 1
        self._newest = array("i", [-1]) * (1 << num_bits)
        self._previous = array("i")

    def with_value(self, value: int) -> list[int]:
        number, found = self._newest[value & self._mask], []
        while number >= 0:
            found.append(number)
            number = self._previous[number]
        return found

    def append(self, value: int) -> None:
        self._previous.append(self._newest[value & self._mask])
        self._newest[value & self._mask] = len(self._previous) - 1


@functools.cache
def _cosines() -> Float64[np.ndarray, "16 32"]:
    """The lowest rows of the discrete cosine transform (DCT-II), scaled and rounded to whole numbers."""
    angles = np.pi / (2 * _SIDE) * np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_SIDE) + 1)
    return np.rint(_COSINE_SCALE * np.cos(angles))
