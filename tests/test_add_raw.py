"""Images are added to a project; DVC itself is in `test_dvc.py`."""

import zipfile

import pytest
from stage_calls import _stay_here as _stay_here
from tiny_project import files_below, write_images

from tasks.requests.raw_images import add_raw, not_copied
from ui2i.errors import ConfigError, DataError


@pytest.fixture
def added(monkeypatch):
    """What DVC was told to track."""
    calls = []
    monkeypatch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: calls.append(arguments[-1]))
    return calls


def test_add_raw_takes_the_images_of_a_folder(project, tmp_path, added):
    source = tmp_path / "source"
    write_images(source / "inner", count=2)
    write_images(source / ".hidden", count=1)
    (source / "notes.txt").write_text("notes")
    assert add_raw(project, "anime", source) == project.raw("anime")
    assert files_below(project.raw("anime")) == {"inner/00.png", "inner/01.png", ".left-out.json"}
    assert not_copied(project.raw("anime")) == "1 file left out: 1 of .txt"
    assert added == ["data/raw/anime"]


def test_add_raw_of_equal_images_copies_nothing(project, tmp_path, added):
    write_images(tmp_path / "source", count=2)
    place = add_raw(project, "anime", tmp_path / "source")
    before = {path: path.stat().st_ino for path in place.iterdir()}
    assert add_raw(project, "anime", tmp_path / "source") == place
    assert add_raw(project, "anime", place) == place
    assert {path: path.stat().st_ino for path in place.iterdir()} == before


def test_add_raw_of_a_zip(project, tmp_path, added):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a.png", b"1")
    place = add_raw(project, "anime", tmp_path / "images.zip")
    assert place == project.root / "data/raw/anime.zip"
    assert place.read_bytes() == (tmp_path / "images.zip").read_bytes()
    assert added == ["data/raw/anime.zip"]


def test_add_raw_refuses_other_images_unless_told_to_replace(project, tmp_path, added):
    write_images(tmp_path / "one", count=2, seed=1)
    write_images(tmp_path / "two", count=1, seed=2)
    place = add_raw(project, "anime", tmp_path / "one")
    with pytest.raises(DataError, match="data/raw/anime has other images"):
        add_raw(project, "anime", tmp_path / "two")
    assert len(list(place.iterdir())) == 2
    add_raw(project, "anime", tmp_path / "two", replace=True)
    assert [path.name for path in place.iterdir()] == ["00.png"]


def test_add_raw_refuses_the_name_of_drawn_images(project, tmp_path, added):
    write_images(tmp_path / "source", count=1)
    with pytest.raises(ConfigError, match="the stage draw@face makes the images of face"):
        add_raw(project, "face", tmp_path / "source", replace=True)
    assert files_below(project.data_dir) == set()


@pytest.mark.parametrize("kind", ["missing", "empty folder", "no zip"])
def test_add_raw_refuses_what_holds_no_images(project, tmp_path, added, kind):
    source = tmp_path / "source"
    if kind == "empty folder":
        source.mkdir()
    elif kind == "no zip":
        source.write_text("text")
    with pytest.raises(DataError):
        add_raw(project, "anime", source)
    assert files_below(project.data_dir) == set()
    assert added == []
