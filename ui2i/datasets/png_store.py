"""The encoded images of a prepared dataset: any of them at any time, from any number of threads.

Parquet's unit of reading is the row group, 16 images, while training asks for one here and one there. But ingest
stores PNGs as they are: uncompressed and in plain encoding, which is the length in four bytes and then the bytes, with
nothing in between but now and then the header of a page. So the place of every image is found once, on opening, by
going from length to length; from then on an image costs one read of its own bytes. They are read, not mapped, since
the pages of a mapped file count as the process's own memory, and in time that would be all of the dataset.
"""

import io
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import UInt8
from PIL import Image

from ui2i.datasets.manifest import MEND
from ui2i.errors import DataError, is_out_of_memory
from ui2i.images.file_signatures import PNG_SIGNATURE

_COLUMN = "png"
_LENGTH_BYTES = 4  # little-endian, before each value
_WINDOW_BYTES = 128  # a page header (some 30 bytes), a length and a signature fit


class PngStore:
    """The images of a dataset's shards, by id: 0, 1, ... through all shards.

    The shards stay open, so that a dataset which is replaced on disk goes on as it was.
    """

    def __init__(self, shards: Sequence[tuple[Path, pq.FileMetaData]]) -> None:
        """Open the shards and find where each image lies (about a second for 300,000 images).

        Raises:
            DataError: a shard stores its images in another way.
        """
        self._paths = [path for path, _ in shards]
        self._descriptors: list[int] = []
        weakref.finalize(self, _close_all, self._descriptors)
        places: list[tuple[int, int]] = []
        self._first_ids = [0]
        for path, metadata in shards:
            self._descriptors.append(os.open(path, os.O_RDONLY))
            places += _locate(self._descriptors[-1], metadata, path)
            self._first_ids.append(len(places))
        self._starts, self._lengths = np.array(places, dtype=np.int64).reshape(-1, 2).T

    def decode(self, image_id: int, image: UInt8[np.ndarray, "h w 3"], *, mirrored: bool = False) -> None:
        """Decode an image into `image`, left and right exchanged if `mirrored`.

        Pillow releases the interpreter lock while it decodes, so threads do this side by side.

        Raises:
            DataError: the image is damaged, or of another size than `image`.
        """
        png = self._read(image_id)
        try:
            with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
                upright = opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else opened
                pixels = np.asarray(upright)
        # Given damaged bytes, Pillow raises whatever comes up: OSError, SyntaxError, struct.error, ...
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise self._damaged(image_id, str(error)) from error
        if pixels.shape != image.shape:
            raise self._damaged(image_id, f"its shape is {list(pixels.shape)}, not {list(image.shape)}")
        image[:] = pixels

    def _read(self, image_id: int) -> bytes:
        """Return the PNG's bytes."""
        length = int(self._lengths[image_id])
        try:
            png = os.pread(self._descriptors[self._shard(image_id)], length, int(self._starts[image_id]))
        except OSError as error:
            raise self._damaged(image_id, str(error)) from error
        if len(png) != length:
            raise self._damaged(image_id, "the file has become shorter")
        return png

    def _shard(self, image_id: int) -> int:
        return int(np.searchsorted(self._first_ids, image_id, side="right")) - 1

    def _damaged(self, image_id: int, what: str) -> DataError:
        return DataError(
            f"image {image_id} in {self._paths[self._shard(image_id)]} is damaged ({what}), expected the PNG "
            f"that ingest wrote; {MEND}"
        )


def _locate(descriptor: int, metadata: pq.FileMetaData, path: Path) -> list[tuple[int, int]]:
    """Return the first byte and the length of every image of a shard, in order.

    Raises:
        DataError: the images do not follow one another as described at the top.
    """
    column = [metadata.schema.column(index).path for index in range(metadata.num_columns)].index(_COLUMN)
    places = []
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(column)
        position = chunk.data_page_offset
        for _ in range(chunk.num_values):
            window = os.pread(descriptor, _WINDOW_BYTES, position)
            start = window.find(PNG_SIGNATURE)
            if start < _LENGTH_BYTES:
                raise _foreign(path)
            length = int.from_bytes(window[start - _LENGTH_BYTES : start], "little")
            places.append((position + start, length))
            position += start + length
        # That the walk ends where the column does shows that every length was one.
        if position != chunk.data_page_offset + chunk.total_compressed_size:
            raise _foreign(path)
    return places


def _foreign(path: Path) -> DataError:
    return DataError(
        f"{path} stores its images in another way than ingest or is damaged, expected PNGs uncompressed and in plain "
        f"encoding; {MEND}"
    )


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
