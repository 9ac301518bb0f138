"""Images that look the same: a perceptual hash, and a search for near ones that does not compare all with all.

The hash is the sign pattern of the 256 lowest frequencies of an image's grey levels, each against their median, so it
survives another size, another compression and other brightness. 256 bits, because the 64 that are usual cannot tell
aligned faces apart: with them some different people differ by no more than copies do (docs/results/ingestion.md). All
numbers are whole, so the hash is the same on every machine; a cosine transform in floating point would leave the signs
of a symmetric image to rounding.

The search rests on the pigeonhole principle: two hashes that differ in at most d bits agree in one of d + 1 pieces. For
each piece it keeps a table from value to images, as chains in flat arrays: 0.2 KB an image, and a few dozen images
to compare with for each new one among 100,000.
"""

import functools
from array import array

import numpy as np
from jaxtyping import Float64
from PIL import Image

HASH_BITS = 256

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


class NearDuplicates:
    """Finds, among the hashes that were added, one that differs in few bits."""

    def __init__(self, max_distance: int) -> None:
        """Set up for distances up to `max_distance` bits."""
        self.max_distance = max_distance
        self._hashes: list[int] = []
        num_pieces = max_distance + 1
        ends = [HASH_BITS * (index + 1) // num_pieces for index in range(num_pieces)]
        lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        self._pieces = [(end - length, (1 << length) - 1) for end, length in zip(ends, lengths, strict=True)]
        self._chains = [_Chains(min(length, _MAX_TABLE_BITS)) for length in lengths]

    def find(self, phash: int) -> int | None:
        """Return which hash (0: the first added) is nearest, the earliest of several; None: none is near enough."""
        best, best_distance = None, self.max_distance + 1
        for (shift, mask), chains in zip(self._pieces, self._chains, strict=True):
            for number in chains.with_value(phash >> shift & mask):
                distance = (self._hashes[number] ^ phash).bit_count()
                if distance < best_distance or (distance == best_distance and best is not None and number < best):
                    best, best_distance = number, distance
        return best

    def add(self, phash: int) -> None:
        """Add a hash; its number is how many were added before."""
        self._hashes.append(phash)
        for (shift, mask), chains in zip(self._pieces, self._chains, strict=True):
            chains.append(phash >> shift & mask)


class _Chains:
    """A table from values to the numbers of the entries that have them, newest first."""

    def __init__(self, num_bits: int) -> None:
        self._mask = (1 << num_bits) - 1
        self._newest = array("i", [-1]) * (1 << num_bits)
        self._previous = array("i")

    def with_value(self, value: int) -> "list[int]":
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
