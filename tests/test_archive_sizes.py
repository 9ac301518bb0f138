"""Archives that say less, or more, than they hold: what is read is what was promised and one byte more."""

import bz2
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes

from ui2i.errors import DataError
from ui2i.images import limits
from ui2i.images.decoding import ImageError
from ui2i.images.parquet_pages import Page, read_pages
from ui2i.images.sources import open_source

MB = 1 << 20
IMAGES = [file_bytes(blobs(index), "PNG") for index in range(6)]


def peak_of(work: Callable[[], Any]) -> int:
    """Return how many bytes Python's objects took meanwhile, at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def faults_of(path: Path) -> dict[str, str | None]:
    """Return what becomes of each member of an archive when it is read."""
    found: dict[str, str | None] = {}
    with open_source(path, workspace=path.parent) as source:
        for member in source.members:
            try:
                source.read(member)
                found[member.path] = None
            except ImageError as error:
                found[member.path] = error.fault
    return found


# Zip


def lying_zip(path: Path, method: int, num_bytes: int, said: int) -> Path:
    """Write a zip of one member that says that it has another size."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.png", bytes(num_bytes))
    data = bytearray(stream.getvalue())
    for signature, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        place = data.index(signature) + offset
        data[place : place + 4] = struct.pack("<I", said)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_says_less_than_it_holds(tmp_path: Path, method: int) -> None:
    path = lying_zip(tmp_path / "lies.zip", method, 2 * MB if method == zipfile.ZIP_STORED else 60 * MB, 1000)
    assert faults_of(path) == {"a.png": "damaged"}
    assert peak_of(lambda: faults_of(path)) < 12 * MB


def test_a_zip_that_says_more_than_it_holds(tmp_path: Path) -> None:
    assert faults_of(lying_zip(tmp_path / "lies.zip", zipfile.ZIP_DEFLATED, 1000, 5000)) == {"a.png": "damaged"}


# Tar


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_tar_with_a_name_of_megabytes(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 8 * MB
    member = tarfile.TarInfo("a.png")
    member.size = len(IMAGES[0])
    record = bytearray(b"a" * header.size)
    record[:16] = b"8388608 path=aaa"  # as extended headers have it
    image = IMAGES[0] + bytes(-len(IMAGES[0]) % 512)
    with lzma.open(tmp_path / "long.tar.xz", "wb", preset=0) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + record + member.tobuf() + image + bytes(1024))

    def refuse() -> None:
        with pytest.raises(DataError, match="a header of 8388608 bytes"):
            open_source(tmp_path / "long.tar.xz", workspace=tmp_path)

    assert peak_of(refuse) < 6 * MB


def test_a_tar_with_a_name_of_kilobytes_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "raw.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("x" * 5000 + ".png")
        info.size = len(IMAGES[0])
        archive.addfile(info, io.BytesIO(IMAGES[0]))
    (name,) = faults_of(tmp_path / "raw.tar")
    assert len(name) == 1024 and name.endswith(".png")


# Parquet


def test_pages_are_as_arrow_says(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array(IMAGES, pa.binary())})
    for version, dictionary in (("1.0", False), ("2.0", True)):
        options = {"data_page_version": version, "use_dictionary": dictionary, "data_page_size": 1}
        pq.write_table(table, tmp_path / "raw.parquet", compression="zstd", write_batch_size=1, **options)
        column = pq.read_metadata(tmp_path / "raw.parquet").row_group(0).column(0)
        start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
        with (tmp_path / "raw.parquet").open("rb") as handle:
            pages = list(read_pages(handle, start, start + column.total_compressed_size))
        assert len(pages) >= len(IMAGES)
        headers = column.total_compressed_size - sum(page.num_packed for page in pages)
        assert sum(page.num_bytes for page in pages) + headers == column.total_uncompressed_size


def test_what_is_no_page() -> None:
    good = bytes([0x15, 0x00, 0x15, 20, 0x15, 4, 0x00, 1, 2])  # type 0, 10 bytes, packed 2
    assert list(read_pages(io.BytesIO(good), 0, len(good))) == [Page(10, 2)]
    for data in (
        good[:-1],  # cut
        b"\0",  # no sizes
        bytes([0x15, 0x00, 0x15, 21, 0x15, 4, 0x00]),  # a negative size
        b"\x1c" * 100,  # structs without end
        b"\x19\x15" * 10,  # lists
        b"\x15" + b"\xff" * 20,  # a number without end
        b"\x18\xff\xff\x03",  # text behind the end
    ):
        with pytest.raises(ValueError, match="page"):
            list(read_pages(io.BytesIO(data), 0, len(data)))


def parquet_of(path: Path, values: pa.Array, **options: Any) -> Path:
    pq.write_table(pa.table({"image": values}), path, compression="zstd", store_schema=False, **options)
    return path


def test_a_parquet_file_that_unpacks_to_too_much(tmp_path: Path) -> None:
    zeros = bytes(30 * MB)
    few = pa.array([*IMAGES, zeros], pa.binary())
    one_for_all = pa.DictionaryArray.from_arrays(pa.array([0] * 50, pa.int32()), pa.array([zeros], pa.binary()))
    named = pa.array([{"bytes": IMAGES[0], "path": "x" * (30 * MB)}], pa.struct({"bytes": pa.binary(), "path": "str"}))
    for name, values, options in (
        ("plain", few, {"use_dictionary": False}),
        ("dictionary", one_for_all, {}),
        ("names", named, {}),
    ):
        path = parquet_of(tmp_path / f"{name}.parquet", values, **options)
        before = pa.total_allocated_bytes()
        with pytest.raises(DataError, match="unpacks to more than 200 times its"):
            open_source(path, workspace=tmp_path)
        assert pa.total_allocated_bytes() - before < MB


def test_a_parquet_file_that_lies_about_its_pages(tmp_path: Path) -> None:
    """What the file's table of contents says is not asked: its numbers may be anything."""
    path = parquet_of(tmp_path / "raw.parquet", pa.array([bytes(30 * MB)], pa.binary()), use_dictionary=False)
    said = _varint(pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size)
    small = bytes([0xD0, *[0x80] * (len(said) - 2), 0])  # 40, in as many bytes
    assert said in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(said, small))
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 40
    with pytest.raises(DataError, match="unpacks to more than 200 times its"):
        open_source(path, workspace=tmp_path)


def _varint(value: int) -> bytes:
    value <<= 1  # zigzag
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def test_a_parquet_file_with_more_rows_than_bytes(tmp_path: Path) -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array([IMAGES[0]], pa.binary()))
    path = parquet_of(tmp_path / "raw.parquet", values)
    with pytest.raises(DataError, match=r"has 100000 rows in \d+ bytes, expected images"):
        open_source(path, workspace=tmp_path)


def test_one_image_in_many_rows_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOTAL_FREE_BYTES", 1 << 16)
    monkeypatch.setattr(limits, "MAX_RATIO", 20)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([os.urandom(9000)], pa.binary()))
    path = parquet_of(tmp_path / "raw.parquet", values)
    with (
        open_source(path, workspace=tmp_path) as source,
        pytest.raises(DataError, match="unpacks to more than 20 times"),
    ):
        for member in source.members:
            source.read(member)


def test_bzip2_is_decompressed_no_further_than_asked() -> None:
    """What the reader of zips relies on: 4 kB of it can hold gigabytes."""
    packed = bz2.compress(bytes(50 * MB))
    assert len(packed) < 4096
    assert peak_of(lambda: bz2.BZ2Decompressor().decompress(packed, 1001)) < MB
