"""A folder of everything that goes wrong gives exactly the expected dataset and rejects."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hostile import PASSED_OVER, Cases, Kept, Rejected, write_folder
from PIL import Image

from ui2i.datasets.ingest import ingest
from ui2i.datasets.manifest import read_manifest
from ui2i.files import sha256_bytes, sha256_folder
from ui2i.images import fit_square
from ui2i.images.decoding import NO_MEMORY
from ui2i.images.left_out import REASONS
from ui2i.names import printable_path
from ui2i.settings import IngestConfig

CONFIG = IngestConfig(img_resolution=32, max_reject_share=0.9)


@pytest.fixture(scope="module")
def cases() -> Cases:
    return Cases()


@pytest.fixture(scope="module")
def folder(cases: Cases, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("hostile") / "raw"
    return root, write_folder(root, cases)


@pytest.fixture(scope="module")
def dataset(folder: tuple[Path, dict[str, str]]) -> Path:
    out = folder[0].parent / "out"
    ingest(folder[0], out, CONFIG, name="hostile")
    return out


def rows_of(dataset: Path, name: str) -> list[dict]:
    return pq.read_table(dataset / name).to_pylist()


def test_there_are_enough_cases(cases: Cases, folder: tuple[Path, dict[str, str]]) -> None:
    assert len(cases) + len(folder[1]) > 100
    reasons = {case.reason for case in cases.values() if isinstance(case, Rejected)} | set(folder[1].values())
    lacking = {"unsafe_name", "too_large", "no_face"}  # in a folder, or with these settings
    assert set(REASONS) - reasons == {*lacking, NO_MEMORY}


def test_every_file_has_its_place(cases: Cases, folder: tuple[Path, dict[str, str]], dataset: Path) -> None:
    expected = {name: case.reason for name, case in cases.items() if isinstance(case, Rejected)} | folder[1]
    rejects = rows_of(dataset, "rejects.parquet")
    assert {row["path"]: row["reason"] for row in rejects} == expected
    kept = sorted(printable_path(name) for name, case in cases.items() if isinstance(case, Kept))
    assert [row["source_path"] for row in rows_of(dataset, "images-00000.parquet")] == kept
    manifest = read_manifest(dataset)
    assert manifest.num_images == len(kept)
    assert manifest.num_rejected == len(expected) == sum(manifest.rejected_by_reason.values())
    assert manifest.passed_over == PASSED_OVER


def test_every_image_shows_what_it_should(cases: Cases, dataset: Path) -> None:
    shown = {printable_path(name): case for name, case in cases.items()}
    for row in rows_of(dataset, "images-00000.parquet"):
        case = shown[row["source_path"]]
        assert isinstance(case, Kept)
        assert (row["width"], row["height"]) == case.shows.size
        assert row["sha256"] == sha256_bytes(case.data)
        assert chunk_kinds(row["png"]) == {b"IHDR", b"IDAT", b"IEND"}  # no profile, no text, no time
        found = np.asarray(Image.open(io.BytesIO(row["png"]))).astype(float)
        expected = np.asarray(fit_square(case.shows, 32)).astype(float)
        assert np.abs(found - expected).mean() <= case.tolerance, row["source_path"]


def chunk_kinds(png: bytes) -> set[bytes]:
    kinds, place = set(), 8
    while place < len(png):
        kinds.add(png[place + 4 : place + 8])
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return kinds


def test_rejects_say_what_was_wrong(cases: Cases, dataset: Path) -> None:
    for row in rows_of(dataset, "rejects.parquet"):
        case = cases.get(row["path"])
        if isinstance(case, Rejected):
            assert row["sha256"] == sha256_bytes(case.data)
            assert row["size_bytes"] == len(case.data)
        else:
            assert row["sha256"] is None  # a pipe, a device: not one byte was read
        assert row["path"] in row["detail"]
        assert " at 0x" not in row["detail"]
        is_twin = row["reason"] in ("duplicate", "near_duplicate")
        assert row["duplicate_of"] == ("twins/0-original.png" if is_twin else None)
        decoded = is_twin or row["reason"] in ("too_small", "extreme_aspect", "near_uniform")
        assert (row["width"] is not None) == decoded


def test_two_processes_write_the_same_bytes(folder: tuple[Path, dict[str, str]], dataset: Path, tmp_path: Path) -> None:
    ingest(folder[0], tmp_path / "out", CONFIG, name="hostile", num_workers=2)
    assert sha256_folder(tmp_path / "out") == sha256_folder(dataset)


def test_nothing_was_executed_or_written_elsewhere(folder: tuple[Path, dict[str, str]], dataset: Path) -> None:
    assert not list(folder[0].parent.rglob("owned"))
    assert not Path("owned").exists()
    assert sorted(path.name for path in folder[0].parent.iterdir()) == ["out", "raw"]


def test_a_zip_of_the_same_files_gives_the_same_images(cases: Cases, dataset: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for name, case in cases.items():
            archive.writestr(zipfile.ZipInfo(name), case.data)
    ingest(tmp_path / "raw.zip", tmp_path / "out", CONFIG, name="hostile")
    shard = "images-00000.parquet"
    assert (tmp_path / "out" / shard).read_bytes() == (dataset / shard).read_bytes()
    assert {row["path"]: row["reason"] for row in rows_of(tmp_path / "out", "rejects.parquet")} == {
        name: case.reason for name, case in cases.items() if isinstance(case, Rejected)
    }
