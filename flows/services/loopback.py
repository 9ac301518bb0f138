"""This machine's loopback address: who can reach a server there, and how to bypass proxies."""

import os
import urllib.parse

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")  # libraries prefer one or the other
_ALL = "*"  # which means that only if nothing stands beside it


def is_loopback(host: str) -> bool:
    """Whether a server that listens there is reachable only from this machine."""
    return host in LOOPBACK or host.startswith("127.")


def is_loopback_url(url: str) -> bool:
    """Whether the server at `url` is reachable only from this machine."""
    return is_loopback(urllib.parse.urlsplit(url).hostname or "")


def bypass_proxies(*hosts: str) -> None:
    """Let this process and its children reach hosts directly, whatever proxies the environment names.

    Prefect's clients, websockets, and what Dask and Ray start would otherwise have a proxy look for ports of this
    machine on its own.
    """
    said = (entry.strip() for name in _EXCEPTIONS for entry in os.environ.get(name, "").split(","))
    entries = list(dict.fromkeys([*filter(None, said), *hosts]))
    for name in _EXCEPTIONS:
        os.environ[name] = _ALL if _ALL in entries else ",".join(entries)
