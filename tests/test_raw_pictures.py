"""Pictures of every kind of source enter a project (folders and zips: test_tasks.py) and come out prepared."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from picture_files import blobs, file_bytes
from tiny_project import files_below, make_project, set_param

from tasks.ingest import STAGE
from tasks.raw_pictures import add_raw, count_pictures
from tasks.stage_cli import main
from ui2i.datasets.manifest import read_manifest
from ui2i.errors import DataError

FILES = {f"{index}.png": file_bytes(blobs(index), "PNG") for index in range(1, 4)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # stages change to their project, and this leads back
    monkeypatch.setattr("tasks.raw_pictures.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.raw_pictures.run_dvc", lambda root, *arguments: None)
    return make_project(tmp_path / "project")


def write_source(folder: Path, kind: str) -> Path:
    """Write the pictures as one kind of source."""
    folder.mkdir()
    if kind == "parquet":
        column = [{"bytes": data, "path": name} for name, data in FILES.items()]
        pq.write_table(pa.table({"image": column}), folder / "train.parquet")
        return folder / "train.parquet"
    if kind == "list":
        for name, data in FILES.items():
            (folder / name).write_bytes(data)
        (folder / "unlisted.png").write_bytes(file_bytes(blobs(9), "PNG"))
        (folder / "chosen.txt").write_text("\n".join(FILES))
        return folder / "chosen.txt"
    with tarfile.open(folder / f"pictures.{kind}", "w:gz" if kind.endswith("gz") else "w") as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder / f"pictures.{kind}"


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("tar", "anime.tar"),
        ("tar.gz", "anime.tar.gz"),
        ("tgz", "anime.tgz"),
        ("parquet", "anime.parquet"),
        ("list", "anime"),
    ],
)
def test_sources_are_copied_and_prepared(project, tmp_path, kind, place):
    source = write_source(tmp_path / "source", kind)
    assert count_pictures(source) == 3
    added = add_raw(project, "anime", source)
    assert added == project.data_dir / "raw" / place
    assert add_raw(project, "anime", source) == added
    assert (files_below(added) == set(FILES)) if kind == "list" else (added.read_bytes() == source.read_bytes())
    set_param(project, "datasets.anime", {"images": project.relative(added)})
    assert main(STAGE, ["--dataset", "anime", "--project", str(project.root)]) == 0
    assert read_manifest(project.prepared("anime")).num_images == 3


def test_another_kind_of_source_is_other_pictures(project, tmp_path):
    add_raw(project, "anime", write_source(tmp_path / "one", "tar"))
    other = write_source(tmp_path / "two", "list")
    with pytest.raises(DataError, match=r"data/raw/anime\.tar has other pictures"):
        add_raw(project, "anime", other)
    assert add_raw(project, "anime", other, replace=True) == project.raw("anime")


def test_what_cannot_be_added(project, tmp_path):
    (tmp_path / "fake.tar").write_bytes(b"no tar")
    (tmp_path / "fake.parquet").write_bytes(b"no parquet")
    (tmp_path / "list.txt").write_text("gone.png\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    for name, message in (
        ("fake.tar", "no archive that is known"),
        ("fake.parquet", "no archive that is known"),
        ("list.txt", r"lists gone\.png, which does not exist"),
        ("empty.txt", "list of pictures is empty"),
        ("nowhere.tar", "does not exist"),
    ):
        with pytest.raises(DataError, match=message):
            add_raw(project, "anime", tmp_path / name)
    assert files_below(project.data_dir) == set()
