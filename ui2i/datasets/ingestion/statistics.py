"""Figures of a dataset: what its files were, and how bright and lively its images are. Exact: all sums are whole."""

import collections
from array import array
from collections.abc import Sequence
from typing import Any

from ui2i.datasets.facing import facing_share
from ui2i.datasets.ingestion.duplicates import thumbnail_levels
from ui2i.datasets.ingestion.examine import Examined, PreparedImage

MAX_FACING = 2000  # images by which a set's direction is judged


class Statistics:
    """Adds up images as they are accepted."""

    def __init__(self, img_resolution: int) -> None:
        self._num_pixels = img_resolution**2
        self._formats: collections.Counter[str] = collections.Counter()
        self._modes: collections.Counter[str] = collections.Counter()
        self._sizes = {name: array("q") for name in ("width", "height", "size_bytes")}
        self._sums = [0, 0, 0]
        self._squares = [0, 0, 0]
        self._thumbnails: list[bytes] = []

    def add(self, file: Examined, image: PreparedImage) -> None:
        """Count an image of a file."""
        self._formats[file.file_format] += 1
        self._modes[file.mode] += 1
        for name, value in zip(self._sizes, (file.width, file.height, file.num_bytes), strict=True):
            self._sizes[name].append(value)
        for channel in range(3):
            self._sums[channel] += image.level_sums[channel]
            self._squares[channel] += image.level_squares[channel]
        if len(self._thumbnails) < MAX_FACING:
            self._thumbnails.append(image.thumbnail)

    def summary(self) -> dict[str, Any]:
        """Return the figures, ready for JSON.

        They are of the source files and of the levels (0 to 255) of the images. `facing_share` is that of the first
        `MAX_FACING` images.
        """
        total = self._num_pixels * len(self._sizes["width"])
        means = [value / total for value in self._sums]
        share = facing_share([thumbnail_levels(data) for data in self._thumbnails])
        variances = [square / total - mean**2 for square, mean in zip(self._squares, means, strict=True)]
        return {
            "formats": dict(sorted(self._formats.items())),
            "modes": dict(sorted(self._modes.items())),
            **{name: _spread(values) for name, values in self._sizes.items()},
            "channel_mean": [round(mean, 3) for mean in means],
            "channel_std": [round(max(0.0, variance) ** 0.5, 3) for variance in variances],
            "facing_share": None if share is None else round(share, 3),
        }


def _spread(values: Sequence[int]) -> dict[str, int]:
    ordered = sorted(values)
    return {"min": ordered[0], "median": ordered[(len(ordered) - 1) // 2], "max": ordered[-1]}
