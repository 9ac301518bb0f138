"""A server's password, its addresses, and the exceptions from proxies, without a server."""

import asyncio
import os
import socket
import stat
import types

import pytest

from flows.services.guard import Addresses, Guard, own_addresses
from flows.services.loopback import LOOPBACK, bypass_proxies
from flows.services.password import PasswordError, make_password, make_private, read_password

# The password's file


def test_a_password_is_made_once(tmp_path):
    first = make_password(tmp_path)
    assert first.startswith("ui2i:")
    assert len(first) > 40
    assert make_password(tmp_path) == first
    assert make_password(tmp_path / "other") != first


def test_a_password_that_others_may_know_is_refused(tmp_path):
    with pytest.raises(PasswordError, match=r"auth cannot be read .*, expected the password of the server that is up"):
        read_password(tmp_path)
    make_password(tmp_path)
    (tmp_path / "auth").chmod(0o644)
    with pytest.raises(PasswordError, match=r"auth has the mode 644 .*, expected 600 .*remove it.* keeps permissions"):
        make_password(tmp_path)
    (tmp_path / "auth").chmod(0o600)
    (tmp_path / "auth").write_text("")
    with pytest.raises(PasswordError, match=r"and 0 characters, expected 600 and `user:password`"):
        make_password(tmp_path)


def test_nobody_else_reads_the_database_of_a_fresh_folder_or_of_one_that_was_open(tmp_path):
    umask = os.umask(0)
    try:
        make_private(tmp_path / "fresh")
        (tmp_path / "open").mkdir(mode=0o777)
        (tmp_path / "open" / "prefect.db").touch(0o666)
        make_private(tmp_path / "open")
    finally:
        os.umask(umask)
    for home in (tmp_path / "fresh", tmp_path / "open"):
        assert [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "prefect.db")] == [0o700, 0o600]


# Addresses


def test_what_a_server_may_be_called():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        loopback = {f"127.0.0.1:{port}", f"localhost:{port}"}
        assert own_addresses(listener).hosts == loopback
        assert own_addresses(listener).origins == {f"http://{host}" for host in loopback}
        named = own_addresses(listener, ["UI2I.example"])
        assert named.hosts == loopback | {"ui2i.example", f"ui2i.example:{port}"}
        assert "https://ui2i.example" in named.origins
        assert f"http://evil.example:{port}" not in named.origins
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        hosts = own_addresses(listener).hosts
        assert hosts >= {f"127.0.0.1:{port}", f"0.0.0.0:{port}", f"{socket.gethostname().lower()}:{port}"}


def test_addresses_are_written_as_browsers_write_them():
    """Without the port of HTTP, and an IPv6 address in brackets."""

    def addresses(address, port, *names):
        return own_addresses(types.SimpleNamespace(getsockname=lambda: (address, port, 0, 0)), names)

    assert addresses("::1", 4200).hosts == {"[::1]:4200", "localhost:4200"}
    assert addresses("10.1.2.3", 80).hosts == {"10.1.2.3:80", "10.1.2.3"}
    assert addresses("10.1.2.3", 80).origins == {"http://10.1.2.3:80", "http://10.1.2.3"}
    assert "10.1.2.3" not in addresses("10.1.2.3", 4200).hosts


# The guard

OWN = Addresses(frozenset({"127.0.0.1:4200"}), frozenset({"http://127.0.0.1:4200"}))
HOST, ORIGIN = (b"host", b"127.0.0.1:4200"), (b"origin", b"http://127.0.0.1:4200")


def answers(kind, headers):
    """What a guard says to a request: the type and the status or code of each message."""
    said = []

    async def application(scope, receive, send):
        await send({"type": "let in"})

    async def receive():
        said.append(("received", None))

    async def send(message):
        said.append((message["type"], message.get("status", message.get("code"))))

    asyncio.run(Guard(application, OWN)({"type": kind, "headers": headers}, receive, send))
    return said


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([HOST], None),
        ([HOST, ORIGIN], None),
        ([HOST, (b"origin", b"HTTP://127.0.0.1:4200")], None),
        ([(b"host", b"evil.test:4200")], 421),
        ([(b"host", b"127.0.0.1:4201")], 421),
        ([HOST, HOST], 421),
        ([], 421),
        ([HOST, (b"origin", b"http://evil.test")], 403),
        ([HOST, (b"origin", b"https://127.0.0.1:4200")], 403),
        ([HOST, ORIGIN, (b"origin", b"http://evil.test")], 403),
    ],
)
def test_a_request_is_to_the_server_s_own_name_and_from_no_other_s_page(kind, headers, status):
    if status is None:
        assert answers(kind, headers) == answers("lifespan", []) == [("let in", None)]
    elif kind == "http":
        assert answers(kind, headers) == [("http.response.start", status), ("http.response.body", None)]
    else:
        assert answers(kind, headers) == [("received", None), ("websocket.close", 1008)]


# Proxies


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ("", "", ",".join(LOOPBACK)),
        ("a.example, localhost", "b.example", "a.example,localhost,b.example,127.0.0.1,::1"),
        ("*", "", "*"),
        ("", "*", "*"),
    ],
)
def test_exceptions_from_proxies_are_added_to(monkeypatch, lower, upper, expected):
    monkeypatch.setenv("no_proxy", lower)
    monkeypatch.setenv("NO_PROXY", upper)
    for _ in range(2):
        bypass_proxies(*LOOPBACK)
        assert (os.environ["no_proxy"], os.environ["NO_PROXY"]) == (expected, expected)
