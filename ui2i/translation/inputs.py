"""The images to translate: a folder, a list of files, or images in memory.

Folders are searched and files are read as ingestion does it, so that both take and leave out the same.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ui2i.errors import DataError
from ui2i.files import sha256_bytes
from ui2i.images import SUFFIXES, ImageError
from ui2i.images.folders import FileSource, folder_source
from ui2i.images.framing import CENTERED, Framer
from ui2i.images.left_out import LeftOut, no_images
from ui2i.images.members import Member
from ui2i.names import MAX_CHOSEN_BYTES, cut_name, printable, printable_path


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedImages:
    """Images in memory, of the size that the model takes."""

    names: Sequence[str]  # become `input_path` in the tables, and without suffix the names of the outputs
    images: UInt8[np.ndarray, "n r r 3"]
    sha256s: Sequence[str] | None = None  # of the source files; None: of each image's bytes as they are here


Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | NamedImages


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceImage:
    """One image that can be translated."""

    index: int  # in the listing, unreadable images counted
    path: str
    sha256: str
    image: UInt8[np.ndarray, "r r 3"]
    size: tuple[int, int] | None = None  # of the file, width and height in pixels; None: it came in memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reject:
    """One file that cannot."""

    path: str
    reason: str  # ImageError.fault
    size_bytes: int
    sha256: str | None  # None: the bytes could not be read


@dataclasses.dataclass(frozen=True)
class Listing:
    """How many entries there are, and the entries, each read when it is its turn."""

    count: int
    entries: Iterable[SourceImage | Reject]
    left_out: LeftOut = dataclasses.field(default_factory=LeftOut)  # what the search found that cannot be taken


def list_inputs(inputs: Inputs, resolution: int, framer: Framer = CENTERED) -> Listing:
    """Return the images in a fixed order; those from files become squares of `resolution` pixels.

    A folder is searched with its subfolders, for files with the suffix of an image; hidden ones are passed over. A
    linked or unreadable subfolder is an entry too, a reject.

    Raises:
        DataError: there is no such folder, there are no images in it, or images in memory have another shape.
    """
    if isinstance(inputs, NamedImages):
        _check_images(inputs, resolution)
        return Listing(len(inputs.images), _from_memory(inputs))
    if isinstance(inputs, (str, os.PathLike)):
        source = folder_source(Path(inputs))
        members, what = source.members, printable(os.fspath(inputs))
    else:
        source, what = FileSource(()), "the list"
        members = [Member(printable_path(Path(path).name), 0, path) for path in inputs]
    if all(member.fault for member in members):
        raise no_images(what, source.left_out)
    entries = (_read(index, source, member, resolution, framer) for index, member in enumerate(members))
    return Listing(len(members), entries, source.left_out)


def readable_batches(
    listing: Listing, size: int, reject: Callable[[Reject], None] | None = None
) -> Iterator[list[SourceImage]]:
    """Yield the readable images, `size` at a time, the last ones fewer.

    Args:
        reject: told of every other file; None: nobody is.

    Raises:
        DataError: no image was readable, once all have been tried.
    """
    batch: list[SourceImage] = []
    num_images, first = 0, None
    for entry in listing.entries:
        if isinstance(entry, Reject):
            first = first or entry
            if reject is not None:
                reject(entry)
            continue
        num_images += 1
        batch.append(entry)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
    if num_images == 0 and first is not None:
        raise DataError(
            f"none of the {listing.count} images can be used (the first, {first.path}: {first.reason}), "
            "expected at least one; replace them"
        )


class StemNamer:
    """Chooses what each image's outputs are called before their endings, so that no two outputs share a name."""

    def __init__(self, endings: Sequence[str]) -> None:
        self._endings = endings
        self._taken: set[str] = set()
        longest = max(len(self._output("", ending).encode()) for ending in endings)
        self._max_bytes = MAX_CHOSEN_BYTES - longest

    def name(self, path: str) -> str:
        """Return the next image's stem: `a/b.jpg` -> `a-b`, or with `-2`, `-3`, ... where that is taken.

        It is printable, and so long that a file system takes the outputs' names.
        """
        path = printable(path)
        bare = path[: -len(Path(path).suffix)] if path.lower().endswith(SUFFIXES) else path
        parts = bare.replace("\\", "/").split("/")
        joined = "-".join(part for part in parts if part not in ("", ".", "..")) or "image"
        stem = plain = cut_name(joined, self._max_bytes)
        number = 1
        while not self._taken.isdisjoint(self._outputs(stem)):
            number += 1
            stem = f"{plain}-{number}"
        self._taken.update(self._outputs(stem))
        return stem

    def _outputs(self, stem: str) -> list[str]:
        # In lower case, because some file systems take A.png and a.png for the same.
        return [self._output(stem, ending).lower() for ending in self._endings]

    @staticmethod
    def _output(stem: str, ending: str) -> str:
        return f"{stem}-{ending}.png"


def _read(index: int, source: FileSource, member: Member, resolution: int, framer: Framer) -> SourceImage | Reject:
    try:
        data = source.read(member)
    except ImageError as error:
        return Reject(path=member.path, reason=error.fault, size_bytes=member.num_bytes, sha256=None)
    digest = sha256_bytes(data)
    try:
        image, size = framer.square(data, member.path, resolution)
    except ImageError as error:
        return Reject(path=member.path, reason=error.fault, size_bytes=len(data), sha256=digest)
    return SourceImage(index=index, path=member.path, sha256=digest, image=image, size=size)


def _from_memory(inputs: NamedImages) -> Iterator[SourceImage]:
    for index, (name, image) in enumerate(zip(inputs.names, inputs.images, strict=True)):
        digest = sha256_bytes(image.tobytes()) if inputs.sha256s is None else inputs.sha256s[index]
        yield SourceImage(index=index, path=printable_path(name), sha256=digest, image=image)


def _check_images(inputs: NamedImages, resolution: int) -> None:
    images, expected = inputs.images, (resolution, resolution, 3)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected or len(images) == 0:
        raise DataError(
            f"images are {images.dtype} {list(images.shape)}, expected uint8 [N, {resolution}, {resolution}, 3] with N "
            "at least 1; resize them to the model"
        )
    hashes = inputs.names if inputs.sha256s is None else inputs.sha256s
    if not len(inputs.names) == len(hashes) == len(images):
        raise DataError(
            f"{len(inputs.names)} names and {len(hashes)} hashes came with {len(images)} images, expected one each; "
            "pass as many"
        )
