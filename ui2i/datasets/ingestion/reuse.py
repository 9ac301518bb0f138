"""What an earlier dataset in the same folder already knows, so that only new images are examined.

It is taken up only if it was made with the same settings by the same versions of the decoders, and if no byte of it
has changed since; then a file of the same path and the same bytes would give the same result again. So a dataset that
grew in steps is equal, to the byte, to one that is made at once.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ui2i.datasets.ingestion.examine import FREE_SETTINGS, Examined, PreparedImage
from ui2i.datasets.manifest import DETAILS_NAME, REJECTS_NAME, SCHEMA_VERSION, Manifest, read_manifest
from ui2i.errors import DataError
from ui2i.files import sha256_file
from ui2i.images.decoding import NO_MEMORY

DECIDED_ANEW = ("duplicate", "near_duplicate")  # reasons that other images have a part in

_BLOCK_ROWS = 1000


class EarlierDataset:
    """A prepared dataset whose results may be taken over."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Open it and list what it knows."""
        self._shards = [pq.ParquetFile(folder / shard.name) for shard in manifest.shards]
        self._first_ids = np.cumsum([0] + [shard.num_images for shard in manifest.shards])
        self._details = pq.read_table(folder / DETAILS_NAME)
        index = pa.concat_tables(shard.read(["source_path", "sha256"]) for shard in self._shards)
        self._ids: dict[str, list[int]] = {}
        known: dict[str, str] = {}
        for image_id, (path, sha256) in enumerate(zip(*(column.to_pylist() for column in index.columns), strict=True)):
            self._ids.setdefault(path, []).append(image_id)
            known[path] = sha256
        self._rejects: dict[str, list[dict[str, Any]]] = {}
        for row in pq.read_table(folder / REJECTS_NAME).to_pylist():
            if row["sha256"] is not None and row["reason"] != NO_MEMORY:
                self._rejects.setdefault(row["path"], []).append(row)
                known[row["path"]] = row["sha256"]
        self.known: Mapping[str, str] = known
        """SHA-256 of each file that was examined, by path."""
        self._group = functools.lru_cache(maxsize=2)(self._read_group)
        self._detail_block = functools.lru_cache(maxsize=2)(self._read_details)

    def close(self) -> None:
        """Close its files."""
        for shard in self._shards:
            shard.close()

    def recall(self, path: str, num_bytes: int) -> Examined:
        """Return what became of a file of `known`.

        Images that were near duplicates come without their PNG, and a file that was a duplicate without images.
        """
        sha256 = self.known[path]
        kept = [(self._shard_row(number), self._detail_row(number)) for number in self._ids.get(path, ())]
        kept = [(row, detail) for row, detail in kept if row["sha256"] == sha256]
        rejects = [row for row in self._rejects.get(path, ()) if row["sha256"] == sha256]
        row, detail = kept[0] if kept else (rejects[0], rejects[0])
        file = Examined(
            path,
            num_bytes,
            sha256,
            file_format=detail["file_format"],
            mode=detail["mode"],
            width=row["width"] or 0,
            height=row["height"] or 0,
        )
        final = next((row for row in rejects if row["reason"] not in DECIDED_ANEW), None)
        if final is not None:
            return file._replace(reason=final["reason"], detail=final["detail"])
        images = {detail["part"]: _kept_image(row, detail) for row, detail in kept}
        images |= {row["part"]: _lost_image(row) for row in rejects if row["reason"] == "near_duplicate"}
        return file._replace(images=tuple(images[part] for part in sorted(images)))

    def _shard_row(self, image_id: int) -> dict[str, Any]:
        shard = int(np.searchsorted(self._first_ids, image_id, side="right")) - 1
        group_size = self._shards[shard].metadata.row_group(0).num_rows
        group, offset = divmod(image_id - int(self._first_ids[shard]), group_size)
        return self._group(shard, group)[offset]

    def _read_group(self, shard: int, group: int) -> Sequence[dict[str, Any]]:
        return self._shards[shard].read_row_group(group).to_pylist()

    def _detail_row(self, image_id: int) -> dict[str, Any]:
        block, offset = divmod(image_id, _BLOCK_ROWS)
        return self._detail_block(block)[offset]

    def _read_details(self, block: int) -> Sequence[dict[str, Any]]:
        return self._details.slice(block * _BLOCK_ROWS, _BLOCK_ROWS).to_pylist()


def open_earlier(folder: Path, settings: Mapping[str, Any], processing: Mapping[str, Any]) -> EarlierDataset | None:
    """Return the dataset in `folder` if its results hold for these settings and decoders."""
    with contextlib.suppress(DataError, OSError, pa.ArrowException, KeyError):
        manifest = read_manifest(folder)
        if (
            manifest.schema_version == SCHEMA_VERSION
            and manifest.processing == processing
            and _binding(manifest.settings) == _binding(settings)
            and _is_intact(folder, manifest)
        ):
            return EarlierDataset(folder, manifest)
    return None


def _binding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in FREE_SETTINGS}


def _is_intact(folder: Path, manifest: Manifest) -> bool:
    hashes = {shard.name: shard.sha256 for shard in manifest.shards} | manifest.tables_sha256
    return {DETAILS_NAME, REJECTS_NAME} <= hashes.keys() and all(
        sha256_file(folder / name) == sha256 for name, sha256 in hashes.items()
    )


def _kept_image(row: Mapping[str, Any], detail: Mapping[str, Any]) -> PreparedImage:
    flat = detail["corners"]
    left, top, right, bottom = row["crop"]
    return PreparedImage(
        crop=(left, top, right, bottom),
        corners=None if flat is None else tuple(zip(flat[::2], flat[1::2], strict=True)),
        phash=int.from_bytes(detail["phash"], "big"),
        thumbnail=detail["thumbnail"],
        level_sums=tuple(detail["level_sums"]),
        level_squares=tuple(detail["level_squares"]),
        png=row["png"],
    )


def _lost_image(row: Mapping[str, Any]) -> PreparedImage:
    return PreparedImage((0, 0, 0, 0), None, int.from_bytes(row["phash"], "big"), row["thumbnail"], (), (), None)
