"""A server answers requests to its own address only.

A page of any site may send requests to a port of this machine: the browser does, and names the page in `Origin`. A
name that first led to the page's own server and then to 127.0.0.1 even makes them requests of one origin; `Host` still
has that name. Prefect checks neither. Here both must be the server's own, for HTTP and websockets alike. Programs send
no `Origin`.
"""

import dataclasses
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any

import psutil

FORBIDDEN = 403
_MISDIRECTED = 421
_POLICY_VIOLATION = 1008  # of a websocket
_HTTP_PORT = 80

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclasses.dataclass(frozen=True)
class Addresses:
    """The names by which a server may be addressed."""

    hosts: frozenset[str]  # as in `Host`, e.g. `127.0.0.1:4200`
    origins: frozenset[str]  # as in `Origin`, e.g. `http://127.0.0.1:4200`


def own_addresses(listener: socket.socket, names: Iterable[str] = ()) -> Addresses:
    """Return the names by which a server on this socket may be addressed.

    Args:
        names: further host names by which others reach it, directly or through a proxy that may speak HTTPS.
    """
    address, port = listener.getsockname()[:2]
    own = {_in_url(name) for name in _own_names(address)}
    given = {name.lower() for name in names}
    hosts = {f"{name}:{port}" for name in own | given} | given
    if port == _HTTP_PORT:
        hosts |= own
    origins = {f"http://{host}" for host in hosts} | {f"https://{name}" for name in given}
    return Addresses(frozenset(hosts), frozenset(origins))


class Guard:
    """An ASGI wrapper that refuses requests to another host's name and requests from another site's page."""

    def __init__(self, application: Application, addresses: Addresses) -> None:
        self._application = application
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or (refusal := self._refusal(scope)) is None:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            status, reason = refusal
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(reason))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": reason})

    def _refusal(self, scope: Scope) -> tuple[int, bytes] | None:
        if not set(_values(scope, b"origin")) <= self._addresses.origins:
            return FORBIDDEN, b"this page is none of the server's own"
        hosts = list(_values(scope, b"host"))
        if len(hosts) != 1 or hosts[0] not in self._addresses.hosts:
            return _MISDIRECTED, b"the host is not the server's own"
        return None


def _values(scope: Scope, header: bytes) -> Iterator[str]:
    return (value.decode("latin-1").lower() for name, value in scope["headers"] if name == header)


def _own_names(address: str) -> set[str]:
    """Return the names and addresses of this machine that lead to `address`."""
    if address in ("0.0.0.0", "::"):
        interfaces = (entry for entries in psutil.net_if_addrs().values() for entry in entries)
        addresses = {entry.address.partition("%")[0] for entry in interfaces if entry.family in _INTERNET}
        return addresses | {address, "localhost", socket.gethostname().lower()}
    if address == "::1" or address.startswith("127."):
        return {address, "localhost"}
    return {address}


_INTERNET = (socket.AF_INET, socket.AF_INET6)


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name
