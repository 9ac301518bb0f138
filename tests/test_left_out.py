"""One walk through a folder, one account of what is left out: preparing, copying and translating agree."""

import collections
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes
from tiny_project import make_project

from tasks.requests.raw_images import add_raw, count_images, not_copied
from ui2i.datasets.ingest import ingest
from ui2i.datasets.manifest import read_manifest
from ui2i.images.folders import Links, folder_source
from ui2i.images.left_out import LEFT_OUT_NAME, Left, LeftOut, read_left_out, write_left_out
from ui2i.settings import IngestConfig
from ui2i.translation.inputs import Reject, list_inputs

CONFIG = IngestConfig(img_resolution=32, max_reject_share=0.9)
REJECTS = {"fake.png": "unreadable", "more": "link", "pipe.png": "unreadable"}
PASSED_OVER = {".png?w=640": 2, ".txt": 1, "none": 1}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: None)
    return make_project(tmp_path / "project")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with three images, and what is none or cannot be had."""
    folder = tmp_path / "mixed"
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "sub/b.png", "sub/c.png")):
        (folder / name).write_bytes(file_bytes(blobs(index), "PNG"))
    for name in ("w0.png?w=640", "w1.png?w=640", "no suffix", "notes.txt", ".hidden.png"):
        (folder / name).write_bytes(b"1")
    (folder / "fake.png").write_bytes(b"no image")
    os.mkfifo(folder / "pipe.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.png").write_bytes(file_bytes(blobs(7), "PNG"))
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    return folder


def reported(dataset: Path) -> tuple[dict[str, str], dict[str, int]]:
    rows = pq.read_table(dataset / "rejects.parquet").to_pylist()
    return {row["path"]: row["reason"] for row in rows}, read_manifest(dataset).passed_over


def test_a_folder_and_its_copy_give_one_report(project, mixed: Path, tmp_path: Path) -> None:
    assert ingest(mixed, tmp_path / "direct", CONFIG, name="x").num_images == 3
    raw = add_raw(project, "mixed", mixed)
    assert ingest(raw, tmp_path / "copied", CONFIG, name="x").num_images == 3
    assert reported(tmp_path / "copied") == reported(tmp_path / "direct") == (REJECTS, PASSED_OVER)
    assert count_images(mixed) == 3
    assert not_copied(raw) == (
        "7 files left out: 1 a link to elsewhere, 2 missing, unreadable, or no image, 2 of .png?w=640, 1 of .txt, "
        "1 of no suffix"
    )


def test_translation_leaves_out_the_same(mixed: Path) -> None:
    listing = list_inputs(mixed, 32)
    rejects = {entry.path: entry.reason for entry in listing.entries if isinstance(entry, Reject)}
    assert rejects == REJECTS
    assert listing.left_out.passed_over == PASSED_OVER
    assert listing.count == 6


def test_the_note_follows_what_the_source_becomes(project, mixed: Path) -> None:
    raw = add_raw(project, "mixed", mixed)
    (mixed / "notes.txt").unlink()
    assert add_raw(project, "mixed", mixed) == raw
    assert read_left_out(raw / LEFT_OUT_NAME).passed_over == {".png?w=640": 2, "none": 1}
    for name in ("w0.png?w=640", "w1.png?w=640", "no suffix", "fake.png", "pipe.png", "more"):
        (mixed / name).unlink()
    add_raw(project, "mixed", mixed)
    assert not (raw / LEFT_OUT_NAME).exists() and not_copied(raw) is None


def test_a_folder_that_cannot_be_listed(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refuse(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    faults = {member.path: member.fault for member in folder_source(mixed).members if member.fault}
    assert faults == {"more": "link", "sub": "unreadable"}


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"1")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    members = folder_source(tmp_path, Links(to_folders=True)).members
    assert len([member for member in members if member.path.endswith("x.png")]) == 1
    assert {member.fault for member in members if not member.path.endswith("x.png")} == {"link"}


def test_the_account_comes_back(tmp_path: Path) -> None:
    account = LeftOut([Left("a.png", 3, "link")], collections.Counter({".txt": 2}))
    write_left_out(tmp_path / "note", account)
    assert read_left_out(tmp_path / "note") == account
    write_left_out(tmp_path / "none", LeftOut())
    assert not (tmp_path / "none").exists() and not read_left_out(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "[]",
        json.dumps({"files": [{"path": "a", "num_bytes": -1, "fault": "link"}], "passed_over": {}}),
        json.dumps({"files": [{"path": "a", "num_bytes": 1, "fault": "\x1b"}], "passed_over": {}}),
        json.dumps({"files": [], "passed_over": {".txt": "many"}}),
    ],
)
def test_a_strangers_note_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "note").write_text(text)
    assert read_left_out(tmp_path / "note") == LeftOut()
