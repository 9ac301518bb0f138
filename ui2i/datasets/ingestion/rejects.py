"""The list of images that were left out. Nothing is dropped without a row in it."""

import collections
from pathlib import Path
from typing import Any

from ui2i.datasets.ingestion.duplicates import hash_bytes
from ui2i.datasets.ingestion.examine import Examined, PreparedImage
from ui2i.datasets.ingestion.table_writer import TableWriter
from ui2i.datasets.manifest import INGEST_REJECT_SCHEMA, REJECTS_NAME
from ui2i.errors import DataError
from ui2i.images.left_out import REASONS


class RejectLog:
    """Writes `rejects.parquet` and counts."""

    def __init__(self, folder: Path) -> None:
        self._writer = TableWriter(folder / REJECTS_NAME, INGEST_REJECT_SCHEMA, compression="zstd")
        self._counts: collections.Counter[str] = collections.Counter()

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    @property
    def by_reason(self) -> dict[str, int]:
        """How many there are for each reason, by name."""
        return dict(sorted(self._counts.items()))

    def add(self, file: Examined, reason: str, detail: str, *, duplicate_of: str | None = None) -> None:
        """Note a whole file."""
        self._add(file, reason, detail, duplicate_of, part=0)

    def add_image(self, file: Examined, part: int, image: PreparedImage, *, duplicate_of: str) -> None:
        """Note one of a file's images as a near duplicate."""
        detail = f"{file.path} looks like {duplicate_of}"
        self._add(file, "near_duplicate", detail, duplicate_of, part=part, image=image)

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()

    def check_share(self, num_images: int, max_share: float, where: str) -> None:
        """Raise DataError if too large a share was rejected, or everything."""
        total = self.count + num_images
        if num_images and self.count <= max_share * total:
            return
        counts = ", ".join(f"{count} {reason}" for reason, count in self.by_reason.items())
        raise DataError(
            f"{self.count} of {total} images in {where} cannot be used ({counts}), expected at most a share of "
            f"{max_share:g}; mend or remove them, or raise max_reject_share"
        )

    def _add(
        self,
        file: Examined,
        reason: str,
        detail: str,
        duplicate_of: str | None,
        *,
        part: int,
        image: PreparedImage | None = None,
    ) -> None:
        assert reason in REASONS, reason
        self._counts[reason] += 1
        row: dict[str, Any] = {
            "path": file.path,
            "reason": reason,
            "size_bytes": file.num_bytes,
            "sha256": file.sha256,
            "width": file.width or None,
            "height": file.height or None,
            "duplicate_of": duplicate_of,
            "part": part,
            "phash": None if image is None else hash_bytes(image.phash),
            "thumbnail": None if image is None else image.thumbnail,
            "file_format": file.file_format,
            "mode": file.mode,
            "detail": detail,
        }
        self._writer.add(row)
