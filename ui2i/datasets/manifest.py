"""What a prepared dataset folder contains: its manifest, its shards' columns, and how both are read and written.

    manifest.json         name, resolution, counts, statistics, settings, and the SHA-256 of everything that matters
    images-00000.parquet  about `SHARD_SIZE` images each, `SHARD_SCHEMA`
    details.parquet       what else is known of each image, `DETAIL_SCHEMA`
    rejects.parquet       the images that were left out and why, `INGEST_REJECT_SCHEMA`
    samples.png           a sheet of images to look at
    rejects.png           a sheet of rejects by reason, if there are any

Datasets of schema version 1, which have no details and no statistics, and of version 2, which have no thumbnails, are
read as well.

There is no time and no path of a machine in any of them, so equal images give equal bytes.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ui2i.columns import described, required
from ui2i.datasets.ingestion.duplicates import THUMBNAIL_BYTES
from ui2i.errors import DataError, UI2IError
from ui2i.files import sha256_bytes, sha256_file, write_text
from ui2i.settings import dataclass, from_mapping
from ui2i.settings.bounds import Count, CountOrNone, Share

SCHEMA_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)
SHARD_SIZE = 2000  # images per file
ROW_GROUP_SIZE = 16  # images read at once when only a few are wanted
MANIFEST_NAME = "manifest.json"
DETAILS_NAME = "details.parquet"
REJECTS_NAME = "rejects.parquet"
SAMPLES_NAME = "samples.png"
REJECTS_SHEET_NAME = "rejects.png"

SHARD_SCHEMA = pa.schema(
    [
        required("id", pa.int64()),  # 0, 1, ... in the order of source paths, through all shards
        required("source_path", pa.string()),  # relative to the source, with forward slashes
        required("sha256", pa.string()),  # of the source file's bytes
        required("width", pa.int32()),  # of the upright source image
        required("height", pa.int32()),
        required("crop", pa.list_(pa.int32(), 4)),  # left, top, right, bottom in the upright source
        required("split", pa.string()),  # train or test
        required("png", pa.binary()),  # RGB, img_resolution squared
    ]
)
DETAIL_SCHEMA = pa.schema(
    described(
        "details",
        [
            required("id", pa.int64()),
            required("part", pa.int32()),
            required("size_bytes", pa.int64()),
            required("file_format", pa.string()),
            required("mode", pa.string()),
            required("phash", pa.binary(32)),
            required("thumbnail", pa.binary(THUMBNAIL_BYTES)),
            required("level_sums", pa.list_(pa.int64(), 3)),
            required("level_squares", pa.list_(pa.int64(), 3)),
            pa.field("corners", pa.list_(pa.float64(), 8)),
        ],
    )
)
REJECT_SCHEMA = pa.schema(
    described(
        "rejects",
        [
            required("path", pa.string()),
            required("reason", pa.string()),
            required("size_bytes", pa.int64()),
            pa.field("sha256", pa.string()),
        ],
    )
)
INGEST_REJECT_SCHEMA = pa.schema(
    described(
        "rejects",
        [
            *REJECT_SCHEMA,
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("duplicate_of", pa.string()),
            required("part", pa.int32()),
            pa.field("phash", pa.binary(32)),
            pa.field("thumbnail", pa.binary(THUMBNAIL_BYTES)),
            required("file_format", pa.string()),
            required("mode", pa.string()),
            required("detail", pa.string()),
        ],
    )
)
SHARD_OPTIONS = {"compression": "none", "use_dictionary": False, "write_statistics": False}
"""How shards are written: PNGs as they are, one after the other, so that `PngStore` finds each of them. They are
compressed already, and dictionaries and statistics of distinct bytes only cost."""

MEND = "fetch the dataset or ingest it again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One Parquet file of images."""

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
    passed_over: dict[str, int] = dataclasses.field(default_factory=dict)  # files by suffix that are no images
    statistics: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # `IngestConfig`
    processing: dict[str, Any] = dataclasses.field(default_factory=dict)  # versions of what decodes and encodes
    tables_sha256: dict[str, str] = dataclasses.field(default_factory=dict)  # of the other Parquet files

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        write_text(folder / MANIFEST_NAME, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


def written_names(folder: Path) -> set[str]:
    """Return what the files of a prepared dataset in a folder are called, whatever its manifest says."""
    shards = (path.name for path in folder.glob(f"images-{'[0-9]' * 5}.parquet"))
    return {MANIFEST_NAME, DETAILS_NAME, REJECTS_NAME, SAMPLES_NAME, REJECTS_SHEET_NAME, *shards}


def dataset_hash(shards: Sequence[Shard]) -> str:
    """Return the SHA-256 over the shards' hashes, one a line."""
    return sha256_bytes("".join(f"{shard.sha256}\n" for shard in shards).encode())


def check_shard(folder: Path, shard: Shard) -> Path:
    """Return a shard's file, whose bytes are those of the manifest; a gigabyte takes a second or so.

    Raises:
        DataError: it is missing, or a byte of it has changed.
    """
    path = existing_shard(folder, shard)
    if sha256_file(path) != shard.sha256:
        raise DataError(f"{path} has changed, expected the SHA-256 {shard.sha256[:12]}... of its manifest; {MEND}")
    return path


def existing_shard(folder: Path, shard: Shard) -> Path:
    """Return a shard's file.

    Raises:
        DataError: it is missing.
    """
    path = folder / shard.name
    if not path.is_file():
        raise DataError(f"{path} is missing, expected the {shard.num_images} images its manifest lists; {MEND}")
    return path


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
    if version not in READABLE_VERSIONS:
        expected = " or ".join(map(str, READABLE_VERSIONS))
        raise DataError(f"{path} has schema version {version!r}, expected {expected}; ingest the dataset again")
    try:
        shards = tuple(Shard(**shard) for shard in values.pop("shards"))
        manifest = Manifest(shards=shards, **values)
        numbers = {name: getattr(manifest, name) for name in _NUMBERS}
        share = manifest.statistics.get("facing_share")
        from_mapping(_Checked, {**numbers, "facing_share": share}, section="manifest")
        for name in _MAPPINGS:
            getattr(manifest, name).keys()
        num_images = sum(shard.num_images for shard in shards)
        own_hash = dataset_hash(shards)
    except (UI2IError, TypeError, KeyError, AttributeError) as error:
        raise _corrupt(path, str(error)) from error
    if manifest.dataset_sha256 != own_hash or manifest.num_images != num_images:
        raise _corrupt(path, "its totals do not match its list of shards")
    return manifest


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """The numbers of a manifest, within their bounds; its file may be anybody's."""

    img_resolution: Count
    num_images: CountOrNone
    num_train: CountOrNone
    num_test: CountOrNone
    num_rejected: CountOrNone
    facing_share: Share | None


_NUMBERS = tuple(field.name for field in dataclasses.fields(_Checked) if field.name != "facing_share")
_MAPPINGS = ("rejected_by_reason", "passed_over", "statistics", "settings", "processing", "tables_sha256")


def _corrupt(path: Path, what: str) -> DataError:
    return DataError(f"{path} is corrupt ({what}), expected the file that ingest wrote; {MEND}")
