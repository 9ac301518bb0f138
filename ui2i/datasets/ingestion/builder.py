"""Gather what became of the files, in order, into the folder of a dataset.

Here are the decisions that take more than one file: what is a duplicate of what, and which images come onto
the sheets. They depend on the order of the files, which is fixed, and on nothing else.
"""

import bisect
import collections
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from ui2i import __version__
from ui2i.datasets.ingestion import sheets
from ui2i.datasets.ingestion.duplicates import NearDuplicates, hash_bytes
from ui2i.datasets.ingestion.examine import Examined, PreparedImage
from ui2i.datasets.ingestion.rejects import RejectLog
from ui2i.datasets.ingestion.shards import ShardWriter, read_pngs
from ui2i.datasets.ingestion.splits import split_of
from ui2i.datasets.ingestion.statistics import Statistics
from ui2i.datasets.ingestion.table_writer import TableWriter
from ui2i.datasets.manifest import (
    DETAIL_SCHEMA,
    DETAILS_NAME,
    REJECTS_NAME,
    REJECTS_SHEET_NAME,
    SAMPLES_NAME,
    SCHEMA_VERSION,
    Manifest,
    dataset_hash,
)
from ui2i.files import sha256_bytes, sha256_file
from ui2i.images import save_png
from ui2i.settings import IngestConfig, to_mapping

_T = TypeVar("_T", bound=tuple[Any, ...])


class _RejectSample(NamedTuple):
    """A rejected file that may come onto the sheet of rejects; those with the smallest hashes do."""

    sha256: str
    file_number: int
    original: int | None  # id of the image that was kept instead


