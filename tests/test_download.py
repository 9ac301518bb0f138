"""Downloads from a server on loopback that breaks off, changes the file, lies about ranges, or never stops."""

import hashlib
import json
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from loopback_server import Site, serving

from ui2i import download as module
from ui2i.download import ATTEMPTS, LOCKS, DownloadError, download, public_address

CONTENT = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(site: Site, path: Path, **settings: Any) -> None:
    download(site.url, path, pause_seconds=0, timeout_seconds=10, **settings)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LOCKS}


def test_a_whole_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serving(Site(CONTENT)) as site:
        fetch(
            site,
            tmp_path / "new" / "m.pt",
            sha256=SHA256.upper(),
            progress=lambda done, total, _: seen.append((done, total)),
        )
    assert (tmp_path / "new" / "m.pt").read_bytes() == CONTENT and files(tmp_path / "new") == {"m.pt"}
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 2
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_connection_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    with serving(Site(CONTENT, break_after=[300_000, 300_000])) as site:
        fetch(site, tmp_path / "m.pt", sha256=SHA256)
    assert (tmp_path / "m.pt").read_bytes() == CONTENT
    assert site.requests == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_call_goes_on(tmp_path: Path) -> None:
    site = Site(CONTENT, break_after=[400_000] + [0] * ATTEMPTS)
    with serving(site):
        with pytest.raises(DownloadError, match=r"400,000 bytes") as caught:
            fetch(site, tmp_path / "m.pt")
        assert f"in {ATTEMPTS} attempts" in str(caught.value)
        assert files(tmp_path) == {"m.pt.part", "m.pt.part.json"}
        assert "models" not in (tmp_path / "m.pt.part.json").read_text()  # no address, which may have secrets in it
        site.requests.clear()
        fetch(site, tmp_path / "m.pt", sha256=SHA256)
        assert site.requests == ["bytes=400000-"]
    assert (tmp_path / "m.pt").read_bytes() == CONTENT and files(tmp_path) == {"m.pt"}


@pytest.mark.parametrize("sha256", [None, SHA256.upper()])
def test_two_calls_for_one_file_fetch_it_once(tmp_path: Path, sha256: str | None) -> None:
    begun, second_waits = threading.Event(), threading.Event()

    def progress(*_: object) -> None:
        begun.set()
        assert second_waits.wait(10)

    with serving(Site(CONTENT)) as site, ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, site, tmp_path / "m.pt", sha256=sha256, progress=progress)
        assert begun.wait(10)
        second = pool.submit(fetch, site, tmp_path / "m.pt", sha256=sha256)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.5)
        second_waits.set()
        first.result()
        second.result()
    assert (tmp_path / "m.pt").read_bytes() == CONTENT and files(tmp_path) == {"m.pt"}
    assert site.requests == [None]


