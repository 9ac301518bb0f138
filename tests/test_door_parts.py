"""A server's password, its addresses, and the exceptions from proxies, without a server."""

import os
import socket
import stat

import pytest

from flows.services.guard import own_addresses
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
    with pytest.raises(PasswordError, match=r"auth has the mode 644 .*, expected 600 .*remove it, then run"):
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
