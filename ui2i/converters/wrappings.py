"""Checkpoints inside a `.zip` or `.gz`: unpacked into a file that is gone again once it has been read.

What an archive says of sizes is not believed: unpacking stops at the same bound that tensors have, a few times the
packed size, and what comes out must have the size and checksum that were announced.
"""

import contextlib
import gzip
import mmap
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ui2i.converters.budget import TENSOR_BYTES_FREE, TENSOR_BYTES_PER_FILE_BYTE
from ui2i.converters.inert import DAMAGED, RefusedError
from ui2i.converters.torch_files import is_torch_zip, map_file, release
from ui2i.converters.zip_records import DEFLATED, STORED, Record, read_directory
from ui2i.errors import CheckpointError
from ui2i.model_files import GENERATOR_FILE
from ui2i.untrusted import shown

MAX_WRAPPINGS = 2  # a `.pt.gz` inside a `.zip`
SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".safetensors", ".gz")
_CHUNK_BYTES = 1 << 20
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


@contextlib.contextmanager
def unwrapped(path: Path) -> Iterator[Path]:
    """Yield the path of the checkpoint that a file contains, or of the file itself if it is no archive.

    Raises:
        RefusedError: the archive contains no checkpoint, or several, is damaged, or unpacks to far more than its size.
    """
    with contextlib.ExitStack() as stack:
        inner = path
        for _ in range(MAX_WRAPPINGS):
            packed = _packed(inner)
            if packed is None:
                break
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ui2i-", ignore_cleanup_errors=True))
                target = Path(folder) / "checkpoint"
                _unpack(packed, target)
            except OSError as error:
                raise CheckpointError(
                    f"{path} cannot be unpacked into {tempfile.gettempdir()} ({error.strerror}), expected room there; "
                    "make some, or name another folder with TMPDIR"
                ) from error
            inner = target
        yield inner


def _packed(path: Path) -> memoryview | Record | None:
    """Return what is packed: the whole file (gzip), a record (zip), or None, if the file is no archive."""
    data = map_file(path)
    start = bytes(data[:4])
    if start.startswith(_GZIP):
        return data
    if start != _ZIP:
        release(data)
        return None
    records = read_directory(data)
    if is_torch_zip(records):
        release(data)
        return None
    return _only_checkpoint(records)


def _only_checkpoint(records: dict[str, Record]) -> Record:
    names = [name for name in records if not name.endswith("/") and not _is_hidden(name)]
    likely = [name for name in names if PurePosixPath(name.lower()).suffix in SUFFIXES]
    found = names if len(names) == 1 else likely
    if len(found) != 1:
        raise RefusedError(
            f"is a zip of {len(names):,} files ({shown(names)}) without one data.pkl as torch.save writes, or one "
            "checkpoint among them, expected one; unpack it and name the checkpoint in it, or a folder with "
            f"{GENERATOR_FILE}"
        )
    return records[found[0]]


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _unpack(packed: memoryview | Record, target: Path) -> None:
    if isinstance(packed, Record) and (packed.is_encrypted or packed.method not in (STORED, DEFLATED)):
        raise RefusedError(
            f"has {shown(packed.name)} encrypted or packed in an unusual way, expected a plain zip; unpack it and name "
            "the checkpoint in it"
        )
    data = packed.data if isinstance(packed, Record) else packed
    limit = TENSOR_BYTES_PER_FILE_BYTE * len(data) + TENSOR_BYTES_FREE
    size = crc32 = 0
    try:
        with target.open("wb") as file:
            for chunk in _chunks(packed):
                size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
                if size > limit:
                    raise RefusedError(
                        f"unpacks to more than {limit >> 20:,} MiB out of {len(data):,} bytes, expected a checkpoint, "
                        "which hardly packs; it is forged: fetch it from its publisher"
                    )
                file.write(chunk)
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise RefusedError(f"is a damaged archive ({error}), expected a whole one; fetch it again") from error
    if isinstance(packed, Record) and (size, crc32) != (packed.num_bytes, packed.crc32):
        raise RefusedError(
            f"has {size:,} bytes in {shown(packed.name)} of another size or checksum than the archive says, expected "
            f"the same; {DAMAGED}"
        )


def _chunks(packed: memoryview | Record) -> Iterator[bytes]:
    """Yield what comes out, a bounded part at a time."""
    if not isinstance(packed, Record):
        assert isinstance(packed.obj, mmap.mmap)
        packed.obj.seek(0)
        with gzip.GzipFile(fileobj=packed.obj) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        return
    if packed.method == STORED:
        for start in range(0, len(packed.data), _CHUNK_BYTES):
            yield bytes(packed.data[start : start + _CHUNK_BYTES])
        return
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(packed.data), _CHUNK_BYTES):
        waiting: bytes | memoryview = packed.data[start : start + _CHUNK_BYTES]
        while waiting:
            yield unpacker.decompress(waiting, _CHUNK_BYTES)
            waiting = unpacker.unconsumed_tail
        if unpacker.eof:
            return
    while not unpacker.eof and (chunk := unpacker.decompress(b"", _CHUNK_BYTES)):
        yield chunk
    if not unpacker.eof:
        raise EOFError("it ends early")
