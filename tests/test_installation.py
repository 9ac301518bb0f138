"""Small installations: other builds of PyTorch by `make`, the container and the devcontainer, as far as text goes."""

import json
import re
import shutil
import subprocess

import pytest
from tiny_project import REPOSITORY

from tasks.project.shipped import shipped_files

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
LOCKED = re.findall(r"^([\w.-]+)==", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)


@pytest.fixture
def make(tmp_path):
    """A function that says what `make` would run in a clone whose environment is complete, or prints what it runs."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copyfile(REPOSITORY / name, tmp_path / name)

    def run(*arguments):
        command = ["make", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    return run


def set_up(folder, torch):
    (folder / ".venv").mkdir()
    (folder / ".venv" / ".torch").write_text(torch)
    (folder / ".venv" / ".ready").touch()


def test_the_standard_build_is_installed_as_it_is_locked(make):
    assert "--torch-backend" not in make("--dry-run", ".venv/.ready")
    assert re.findall(r"^([\w.-]+)==", make("--silent", "constraints"), re.MULTILINE) == LOCKED


def test_another_build_brings_its_own_cuda_or_none(make):
    assert "--torch-backend cpu --reinstall-package torch " in make("--dry-run", ".venv/.ready", "TORCH=cpu")
    kept = re.findall(r"^([\w.-]+)==", make("--silent", "constraints", "TORCH=cpu"), re.MULTILINE)
    dropped = set(LOCKED) - set(kept)
    assert {"torch", "torchvision", "numpy"} <= set(kept)
    assert {"triton", "cuda-toolkit", "nvidia-cudnn-cu13"} <= dropped
    assert all(name.startswith(("nvidia-", "cuda-", "triton")) for name in dropped)


def test_an_environment_remembers_its_build(make, tmp_path):
    set_up(tmp_path, "cpu")
    assert "pip install" not in make("--dry-run", "demo")
    assert "pip install" not in make("--dry-run", "demo", "TORCH=cpu")
    assert "--torch-backend cu130" in make("--dry-run", "demo", "TORCH=cu130")
    assert "--reinstall-package torch " in make("--dry-run", "demo", "TORCH="), "PyPI's build has the same version"
    (tmp_path / "pyproject.toml").touch()
    assert "--torch-backend cpu" in make("--dry-run", "demo")


def test_the_image_gets_what_the_wheel_is_built_from():
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert "*" in lines
    needed = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements.lock"]
    for name in (*needed, *shipped_files(REPOSITORY), "cli", "experiments", "flows", "tasks", "ui2i"):
        assert any(name == each or name.startswith(f"{each}/") for each in sent), name
    assert all((REPOSITORY / name).exists() for name in sent)


def test_the_image_runs_as_an_ordinary_user_and_for_the_processor_unless_asked():
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "\nUSER ui2i\n" in last
    assert last.index("\nRUN ") < last.index("\nUSER ui2i") < last.index("\nENTRYPOINT")
    assert "ARG TORCH=cpu\n" in DOCKERFILE
    assert not re.search(r"https?://", DOCKERFILE)


def test_the_devcontainer_is_a_stage_of_the_dockerfile():
    settings = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text())
    build = settings["build"]
    assert (REPOSITORY / ".devcontainer" / build["dockerfile"]).resolve() == REPOSITORY / "Dockerfile"
    assert f" AS {build['target']}\n" in DOCKERFILE
    assert build["args"]["TORCH"] == settings["containerEnv"]["TORCH"] == "cpu"
    assert settings["remoteUser"] == "ui2i"
