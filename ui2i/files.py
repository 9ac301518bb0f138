"""Files and folders that are either complete or absent, and their SHA-256.

Everything is written beside its destination, flushed to disk and then renamed over it, so that a reader never sees
half a file and a crash leaves the old version. Renaming is atomic for a file; a folder that already exists is first
moved aside, so for an instant neither version is there. This does not arbitrate between two writers of one path.
"""

import contextlib
import errno
import hashlib
import lzma
import os
import re
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ui2i.errors import ConfigError
from ui2i.names import MAX_NAME_BYTES, cut_name

_CHUNK_BYTES = 1 << 20
_FLUSHED_AT_ONCE = 8  # files
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` on leaving without an error.

    Missing parent folders are made. On an error the temporary file is removed and `path` stays as it was.

    Raises:
        ConfigError: `path` has no name.
        OSError: it cannot be written, also where a library says so in an error of its own; it names `path`.
    """
    path = Path(path)
    temporary = _sibling(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        # A write that finds no room knows no name.
        if error.filename == str(temporary) or (error.filename is None and error.errno in _NO_ROOM):
            error.filename = str(path)
        raise
    except Exception as error:
        if (reason := _write_error(error, temporary)) is not None:
            raise OSError(reason.errno, reason.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike[str], kept: Callable[[Path, Path], Iterable[Path]] | None = None
) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; it takes the place of `path` on leaving without an error.

    Missing parent folders are made. On an error the temporary folder is removed and `path` stays as it was.

    Args:
        kept: told the folder in its place and the temporary one, returns the relative paths of what moves from the
            first to the second; None: nothing does.

    Raises:
        ConfigError: `path` has no name.
    """
    path = Path(path).resolve()  # of a link, the folder it points to is replaced
    temporary = _sibling(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.mkdir()
    try:
        yield temporary
        with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:  # a disk writes what waits together at once
            list(pool.map(_fsync, temporary.rglob("*")))
        _fsync(temporary)
        moved = [] if kept is None or not path.is_dir() else list(kept(path, temporary))
        _swap_in(temporary, path, moved)
        _fsync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` at its beginning replaced by a home.

    Raises:
        ConfigError: it is that of a user whom nobody knows.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{os.fspath(path)} begins with no user of this machine, expected a path; correct it"
        ) from error


def check_file_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place that no file can be written to, before what it is to hold is made.

    Raises:
        ConfigError: the path has no name, or is a folder.
        OSError: the operating system refuses it.
    """
    path = Path(path)
    _check_name(path)
    with contextlib.suppress(FileNotFoundError):
        path.lstat()  # which refuses a name that is too long, and one below a file
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, expected the name of a file to write; add one")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def check_replaceable(path: str | os.PathLike[str], suffix: str, is_earlier: Callable[[Path], bool]) -> None:
    """Refuse a place, as `check_file_place`, and a file there that is not an earlier one of the same kind.

    Args:
        suffix: of the names of such files, with its dot.
        is_earlier: whether a file is one.

    Raises:
        ConfigError: it is refused.
        OSError: the operating system refuses it.
    """
    path = Path(path)
    check_file_place(path)
    if path.suffix.lower() != suffix:
        raise ConfigError(f"{path} does not end in {suffix}, expected such a name for what is written; correct it")
    if path.exists() and not is_earlier(path):
        raise ConfigError(
            f"{path} exists and is not what is written there, expected a new name or an earlier {suffix} file of the "
            "same kind; choose another"
        )


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with the line ends it has."""
    write_bytes(path, text.encode())


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
)


def is_whole_zip(path: str | os.PathLike[str]) -> bool:
    """Whether the records of a zip, such as a state that torch saved, are what its checksums say; torch never asks."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except _DAMAGED_ZIP:
        return False
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a damaged offset, or a damaged stream
            return False
        raise


def sha256_folder(path: str | os.PathLike[str]) -> str:
    """Return one SHA-256 for the relative names and contents of every file below a folder.

    Neither the order of listing nor times nor empty folders matter.
    """
    root = Path(path)
    files = {entry.relative_to(root).as_posix(): entry for entry in root.rglob("*") if entry.is_file()}
    return sha256_listing((name, sha256_file(files[name])) for name in sorted(files))


def sha256_listing(entries: Iterator[tuple[str, str]]) -> str:
    """Return the SHA-256 of (name, content hash) pairs in the given order."""
    digest = hashlib.sha256()
    for name, content in entries:
        # A zero byte ends each part: no name can contain one, so no two listings read alike.
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content.encode() + b"\0")
    return digest.hexdigest()


def _write_error(error: Exception, path: Path) -> OSError | None:
    """Return what the operating system refused to a library that was writing `path`; None: `error` is another."""
    if (found := re.search(r"\bos error (\d+)", str(error))) is not None:  # safetensors
        return OSError(int(found[1]), os.strerror(int(found[1])))
    if "inline_container" in str(error):  # torch, which keeps the reason to itself: a further write is told it
        try:
            with path.open("ab") as file:
                file.write(bytes(_CHUNK_BYTES))
        except OSError as reason:
            return reason
    return None


def _check_name(path: Path) -> None:
    if path.name in ("", ".."):
        raise ConfigError(f"the path {path} ends in no name, expected one to write to; add it")


def _sibling(path: Path) -> Path:
    """Return a new temporary name beside `path`, which a file system takes for any name that it takes for `path`."""
    _check_name(path)
    ending = f".{secrets.token_hex(4)}.tmp"
    return path.with_name(f".{cut_name(path.name, MAX_NAME_BYTES - len(ending) - 1)}{ending}")


def _swap_in(temporary: Path, path: Path, moved: Iterable[Path]) -> None:
    """Rename `temporary` to `path`; a folder in its place is moved aside, then deleted; on failure all is as it was.

    Args:
        moved: from that folder to the new one, before it is deleted.
    """
    if not path.is_dir():
        temporary.replace(path)
        return
    old = _sibling(path)
    path.replace(old)
    try:
        temporary.replace(path)
    except OSError:
        old.replace(path)
        raise
    done: list[Path] = []
    try:
        for name in moved:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (old / name).rename(path / name)
            done.append(name)
    except OSError:
        for name in reversed(done):
            (path / name).rename(old / name)
        path.replace(temporary)
        old.replace(path)
        raise
    shutil.rmtree(old)


def _fsync(path: Path) -> None:
    """Flush a file or folder to disk. Some file systems, such as shares of virtual machines, cannot flush a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
