"""The images to translate: a folder, a file, an archive, a list of files, or images in memory.

Folders are searched and files are read as ingestion does it, so that both take and leave out the same.
"""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ui2i.errors import DataError
from ui2i.files import sha256_bytes
from ui2i.images import SUFFIXES, ImageError
from ui2i.images.folders import FileSource
from ui2i.images.framing import CENTERED, Framer
from ui2i.images.left_out import LeftOut, no_images
from ui2i.images.members import Member, Source
from ui2i.images.sources import open_images
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


class Listing(contextlib.AbstractContextManager["Listing"]):
    """How many entries there are, and the entries, each read when it is its turn; leaving it closes an archive.

    Attributes:
        left_out: what the search found that cannot be taken.
    """

    def __init__(self, read: Callable[[], Iterable[SourceImage | Reject]], count: int, left_out: LeftOut) -> None:
        self._read = read
        self.count = count
        self.left_out = left_out
        self.opened = contextlib.ExitStack()  # closed with it

    @property
    def entries(self) -> Iterable[SourceImage | Reject]:
        """The entries in their order; each time that they are asked for, they are read again."""
        return self._read()

    def __exit__(self, *_: object) -> None:
        self.opened.close()


def list_inputs(inputs: Inputs, resolution: int, framer: Framer = CENTERED) -> Listing:
    """Return the images in the order of their paths, or of a list; those from files become squares of `resolution` px.

    A folder is searched with its subfolders, for files with the suffix of an image; hidden ones are passed over. A
    linked or unreadable subfolder is an entry too, a reject. An archive is read and never unpacked under its names.

    Raises:
        DataError: there is no such folder or file, there are no images in it, or images in memory have another shape.
    """
    if isinstance(inputs, NamedImages):
        _check_images(inputs, resolution)
        return Listing(lambda: _from_memory(inputs), len(inputs.images), LeftOut())
    with contextlib.ExitStack() as stack:
        source = _open(inputs, stack)
        members = source.members
        listing = Listing(
            lambda: (_read(index, source, member, resolution, framer) for index, member in enumerate(members)),
            len(members),
            source.left_out,
        )
        listing.opened = stack.pop_all()
    return listing


def _open(inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], stack: contextlib.ExitStack) -> Source:
    """Open a source, which `stack` closes."""
    if not isinstance(inputs, (str, os.PathLike)):
        if not inputs:
            raise no_images("the list", LeftOut())
        files = (Member(printable_path(Path(path).name), 0, path) for path in inputs)
        return FileSource(files, keep_order=True)  # references are numbered as they were given
    workspace = stack.enter_context(tempfile.TemporaryDirectory(prefix="ui2i-"))  # of a compressed tar
    return stack.enter_context(open_images(inputs, workspace=Path(workspace)))


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

    def __init__(self, endings: Sequence[str], reserved: Sequence[str] = ()) -> None:
        """Set up.

        Args:
            endings: what the names of an image's outputs have behind its stem: `-FC-FT.png`.
            reserved: names that no output may have.
        """
        self._endings = endings
        self._taken = {name.lower() for name in reserved}
        longest = max(len(ending.encode()) for ending in endings)
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
        return [f"{stem}{ending}".lower() for ending in self._endings]


def _read(index: int, source: Source, member: Member, resolution: int, framer: Framer) -> SourceImage | Reject:
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
