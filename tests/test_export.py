"""Datasets in the layout of other trainers."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes
from PIL import Image

from ui2i.datasets import ingest as ingest_module
from ui2i.datasets.export import Layout, export
from ui2i.datasets.ingest import ingest
from ui2i.errors import DataError
from ui2i.files import sha256_file
from ui2i.settings import IngestConfig


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    (root / "raw").mkdir()
    for index in range(1, 31):
        (root / "raw" / f"{index:02d}.png").write_bytes(file_bytes(blobs(index), "PNG"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "SHARD_SIZE", 12)
        ingest(root / "raw", root / "out", IngestConfig(img_resolution=32, test_share=0.3), name="set")
    return root / "out"


def rows(dataset: Path, split: str | None) -> list[dict]:
    found = [row for shard in sorted(dataset.glob("images-*")) for row in pq.read_table(shard).to_pylist()]
    return [row for row in found if split in (None, row["split"])]


def read_as_stylegan2_ada_does(path: Path) -> tuple[list[bytes], object]:
    """The images in the order of their names, and the labels, from a folder or an uncompressed zip."""
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    else:
        with zipfile.ZipFile(path) as archive:
            assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
            files = {name: archive.read(name) for name in archive.namelist()}
    Image.init()
    images = sorted(name for name in files if Path(name).suffix.lower() in Image.EXTENSION)
    return [files[name] for name in images], json.loads(files["dataset.json"])["labels"]


@pytest.mark.parametrize("to", ["folder", "zip"])
@pytest.mark.parametrize("split", ["train", "test", None])
def test_other_trainers_find_the_same_images(dataset: Path, tmp_path: Path, to: Layout, split: str | None) -> None:
    expected = rows(dataset, split)
    calls = []
    count = export(
        dataset,
        tmp_path / "out",
        to=to,
        split=split,  # type: ignore[arg-type]
        progress=lambda done, total, note="": calls.append((done, total)),
    )
    images, labels = read_as_stylegan2_ada_does(tmp_path / "out")
    assert labels is None
    assert images == [row["png"] for row in expected]
    assert count == len(expected) > 0
    assert calls == [(done, count) for done in range(1, count + 1)]
    assert {Image.open(io.BytesIO(png)).size for png in images} == {(32, 32)}


def test_names_and_where_they_came_from(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "out", to="folder", split="test")
    expected = rows(dataset, "test")
    with (tmp_path / "out" / "sources.csv").open(newline="", encoding="utf-8") as handle:
        found = list(csv.DictReader(handle))
    assert [row["file"] for row in found] == [f"00000/img{number:08d}.png" for number in range(len(expected))]
    assert [(int(row["id"]), row["source_path"]) for row in found] == [
        (row["id"], row["source_path"]) for row in expected
    ]


def test_equal_datasets_give_equal_zips(dataset: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(dataset, tmp_path / name, to="zip")
    assert sha256_file(tmp_path / "a.zip") == sha256_file(tmp_path / "b.zip")


def test_an_exported_zip_can_be_ingested_again(dataset: Path, tmp_path: Path) -> None:
    count = export(dataset, tmp_path / "set.zip", to="zip", split=None)
    manifest = ingest(tmp_path / "set.zip", tmp_path / "again", IngestConfig(img_resolution=32), name="again")
    assert manifest.num_images == count
    assert [row["png"] for row in rows(tmp_path / "again", None)] == [row["png"] for row in rows(dataset, None)]


@pytest.mark.parametrize("to", ["folder", "zip"])
def test_a_flipped_bit_is_not_handed_on(dataset: Path, tmp_path: Path, to: Layout) -> None:
    shutil.copytree(dataset, tmp_path / "set")
    shard = tmp_path / "set" / "images-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1  # in a picture, where Parquet takes anything
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"images-00001\.parquet has changed, expected the SHA-256"):
        export(tmp_path / "set", tmp_path / "out", to=to)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"years of work")
    (tmp_path / "empty").mkdir()
    for to, name in (("zip", "set.zip"), ("folder", "set.zip"), ("folder", "."), ("zip", "empty")):
        with pytest.raises(DataError, match="exists already"):
            export(dataset, tmp_path / name, to=to)  # type: ignore[arg-type]
    assert export(dataset, tmp_path / "empty", to="folder") > 0
    assert (tmp_path / "set.zip").read_bytes() == b"years of work"


def test_what_cannot_be_exported(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(DataError, match="make it with the ingest stage"):
        export(tmp_path, tmp_path / "out", to="zip")
    raw = dataset.parent / "raw"
    ingest(raw, tmp_path / "train", IngestConfig(img_resolution=32, test_share=0.0), name="train")
    with pytest.raises(DataError, match="no images in its test split"):
        export(tmp_path / "train", tmp_path / "out", to="zip", split="test")
    (tmp_path / "train" / "images-00000.parquet").write_bytes(b"PAR1")
    for to in ("zip", "folder"):
        with pytest.raises(DataError, match=r"images-00000\.parquet has changed"):
            export(tmp_path / "train", tmp_path / "out", to=to)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
