"""What tests of `ui2i reproduce` share: a clone with a tiny experiment and a tiny base."""

import pytest
from tiny_project import PARAMS, REPOSITORY, write_base

from experiments.paper.reproduction import project as reproduction
from experiments.paper.reproduction.project import experiment_name
from tasks.project.paths import Project

TINY = (
    PARAMS.replace("modes: [FC-FT, FT]", "modes: [FC-FT, scratch], scratch: {seed: 7}")
    .replace("num_images: 24, seed: 1", "num_images: 60, seed: 1")
    .replace("translate: {num_images: 2}", "translate: {num_images: 4}")
    .replace("encoders: {}", "encoders: {face: {total_kimg: 0.008, batch_size: 4, num_held_out: 2}}")
    .replace("\ntables:", '\ntables:\n  "3": {source: inversion}')
    .replace(
        "  cartoon: {style", "  portrait: {style: portrait, num_images: 24, seed: 3, resolution: 32}\n  cartoon: {style"
    )
    .replace("datasets:\n", "datasets:\n  portrait: {images: data/raw/portrait}\n")
    + "  portrait: {base: face, modes: [FC-FT, FT, scratch]}\n"
    + "inversions: {face: {num_images: 2, num_steps: 2, encoder_steps: 2}}\n"
    + "pairs: {cartoon2portrait: {source: cartoon, target: portrait}}\n"
    + "evaluated: {cartoon: {base: face}}\n"
    + "baselines: {cartoon: {base: face}}\n"
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What `prepare` takes from a clone, with a tiny experiment and a tiny base."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("dvc.yaml", ".dvcignore"):
        (root / name).write_bytes((REPOSITORY / name).read_bytes())
    (root / "params.yaml").write_text(TINY)
    write_base(Project(root))
    experiments = root / "data" / "experiments"
    experiments.mkdir()
    for quick in (False, True):
        (experiments / f"{experiment_name(quick=quick)}.yaml").write_text(TINY)
    return root


def put_in_place(patch, clone):
    """Let `prepare` take a clone for the one that the code is in."""
    patch.setattr(reproduction, "SHIPPED", clone)


@pytest.fixture
def repository(clone, monkeypatch):
    """The tiny clone, in the place of the real one."""
    put_in_place(monkeypatch, clone)
    return clone
