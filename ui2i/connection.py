"""A connection to a web server: http and https alone, credentials to their own host alone, errors by kind.

What may pass, such as a connection that breaks off or a server that is busy, is told from what will not, such as a
name that nobody has or a certificate that is not trusted.
"""

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from ui2i.errors import UI2IError

_BUSY = (408, 425, 429)  # statuses below 500 that pass
_LASTING = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class DownloadError(UI2IError):
    """A file cannot be fetched, or is not the one that was asked for."""


class InterruptedDownload(Exception):  # noqa: N818 -- no error yet: trying again may help
    """The connection broke off; trying again may help."""


class WrongRange(InterruptedDownload):
    """The server has not the part of the file that it was asked for."""


def public_address(url: str) -> str:
    """Return an address without user, password and query, which may be secret."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    return urllib.parse.urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


class Answer:
    """What a server sends; errors of the connection alone become those of this module."""

    def __init__(self, response: http.client.HTTPResponse, address: str) -> None:
        self._response, self._address = response, address
        self.status, self.headers = response.status, response.headers

    def read1(self, num_bytes: int) -> bytes:
        """Return what has arrived, at most `num_bytes`; nothing at the end.

        Raises:
            InterruptedDownload, DownloadError: as `opened`.
        """
        with _told_by_kind(self._address):
            return self._response.read1(num_bytes)


@contextlib.contextmanager
def opened(url: str, headers: Mapping[str, str], timeout_seconds: float) -> Iterator[Answer]:
    """Ask for a file and yield the answer.

    Args:
        timeout_seconds: in which the answer must begin, and between what arrives of it.

    Raises:
        InterruptedDownload: what may pass.
        DownloadError: what will not.
    """
    address = public_address(url)
    watch = _Watch(timeout_seconds)
    with watch:
        with _told_by_kind(address):
            response = _opener(watch).open(_request(url, headers), timeout=timeout_seconds)
        watch.stop()
        with response:
            yield Answer(response, address)


@contextlib.contextmanager
def _told_by_kind(address: str) -> Iterator[None]:
    """Let errors of a connection be those of this module."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise _told(address, error) from error
    except http.client.InvalidURL as error:  # what it says has the query, which may be secret
        raise DownloadError(
            f"{address} is no address (it has a blank or a control character), expected https://...; write a blank as "
            "%20"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{address} shows a certificate that is not trusted ({reason.verify_message}), expected a trusted one; "
                "check the address and this machine's clock and certificates"
            ) from error
        if isinstance(reason, socket.gaierror) and reason.errno in _LASTING:
            host = urllib.parse.urlsplit(address).hostname
            raise DownloadError(
                f"no machine has the name {host!r} ({reason.strerror}), expected the file's server; check the address "
                "and the connection"
            ) from error
        raise InterruptedDownload(str(reason) or type(reason).__name__) from error
    except ValueError as error:
        raise DownloadError(f"{address} is no address ({error}), expected https://...; correct it") from error


def _told(address: str, error: urllib.error.HTTPError) -> Exception:
    """Return what an error status means."""
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        return WrongRange("the part did not fit the file")
    if error.code in _BUSY or error.code >= 500:
        return InterruptedDownload(f"status {error.code}")
    way_out = "check the address"
    if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        way_out = "check the address, and the user and password in it (https://USER:PASSWORD@HOST/...)"
    return DownloadError(f"{address} answers {error.code} {error.reason}, expected the file; {way_out}")


def _request(url: str, headers: Mapping[str, str]) -> urllib.request.Request:
    """Return a request; user and password of its address become a header that no other host is sent."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), headers=dict(headers)
    )
    if parts.username is not None:
        words = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(words.encode()).decode())
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirections to http and https, never from https to http; the others will not come right by trying again."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is None:
            return None
        result = _request(newurl, new.headers)
        if _origin(req.full_url) == _origin(newurl) and req.unredirected_hdrs.get("Authorization"):
            result.add_unredirected_header("Authorization", req.unredirected_hdrs["Authorization"])
        return result

    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Look at the address before urllib does, which takes ftp for usable."""
        target = headers.get("Location") or headers.get("URI")
        if target:
            _check_redirection(req.full_url, urllib.parse.urljoin(req.full_url, target))
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _check_redirection(url: str, target: str) -> None:
    """Refuse what leads to another protocol than the web's, or out of an encrypted connection into an open one."""
    scheme = urllib.parse.urlsplit(target).scheme
    expected = "https" if urllib.parse.urlsplit(url).scheme == "https" else "http or https"
    if scheme not in expected.split(" or "):
        raise DownloadError(
            f"{public_address(url)} redirects to an address of {scheme!r}, expected {expected}; ask its publisher for "
            "another address"
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


class _Watch:
    """Breaks a connection off whose answer has not begun in time, however steadily bytes of its header arrive."""

    def __init__(self, seconds: float):
        self.sockets: list[socket.socket] = []
        self.timer = threading.Timer(seconds, self._break_off)
        self.timer.daemon = True

    def __enter__(self) -> "_Watch":
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """The answer has begun."""
        self.timer.cancel()

    def _break_off(self) -> None:
        for connection in self.sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    """Return what opens http and https alone: a redirection must not lead to a file of this machine."""

    def watched(kind: type[http.client.HTTPConnection]) -> type[http.client.HTTPConnection]:
        class Watched(kind):  # type: ignore[valid-type, misc]
            def connect(self) -> None:
                super().connect()
                watch.sockets.append(self.sock)

        return Watched

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(watched(http.client.HTTPConnection), req)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(watched(http.client.HTTPSConnection), req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        Http(),
        Https(),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