def test_a_file_that_changed_meanwhile_starts_over(tmp_path: Path) -> None:
    site = Site(CONTENT, break_after=[400_000] + [0] * ATTEMPTS)
    with serving(site):
        with pytest.raises(DownloadError):
            fetch(site, tmp_path / "m.pt")
        site.content, site.etag = CONTENT[::-1], '"two"'
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(
    ("changes", "requests"),
    [
        ({"etag": None, "last_modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, [None, "bytes=300000-"]),
        ({"etag": 'W/"weak"'}, [None, None]),
        ({"etag": None}, [None, None]),
        ({"ranges": False}, [None, "bytes=300000-"]),
    ],
)
def test_servers_that_identify_files_otherwise_or_know_no_ranges(
    tmp_path: Path, changes: dict[str, Any], requests: list[str | None]
) -> None:
    with serving(Site(CONTENT, break_after=[300_000], **changes)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT
    assert site.requests == requests


def test_a_part_of_another_address_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "m.pt.part").write_bytes(b"other" * 100)
    (tmp_path / "m.pt.part.json").write_text(json.dumps({"address": "ab" * 32, "validator": '"one"'}))
    with serving(Site(CONTENT)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT and site.requests == [None]


@pytest.mark.parametrize("notes", ["", "[]", "{", '{"address": 1}'])
def test_damaged_notes_start_over(tmp_path: Path, notes: str) -> None:
    (tmp_path / "m.pt.part").write_bytes(b"other" * 100)
    (tmp_path / "m.pt.part.json").write_text(notes)
    with serving(Site(CONTENT)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as site:
        (tmp_path / "m.pt.part").write_bytes(CONTENT + b"more")
        notes = {"address": hashlib.sha256(site.url.encode()).hexdigest(), "validator": '"one"'}
        (tmp_path / "m.pt.part.json").write_text(json.dumps(notes))
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT and len(site.requests) == 2


def test_another_range_than_was_asked_for(tmp_path: Path) -> None:
    with serving(Site(CONTENT, break_after=[300_000], shift=7)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT
    assert site.requests == [None, "bytes=300000-", None]


def test_a_server_that_is_busy_for_a_while(tmp_path: Path) -> None:
    with serving(Site(CONTENT, statuses=[503, 429, 500])) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT and len(site.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_status_that_will_not_change(tmp_path: Path, status: int) -> None:
    with serving(Site(CONTENT, statuses=[status])) as site, pytest.raises(DownloadError, match=f"answers {status}"):
        fetch(site, tmp_path / "m.pt")
    assert len(site.requests) == 1 and not (tmp_path / "m.pt").exists()


def test_a_wrong_hash_keeps_nothing(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as site, pytest.raises(DownloadError, match=SHA256):
        fetch(site, tmp_path / "m.pt", sha256="ab" * 32)
    assert files(tmp_path) == set()


def test_a_wrong_file_never_takes_the_place_of_a_right_one(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"right")
    with serving(Site(CONTENT)) as site, pytest.raises(DownloadError):
        fetch(site, tmp_path / "m.pt", sha256="ab" * 32)
    assert (tmp_path / "m.pt").read_bytes() == b"right"


def test_a_web_page(tmp_path: Path) -> None:
    page = Site(b"<html>", content_type="text/html; charset=utf-8")
    with serving(page) as site, pytest.raises(DownloadError, match="is a web page"):
        fetch(site, tmp_path / "m.pt")


def test_more_than_was_announced_is_not_read(tmp_path: Path) -> None:
    with serving(Site(CONTENT, extra=b"x" * 1000)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT


def test_a_server_that_never_stops(tmp_path: Path) -> None:
    with serving(Site(CONTENT, announce_length=False)) as site:
        with pytest.raises(DownloadError, match="more than the 500,000 bytes"):
            fetch(site, tmp_path / "m.pt", max_bytes=500_000)
        with pytest.raises(DownloadError, match="expected at most 500,000"):
            site.announce_length = True
            fetch(site, tmp_path / "m.pt", max_bytes=500_000)
        assert not (tmp_path / "m.pt").exists()


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with serving(Site(CONTENT)) as site, pytest.raises(DownloadError, match="1,000 bytes free"):
        fetch(site, tmp_path / "m.pt")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "data:,x"])
def test_redirections_lead_to_no_other_protocol(tmp_path: Path, target: str) -> None:
    refused = pytest.raises(DownloadError, match=r"redirects to an address of '[a-z]+', expected http or https")
    with serving(Site(CONTENT, location=target)) as site, refused:
        fetch(site, tmp_path / "m.pt")
    assert not (tmp_path / "m.pt").exists() and len(site.requests) == 1


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a key and a certificate of this machine's own that clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "loopback.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + signed.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def test_a_redirection_never_leaves_an_encrypted_connection(tmp_path: Path, certificate: Path) -> None:
    refused = pytest.raises(DownloadError, match=r"redirects to an address of 'http', expected https; ask")
    with serving(Site(CONTENT)) as end, serving(Site(b"", location=end.url, certificate=certificate)) as site, refused:
        fetch(site, tmp_path / "m.pt")
    assert not (tmp_path / "m.pt").exists() and len(site.requests) == 1 and not end.requests


@pytest.mark.parametrize("first_is_open", [True, False])
def test_a_redirection_into_an_encrypted_connection(tmp_path: Path, certificate: Path, first_is_open: bool) -> None:
    end = Site(CONTENT, certificate=certificate)
    first = None if first_is_open else certificate
    with serving(end), serving(Site(b"", location=end.url, certificate=first)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT


def test_a_byte_at_a_time_is_given_up(tmp_path: Path) -> None:
    """Every read succeeds, and so would those of the next year."""
    refused = pytest.raises(DownloadError, match=r"in 5 attempts \(\d+ bytes in 0.05 s\)")
    with serving(Site(CONTENT, drip=True)) as site, refused as caught:
        download(site.url, tmp_path / "m.pt", pause_seconds=0, timeout_seconds=0.05)
    assert "resume at" in str(caught.value) and len(site.requests) == ATTEMPTS
    assert 0 < (tmp_path / "m.pt.part").stat().st_size < 1000


def test_a_header_of_a_byte_at_a_time_is_given_up(tmp_path: Path) -> None:
    with serving(Site(CONTENT, drip_header=True)) as site, pytest.raises(DownloadError, match="in 5 attempts"):
        download(site.url, tmp_path / "m.pt", pause_seconds=0, timeout_seconds=0.05)
    assert len(site.requests) == ATTEMPTS


def with_credentials(url: str, words: str) -> str:
    return url.replace("http://", f"http://{words}@")


def test_user_and_password_of_an_address_are_sent(tmp_path: Path) -> None:
    with serving(Site(CONTENT, credentials="me@home:a/b:c")) as site:
        download(with_credentials(site.url, "me%40home:a%2Fb:c"), tmp_path / "m.pt", pause_seconds=0)
        assert (tmp_path / "m.pt").read_bytes() == CONTENT
        for url in (site.url, with_credentials(site.url, "me:wrong")):
            with pytest.raises(DownloadError, match=r"answers 401 .* and the user and password in it") as caught:
                download(url, tmp_path / "n.pt", pause_seconds=0)
            assert "wrong" not in str(caught.value)


def test_a_password_stays_with_its_host(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as end, serving(Site(b"", location=end.url)) as site:
        download(with_credentials(site.url, "me:word"), tmp_path / "m.pt", pause_seconds=0)
    assert site.authorizations != [None] and end.authorizations == [None]


def test_a_name_that_nobody_has_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"no machine has the name 'nowhere\.invalid'|could not be fetched"):
        download("http://me:word@nowhere.invalid/m.pt", tmp_path / "m.pt", pause_seconds=0, timeout_seconds=5)


def test_a_redirection(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as end, serving(Site(b"", location=end.url)) as site:
        fetch(site, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/passwd", "model.pt", "ftp://host/x", "http://[", "http://127.0.0.1:x/"])
def test_addresses_that_are_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="address"):
        download(url, tmp_path / "m.pt", pause_seconds=0)
    with pytest.raises(DownloadError) as caught:
        download(url.replace("//", "//me:word@"), tmp_path / "m.pt", pause_seconds=0)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("path", ["/a b.pkl?token=secret", "/a\x7f.pkl", "/\xe9.pkl"])
def test_an_address_with_what_none_has_is_not_tried(tmp_path: Path, path: str) -> None:
    with pytest.raises(DownloadError, match="no address") as caught:
        download(f"http://127.0.0.1:9{path}", tmp_path / "m.pt", pause_seconds=1000)
    assert "secret" not in str(caught.value)


def test_a_disk_that_takes_no_more_is_not_the_server_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with serving(Site(CONTENT)) as site:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, before[1]))
            with pytest.raises(OSError, match="File too large"):
                fetch(site, tmp_path / "m.pt")
            assert len(site.requests) == 1, "which trying again would not mend"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with serving(Site(b"")) as site:
        pass
    with pytest.raises(DownloadError, match="could not be fetched in 5 attempts"):
        fetch(site, tmp_path / "m.pt")


def test_secrets_in_addresses_are_not_shown() -> None:
    assert public_address("https://me:word@host:81/a/b.pt?token=1#x") == "https://host:81/a/b.pt"
