"""Records of zip files against Python's zipfile."""

import io
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ui2i.converters.inert import RefusedError
from ui2i.converters.zip_records import read_directory

NAMES = st.text(st.characters(codec="ascii", exclude_characters='\\\0:*?"<>|', exclude_categories=["Cc"]), min_size=1)


def read_records(data: memoryview) -> dict[str, memoryview]:
    return {name: record.stored() for name, record in read_directory(data).items()}


def archive(records: dict[str, bytes], *, large: bool = False, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.comment = comment
        for name, data in records.items():
            with opened.open(name, "w", force_zip64=large) as record:
                record.write(data)
    return file.getvalue()


@given(
    st.dictionaries(NAMES.filter(lambda name: ".." not in name and name[0] != "/"), st.binary(max_size=50), max_size=5),
    st.booleans(),
    st.binary(max_size=30).filter(lambda comment: b"PK" not in comment),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_records_are_zipfile_s(records: dict[str, bytes], large: bool, comment: bytes) -> None:
    found = read_records(memoryview(archive(records, large=large, comment=comment)))
    assert {name: bytes(data) for name, data in found.items()} == records


def test_records_of_torch() -> None:
    file = io.BytesIO()
    torch.save({"x": torch.arange(3.0)}, file)
    records = read_records(memoryview(file.getvalue()))
    assert bytes(records["archive/data/0"]) == torch.arange(3.0).numpy().tobytes()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a\\b"])
def test_names_that_lead_out(name: str) -> None:
    with pytest.raises(RefusedError, match="expected names inside the archive"):
        read_records(memoryview(archive({name: b""})))


def test_encrypted_and_compressed_records() -> None:
    data = bytearray(archive({"a": b"12345"}))
    entry = data.rfind(b"PK\x01\x02")
    for offset, value in ((8, 1), (10, 8)):  # flags, method
        changed = bytearray(data)
        changed[entry + offset] = value
        with pytest.raises(RefusedError, match="compressed or encrypted"):
            read_records(memoryview(changed))


def test_every_truncation_is_refused() -> None:
    data = archive({"a": b"12345", "b/c": b"678"}, large=True)
    for size in range(len(data)):
        with pytest.raises(RefusedError):
            read_records(memoryview(data[:size]))
