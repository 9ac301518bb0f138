"""Read a prepared dataset, and choose its batches.

Which images a training step sees is a function of the step's number alone, so a run that is stopped and resumed
sees exactly what an uninterrupted one would have seen, with no state to save.
"""

import functools
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64, UInt8

from ui2i.datasets.facing import is_one_sided
from ui2i.datasets.manifest import MEND, Manifest, Shard, check_shard, existing_shard, read_manifest
from ui2i.datasets.png_store import PngStore
from ui2i.errors import ConfigError, DataError

Split = Literal["train", "test"]

MEMORY_BUDGET_BYTES = 1 << 30  # decoded images are kept in memory up to this size

_MIRROR_STREAM = 1  # separates the random numbers of flips from those of the order


class PreparedDataset:
    """The images of one split of a prepared dataset.

    On first use all of them are decoded into memory if that takes at most `memory_budget_bytes`; otherwise each call
    reads and decodes the images it is asked for.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: Split | None = "train",
        *,
        memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
        verify: bool = True,
    ) -> None:
        """Open the dataset in folder `path`.

        Args:
            split: None: both.
            verify: compare every shard with its hash in the manifest (a second per GB or so).

        Raises:
            DataError: there is no prepared dataset, it is damaged, or the split is empty.
        """
        self.path = Path(path)
        self.split = split
        self.manifest: Manifest = read_manifest(self.path)
        self._memory_budget_bytes = memory_budget_bytes
        shards = [self._open(shard, verify) for shard in self.manifest.shards]
        index = pa.concat_tables(shard.read(["id", "split"]) for shard in shards)
        # By way of lists: to_numpy imports pandas, which takes a second and 60 MB.
        ids = np.array(index["id"].to_pylist(), np.int64)
        if split is not None:
            ids = ids[np.array(index["split"].to_pylist()) == split]
        if len(ids) == 0:
            raise DataError(
                f"{self.path} has no images in its {split} split, expected at least one of {len(index)}; "
                "add images or change test_share"
            )
        self.ids: Int64[np.ndarray, " n"] = ids
        paths = [self.path / shard.name for shard in self.manifest.shards]
        self._pngs = PngStore([(path, shard.metadata) for path, shard in zip(paths, shards, strict=True)])

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.manifest.name

    @property
    def resolution(self) -> int:
        """Width and height of the images."""
        return self.manifest.img_resolution

    @property
    def hash(self) -> str:
        """SHA-256 of the whole dataset, both splits."""
        return self.manifest.dataset_sha256

    @property
    def facing_share(self) -> float | None:
        """Share of the images that can be told from their mirror images; None: it was not measured."""
        return self.manifest.statistics.get("facing_share")

    @property
    def suits_mirroring(self) -> bool:
        """Whether mirror images of its images might be its images too; True if that was not measured."""
        return not is_one_sided(self.facing_share)

    def __len__(self) -> int:
        return len(self.ids)

    def images(self, indices: Any) -> UInt8[np.ndarray, "n h w 3"]:
        """Return images of the split.

        Args:
            indices: a slice, or whole numbers from 0 to len - 1 in any order, repeated if wished.

        Raises:
            DataError: an index is out of range.
        """
        chosen = np.arange(len(self))[indices] if isinstance(indices, slice) else np.asarray(indices, dtype=np.int64)
        if chosen.ndim != 1 or (len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(self))):
            raise DataError(
                f"indices {chosen.tolist()} do not fit, expected a list of numbers from 0 to {len(self) - 1}; "
                "take them from range(len(dataset))"
            )
        if self._decoded is not None:
            return self._decoded[chosen]
        return self._decode(self.ids[chosen])

    def columns(self, *names: str) -> pa.Table:
        """Return columns of the shards (`ui2i.datasets.manifest`), a row for each image of the split."""
        shards = [pq.ParquetFile(self.path / shard.name) for shard in self.manifest.shards]
        return pa.concat_tables(shard.read(list(names)) for shard in shards).take(self.ids)

    @property
    def fits_in_memory(self) -> bool:
        """Whether all images are, or on first use will be, decoded into memory."""
        return len(self) * self.resolution**2 * 3 <= self._memory_budget_bytes

    def decode_into(self, index: int, image: UInt8[np.ndarray, "h w 3"], *, mirrored: bool = False) -> None:
        """Read image number `index` of the split into `image`, even if it is in memory; threads may do so at once.

        Raises:
            DataError: the image is damaged.
        """
        self._pngs.decode(int(self.ids[index]), image, mirrored=mirrored)

    @functools.cached_property
    def _decoded(self) -> UInt8[np.ndarray, "n h w 3"] | None:
        """All images of the split, or None if they take too much memory."""
        return self._decode(self.ids) if self.fits_in_memory else None

    def _decode(self, ids: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n h w 3"]:
        images = np.empty((len(ids), self.resolution, self.resolution, 3), np.uint8)
        for position in np.argsort(ids, kind="stable"):  # as they lie on the disk
            self._pngs.decode(int(ids[position]), images[position])
        return images

    def _open(self, shard: Shard, verify: bool) -> pq.ParquetFile:
        path = check_shard(self.path, shard) if verify else existing_shard(self.path, shard)
        try:
            return pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}), expected a Parquet file; {MEND}") from error


class BatchSampler:
    """An endless shuffled order of items, cut into batches, of which any part can be had at any time.

    The order is a new permutation of all items for each epoch, one after the other; a batch may reach into the next.
    """

    def __init__(self, num_items: int, batch_size: int, seed: int) -> None:
        """Set up; nothing is drawn yet.

        Raises:
            ConfigError: a number is not positive, or the seed is negative.
        """
        if num_items < 1 or batch_size < 1 or seed < 0:
            raise ConfigError(
                f"num_items is {num_items}, batch_size {batch_size} and seed {seed}, expected 1 or more, 1 or more and "
                "0 or more; correct them"
            )
        self.num_items = num_items
        self.batch_size = batch_size
        self.seed = seed
        self._epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)

    def indices(self, step: int) -> Int64[np.ndarray, " batch"]:
        """Return the items of batch number `step` (0, 1, ...)."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, offsets = np.divmod(places, self.num_items)
        parts = [self._epoch(int(epoch))[offsets[epochs == epoch]] for epoch in np.unique(epochs)]
        return np.concatenate(parts)

    def mirror_flags(self, step: int) -> Bool[np.ndarray, " batch"]:
        """Return which items of batch number `step` are to be shown mirrored: each with probability 1/2."""
        return self._random(_MIRROR_STREAM, step).random(self.batch_size) < 0.5

    def _draw_epoch(self, epoch: int) -> Int64[np.ndarray, " n"]:
        return self._random(0, epoch).permutation(self.num_items).astype(np.int64)

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, stream, number]))
