"""ONNX models that were exported before, kept by what they were made of, because an export takes many seconds.

The files are gzip, whose checksum finds a cut or changed one; such a file is exported again.
"""

import contextlib
import dataclasses
import functools
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ui2i.files import sha256_bytes, sha256_file, sha256_listing, write_bytes

EXPORTERS = ("torch", "onnx", "onnxscript", "onnxruntime")
_CODE = Path(__file__).resolve().parents[1]
_COMPRESSION = 1  # weights hardly shrink, and the checksum is what counts


@dataclasses.dataclass(frozen=True)
class KeptExports:
    """A folder of exports, with one file for each name."""

    folder: Path

    def find(self, name: str, made_of: Sequence[str], export: Callable[[], bytes]) -> bytes:
        """Return a serialized ONNX model: the kept one if nothing that it was made of has changed, else a new one.

        Args:
            name: of the model's file; earlier exports of that name are removed.
            made_of: hashes of its networks and of all else that is in it. The code is taken into account as well.
        """
        key = sha256_bytes(json.dumps([name, *made_of, code_version()]).encode())[:24]
        path = self.folder / f"{name}-{key}.gz"
        with contextlib.suppress(OSError, EOFError, zlib.error):
            if content := gzip.decompress(path.read_bytes()):  # an empty file is valid gzip
                return content
        content = export()
        write_bytes(path, gzip.compress(content, _COMPRESSION, mtime=0))
        for earlier in self.folder.glob(f"{name}-*.gz"):
            if earlier != path:
                earlier.unlink(missing_ok=True)
        return content


@functools.cache
def code_version() -> str:
    """Return the SHA-256 of this package's code and of the exporters' versions."""
    code = ((path.relative_to(_CODE).as_posix(), sha256_file(path)) for path in sorted(_CODE.rglob("*.py")))
    return sha256_listing(itertools.chain(code, ((name, _version(name)) for name in EXPORTERS)))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
