"""The images of a prepared dataset on disk: written one after the other, read back in order."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ui2i.datasets.ingestion.table_writer import TableWriter
from ui2i.datasets.manifest import MEND, ROW_GROUP_SIZE, SHARD_OPTIONS, SHARD_SCHEMA, Manifest, Shard, check_shard
from ui2i.errors import DataError
from ui2i.files import sha256_file


class ShardWriter:
    """Fills shards of `shard_size` images."""

    def __init__(self, folder: Path, shard_size: int) -> None:
        self._folder = folder
        self._shard_size = shard_size
        self._writer: TableWriter | None = None
        self._num_pending = 0
        self.shards: list[Shard] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Append an image, a row of `SHARD_SCHEMA`."""
        if self._writer is None:
            self._writer = TableWriter(self._path, SHARD_SCHEMA, row_group_size=ROW_GROUP_SIZE, **SHARD_OPTIONS)
        self._writer.add(row)
        self._num_pending += 1
        if self._num_pending == self._shard_size:
            self.close()

    def close(self) -> None:
        """Complete the last shard."""
        if self._writer is None:
            return
        self._writer.close()
        self.shards.append(Shard(name=self._path.name, num_images=self._num_pending, sha256=sha256_file(self._path)))
        self._writer, self._num_pending = None, 0

    @property
    def _path(self) -> Path:
        return self._folder / f"images-{len(self.shards):05d}.parquet"


def read_pngs(folder: Path, manifest: Manifest, ids: Sequence[int]) -> list[bytes]:
    """Return some images of a dataset by their ids, as PNG files."""
    pngs: dict[int, bytes] = {}
    first = 0
    for shard in manifest.shards:
        wanted = sorted({number - first for number in ids if first <= number < first + shard.num_images})
        if wanted:
            with pq.ParquetFile(folder / shard.name) as file:
                for group in sorted({number // ROW_GROUP_SIZE for number in wanted}):
                    rows = file.read_row_group(group, columns=["id", "png"]).to_pylist()
                    pngs |= {row["id"]: row["png"] for row in rows if row["id"] - first in wanted}
        first += shard.num_images
    return [pngs[number] for number in ids]


def read_rows(folder: Path, manifest: Manifest, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield every image of a dataset, in the order of ids, a few in memory at a time.

    Raises:
        DataError: a shard is missing, or is not what the manifest says byte for byte.
    """
    for shard in manifest.shards:
        path = check_shard(folder, shard)  # Parquet itself would pass on an image with a flipped bit
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield from file.read_row_group(group, columns=list(columns)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read ({error}), expected {shard.num_images} images; {MEND}") from error
