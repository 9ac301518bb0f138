"""Images of every kind of source enter a project (folders and zips: test_add_raw.py) and come out prepared."""

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes
from tiny_project import files_below, make_project, set_param

from flows.registration import add_asked_domain, add_base, add_domain
from tasks.project.params import load_params
from tasks.requests.raw_images import add_raw, count_images, not_copied
from tasks.running.stage_cli import main
from tasks.stages.ingest import STAGE
from ui2i.datasets.manifest import read_manifest
from ui2i.errors import ConfigError, DataError

FILES = {f"{index}.png": file_bytes(blobs(index), "PNG") for index in range(1, 4)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # stages change to their project, and this leads back
    monkeypatch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: None)
    return make_project(tmp_path / "project")


def write_source(folder: Path, kind: str) -> Path:
    """Write the images as one kind of source."""
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
    with tarfile.open(folder / f"images.{kind}", "w:gz" if kind.endswith("gz") else "w") as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder / f"images.{kind}"


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
    assert count_images(source) == 3
    added = add_raw(project, "anime", source)
    assert added == project.data_dir / "raw" / place
    assert add_raw(project, "anime", source) == added
    assert (files_below(added) == set(FILES)) if kind == "list" else (added.read_bytes() == source.read_bytes())
    set_param(project, "datasets.anime", {"images": project.relative(added)})
    assert main(STAGE, ["--dataset", "anime", "--project", str(project.root)]) == 0
    assert read_manifest(project.prepared("anime")).num_images == 3


def test_a_list_in_the_settings_is_refused(project, capsys):
    write_source(project.data_dir / "chosen", "list")
    set_param(project, "datasets.anime", {"images": "data/chosen/chosen.txt"})
    assert main(STAGE, ["--dataset", "anime", "--project", str(project.root)]) == 2
    assert "datasets.anime.images is the list data/chosen/chosen.txt, expected a folder" in capsys.readouterr().err
    assert not project.prepared("anime").exists()


@pytest.mark.parametrize(("kind", "name"), [("tar", "photos.tar"), ("tgz", "photos.tgz"), ("parquet", "p.parquet")])
def test_a_link_is_what_its_own_name_says(project, tmp_path, kind, name):
    store = write_source(tmp_path / "store", kind).rename(tmp_path / "store" / "ab12cd")
    (tmp_path / name).symlink_to(store)
    assert count_images(tmp_path / name) == 3
    added = add_raw(project, "anime", tmp_path / name)
    assert added == project.raw("anime").with_name(f"anime{Path(name).suffix}")
    assert added.read_bytes() == store.read_bytes() and not added.is_symlink()
    assert add_raw(project, "anime", tmp_path / name) == added


def test_a_linked_list_names_files_beside_the_link(project, tmp_path):
    listed = write_source(tmp_path / "photos", "list")
    (tmp_path / "store").mkdir()
    listed.rename(tmp_path / "store" / "ab12cd")
    listed.symlink_to(tmp_path / "store" / "ab12cd")
    assert files_below(add_raw(project, "anime", listed)) == set(FILES)


def test_a_link_to_the_images_in_the_project_is_these(project, tmp_path):
    source = write_source(tmp_path / "source", "list")
    place = add_raw(project, "anime", source)
    before = {path: path.stat().st_ino for path in place.iterdir()}
    (tmp_path / "link").symlink_to(place)
    assert add_raw(project, "anime", tmp_path / "link", replace=True) == place
    assert {path: path.stat().st_ino for path in place.iterdir()} == before


def test_another_kind_of_source_is_other_images(project, tmp_path):
    add_raw(project, "anime", write_source(tmp_path / "one", "tar"))
    other = write_source(tmp_path / "two", "list")
    with pytest.raises(DataError, match=r"data/raw/anime\.tar has other images"):
        add_raw(project, "anime", other)
    assert add_raw(project, "anime", other, replace=True) == project.raw("anime")


def test_what_cannot_be_added(project, tmp_path):
    (tmp_path / "fake.tar").write_bytes(b"no tar")
    (tmp_path / "fake.parquet").write_bytes(b"no parquet")
    (tmp_path / "one.webp").write_bytes(FILES["1.png"])
    (tmp_path / "list.txt").write_text("gone.png\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    for name, message in (
        ("fake.tar", "is not a supported archive"),
        ("fake.parquet", "is not a supported archive"),
        ("one.webp", r"is a single image, expected a folder, .*; name the folder that it is in"),
        ("list.txt", r"lists gone\.png, which does not exist"),
        ("empty.txt", "list of images is empty"),
        ("nowhere.tar", "does not exist"),
    ):
        with pytest.raises(DataError, match=message):
            add_raw(project, "anime", tmp_path / name)
    assert files_below(project.data_dir) == set()


# What must not come in


IMAGE = FILES["1.png"]


def added_files(project, source, **options) -> set[str]:
    return files_below(add_raw(project, "anime", source, **options)) - {".left-out.json"}


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "good.png").write_bytes(IMAGE)
    return folder


def test_a_link_out_of_the_folder_is_left_out(project, tmp_path, source):
    (tmp_path / "secret.png").write_bytes(FILES["2.png"])
    (source / "zz.png").symlink_to(tmp_path / "secret.png")
    (source / "inside.png").symlink_to("good.png")
    assert added_files(project, source) == {"good.png", "inside.png"}
    assert count_images(source) == 2 and count_images(source, follow_links=True) == 3
    assert not_copied(project.raw("anime")) == "1 file left out: 1 a link to elsewhere"
    with pytest.raises(DataError, match="other images"):
        add_raw(project, "anime", source, follow_links=True)
    assert added_files(project, source, follow_links=True, replace=True) == {"good.png", "inside.png", "zz.png"}


