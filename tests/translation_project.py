"""What tests of requests for translations share: a project with a base, domains and images."""

import copy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_images

from tasks.project.paths import Project
from tasks.requests import translate_folder
from tasks.requests.translation_request import TranslationRequest
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.files import sha256_file
from ui2i.layer_swap import swap_weights
from ui2i.settings import IngestConfig

BASE = random_generator(1, use_noise=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a base, a domain of its family, one of another, images, and an encoder to be trained."""
    root = tmp_path_factory.mktemp("translation")
    project = make_project(root / "project")
    for path, value in {
        "domains": {"cartoon": {"base": "face", "modes": ["FC-FT", "FT"]}, "alien": {"base": "face"}},
        "datasets.alien": {"images": "data/raw/face"},
        "swap.resolutions": [8],
        "encoders": {"face": {"total_kimg": 0.016, "batch_size": 8, "num_held_out": 2, "precision": "fp32"}},
        "truth": {},
    }.items():
        set_param(project, path, value)
    save_generator(project.checkpoint("face") / "generator.safetensors", BASE, ModelCard(domain="face", mode="scratch"))
    base_hash = sha256_file(project.checkpoint("face") / "generator.safetensors")
    cartoon, alien = random_generator(2, use_noise=False), random_generator(3, use_noise=False)
    cartoon.mapping.load_state_dict(BASE.mapping.state_dict())
    drifted = copy.deepcopy(cartoon)
    drifted.mapping.fc0.bias.add_(0.01)
    _save(project, "cartoon", "FC-FT", cartoon, base_hash)
    _save(project, "cartoon", "FT", drifted, base_hash)
    _save(project, "alien", "FC-FT", alien, None)
    for name, generator in {"cartoon": cartoon, "alien": alien}.items():
        card = ModelCard(domain=name, mode="FC-FT-LS8", swap_resolution=8)
        save_generator(project.variant(name, 8), swap_weights(BASE, generator, 8), card)
    write_images(root / "raw")
    ingest(root / "raw", project.prepared("face"), IngestConfig(img_resolution=32, test_share=0.2), name="face")
    write_images(root / "mine", count=2, seed=5)
    return project


def _save(project: Project, domain: str, mode: str, generator: Any, base_hash: str | None) -> None:
    path = project.mode_checkpoint(domain, mode) / "generator.safetensors"
    save_generator(path, generator, ModelCard(domain=domain, mode=mode, base="face", base_hash=base_hash))


def run(project: Project, out: Path, *, domain: str = "cartoon", **changes: Any) -> int:
    request = TranslationRequest(images=project.root.parent / "mine", domain=domain, out=out, **changes)
    return translate_folder.main(translate_folder.command(project, request)[3:])


def manifest(out: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(out / "manifest.parquet").read().to_pylist()


@pytest.fixture(autouse=True)
def here(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.root)  # stages change to their project
