"""Stages called in the tests' own process, which has torch already."""

import importlib

import pytest
from tiny_project import stage_module, write_base, write_images

from tasks.running import stage_cli

OPTIONS = {
    "draw": "--dataset",
    "ingest": "--dataset",
    "pretrain": "--base",
    "import_base": "--base",
    "finetune": "--domain",
    "swap": "--domain",
    "distance": "--domain",
    "translate": "--domain",
    "truth": "--domain",
}


def run(project, module, name, *more):
    """Run a stage in this process, which has torch already."""
    arguments = [OPTIONS[module], name, "--project", str(project.root), *more]
    return stage_cli.main(importlib.import_module(stage_module(module)).STAGE, arguments)


@pytest.fixture(autouse=True)
def _stay_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # stages change the folder; this restores it


@pytest.fixture
def prepared(project):
    """A project with a base and prepared images of it and of the domain."""
    write_base(project)
    for seed, name in enumerate(("face", "cartoon")):
        write_images(project.raw(name), seed=seed)
        assert run(project, "ingest", name) == 0
    assert run(project, "import_base", "face") == 0
    return project