class DatasetBuilder:
    """Writes the files of a dataset as images come in."""

    def __init__(self, folder: Path, config: IngestConfig, shard_size: int) -> None:
        self.num_files = 0
        self.num_images = 0
        self._num_test = 0
        self._folder = folder
        self._config = config
        self._listing = hashlib.sha256()  # of paths and contents, as `ui2i.files.sha256_listing` makes it
        self._shards = ShardWriter(folder, shard_size)
        self._details = TableWriter(folder / DETAILS_NAME, DETAIL_SCHEMA, compression="zstd")
        self._rejects = RejectLog(folder)
        self._statistics = Statistics(config.img_resolution)
        self._first_ids: dict[bytes, int] = {}  # SHA-256 of each file that was kept -> id of its first image
        self._paths: list[str] = []  # of the file of each image
        bits = config.near_duplicate_bits
        self._near = None if bits is None else NearDuplicates(bits)
        self._samples: list[tuple[str, int, bytes]] = []
        self._reject_samples: dict[str, list[_RejectSample]] = collections.defaultdict(list)

    def add(self, file: Examined, examine: Callable[[], Examined]) -> None:
        """Take the next file.

        Args:
            examine: examines it again; called where `file` comes from an earlier dataset that had no use for an image
                which is wanted now.
        """
        self._listing.update(f"{file.path}\0{file.sha256 or ''}\0".encode("utf-8", "surrogateescape"))
        self.num_files += 1
        digest = bytes.fromhex(file.sha256 or "")
        original = self._first_ids.get(digest)
        if file.reason is None and original is not None:
            detail = f"{file.path} has the same bytes as {self._paths[original]}"
            self._reject(file, "duplicate", detail, original)
            return
        if file.reason is None and not file.images:
            file = examine()
        if file.reason is not None:
            self._reject(file, file.reason, file.detail)
            return
        first_id = self.num_images
        for part, image in enumerate(file.images):
            self._add_image(file, part, image, examine)
        if self.num_images > first_id:
            self._first_ids[digest] = first_id

    def finish(
        self,
        *,
        name: str,
        where: str,
        passed_over: Mapping[str, int],
        processing: Mapping[str, Any],
        read: Callable[[int], bytes | None],
    ) -> Manifest:
        """Complete the folder and return its manifest.

        Args:
            where: what to call the source in errors.
            read: returns the bytes of a file by its number (0: the first that was added), None if it has none.

        Raises:
            DataError: too many images were rejected, or all of them.
        """
        self._rejects.check_share(self.num_images, self._config.max_reject_share, where)
        for part in (self._shards, self._details, self._rejects):
            part.close()
        manifest = Manifest(
            name=name,
            img_resolution=self._config.img_resolution,
            num_images=self.num_images,
            num_train=self.num_images - self._num_test,
            num_test=self._num_test,
            num_rejected=self._rejects.count,
            rejected_by_reason=self._rejects.by_reason,
            source_sha256=self._listing.hexdigest(),
            dataset_sha256=dataset_hash(self._shards.shards),
            shards=tuple(self._shards.shards),
            schema_version=SCHEMA_VERSION,
            library_version=__version__,
            passed_over=dict(sorted(passed_over.items())),
            statistics=self._statistics.summary(),
            settings=recorded_settings(self._config),
            processing=dict(processing),
            tables_sha256={name: sha256_file(self._folder / name) for name in (DETAILS_NAME, REJECTS_NAME)},
        )
        self._draw_sheets(manifest, read)
        manifest.write(self._folder)
        return manifest

    def abandon(self) -> None:
        """Close what is open, without completing it."""
        for part in (self._shards, self._details, self._rejects):
            with contextlib.suppress(OSError, pa.ArrowException):
                part.close()

    def _add_image(self, file: Examined, part: int, image: PreparedImage, examine: Callable[[], Examined]) -> None:
        original = self._near.find(image.phash, image.thumbnail) if self._near else None
        if original is not None:
            self._rejects.add_image(file, part, image, duplicate_of=self._paths[original])
            self._note_reject(file, "near_duplicate", original)
            return
        if image.png is None:
            image = examine().images[part]
        self._accept(file, part, image)

    def _accept(self, file: Examined, part: int, image: PreparedImage) -> None:
        assert file.sha256 is not None  # an image came of its bytes
        assert image.png is not None
        split = split_of(file.sha256, self._config.test_share)
        corners = None if image.corners is None else [value for point in image.corners for value in point]
        self._shards.add(
            {
                "id": self.num_images,
                "source_path": file.path,
                "sha256": file.sha256,
                "width": file.width,
                "height": file.height,
                "crop": image.crop,
                "split": split,
                "png": image.png,
            }
        )
        self._details.add(
            {
                "id": self.num_images,
                "part": part,
                "size_bytes": file.num_bytes,
                "file_format": file.file_format,
                "mode": file.mode,
                "phash": hash_bytes(image.phash),
                "thumbnail": image.thumbnail,
                "level_sums": image.level_sums,
                "level_squares": image.level_squares,
                "corners": corners,
            }
        )
        self._statistics.add(file, image)
        if self._near:
            self._near.add(image.phash, image.thumbnail)
        _keep_smallest(self._samples, (file.sha256, self.num_images, image.png), sheets.NUM_SAMPLES)
        self._paths.append(file.path)
        self.num_images += 1
        self._num_test += split == "test"

    def _reject(self, file: Examined, reason: str, detail: str, original: int | None = None) -> None:
        self._rejects.add(file, reason, detail, duplicate_of=None if original is None else self._paths[original])
        self._note_reject(file, reason, original)

    def _note_reject(self, file: Examined, reason: str, original: int | None) -> None:
        sample = _RejectSample(file.sha256 or sha256_bytes(file.path.encode()), self.num_files - 1, original)
        _keep_smallest(self._reject_samples[reason], sample, sheets.NUM_REJECTS)

    def _draw_sheets(self, manifest: Manifest, read: Callable[[int], bytes | None]) -> None:
        title = (
            f"{manifest.name}: {manifest.num_images} images of {manifest.img_resolution} px "
            f"({manifest.num_train} train, {manifest.num_test} test), {manifest.num_rejected} rejected"
        )
        pngs = [png for _, _, png in self._samples]
        save_png(self._folder / SAMPLES_NAME, sheets.samples_sheet(pngs, title, manifest.img_resolution))
        if not self._reject_samples:
            return
        # In the order of files, in which a source is read fastest.
        numbers = sorted({sample.file_number for samples in self._reject_samples.values() for sample in samples})
        data = {number: read(number) for number in numbers}
        files = {
            reason: [data[sample.file_number] for sample in samples] for reason, samples in self._reject_samples.items()
        }
        ids = [sample.original for sample in self._reject_samples["near_duplicate"] if sample.original is not None]
        originals = {"near_duplicate": read_pngs(self._folder, manifest, ids)} if ids else {}
        sheet = sheets.rejects_sheet(files, originals, manifest.rejected_by_reason, f"{manifest.name}: rejects")
        save_png(self._folder / REJECTS_SHEET_NAME, sheet)


def recorded_settings(config: IngestConfig) -> dict[str, Any]:
    """Return the settings as a manifest holds them: without the place of the landmarks, whose hash it has."""
    return {key: value for key, value in to_mapping(config).items() if key != "face_landmarks"}


def _keep_smallest(items: list[_T], item: _T, count: int) -> None:
    """Insert an item into a sorted list of which only the smallest `count` are kept: of hashes, a random choice."""
    bisect.insort(items, item)
    del items[count:]
