"""The newcomer's path on a terminal of 80 columns: a new project, a folder of images, what came of it and why."""

import sys

import pytest
from PIL import Image
from terminal import screen

from experiments.synthetic.procedural import draw, sample_attributes
from tasks.project.paths import Project
from tasks.running import stage_cli
from tasks.stages import import_base

UI2I = [sys.executable, "-m", "cli.app"]


def ui2i(folder, *arguments):
    shown = screen([*UI2I, *map(str, arguments)], folder, 80)
    assert "…" not in shown and "Traceback" not in shown
    return shown


def write_drawings(folder, style, count):
    folder.mkdir()
    for index in range(count):
        Image.fromarray(draw(sample_attributes(8, index, style), style)).save(folder / f"{style}-{index}.png")


@pytest.mark.slow
def test_a_newcomer_at_80_columns(tmp_path, monkeypatch):
    """Makes a project, asks for what is not there yet, translates what the base knows and what it does not."""
    made = ui2i(tmp_path, "init", "faces", "--example")
    assert "cd faces && ui2i demo" in made and "history" in made.split(), "no word is cut"
    project = Project((tmp_path / "faces").resolve())
    assert "run `dvc repro distance@cartoon`" in ui2i(project.root, "distances", "cartoon").replace("\n", "")
    write_drawings(tmp_path / "cats", "cat", 4)
    write_drawings(tmp_path / "people", "face", 6)
    (tmp_path / "people" / "broken.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(project.root)  # stages change the folder; this restores it
    assert stage_cli.main(import_base.STAGE, ["--base", "face", "--project", str(project.root)]) == 0
    to_face = ("--domain", "face", "--from", "face", "--method", "encoder", "--out")

    refused = ui2i(project.root, "translate", "../empty", *to_face, "../none")
    assert "no images" in refused and "Starting" not in refused

    cats = " ".join(ui2i(project.root, "translate", "../cats", *to_face, "../from-cats").split())
    assert "4 of 4 images do not look like what face was trained on" in cats and "expect poor results" in cats
    assert "next: translate images like face's" in cats

    people = " ".join(ui2i(project.root, "translate", "../people", *to_face, "../from-people").split())
    assert "6 of 7 images translated to face" in people and "1 could not be used" in people
    assert "reconstruction: SSIM 0." in people and "contact sheet" in people

    strict = ui2i(project.root, "translate", "../cats", *to_face, "../strict", "--strict")
    assert "leave out --strict" in " ".join(strict.split())
    assert not (tmp_path / "strict").exists()
