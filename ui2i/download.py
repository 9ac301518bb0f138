"""Files from the web that arrive whole or not at all, and go on where they broke off.

What has arrived lies in `<name>.part`, with the server's identification of the file beside it in `<name>.part.json`.
A later call asks for the rest on condition that the file is still the same (`Range` with `If-Range`, RFC 9110,
section 13.1.5); a server that cannot say so, or does not do ranges, sends it from the start.
"""

import contextlib
import dataclasses
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ui2i import __version__
from ui2i.errors import UI2IError
from ui2i.files import sha256_bytes, sha256_file, write_text
from ui2i.progress import Progress, no_progress

CHUNK_BYTES = 1 << 18
MAX_BYTES = 16 << 30  # a server that never stops sending is no checkpoint
ATTEMPTS = 5  # in a row that bring nothing
TIMEOUT_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 1.0  # between attempts; doubles

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class DownloadError(UI2IError):
    """A file cannot be fetched, or is not the one that was asked for."""


class _InterruptedError(Exception):
    """The connection broke off; trying again may help."""


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
    """Fetch a file. What an earlier call left is gone on with.

    Args:
        url: http or https.
        path: the file to make; its folder is made.
        sha256: what the file must have, 64 hexadecimal digits; None: whatever it has.
        progress: told bytes, of how many (0: the server does not say).

    Raises:
        DownloadError: the address, the server or the file is not right; what has arrived is kept unless it is wrong.
    """
    _check_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path.with_name(path.name + ".part"), url)
    failures = 0
    while True:
        before = _size(part.path)
        try:
            _fetch(part, progress, timeout_seconds, max_bytes)
            break
        except _InterruptedError as error:
            failures = 0 if _size(part.path) > before else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(
                    f"{public_address(url)} could not be fetched in {ATTEMPTS} attempts ({error}), expected a whole "
                    f"file; check the address and try again: the same command goes on at {_size(part.path):,} bytes"
                ) from error
            time.sleep(pause_seconds * 2 ** max(0, failures - 1))
    _check_hash(part, sha256)
    part.path.replace(path)
    part.remove()


def public_address(url: str) -> str:
    """Return an address without user, password and query, which may be secret."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    return urllib.parse.urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def _check_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise DownloadError(f"the address is {url!r}, expected one that begins with https://; correct it")


def _fetch(part: _Part, progress: Progress, timeout_seconds: float, max_bytes: int) -> None:
    """Fetch what is missing, in one request."""
    validator = part.validator()
    start = _size(part.path) if validator else 0
    headers = {"User-Agent": f"ui2i/{__version__}", "Accept-Encoding": "identity"}
    if validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    with _opened(urllib.request.Request(part.url, headers=headers), part, timeout_seconds) as response:
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
            _copy(response, file, start, total, progress, max_bytes)
    if total and _size(part.path) != total:
        raise _InterruptedError(f"{_size(part.path):,} of {total:,} bytes")


@contextlib.contextmanager
def _opened(request: urllib.request.Request, part: _Part, timeout_seconds: float) -> Iterator[Any]:
    """Open a connection; what may pass becomes _InterruptedError, what will not DownloadError."""
    address = public_address(request.full_url)
    # Only these two protocols: a redirection must not lead to a file of this machine.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            yield response
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.remove()  # it is longer than the file
            raise _InterruptedError("the part did not fit the file") from error
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _InterruptedError(f"status {error.code}") from error
        raise DownloadError(
            f"{address} answers {error.code} {error.reason}, expected the file; check the address"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise DownloadError(f"{address} is no address ({error}), expected https://...; correct it") from error


def _placed(response: Any, part: _Part, start: int) -> tuple[int, int]:
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
        raise _InterruptedError("the server sent another range than it was asked for")
    return start, start + _content_length(response) if match[3] == "*" else int(match[3])


def _content_length(response: Any) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


def _validator(response: Any) -> str | None:
    """Return the strong identification of the file, or when it was changed; None: there is neither."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return response.headers.get("Last-Modified")


def _copy(response: Any, file: BinaryIO, start: int, total: int, progress: Progress, max_bytes: int) -> None:
    done = start
    while chunk := response.read(CHUNK_BYTES):
        done += len(chunk)
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
