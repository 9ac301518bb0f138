"""`ui2i data`: what it prints and writes."""

import re
import zipfile
from pathlib import Path

import pytest
from image_files import blobs, file_bytes
from tiny_project import make_project

from cli import app
from cli.report import print_paths, print_table
from ui2i.datasets.ingest import ingest
from ui2i.settings import IngestConfig


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with one prepared dataset, `set`, of 12 images and 3 rejects."""
    project = make_project(tmp_path_factory.mktemp("data-cli") / "project")
    raw = project.raw("set")
    raw.mkdir(parents=True)
    for index in range(1, 13):
        (raw / f"{index:02d}.jpg").write_bytes(file_bytes(blobs(index, 40, 50), "JPEG", quality=95))
    (raw / "twin.jpg").write_bytes((raw / "03.jpg").read_bytes())
    (raw / "bad.png").write_bytes(b"bad")
    (raw / "worse.png").write_bytes(b"worse")
    (raw / "notes.txt").write_bytes(b"")
    config = IngestConfig(img_resolution=32, test_share=0.3)
    ingest(raw, project.prepared("set"), config, name="set")
    return project


@pytest.fixture
def ui2i(project, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        status = app.run(["--project", str(project.root), *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def cells(out):
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]


@pytest.mark.parametrize("command", ["draw", "show", "export"])
def test_help_has_examples(ui2i, command):
    status, out, _ = ui2i("data", command, "--help")
    assert status == 0
    assert f"  ui2i data {command}" in out


def test_show(ui2i, project):
    status, out, _ = ui2i("data", "show", "set")
    assert status == 0
    rows = cells(out)
    assert ["from JPEG", "12"] in rows and ["rejected", "3"] in rows and ["no images: .txt", "1"] in rows
    numbers = {row[0]: int(row[1]) for row in rows if row[0] in ("train", "test")}
    assert sum(numbers.values()) == 12
    assert ["width, px", "40", "40", "40"] in rows and ["height, px", "50", "50", "50"] in rows
    assert ["unreadable", "2", "missing, unreadable, or no image"] in rows
    assert ["duplicate", "1", "the same file came before"] in rows
    for name in ("samples.png", "rejects.png", "rejects.parquet"):
        assert str(project.prepared("set") / name) in out


@pytest.mark.parametrize(
    ("arguments", "place", "num"),
    [
        (("--to", "zip"), "set.zip", None),
        (("--to", "folder", "--split", "all"), "set", 12),
        (("--to", "zip", "--out", "a/b.zip", "--split", "all"), "a/b.zip", 12),
    ],
)
def test_export(ui2i, arguments, place, num):
    status, out, _ = ui2i("data", "export", "set", *arguments)
    assert status == 0
    path = Path(place)
    files = zipfile.ZipFile(path).namelist() if path.suffix else [file.name for file in path.rglob("*")]
    images = [name for name in files if name.endswith(".png")]
    assert len(images) == num if num else 0 < len(images) < 12
    assert f"{len(images)} images" in out and place in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nobody"), "nobody is not prepared, expected one of: set; correct the name, or"),
        (("export", "nobody", "--to", "zip"), "nobody is not prepared"),
        (("show", "../set"), "expected lower-case letters"),
    ],
)
def test_errors_are_one_line(ui2i, arguments, message):
    status, out, err = ui2i("data", *arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1


def test_show_of_a_dataset_of_an_earlier_version(ui2i, project):
    import json

    old = project.prepared("old")
    old.mkdir()
    for path in project.prepared("set").glob("images-*"):
        (old / path.name).write_bytes(path.read_bytes())
    values = json.loads((project.prepared("set") / "manifest.json").read_text())
    for key in ("passed_over", "statistics", "settings", "processing", "tables_sha256"):
        del values[key]
    values |= {"schema_version": 1, "num_rejected": 0, "rejected_by_reason": {}}
    (old / "manifest.json").write_text(json.dumps(values))
    status, out, _ = ui2i("data", "show", "old")
    assert status == 0
    assert ["rejected", "0"] in cells(out)


def test_tables_neither_steer_the_terminal_nor_are_markup(capsys):
    print_table("a [bold]title[/bold]", ("\x1b[31mcolumn",), [("caf\udce9 [/red] \x07",)])
    printed = capsys.readouterr().out
    for shown in ("a [bold]title[/bold]", "\\x1b[31mcolumn", "caf\\udce9 [/red] \\x07"):
        assert shown in printed
    print_paths({"out": Path("/tmp/\x1b[31m")})
    assert capsys.readouterr().out == "out  /tmp/\\x1b[31m\n"
