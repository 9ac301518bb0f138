"""One dataset, whatever holds the images; and nothing leaves an archive."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes

from ui2i.datasets.ingest import ingest
from ui2i.errors import DataError
from ui2i.files import sha256_folder
from ui2i.images import limits
from ui2i.images.folders import read_list
from ui2i.images.sources import check_destination, open_source
from ui2i.settings import IngestConfig

CONFIG = IngestConfig(img_resolution=32, max_reject_share=0.9)
FILES = {
    "b/two.jpg": file_bytes(blobs(1), "JPEG"),
    "a.png": file_bytes(blobs(2), "PNG"),
    "b/日本.webp": file_bytes(blobs(3), "WEBP"),
    "c.png": file_bytes(blobs(4), "PNG"),
    "copy of a.png": file_bytes(blobs(2), "PNG"),
    "bad.png": b"no image",
}


def write_folder(root: Path) -> Path:
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tar_bytes(files: dict[str, bytes] = FILES, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, data in reversed(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_bytes(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in reversed(files.items()):
            archive.writestr(name, data)
    return buffer.getvalue()


def reasons(folder: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in pq.read_table(folder / "rejects.parquet").to_pylist()}


def names(folder: Path) -> list[str]:
    return [row["source_path"] for row in pq.read_table(folder / "images-00000.parquet").to_pylist()]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("raw.zip", zip_bytes),
        ("stored.zip", lambda: zip_bytes(method=zipfile.ZIP_STORED)),
        ("bzip2.zip", lambda: zip_bytes(method=zipfile.ZIP_BZIP2)),
        ("lzma.zip", lambda: zip_bytes(method=zipfile.ZIP_LZMA)),
        ("no suffix", zip_bytes),
        ("raw.tar", tar_bytes),
        ("gnu.tar", lambda: tar_bytes(tar_format=tarfile.GNU_FORMAT)),
        ("from-here.tar", lambda: tar_bytes({f"./{name}": data for name, data in FILES.items()})),
        ("raw.tar.gz", lambda: gzip.compress(tar_bytes())),
        ("raw.tgz", lambda: gzip.compress(tar_bytes()[:5000]) + gzip.compress(tar_bytes()[5000:])),
        ("raw.tar.bz2", lambda: bz2.compress(tar_bytes())),
        ("raw.tar.xz", lambda: lzma.compress(tar_bytes())),
        ("not really compressed.tgz", tar_bytes),
    ],
)
def test_archives_give_what_the_folder_gives(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    ingest(write_folder(tmp_path / "raw"), tmp_path / "expected", CONFIG, name="set")
    (tmp_path / name).write_bytes(make())
    ingest(tmp_path / name, tmp_path / "out", CONFIG, name="set")
    assert sha256_folder(tmp_path / "out") == sha256_folder(tmp_path / "expected")
    assert names(tmp_path / "out") == ["a.png", "b/two.jpg", "b/日本.webp", "c.png"]
    assert reasons(tmp_path / "out") == {"bad.png": "unreadable", "copy of a.png": "duplicate"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"raw", name, "expected", "out"})


def test_lists_give_what_the_folder_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path / "raw")
    ingest(root, tmp_path / "expected", CONFIG, name="set")
    files = [root / name for name in reversed(FILES)]
    (tmp_path / "list.txt").write_text("# images\n\n" + "".join(f"raw/{name}\n" for name in FILES), encoding="utf-8")
    monkeypatch.chdir(root)
    for source in (files, [str(file) for file in files], list(FILES), tmp_path / "list.txt"):
        ingest(source, tmp_path / "out", CONFIG, name="set", reuse=False)
        assert sha256_folder(tmp_path / "out") == sha256_folder(tmp_path / "expected")


def test_a_list_as_windows_saves_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_bytes("\ufeffa.png\r\nb.png\r\n".encode())
    assert read_list(tmp_path / "list.txt") == [tmp_path / "a.png", tmp_path / "b.png"]


def test_a_result_is_not_replaced_that_a_list_names(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.parquet").touch()
    (tmp_path / "list.txt").write_text("out/a-FC.png\n")
    with pytest.raises(DataError, match="overlap, expected a place outside the images"):
        check_destination(tmp_path / "list.txt", out, "manifest.parquet", "translation")
    check_destination(tmp_path / "list.txt", tmp_path / "other", "manifest.parquet", "translation")


def test_a_list_may_name_any_file_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "no suffix").write_bytes(FILES["a.png"])
    (tmp_path / "c.png").write_bytes(FILES["c.png"])
    listed = [tmp_path / "x" / "no suffix", tmp_path / "gone.png", tmp_path / "c.png"]
    ingest(listed, tmp_path / "out", CONFIG, name="set")
    assert names(tmp_path / "out") == ["c.png", "x/no suffix"]
    assert reasons(tmp_path / "out") == {"gone.png": "unreadable"}


# Parquet


def rows(*, struct: bool = True) -> pa.Table:
    data = list(FILES.values())
    if not struct:
        return pa.table({"image": pa.array(data, pa.binary()), "label": range(len(data))})
    column = [{"bytes": content, "path": f"/home/me/{name}"} for name, content in FILES.items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"label": range(len(data)), "image": pa.array(column, kind)})


@pytest.mark.parametrize("row_group_size", [1, 4, 100])
def test_a_parquet_file_as_hugging_face_writes_it(tmp_path: Path, row_group_size: int) -> None:
    pq.write_table(rows(), tmp_path / "train-00000-of-00001.parquet", row_group_size=row_group_size)
    ingest(tmp_path / "train-00000-of-00001.parquet", tmp_path / "out", CONFIG, name="set")
    assert names(tmp_path / "out") == ["00000000/two.jpg", "00000001/a.png", "00000002/日本.webp", "00000003/c.png"]
    assert reasons(tmp_path / "out") == {"00000004/copy of a.png": "duplicate", "00000005/bad.png": "unreadable"}


def test_a_parquet_file_of_plain_bytes(tmp_path: Path) -> None:
    pq.write_table(rows(struct=False), tmp_path / "raw.parquet")
    ingest(tmp_path / "raw.parquet", tmp_path / "out", CONFIG, name="set")
    assert names(tmp_path / "out") == ["00000000", "00000001", "00000002", "00000003"]


def test_rows_without_bytes(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    column = [{"bytes": FILES["a.png"], "path": None}, {"bytes": None, "path": "/etc/passwd"}, None]
    pq.write_table(pa.table({"image": pa.array(column, kind)}), tmp_path / "raw.parquet")
    ingest(tmp_path / "raw.parquet", tmp_path / "out", CONFIG, name="set")
    assert names(tmp_path / "out") == ["00000000"]
    assert reasons(tmp_path / "out") == {"00000001/passwd": "unreadable", "00000002": "unreadable"}


def test_rows_are_read_in_any_order(tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "raw.parquet", row_group_size=2)
    with open_source(tmp_path / "raw.parquet", workspace=tmp_path) as source:
        for index in (3, 0, 5, 4, 4, 1):
            assert source.read(source.members[index]) == list(FILES.values())[index]


def test_the_column_of_images_has_to_be_known(tmp_path: Path) -> None:
    for columns, message in (
        ({"left": pa.array([b"x"]), "right": pa.array([b"y"])}, "2 columns that may be images"),
        ({"text": pa.array(["x"])}, "0 columns that may be images"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "raw.parquet")
        with pytest.raises(DataError, match=message):
            open_source(tmp_path / "raw.parquet", workspace=tmp_path)
    pq.write_table(pa.table({"mask": pa.array([b"x"]), "image": pa.array([FILES["a.png"]])}), tmp_path / "raw.parquet")
    assert ingest(tmp_path / "raw.parquet", tmp_path / "out", CONFIG, name="set").num_images == 1


# Safety


DANGEROUS = ["../up.png", "a/../../up.png", "/etc/up.png", "C:\\up.png", "..\\up.png", "\\\\host\\up.png"]


@pytest.mark.parametrize("kind", ["tar", "zip", "tar.gz"])
def test_names_that_would_leave_the_archive(tmp_path: Path, kind: str) -> None:
    files = {name: file_bytes(blobs(index), "PNG") for index, name in enumerate([*DANGEROUS, "a..b.png", "good.png"])}
    data = zip_bytes(files) if kind == "zip" else tar_bytes(files)
    (tmp_path / f"raw.{kind}").write_bytes(gzip.compress(data) if kind == "tar.gz" else data)
    ingest(tmp_path / f"raw.{kind}", tmp_path / "deep" / "out", CONFIG, name="set")
    assert reasons(tmp_path / "deep" / "out") == dict.fromkeys(DANGEROUS, "unsafe_name")
    assert names(tmp_path / "deep" / "out") == ["a..b.png", "good.png"]
    assert not list(tmp_path.rglob("up.png"))


def test_links_and_devices_in_a_tar(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(FILES["c.png"])
    with tarfile.open(tmp_path / "raw.tar", "w") as archive:
        for name, kind, target in (
            ("hard.png", tarfile.LNKTYPE, "secret.png"),
            ("soft.png", tarfile.SYMTYPE, str(tmp_path / "secret.png")),
            ("pipe.png", tarfile.FIFOTYPE, ""),
            ("device.png", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("good.png")
        info.size = len(FILES["a.png"])
        archive.addfile(info, io.BytesIO(FILES["a.png"]))
    ingest(tmp_path / "raw.tar", tmp_path / "out", CONFIG, name="set")
    assert names(tmp_path / "out") == ["good.png"]
    expected = {"hard.png": "link", "soft.png": "link", "pipe.png": "unreadable", "device.png": "unreadable"}
    assert reasons(tmp_path / "out") == expected


def test_links_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        info = zipfile.ZipInfo("soft.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good.png", FILES["a.png"])
    ingest(tmp_path / "raw.zip", tmp_path / "out", CONFIG, name="set")
    assert reasons(tmp_path / "out") == {"soft.png": "link"}


def test_members_that_unpack_to_too_much(tmp_path: Path) -> None:
    files = {"bomb.png": bytes(4 << 20), "small but dense.bmp": bytes(1 << 19), "good.png": FILES["a.png"]}
    (tmp_path / "raw.zip").write_bytes(zip_bytes(files))
    ingest(tmp_path / "raw.zip", tmp_path / "out", CONFIG, name="set")
    assert reasons(tmp_path / "out") == {"bomb.png": "decompression_bomb", "small but dense.bmp": "unreadable"}


def test_archives_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOTAL_FREE_BYTES", 1 << 20)
    (tmp_path / "many.zip").write_bytes(zip_bytes({f"{index}.png": bytes(1 << 19) for index in range(8)}))
    (tmp_path / "raw.tar.gz").write_bytes(gzip.compress(tar_bytes({"bomb.png": bytes(4 << 20)})))
    for name in ("many.zip", "raw.tar.gz"):
        with pytest.raises(DataError, match="unpacks to more than 200 times"):
            ingest(tmp_path / name, tmp_path / "out", CONFIG, name="set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.zip", "raw.tar.gz"]


def test_a_zip_that_names_one_part_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each entry of the table of contents points to the same compressed bytes.
    monkeypatch.setattr(limits, "TOTAL_FREE_BYTES", 1 << 20)
    data = zip_bytes({"0.png": os.urandom(60_000)})
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry, count = data[start:end], 1000
    ending = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(entry) * count, start, 0)
    (tmp_path / "raw.zip").write_bytes(data[:start] + entry * count + ending)
    with pytest.raises(DataError, match="unpacks to more than 200 times"):
        ingest(tmp_path / "raw.zip", tmp_path / "out", CONFIG, name="set")


def test_archives_with_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MEMBERS", 5)
    (tmp_path / "raw.zip").write_bytes(zip_bytes())
    (tmp_path / "raw.tar").write_bytes(tar_bytes())
    pq.write_table(rows(), tmp_path / "raw.parquet")
    for name in ("raw.zip", "raw.tar", "raw.parquet"):
        with pytest.raises(DataError, match="members, expected at most 5"):
            ingest(tmp_path / name, tmp_path / "out", CONFIG, name="set")


def test_sizes_that_lie(tmp_path: Path) -> None:
    data = bytearray(zip_bytes({"a.png": FILES["a.png"], "c.png": FILES["c.png"]}, zipfile.ZIP_STORED))
    place = data.index(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<I", 20)  # the first entry's size, uncompressed
    (tmp_path / "raw.zip").write_bytes(data)
    ingest(tmp_path / "raw.zip", tmp_path / "out", CONFIG, name="set")
    assert list(reasons(tmp_path / "out").values()) == ["damaged"]  # its checksum does not fit
    info = tarfile.TarInfo("a.png")
    info.size = 1 << 40
    (tmp_path / "raw.tar").write_bytes(info.tobuf() + FILES["a.png"])
    with pytest.raises(DataError, match="cannot be read as a tar"):
        ingest(tmp_path / "raw.tar", tmp_path / "other", CONFIG, name="set")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("fake.zip", b"PK, perhaps"),
        ("fake.tar", b"no tar" * 200),
        ("cut.tar", tar_bytes()[:2000]),
        ("cut.tar.gz", gzip.compress(tar_bytes())[:-300]),
        ("cut.tar.xz", lzma.compress(tar_bytes())[:-300]),
        ("fake.parquet", b"PAR1 and then nothing"),
        ("fake.txt", b"\xff\xfe\xfa"),
        ("empty.txt", b"# nothing\n"),
        ("empty.tar", tar_bytes({})),
        ("text.tar", tar_bytes({"readme.txt": b"no images"})),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r", expected .*; (fetch|correct|add)"):
        ingest(tmp_path / name, tmp_path / "out", CONFIG, name="set")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_files_are_counted(tmp_path: Path) -> None:
    files = FILES | {"notes.txt": b"", "a/b.txt": b"", "Makefile": b"", ".DS_Store": b"", "__MACOSX/x.txt": b""}
    (tmp_path / "raw.zip").write_bytes(zip_bytes(files))
    (tmp_path / "raw.tar").write_bytes(tar_bytes(files))
    for name in ("raw.zip", "raw.tar"):
        assert ingest(tmp_path / name, tmp_path / "out", CONFIG, name="set").passed_over == {".txt": 2, "none": 1}
