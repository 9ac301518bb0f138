"""What a prepared dataset folder contains: its manifest, its shards' columns, and how both are read and written.

    manifest.json         name, resolution, counts, and the SHA-256 of everything that matters
    images-00000.parquet  about `SHARD_SIZE` pictures each, `SHARD_SCHEMA`
    rejects.parquet       the pictures that were left out and why, `REJECT_SCHEMA`
    samples.png           a sheet of pictures to look at

There is no time and no path of a machine in any of them, so equal pictures give equal bytes.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ui2i.errors import DataError
from ui2i.files import sha256_bytes, write_text

SCHEMA_VERSION = 1
SHARD_SIZE = 2000  # pictures per file
ROW_GROUP_SIZE = 16  # pictures read at once when only a few are wanted
MANIFEST_NAME = "manifest.json"
REJECTS_NAME = "rejects.parquet"
SAMPLES_NAME = "samples.png"

SHARD_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),  # 0, 1, ... in the order of source paths, through all shards
        pa.field("source_path", pa.string(), nullable=False),  # relative to the source, with forward slashes
        pa.field("sha256", pa.string(), nullable=False),  # of the source file's bytes
        pa.field("width", pa.int32(), nullable=False),  # of the upright source picture
        pa.field("height", pa.int32(), nullable=False),
        pa.field("crop", pa.list_(pa.int32(), 4), nullable=False),  # left, top, right, bottom in the upright source
        pa.field("split", pa.string(), nullable=False),  # train or test
        pa.field("png", pa.binary(), nullable=False),  # RGB, img_resolution squared
    ]
)
REJECT_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string()),  # null: the bytes were not read
    ]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One Parquet file of pictures."""

    name: str
    num_images: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The summary of a prepared dataset."""

    name: str
    img_resolution: int
    num_images: int
    num_train: int
    num_test: int
    num_rejected: int
    rejected_by_reason: dict[str, int]
    source_sha256: str  # of the names and contents that were read; the same for a folder and a zip of it
    dataset_sha256: str  # of the shards' hashes
    shards: tuple[Shard, ...]
    schema_version: int
    library_version: str

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        write_text(folder / MANIFEST_NAME, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


def dataset_hash(shards: Sequence[Shard]) -> str:
    """Return the SHA-256 over the shards' hashes, one a line."""
    return sha256_bytes("".join(f"{shard.sha256}\n" for shard in shards).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a prepared dataset.

    Raises:
        DataError: it is missing, unreadable, of another schema version, or contradicts itself.
    """
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} has no {MANIFEST_NAME}, expected a prepared dataset; make it with the ingest stage"
        ) from error
    except (OSError, ValueError) as error:
        raise _corrupt(path, str(error)) from error
    return _parse(values, path)


def _parse(values: Any, path: Path) -> Manifest:
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(f"{path} has schema version {version!r}, expected {SCHEMA_VERSION}; ingest the dataset again")
    try:
        shards = tuple(Shard(**shard) for shard in values.pop("shards"))
        manifest = Manifest(shards=shards, **values)
        num_images = sum(shard.num_images for shard in shards)
    except (TypeError, KeyError) as error:
        raise _corrupt(path, str(error)) from error
    if manifest.dataset_sha256 != dataset_hash(shards) or manifest.num_images != num_images:
        raise _corrupt(path, "its totals do not match its list of shards")
    return manifest


def _corrupt(path: Path, what: str) -> DataError:
    return DataError(
        f"{path} is corrupt ({what}), expected the file that ingest wrote; fetch the dataset or ingest it again"
    )
