"""Turn a folder or zip of pictures into a prepared dataset: square, one size, split, checked, reproducible.

Every picture is cropped to its centered square and resized. What cannot be used is listed with its reason instead of
stopping the work, unless it is too large a share. The result depends on the pictures and the settings alone: neither
the number of workers, nor the time, nor the order in which a file system lists files changes a byte.

It does not look for faces or align them: pass pictures in which they are where they should be.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import heapq
import os
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ui2i import __version__
from ui2i.config import IngestConfig
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.manifest import (
    MANIFEST_NAME,
    REJECT_SCHEMA,
    REJECTS_NAME,
    ROW_GROUP_SIZE,
    SAMPLES_NAME,
    SCHEMA_VERSION,
    SHARD_SCHEMA,
    SHARD_SIZE,
    Manifest,
    Shard,
    dataset_hash,
)
from ui2i.errors import DataError
from ui2i.files import atomic_folder, sha256_bytes, sha256_file, sha256_listing
from ui2i.images import (
    SUFFIXES,
    Box,
    PictureError,
    center_square,
    encode_png,
    fit_square,
    load_image,
    save_png,
)
from ui2i.progress import Progress, no_progress

MAX_FILE_BYTES = 1 << 28  # 256 MiB: larger files are refused before they are read

_NUM_SAMPLES = 64  # pictures on samples.png
_SAMPLE_COLUMNS = 8
_TASKS_PER_WORKER = 8  # pictures in flight; bounds the memory


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A file that may be a picture, not read yet."""

    path: str  # relative to the source, with forward slashes
    num_bytes: int
    read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A picture, cropped and resized."""

    path: str
    num_bytes: int
    sha256: str
    width: int
    height: int
    crop: Box
    png: bytes


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A file that was left out.

    Its reason: "unreadable", "damaged" or "decompression_bomb" as `load_image` found it; "duplicate" (the same bytes
    came before); "too_small" (a side below half the resolution); "too_large" (a file above `MAX_FILE_BYTES`); or
    "unsafe_name" (a zip member that would leave its folder).
    """

    path: str
    num_bytes: int
    sha256: str | None  # None: it was not read
    reason: str


def ingest(
    source: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    config: IngestConfig,
    *,
    name: str,
    progress: Progress = no_progress,
    num_workers: int | None = None,
) -> Manifest:
    """Write the prepared dataset of a folder (with its subfolders) or of a zip file, which is never unpacked to disk.

    Files count as pictures by their suffix; hidden ones are passed over. The folder is complete or absent: it replaces
    an earlier prepared dataset at once, at the end.

    Args:
        out_dir: a new folder, an empty one, or an earlier prepared dataset.
        config: `max_images` ends the work after that many accepted pictures in the order of their paths.
        name: the dataset's name in its manifest.
        num_workers: threads; None: one per processor, at most 8. Has no influence on the result.

    Raises:
        DataError: the source is missing, no folder and no zip, or without usable pictures; too large a share of its
            pictures was rejected; or `out_dir` holds something else or overlaps the source.
    """
    source_path, out_path = Path(source), Path(out_dir)
    _check_destination(source_path, out_path)
    archive, candidates = _list_candidates(source_path)
    try:
        with atomic_folder(out_path) as folder:
            writer = _DatasetWriter(folder, config)
            with contextlib.closing(_examine_all(candidates, config.img_resolution, num_workers)) as outcomes:
                for outcome in outcomes:
                    writer.add(outcome)
                    progress(len(writer.listing), len(candidates), outcome.path)
                    if writer.num_images == config.max_images:
                        break
            return writer.finish(name, source_path)
    finally:
        if archive is not None:
            archive.close()


def split_of(sha256: str, test_share: float) -> Literal["train", "test"]:
    """Return a picture's split, from its own hash alone: adding pictures never moves another one."""
    return "test" if int(sha256[:16], 16) < test_share * 2.0**64 else "train"


def _check_destination(source: Path, out_dir: Path) -> None:
    inner, outer = source.resolve(), out_dir.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DataError(
            f"the source {source} and the output folder {out_dir} overlap, expected two separate places; "
            "choose another output folder"
        )
    if not out_dir.exists():
        return
    if not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / MANIFEST_NAME).is_file()):
        raise DataError(
            f"{out_dir} exists and is no prepared dataset, expected a folder that may be replaced; "
            "move it away or choose another"
        )


