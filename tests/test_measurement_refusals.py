"""What measurements on request refuse before they begin: places for files, and names that no table can hold."""

import pytest
from tiny_models import random_generator
from tiny_project import files_below, make_project, write_images
from typed_commands import ui2i as ui2i

from tasks.requests.measure import measure as measure_models
from ui2i import tables
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.tables import EVALUATION_SCHEMA, read_table


@pytest.fixture
def project(tmp_path):
    """A project with two models to measure."""
    made = make_project(tmp_path / "project")
    places = {"face": made.checkpoint("face"), "cartoon": made.mode_checkpoint("cartoon", "FC-FT")}
    for seed, (name, folder) in enumerate(places.items()):
        folder.mkdir(parents=True)
        save_generator(folder / "generator.safetensors", random_generator(seed), ModelCard(domain=name, mode="FC-FT"))
    return made


def test_where_values_cannot_go_nothing_is_measured(project, ui2i, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    refused = {
        ".": "the path . ends in no name, expected one to write to",
        "/": "the path / ends in no name, expected one to write to",
        tmp_path / "folder": "is a folder, expected the name of a file to write",
        tmp_path / "file" / "v.parquet": "Not a directory",
        tmp_path / ("v" * 300): "File name too long",
    }
    for place, said in refused.items():
        status, _, err = ui2i("measure", "face", "cartoon/FC-FT", "--values", place)
        assert (status, len(err.splitlines())) == (2, 1) and said in err
    assert not project.measured_distances.exists()
    (tmp_path / "notes.parquet").write_text("precious")
    (tmp_path / "page.html").write_text("<title>mine</title>")
    others = {"notes.txt": "does not end in .parquet", "notes.parquet": "exists and is not what is written there"}
    for name, said in others.items():
        status, _, err = ui2i("measure", "face", "cartoon/FC-FT", "--values", tmp_path / name)
        assert (status, len(err.splitlines())) == (2, 1) and said in err
    settings = project.params_path.read_text()
    for place, said in {
        project.params_path: "does not end in .html",
        tmp_path / "page.html": "exists and is not",
    }.items():
        status, _, err = ui2i("report", "--out", place)
        assert (status, len(err.splitlines())) == (2, 1) and said in err
    assert project.params_path.read_text() == settings and (tmp_path / "notes.parquet").read_text() == "precious"
    assert (tmp_path / "page.html").read_text() == "<title>mine</title>"
    status, _, err = ui2i("report", "--out", "/")
    assert (status, len(err.splitlines())) == (2, 1) and "the path / ends in no name" in err


def test_values_that_cannot_be_written_leave_no_rows(project, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "write_table", lambda *_: (_ for _ in ()).throw(OSError(28, "no room")))
    with pytest.raises(OSError, match="no room"):
        measure_models(project, ["face", "cartoon/FC-FT"], values_file=tmp_path / "v.parquet")
    assert not project.measured_distances.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--domain", "../../x", "--name", "x"], "--domain is '../../x', expected visible characters in UTF-8"),
        (["--domain", "", "--name", "x"], "--domain is ''"),
        (["--domain", "x" * 201, "--name", "x"], "at most 200 bytes, without slashes; choose another"),
        (["--name", "caf\udce9"], "--name is 'caf\\udce9'"),
        (["--name", "a\nb"], "--name is 'a\\nb'"),
        (["--name", "x", "--target", "/"], "name of the target's folder / is ''"),
        (["--name", "x", "--target", "caf\udce9"], "rename it, or name the column with --domain"),
        (["--name", "x", "--target", "there", "--inputs", "caf\udce9"], "name of the inputs' folder caf\\udce9"),
    ],
)
def test_names_that_no_table_can_hold_are_refused_before_anything_is_read(project, ui2i, options, message):
    before = files_below(project.root)
    status, _, err = ui2i("evaluate", "--target", "cartoon", "--outputs", "nowhere", *options)
    assert (status, len(err.splitlines())) == (2, 1) and message in err
    assert files_below(project.root) == before


def test_outputs_are_evaluated_under_any_name_that_shows(project, ui2i, tmp_path):
    write_images(tmp_path / "Anime Faces", count=8)
    (tmp_path / "Anime Faces").rename(tmp_path / "ab12cd")
    (tmp_path / "Anime Faces").symlink_to(tmp_path / "ab12cd")
    arguments = ("evaluate", "--outputs", tmp_path / "Anime Faces", "--target", tmp_path / "Anime Faces")
    status, _, err = ui2i(*arguments, "--name", "CycleGAN (ours), 1/2")
    assert status == 0, err
    (row,) = read_table(project.measured_evaluations("Anime Faces"), EVALUATION_SCHEMA).to_dict("records")
    assert (row["system"], row["domain"]) == ("CycleGAN (ours), 1/2", "Anime Faces")
