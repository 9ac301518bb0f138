"""A folder's codes found in parts are those that one process finds, and the translation takes them."""

import json

import pyarrow.parquet as pq
import pytest
from stage_calls import run as run_stage
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_images

from tasks.requests import translate_folder
from tasks.requests.translation_request import TranslationRequest
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.inversion import latents

NUM_IMAGES = 5


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a base, a domain and a folder of images, one of them unreadable."""
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project.root)  # stages change to their project
    for seed, (path, domain, mode) in enumerate(
        (
            (project.checkpoint("face"), "face", "scratch"),
            (project.mode_checkpoint("cartoon", "FC-FT"), "cartoon", "FC-FT"),
        )
    ):
        path.mkdir(parents=True)
        save_generator(path / "generator.safetensors", random_generator(seed), ModelCard(domain=domain, mode=mode))
    set_param(project, "inversion", {"num_steps": 2, "batch_size": 2})
    set_param(project, "domains.cartoon.modes", ["FC-FT"])
    run_stage(project, "swap", "cartoon")
    write_images(tmp_path / "mine", count=NUM_IMAGES)
    (tmp_path / "mine" / "02b.png").write_bytes(b"no image")
    return project


def translate(project, *more):
    images, out = project.root.parent / "mine", project.root / "out"
    request = TranslationRequest(images=images, domain="cartoon", out=out, variants=("FC-FT",), force=True)
    return translate_folder.main([*translate_folder.command(project, request)[3:], *more])


def codes(project):
    """The codes in the store by their names; the time that each took aside."""
    rows = {path.name: pq.ParquetFile(path).read().to_pylist()[0] for path in project.latents.rglob("*.parquet")}
    return {name: {key: value for key, value in row.items() if key != "seconds"} for name, row in rows.items()}


def test_parts_find_what_one_process_finds(project, monkeypatch, tmp_path):
    assert translate(project) == 0
    alone = codes(project)
    assert len(alone) == NUM_IMAGES
    outputs = {path.name: path.read_bytes() for path in (project.root / "out").glob("*.png")}
    project.latents.rename(tmp_path / "aside")

    assert translate(project, "--part=1/2") == 0
    assert len(codes(project)) == 3
    assert translate(project, "--part=2/2") == 0
    assert json.dumps(codes(project), sort_keys=True) == json.dumps(alone, sort_keys=True)

    monkeypatch.setattr(latents, "invert", lambda *_, **__: pytest.fail("a code was searched for again"))
    assert translate(project) == 0
    assert {path.name: path.read_bytes() for path in (project.root / "out").glob("*.png")} == outputs


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "x/2"])
def test_a_part_that_is_none_is_refused(project, part, capsys):
    with pytest.raises(SystemExit) as stop:
        translate(project, f"--part={part}")
    assert stop.value.code == 2
    assert f"'{part}' is no part, expected I/N" in capsys.readouterr().err
