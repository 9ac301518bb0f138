"""Files from the web that arrive whole or not at all, and go on where they broke off.

What has arrived lies in `<name>.part`, with the server's identification of the file beside it in `<name>.part.json`.
A later call asks for the rest on condition that the file is still the same (`Range` with `If-Range`, RFC 9110,
section 13.1.5); a server that cannot say so, or does not do ranges, sends it from the start. Attempts that bring next
to nothing count as failed ones, so that no server holds a download up for ever.
"""

import dataclasses
import http.client
import json
import re
import shutil
import time
import urllib.parse
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from ui2i import __version__
from ui2i.connection import Answer, DownloadError, InterruptedDownload, WrongRange, opened, public_address
from ui2i.files import sha256_bytes, sha256_file, write_text
from ui2i.progress import Progress, no_progress

CHUNK_BYTES = 1 << 18
MAX_BYTES = 16 << 30  # a server that never stops sending is no checkpoint
LOCKS = ".locks"  # folder beside the files
ATTEMPTS = 5  # in a row that bring next to nothing
TIMEOUT_SECONDS = 60.0  # in which something must arrive, and at least MIN_BYTES of the file
MIN_BYTES = 64 << 10
FIRST_PAUSE_SECONDS = 1.0  # between attempts; doubles

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclasses.dataclass(frozen=True)
class _Part:
    """What has arrived of a file."""

    path: Path
    url: str

    @property
    def notes_path(self) -> Path:
        """Where the server's identification of the file is kept."""
        return self.path.with_name(self.path.name + ".json")

    def validator(self) -> str | None:
        """Return what identifies the file on the server, if the part is of this address and can go on."""
        try:
            notes = json.loads(self.notes_path.read_text(encoding="utf-8"))
            is_of_address = notes["address"] == self._address_hash()
            return str(notes["validator"]) if is_of_address and self.path.stat().st_size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, validator: str | None) -> None:
        """Keep the server's identification for a later call."""
        if validator is None:
            self.notes_path.unlink(missing_ok=True)
        else:
            notes = {"address": self._address_hash(), "validator": validator}
            write_text(self.notes_path, json.dumps(notes) + "\n")

    def _address_hash(self) -> str:
        return sha256_bytes(self.url.encode())  # the address itself may have secrets in it

    def remove(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Progress = no_progress,
    pause_seconds: float = FIRST_PAUSE_SECONDS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Fetch a file. What an earlier call left is gone on with; of several calls for one file, one at a time fetches.

    Args:
        url: http or https; a user and a password in front of the host are sent to that host alone.
        path: the file to make; its folder is made.
        sha256: what the file must have, 64 hexadecimal digits; None: whatever it has.
        progress: told bytes, of how many (0: the server does not say).
        timeout_seconds: in which something must arrive, and at least `MIN_BYTES` of the file.

    Raises:
        DownloadError: the address, the server or the file is not right; what has arrived is kept unless it is wrong.
        OSError: it cannot be written.
    """
    check_address(url)
    locks = path.parent / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    part = _Part(path.with_name(path.name + ".part"), url)
    before = _identity(path)
    with FileLock(locks / f"{path.name}.lock"):
        if _identity(path) not in (None, before) and (sha256 is None or sha256_file(path) == sha256.lower()):
            return  # another call has fetched it meanwhile
        _fetch_all(part, progress, pause_seconds, timeout_seconds, max_bytes)
        _check_hash(part, sha256)
        part.path.replace(path)
        part.remove()


def _fetch_all(part: _Part, progress: Progress, pause_seconds: float, timeout_seconds: float, max_bytes: int) -> None:
    """Fetch what is missing, in as many requests as that needs."""
    failures = 0
    while True:
        before = _size(part.path)
        try:
            _fetch(part, progress, timeout_seconds, max_bytes)
            break
        except InterruptedDownload as error:
            if isinstance(error, WrongRange):
                part.remove()  # it is longer than the file
            failures = 0 if _size(part.path) >= before + MIN_BYTES else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(
                    f"{public_address(part.url)} could not be fetched in {ATTEMPTS} attempts ({error}), expected a "
                    f"whole file; check the address and rerun the command to resume at {_size(part.path):,} bytes"
                ) from error
            time.sleep(pause_seconds * 2 ** max(0, failures - 1))


def check_address(url: str) -> None:
    """Raise DownloadError unless something can be fetched from an address."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise DownloadError(f"the address is {_hidden(url)!r}, expected one that begins with https://; correct it")


def _hidden(url: str) -> str:
    """Return what was given as an address, without what may be a user and a password."""
    return re.sub(r"//[^/]*@", "//", url.partition("?")[0])


def _fetch(part: _Part, progress: Progress, timeout_seconds: float, max_bytes: int) -> None:
    """Fetch what is missing, in one request."""
    validator = part.validator()
    start = _size(part.path) if validator else 0
    headers = {"User-Agent": f"ui2i/{__version__}", "Accept-Encoding": "identity"}
    if validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    with opened(part.url, headers, timeout_seconds) as response:
        start, total = _placed(response, part, start)
        if max(total, start) > max_bytes:
            raise DownloadError(
                f"{public_address(part.url)} has {total:,} bytes, expected at most {max_bytes:,}; check the address"
            )
        _check_space(part, total - start)
        part.remember(_validator(response))
        with part.path.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            _copy(response, file, start, total, progress, max_bytes, timeout_seconds)
    if total and _size(part.path) != total:
        raise InterruptedDownload(f"{_size(part.path):,} of {total:,} bytes")


def _placed(response: Answer, part: _Part, start: int) -> tuple[int, int]:
    """Return at which byte the answer begins, and the size of the whole file (0: unknown)."""
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise DownloadError(
            f"{public_address(part.url)} is a web page, expected a file; download it in a browser and name the file"
        )
    if response.status != http.client.PARTIAL_CONTENT:
        return 0, _content_length(response)
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != start:
        part.remove()
        raise InterruptedDownload("the server sent another range than it was asked for")
    return start, start + _content_length(response) if match[3] == "*" else int(match[3])


def _content_length(response: Answer) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


def _validator(response: Answer) -> str | None:
    """Return the strong identification of the file, or when it was changed; None: there is neither."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return response.headers.get("Last-Modified")


def _copy(
    response: Answer,
    file: BinaryIO,
    start: int,
    total: int,
    progress: Progress,
    max_bytes: int,
    timeout_seconds: float,
) -> None:
    done = window_start = start
    deadline = time.monotonic() + timeout_seconds
    while chunk := response.read1(CHUNK_BYTES):  # what is there, however little: `read` would wait for all of it
        done += len(chunk)
        if time.monotonic() > deadline:
            if done - window_start < MIN_BYTES and done != total:
                file.write(chunk)
                raise InterruptedDownload(f"{done - window_start:,} bytes in {timeout_seconds:g} s")
            window_start, deadline = done, time.monotonic() + timeout_seconds
        if done > (total or max_bytes):
            raise DownloadError(
                f"the server sends more than the {total or max_bytes:,} bytes announced or allowed, expected one file; "
                "check the address"
            )
        file.write(chunk)
        progress(done, total, f"{done >> 20:,} MiB")


def _check_space(part: _Part, missing: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise DownloadError(
            f"{missing:,} bytes are still to come, expected room for them in {part.path.parent} ({free:,} bytes free); "
            "make some"
        )


def _check_hash(part: _Part, sha256: str | None) -> None:
    found = sha256_file(part.path)
    if sha256 is not None and found != sha256.lower():
        part.remove()
        raise DownloadError(
            f"{public_address(part.url)} has the SHA-256 {found}, expected {sha256.lower()}; check the address and the "
            "publisher's hash: it is not the file that was meant"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what another file of that name would not have; None: there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
