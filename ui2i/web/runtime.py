"""onnxruntime-web, which runs the models in the browser: 14 MB that are fetched once by npm, checked and kept.

Of the package, two files are needed: the module with everything but threads, WebGPU and WebGL, and its WebAssembly
code. The latter is kept compressed, in a quarter of its size, and the page unpacks it.
"""

import base64
import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ui2i.errors import UI2IError
from ui2i.files import atomic_folder, write_bytes
from ui2i.untrusted import shortened

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # SHA-512
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
MODULE, CODE = "ort.wasm.bundle.min.mjs", "ort.wasm.gz"
_MEMBERS = {MODULE: f"package/dist/{MODULE}", CODE: "package/dist/ort-wasm-simd-threaded.wasm"}
_SECONDS = 600


class RuntimeMissingError(UI2IError):
    """onnxruntime-web could not be fetched, or is another file than expected."""


def ensure_runtime(folder: Path, archive: Path | None = None) -> Path:
    """Return the folder with the runtime's two files, and fetch them first unless they are there.

    Args:
        folder: where they are kept, below a folder of their version.
        archive: the package as npm's registry has it (`npm pack`), instead of fetching it.

    Raises:
        RuntimeMissingError: it cannot be fetched, or is another file than expected. Nothing is kept then.
    """
    kept = folder / VERSION
    if archive is None and all((kept / name).is_file() for name in _MEMBERS):
        return kept
    with tempfile.TemporaryDirectory() as temporary:
        content = _checked(archive or _fetch(Path(temporary)))
        with tarfile.open(content, "r:gz") as package, atomic_folder(kept) as made:
            for name, member in _MEMBERS.items():
                file = package.extractfile(member)
                assert file is not None  # of a package whose hash is known
                data = file.read()
                write_bytes(made / name, gzip.compress(data, 9, mtime=0) if name == CODE else data)
    return kept


def _fetch(folder: Path) -> Path:
    """Have npm download the package, from whatever registry it is set up with."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeMissingError(
            f"npm is not installed, expected it to fetch {PACKAGE} {VERSION}, which runs the models in the browser; "
            f"install Node.js, or run `npm pack {PACKAGE}@{VERSION}` elsewhere and pass the file with --runtime"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        failed = done.returncode != 0 or not (folder / ARCHIVE).is_file()
        said = shortened((done.stderr or done.stdout).strip())
    except subprocess.TimeoutExpired:
        failed, said = True, f"npm did not end within {_SECONDS} seconds"
    if failed:
        raise RuntimeMissingError(
            f"{PACKAGE} {VERSION} cannot be fetched ({said}), expected npm to reach its registry; try again, or "
            f"run `npm pack {PACKAGE}@{VERSION}` elsewhere and pass the file with --runtime"
        )
    return folder / ARCHIVE


def _checked(archive: Path) -> Path:
    try:
        digest = hashlib.sha512(archive.read_bytes()).digest()
    except OSError as error:
        raise RuntimeMissingError(
            f"{archive} cannot be read ({error.strerror}), expected {ARCHIVE}; correct the path"
        ) from error
    if base64.b64encode(digest).decode() != INTEGRITY:
        raise RuntimeMissingError(
            f"{archive} has another SHA-512 than {PACKAGE} {VERSION}, expected that package unchanged; fetch it again "
            f"with `npm pack {PACKAGE}@{VERSION}`"
        )
    return archive
