"""Images in a tar, plain or compressed, read member by member: nothing is unpacked under a name the archive chose.

A compressed tar can only be read from its beginning, while images are wanted in the order of their paths. So it is
decompressed once, into a nameless temporary file beside the output, which is gone when the work ends, however it ends.
"""

import bz2
import collections
import contextlib
import gzip
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ui2i.images.limits import MAX_HEADER_BYTES, check_count, check_total
from ui2i.images.members import Member, Source, is_unsafe, opening, takes_part
from ui2i.names import printable_path
from ui2i.progress import Progress

_CHUNK_BYTES = 1 << 20
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class TarSource(Source):
    """The members of a tar."""

    def __init__(self, path: Path, workspace: Path, progress: Progress) -> None:
        """Decompress it if need be, and read the headers of all members.

        Args:
            workspace: folder for the decompressed tar.

        Raises:
            DataError: it is no tar, is damaged, or holds or unpacks to more than the limits allow.
        """
        with opening(path, "a tar") as opened:
            self._handle = _open_plain(path, workspace, progress, opened)
            passed_over: collections.Counter[str] = collections.Counter()
            super().__init__(_members(path, self._handle, passed_over), passed_over)
            self._opened = opened.pop_all()

    def _read(self, member: Member) -> bytes:
        self._handle.seek(member.key)
        data = self._handle.read(member.num_bytes)
        if len(data) < member.num_bytes:
            raise ValueError("the archive ends before it")
        return data


def _open_plain(path: Path, workspace: Path, progress: Progress, opened: contextlib.ExitStack) -> BinaryIO:
    """Return the tar, decompressed and seekable."""
    with path.open("rb") as handle:
        head = handle.read(8)
    opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
    if opener is None:
        return opened.enter_context(path.open("rb"))
    workspace.mkdir(parents=True, exist_ok=True)
    # Not in the system's folder for temporary files, which may be memory.
    plain = cast(BinaryIO, opened.enter_context(tempfile.TemporaryFile(dir=workspace)))  # noqa: SIM115
    num_packed = path.stat().st_size
    with opener(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            plain.write(chunk)
            check_total(path, plain.tell(), num_packed)
            progress(0, 1, f"decompressing {path.name}: {plain.tell() >> 20} MiB")
    plain.seek(0)
    return plain


class _Headers:
    """A tar as `tarfile` may see it while it lists members: long names are read whole, so that they have a limit."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.seek, self.tell = handle.seek, handle.tell

    def read(self, num_bytes: int) -> bytes:
        if num_bytes > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {num_bytes} bytes")
        return self._handle.read(num_bytes)


def _members(path: Path, handle: BinaryIO, passed_over: collections.Counter[str]) -> Iterator[Member]:
    archive = tarfile.open(fileobj=cast(BinaryIO, _Headers(handle)), mode="r:")  # noqa: SIM115 -- holds nothing else
    end = handle.seek(0, os.SEEK_END)
    for count, info in enumerate(archive):
        archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header it has seen
        check_count(path, count + 1)
        name = printable_path(info.name)
        if not info.isdir() and takes_part(name, passed_over):
            num_bytes = min(info.size, end)  # a header may claim any size
            yield Member(name, num_bytes, info.offset_data, _fault(name, info))


def _fault(name: str, info: tarfile.TarInfo) -> str | None:
    if is_unsafe(name):
        return "unsafe_name"
    if info.islnk() or info.issym():
        return "link"
    return None if info.isreg() and not info.issparse() else "unreadable"  # devices, pipes, files with holes