def _list_candidates(source: Path) -> tuple[zipfile.ZipFile | None, list[Candidate]]:
    """Return the picture files of a folder or zip in the order of their paths, and the open zip."""
    archive = None
    if source.is_dir():
        candidates = list(_folder_candidates(source))
    elif source.is_file():
        archive = _open_zip(source)
        candidates = list(_zip_candidates(archive))
    else:
        raise DataError(f"{source} does not exist, expected a folder or .zip of pictures; check the path")
    if not candidates:
        if archive is not None:
            archive.close()
        raise DataError(f"{source} contains no pictures, expected files ending in {', '.join(SUFFIXES)}; add some")
    # Stable: of two zip members with one name the earlier stays first.
    return archive, sorted(candidates, key=lambda candidate: candidate.path)


def _open_zip(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise DataError(
            f"{source} cannot be opened as a zip ({error}), expected a folder or .zip of pictures; fetch it again"
        ) from error


def _folder_candidates(source: Path) -> Iterator[Candidate]:
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            relative = _printable(path.relative_to(source).as_posix())
            if _looks_like_picture(relative):
                num_bytes = path.stat().st_size if path.is_file() else 0
                yield Candidate(relative, num_bytes, functools.partial(_read_regular, path))


def _read_regular(path: Path) -> bytes:
    if not path.is_file():  # a dangling link, or a pipe on which one would wait for ever
        raise OSError(f"{path} is no regular file")
    return path.read_bytes()


def _zip_candidates(archive: zipfile.ZipFile) -> Iterator[Candidate]:
    lock = threading.Lock()  # ZipFile does not promise to serve several threads

    def read(member: zipfile.ZipInfo) -> bytes:
        with lock:
            return archive.read(member)

    for member in archive.infolist():
        path = _printable(member.filename)
        if not member.is_dir() and _looks_like_picture(path):
            # Reading by the member, not by its name: names need not be unique.
            yield Candidate(path, member.file_size, functools.partial(read, member))


def _looks_like_picture(path: str) -> bool:
    parts = PurePosixPath(path).parts
    hidden = (parts[-1].startswith(".") and not parts[-1].startswith("..")) or "__MACOSX" in parts
    return not hidden and path.lower().endswith(SUFFIXES)


def _printable(path: str) -> str:
    """Escape what is not valid UTF-8 in a file name."""
    return path.encode("utf-8", "backslashreplace").decode()


def _is_unsafe(path: str) -> bool:
    """Whether a name would leave its folder if it were unpacked, on any system."""
    windows = PureWindowsPath(path)
    return bool(windows.drive or windows.root) or ".." in windows.parts


def _examine_all(
    candidates: Sequence[Candidate], resolution: int, num_workers: int | None
) -> Generator[Accepted | Rejected, None, None]:
    """Examine every file, in order, a bounded number of them ahead of the reader.

    Threads suffice: Pillow and zlib release the interpreter lock while they decode, resize and compress.
    """
    num_workers = num_workers or min(8, os.cpu_count() or 1)
    waiting: collections.deque[concurrent.futures.Future[Accepted | Rejected]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(num_workers) as pool:
        try:
            for candidate in candidates:
                waiting.append(pool.submit(_examine, candidate, resolution))
                if len(waiting) >= num_workers * _TASKS_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _examine(candidate: Candidate, resolution: int) -> Accepted | Rejected:
    """Read, check, crop and resize one file."""
    sha256 = None
    try:
        data = _read(candidate)
        sha256 = sha256_bytes(data)
        image = load_image(data, name=candidate.path)
        if min(image.size) < resolution // 2:
            raise PictureError(f"{candidate.path} has {image.width} x {image.height} pixels", "too_small")
    except PictureError as error:
        return Rejected(candidate.path, candidate.num_bytes, sha256, error.fault)
    return Accepted(
        path=candidate.path,
        num_bytes=candidate.num_bytes,
        sha256=sha256,
        width=image.width,
        height=image.height,
        crop=center_square(*image.size),
        png=encode_png(fit_square(image, resolution)),
    )


def _read(candidate: Candidate) -> bytes:
    """Return a file's bytes, or raise the PictureError that rejects it."""
    path = candidate.path
    if _is_unsafe(path):
        raise PictureError(f"{path} leads out of its folder", "unsafe_name")
    if candidate.num_bytes > MAX_FILE_BYTES:
        raise PictureError(f"{path} has {candidate.num_bytes} bytes", "too_large")
    try:
        return candidate.read()
    except (OSError, RuntimeError) as error:  # links and rights; encryption and unknown methods of zips
        raise PictureError(f"{path} cannot be read ({error})", "unreadable") from error
    except Exception as error:  # a damaged zip member: BadZipFile, zlib.error, LZMAError and others share no base
        raise PictureError(f"{path} is damaged ({error})", "damaged") from error


class _DatasetWriter:
    """Collects outcomes in order and writes shards as they fill."""

    def __init__(self, folder: Path, config: IngestConfig) -> None:
        self.folder = folder
        self.config = config
        self.num_images = 0
        self.num_test = 0
        self.listing: list[tuple[str, str]] = []  # path and content of every file that was looked at
        self._pending: list[Accepted] = []
        self._rejected: list[Rejected] = []
        self._seen: set[str] = set()
        self._samples: list[Accepted] = []
        self._shards: list[Shard] = []

    def add(self, outcome: Accepted | Rejected) -> None:
        """Take the next file's outcome; a picture seen before is rejected here."""
        self.listing.append((outcome.path, outcome.sha256 or ""))
        if isinstance(outcome, Accepted) and outcome.sha256 in self._seen:
            outcome = Rejected(outcome.path, outcome.num_bytes, outcome.sha256, "duplicate")
        if isinstance(outcome, Rejected):
            self._rejected.append(outcome)
            return
        self._seen.add(outcome.sha256)
        self._pending.append(outcome)
        self.num_images += 1
        self.num_test += split_of(outcome.sha256, self.config.test_share) == "test"
        if len(self._pending) == SHARD_SIZE:
            self._write_shard()

    def finish(self, name: str, source: Path) -> Manifest:
        """Write what is left; return the manifest.

        Raises:
            DataError: too many pictures were rejected, or all of them.
        """
        reasons = dict(sorted(collections.Counter(reject.reason for reject in self._rejected).items()))
        self._check_share(source, reasons)
        if self._pending:
            self._write_shard()
        self._write_rejects()
        manifest = Manifest(
            name=name,
            img_resolution=self.config.img_resolution,
            num_images=self.num_images,
            num_train=self.num_images - self.num_test,
            num_test=self.num_test,
            num_rejected=len(self._rejected),
            rejected_by_reason=reasons,
            source_sha256=sha256_listing(iter(self.listing)),
            dataset_sha256=dataset_hash(self._shards),
            shards=tuple(self._shards),
            schema_version=SCHEMA_VERSION,
            library_version=__version__,
        )
        self._write_samples(manifest)
        manifest.write(self.folder)
        return manifest

    def _check_share(self, source: Path, reasons: dict[str, int]) -> None:
        share = len(self._rejected) / len(self.listing)
        if self.num_images and share <= self.config.max_reject_share:
            return
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        raise DataError(
            f"{len(self._rejected)} of {len(self.listing)} pictures in {source} cannot be used ({counts}), expected at "
            f"most a share of {self.config.max_reject_share:g}; mend or remove them, or raise max_reject_share"
        )

    def _write_shard(self) -> None:
        first_id = self.num_images - len(self._pending)
        rows = [
            {
                "id": first_id + index,
                "source_path": picture.path,
                "sha256": picture.sha256,
                "width": picture.width,
                "height": picture.height,
                "crop": picture.crop,
                "split": split_of(picture.sha256, self.config.test_share),
                "png": picture.png,
            }
            for index, picture in enumerate(self._pending)
        ]
        path = self.folder / f"images-{len(self._shards):05d}.parquet"
        # PNG is compressed already, and dictionaries of distinct bytes only cost.
        pq.write_table(
            pa.Table.from_pylist(rows, schema=SHARD_SCHEMA),
            path,
            row_group_size=ROW_GROUP_SIZE,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
        self._shards.append(Shard(name=path.name, num_images=len(rows), sha256=sha256_file(path)))
        # The pictures with the smallest hashes: a random choice, always the same.
        self._samples = heapq.nsmallest(_NUM_SAMPLES, self._samples + self._pending, key=lambda picture: picture.sha256)
        self._pending = []

    def _write_rejects(self) -> None:
        rows = [
            {"path": reject.path, "reason": reject.reason, "size_bytes": reject.num_bytes, "sha256": reject.sha256}
            for reject in self._rejected
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=REJECT_SCHEMA), self.folder / REJECTS_NAME)

    def _write_samples(self, manifest: Manifest) -> None:
        images = np.stack([np.asarray(load_image(picture.png)) for picture in self._samples])
        rows = [Row("", images[start : start + _SAMPLE_COLUMNS]) for start in range(0, len(images), _SAMPLE_COLUMNS)]
        title = (
            f"{manifest.name}: {manifest.num_images} pictures of {manifest.img_resolution} px "
            f"({manifest.num_train} train, {manifest.num_test} test), {manifest.num_rejected} rejected"
        )
        upscale = max(1, 128 // manifest.img_resolution)
        save_png(self.folder / SAMPLES_NAME, contact_sheet(rows, upscale=upscale, title=title))