def test_files_that_are_no_images_are_never_copied(project, tmp_path, source):
    (tmp_path / "shadow").write_text("root:$6$...\n")
    (source / "zz.png").symlink_to(tmp_path / "shadow")
    (source / "page.jpg").write_text("<html>")
    assert added_files(project, source, follow_links=True) == {"good.png"}


def test_a_file_beyond_the_limit_is_never_copied(project, source):
    with (source / "a.png").open("wb") as file:
        file.write(IMAGE)
        file.truncate(3 << 29)  # takes no room on the disk
    assert added_files(project, source) == {"good.png"}
    assert not_copied(project.raw("anime")) == "1 file left out: 1 over 256 MiB"


def test_a_file_that_grows_while_it_is_copied(project, source, monkeypatch):
    monkeypatch.setattr("tasks.requests.raw_images.check_image_file", lambda path, name: None)
    monkeypatch.setattr("ui2i.images.decoding.MAX_FILE_BYTES", len(IMAGE) + 10)
    (source / "a.png").write_bytes(IMAGE + bytes(100))
    assert added_files(project, source) == {"good.png"}


def test_a_list_that_leaves_its_folder_is_refused(project, tmp_path, source):
    (tmp_path / "secret.png").write_bytes(FILES["2.png"])
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    for line in (str(tmp_path / "secret.png"), "../secret.png", "link.png", "sub/../../secret.png", "nul\0.png"):
        (source / "list.txt").write_text(f"good.png\n{line}\n")
        with pytest.raises(
            DataError, match=r"which lies elsewhere, expected .*; copy them there, or pass --follow-lin"
        ):
            add_raw(project, "anime", source / "list.txt")
    assert files_below(project.data_dir) == set()
    (source / "list.txt").write_text("good.png\n../secret.png\n")
    assert added_files(project, source / "list.txt", follow_links=True) == {"source/good.png", "secret.png"}


def test_images_in_the_project_that_link_elsewhere_are_refused(project, tmp_path):
    (tmp_path / "secret.png").write_bytes(FILES["2.png"])
    folder = project.raw("anime")
    folder.mkdir(parents=True)
    (folder / "good.png").write_bytes(IMAGE)
    assert add_raw(project, "anime", folder) == folder
    (folder / "zz.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"has the link zz\.png to elsewhere"):
        add_raw(project, "anime", folder)
    assert add_raw(project, "anime", folder, follow_links=True) == folder


def test_names_that_no_file_system_takes_are_cut(project, source):
    gbk = b"\xb6" * 60 + b".png"  # six letters each once they are escaped
    for index, name in enumerate((gbk, b"x" * 250 + b".png", b"caf\xe9.png", b"caf\\udce9.png")):
        place = os.fsencode(source) + b"/" + name
        with open(place, "wb") as file:  # noqa: PTH123 -- a Path takes no bytes
            file.write(file_bytes(blobs(index), "PNG"))
    names = added_files(project, source)
    assert len(names) == 5
    assert {"good.png", "caf\\udce9.png", "caf\\udce9~2.png"} <= names
    assert add_raw(project, "anime", source) == project.raw("anime")  # equal, so that nothing is copied


def test_what_is_refused_replaces_no_images(project, source, tmp_path):
    set_param(project, "bases.selfie", {})
    set_param(project, "datasets.selfie", {"images": "data/raw/selfie"})
    own = project.raw("selfie")
    own.mkdir(parents=True)
    (own / "own.png").write_bytes(FILES["1.png"])
    with pytest.raises(ConfigError, match="selfie"):
        add_domain(project, "selfie", "selfie", source, replace=True)
    assert files_below(own) == {"own.png"}
    with pytest.raises(ConfigError, match="total_kimg"):
        add_domain(project, "anime", "selfie", source, overrides={"total_kimg": -1})
    with pytest.raises(ConfigError, match="total_kimg"):
        add_base(project, "other", source, overrides={"total_kimg": -1})
    assert not project.raw("anime").exists() and not project.raw("other").exists()


def test_a_run_with_images_alone_replaces_them_and_no_other_setting(project, source, tmp_path):
    add_domain(project, "anime", "face", source, overrides={"seed": 1})
    set_param(project, "domains.anime.scratch", {"seed": 2})
    before = load_params(project).domains["anime"]
    asked = {"modes": None, "overrides": None, "follow_links": False}
    other = write_source(tmp_path / "other", "tar")
    with pytest.raises(ConfigError, match=r"datasets\.anime with other settings"):
        add_asked_domain(project, "anime", None, other, framing="fit", replace=False, **asked)
    assert add_asked_domain(project, "anime", None, other, framing="fit", replace=True, **asked) is None
    params = load_params(project)
    assert params.domains["anime"] == before
    assert (params.datasets["anime"].images, params.datasets["anime"].framing) == ("data/raw/anime.tar", "fit")


@pytest.mark.parametrize("name", ["123", "1e5", "0777", "2024-01-01", "true", "null", "yes", "x" * 300])
def test_names_that_yaml_or_a_file_system_does_not_take_copy_nothing(project, source, name):
    with pytest.raises(ConfigError, match="has the name"):
        add_domain(project, name, "face", source)
    assert files_below(project.data_dir) == set()
