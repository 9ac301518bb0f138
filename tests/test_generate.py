"""`ui2i generate`: seeds as in NVIDIA's tools, from every model that has a name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import random_generator
from tiny_project import make_project, set_param

from cli import app
from tasks.project.paths import Project
from tasks.requests.generate import parse_seeds
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.errors import ConfigError
from ui2i.images import to_uint8

FACE, CARTOON, SWAPPED = (random_generator(seed, use_noise=False) for seed in (1, 2, 3))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a base, and a domain with one variant."""
    project = make_project(tmp_path_factory.mktemp("generate") / "project")
    set_param(project, "swap.resolutions", [8])
    files = {
        project.checkpoint("face") / "generator.safetensors": (FACE, "scratch"),
        project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors": (CARTOON, "FC-FT"),
        project.variant("cartoon", 8): (SWAPPED, "FC-FT-LS8"),
    }
    for path, (generator, mode) in files.items():
        save_generator(path, generator, ModelCard(domain=path.parent.name, mode=mode))
    return project


@pytest.fixture
def ui2i(made, capsys, monkeypatch):
    monkeypatch.chdir(made.root)

    def run(*arguments):
        capsys.readouterr()
        status = app.run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "generator"),
    [
        (["face"], FACE),
        (["cartoon"], CARTOON),
        (["cartoon", "--variant", "FC-FT-LS8"], SWAPPED),
        (["cartoon/FC-FT-LS8"], SWAPPED),
        (["data/checkpoints/face/generator.safetensors"], FACE),
    ],
    ids=["base", "domain", "variant", "name", "file"],
)
def test_a_seed_gives_the_image_that_nvidias_tools_give(ui2i, tmp_path: Path, arguments, generator) -> None:
    out = tmp_path / "out"
    status, printed, _ = ui2i("generate", *arguments, "--seeds", "0-2,40", "--psi", "0.7", "--out", out)
    assert status == 0
    assert sorted(path.name for path in out.glob("*.png")) == [
        "grid.png",
        *(f"seed{seed:04d}.png" for seed in (0, 1, 2, 40)),
    ]
    z = torch.from_numpy(np.random.RandomState(40).randn(1, 8)).float()  # stylegan2-ada-pytorch, generate.py
    expected = to_uint8(generator(z, truncation_psi=0.7))[0]
    with Image.open(out / "seed0040.png") as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
    with Image.open(out / "grid.png") as image:
        assert image.size == (66, 66)
    assert json.loads((out / "generated.json").read_text())["seeds"] == [0, 1, 2, 40]
    assert str(out / "grid.png") in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fac", "--seeds", "0"], "there is no model 'fac', expected one of face, cartoon"),
        (["face", "--seeds", "0", "--variant", "FC-FT"], "face is no domain"),
        (["cartoon", "--seeds", "0", "--variant", "FC-FT-LS9"], "no model 'FC-FT-LS9'"),
        (["face", "--seeds", "5-1"], "the seeds are '5-1'"),
        (["face", "--seeds", "0", "--psi", "3"], "psi is 3"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(ui2i, tmp_path: Path, arguments, message) -> None:
    status, _, err = ui2i("generate", *arguments, "--out", tmp_path / "out")
    assert (status, len(err.splitlines())) == (2, 1)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_not_replaced(ui2i, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    status, _, err = ui2i("generate", "face", "--seeds", "0", "--out", tmp_path / "out")
    assert status == 2
    assert "is no folder of generated images" in err
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_what_lies_among_generated_images_is_never_deleted(ui2i, tmp_path: Path) -> None:
    again = ("generate", "face", "--seeds", "0-2", "--out", tmp_path / "out")
    assert ui2i(*again)[0] == ui2i(*again)[0] == 0
    (tmp_path / "out" / "seed0003.png").write_text("mine")
    (tmp_path / "out" / "chosen").mkdir()
    status, _, err = ui2i(*again)
    assert status == 2
    assert "also holds chosen, seed0003.png, expected nothing but the folder of generated images" in err
    assert (tmp_path / "out" / "seed0003.png").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1..3", "0-100000", f"{2**32}", "1,,2", "\u0661"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="the seeds are"):
        parse_seeds(text)


def test_a_seed_that_is_named_twice_is_one_seed() -> None:
    assert parse_seeds("3, 1-4,2") == [3, 1, 2, 4]
