"""Where images lie in a shard, and when its files are closed."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loading_dataset import dataset as dataset
from loading_dataset import no_threads_left as no_threads_left
from loading_dataset import path as path
from loading_dataset import shared_path as shared_path

from ui2i.datasets.ingestion.shards import ShardWriter
from ui2i.datasets.png_store import PngStore
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import encode_png


def shard_with(path: Path, **options: Any) -> tuple[PngStore, list[np.ndarray]]:
    """A file of 30 images in row groups of 8, written with these options."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in range(30)]
    schema = pa.schema([pa.field("id", pa.int64(), False), pa.field("png", pa.binary(), False)])
    table = pa.table([range(30), [encode_png(picture) for picture in pictures]], schema=schema)
    defaults = {"compression": "none", "use_dictionary": False, "write_statistics": False, "row_group_size": 8}
    pq.write_table(table, path, **{**defaults, **options})
    return PngStore([(path, pq.read_metadata(path))]), pictures


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"write_batch_size": 1, "data_page_size": 1},  # a page for each image
        {"write_batch_size": 3, "data_page_size": 1, "write_page_checksum": True, "write_page_index": True},
        {"data_page_version": "2.0"},
    ],
)
def test_images_are_found_in_any_pages(tmp_path: Path, options: dict[str, Any]) -> None:
    store, pictures = shard_with(tmp_path / "shard.parquet", **options)
    for index in np.random.default_rng(1).permutation(30):
        image = np.empty((9, 9, 3), np.uint8)
        store.decode(int(index), image)
        assert np.array_equal(image, pictures[index])
        store.decode(int(index), image, mirrored=True)
        assert np.array_equal(image, pictures[index][:, ::-1])


@pytest.mark.parametrize(
    "options",
    [{"compression": "zstd"}, {"compression": "snappy"}, {"use_dictionary": True}, {"write_statistics": True}],
)
def test_other_ways_to_store_images_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"shard\.parquet stores its images in another way than ingest"):
        shard_with(tmp_path / "shard.parquet", **options)


@pytest.mark.parametrize("row", [2, 7])  # in the middle of a row group, and its last
def test_a_damaged_length(tmp_path: Path, row: int) -> None:
    path = tmp_path / "shard.parquet"
    shard_with(path)
    data = path.read_bytes()
    place = data.index(pq.read_table(path)["png"][row].as_py()) - 4
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(DataError, match=r"shard\.parquet .* or is damaged"):
        PngStore([(path, pq.read_metadata(path))])


def test_descriptors_are_closed(path: Path) -> None:
    def num_open() -> int:
        targets = [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
        return sum(target.startswith(f"{path.resolve()}/") for target in targets)

    assert num_open() == 0
    dataset = PreparedDataset(path)
    assert num_open() > 0
    del dataset
    assert num_open() == 0


def test_large_images_as_ingest_writes_them(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)  # 480 kB
    row = {"source_path": "", "sha256": "", "width": 400, "height": 400, "crop": [0, 0, 400, 400], "split": "train"}
    writer = ShardWriter(tmp_path, 20)
    for image_id in range(18):
        writer.add({**row, "id": image_id, "png": encode_png(picture if image_id == 17 else picture[:1])})
    writer.close()
    path = tmp_path / writer.shards[0].name
    image = np.empty_like(picture)
    PngStore([(path, pq.read_metadata(path))]).decode(17, image)
    assert np.array_equal(image, picture)
