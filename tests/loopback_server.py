"""A web server on 127.0.0.1 that misbehaves as it is told."""

import base64
import contextlib
import dataclasses
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Site:
    """One file and how it is served; `requests` has the Range headers that were sent."""

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    break_after: list[int] = dataclasses.field(default_factory=list)  # bytes sent before each broken connection
    ranges: bool = True
    announce_length: bool = True
    content_type: str = "application/octet-stream"
    statuses: list[int] = dataclasses.field(default_factory=list)  # to answer with before serving
    shift: int = 0  # by which a range is wrong
    extra: bytes = b""  # sent behind the announced length
    location: str | None = None  # to redirect to
    certificate: Path | None = None  # with its key, in one file: https
    credentials: str | None = None  # that it asks for, "user:password"
    drip: bool = False  # a byte at a time, for as long as somebody listens
    drip_header: bool = False  # the same within the header
    authorizations: list[str | None] = dataclasses.field(default_factory=list)  # headers that were sent
    requests: list[str | None] = dataclasses.field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site while inside; its address is in `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self, site)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if site.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(site.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "http" if site.certificate is None else "https"
    site.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/models/model.pt"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    """Answer one request."""
    asked = handler.headers.get("Range")
    site.requests.append(asked)
    handler.close_connection = True
    site.authorizations.append(handler.headers.get("Authorization"))
    if site.drip_header:
        drip(handler, b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 90)
        return
    if site.credentials is not None:
        wanted = "Basic " + base64.b64encode(site.credentials.encode()).decode()
        if site.authorizations[-1] != wanted:
            handler.send_error(401)
            return
    if site.statuses:
        handler.send_error(site.statuses.pop(0))
        return
    if site.location:
        handler.send_response(302)
        handler.send_header("Location", site.location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start = 0
    if asked and site.ranges and handler.headers.get("If-Range") in (site.etag, site.last_modified):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(site.content):
            handler.send_error(416)
            return
    send(handler, site, start)


def send(handler: BaseHTTPRequestHandler, site: Site, start: int) -> None:
    """Send the file from a byte on, or the beginning of that."""
    handler.send_response(206 if start else 200)
    if start:
        first = start + site.shift
        handler.send_header("Content-Range", f"bytes {first}-{len(site.content) - 1}/{len(site.content)}")
    if site.announce_length:
        handler.send_header("Content-Length", str(len(site.content) - start))
    for name, value in (
        ("ETag", site.etag),
        ("Last-Modified", site.last_modified),
        ("Content-Type", site.content_type),
    ):
        if value is not None:
            handler.send_header(name, value)
    handler.end_headers()
    body = site.content[start:]
    if site.break_after:
        body = body[: site.break_after.pop(0)]
    if site.drip:
        drip(handler, body)
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        handler.wfile.write(body + site.extra)


def drip(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Send a byte every hundredth of a second."""
    with contextlib.suppress(OSError):
        for byte in data:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.01)
