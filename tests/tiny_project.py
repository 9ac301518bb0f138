"""A project small enough for a test: 32 px, a few images, a few training steps."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from tasks.project.params import load_params
from tasks.project.paths import Project
from ui2i.checkpoints import ModelCard, save_discriminator, save_generator
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

REPOSITORY = Path(__file__).resolve().parents[1]

PARAMS = """\
network: {img_resolution: 32, z_dim: 8, w_dim: 8, num_mapping_layers: 2, channel_base: 128, channel_max: 8}
ingest: {img_resolution: 32}
pretrain: {total_kimg: 0.008, batch_size: 4, snapshot_kimg: 0.008}
finetune: {total_kimg: 0.008, batch_size: 4, snapshot_kimg: 0.008}
swap: {resolutions: [8, 16]}
perceptual: {backbone: random}
distance: {num_latents: 4, batch_size: 4}
inversion: {num_steps: 2}
translate: {num_images: 2}
evaluation: {num_images: 4}
drift: {}
synthetic:
  face: {style: face, num_images: 24, seed: 1, resolution: 32}
  cartoon: {style: cartoon, num_images: 24, seed: 2, resolution: 32}
datasets:
  face: {images: data/raw/face}
  cartoon: {images: data/raw/cartoon}
bases: {}
imported:
  face: {checkpoint: data/base/face}
truth:
  cartoon: {base: face, regressor: {num_drawings: 12, num_held_out: 6, num_epochs: 1, batch_size: 6, width: 4}}
encoders: {}
tables:
  "1": {source: distance}
  "2": {source: evaluation}
domains:
  cartoon: {base: face, modes: [FC-FT, FT]}
"""


def make_project(root: Path) -> Project:
    """Write the files of a project without data."""
    root.mkdir(parents=True)
    for name in ("dvc.yaml", ".dvcignore"):
        (root / name).write_bytes((REPOSITORY / name).read_bytes())
    (root / "params.yaml").write_text(PARAMS)
    project = Project(root.resolve())
    project.encoders.mkdir(parents=True)  # git has it in a clone
    return project


def set_param(project: Project, path: str, value: object) -> None:
    """Set one value, named by its keys with dots between them."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(project.params_path.read_text())
    *parents, key = path.split(".")
    entry = values
    for parent in parents:
        entry = entry[parent]
    entry[key] = value
    with project.params_path.open("w") as file:
        yaml.dump(values, file)


def write_images(folder: Path, *, count: int = 24, seed: int = 0) -> None:
    """Write smooth random images of 32 px."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        levels = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        levels.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{index:02d}.png")


def write_base(project: Project, name: str = "face", **network: int) -> Path:
    """Write an untrained model into data/base/<name>."""
    config = load_params(project).network
    config = type(config)(**(vars(config) | network))
    folder = project.root / "data" / "base" / name
    card = ModelCard(domain=name, mode="scratch")
    save_generator(folder / "generator.safetensors", Generator(config), card)
    save_discriminator(folder / "discriminator.safetensors", Discriminator(config), card)
    return folder


def stage_module(name: str) -> str:
    """Return the module of a stage by its last part, as `dvc.yaml` runs it."""
    modules = re.findall(r"cmd: python -m ([\w.]+)", (REPOSITORY / "dvc.yaml").read_text())
    return next(module for module in modules if module.rpartition(".")[2] == name)


def run_stage_module(project: Project, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the stage of that module in the project."""
    return subprocess.run(
        [sys.executable, "-m", stage_module(module), *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )


def files_below(folder: Path) -> set[str]:
    """Names of all files below a folder, except the locks of stages and what is noted of their costs."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in files if ".locks/" not in name and ".costs/" not in name}


def distance_row(run_id: str, target: str, mean: float, **columns: Any) -> dict[str, Any]:
    """Return a row of a table of distances."""
    return {
        "run_id": run_id,
        "measured_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "domain": "cartoon",
        "source": "face",
        "target": target,
        "source_domain": "face",
        "target_domain": "cartoon",
        "mode": target.removeprefix("cartoon/"),
        "mean": mean,
        "std": 0.1,
        "sem": 0.01,
        "ci95_low": mean - 0.02,
        "ci95_high": mean + 0.02,
        "num_latents": 2000,
        "seed": 0,
        "truncation_psi": 1.0,
        "noise_mode": "const",
        "latent_space": "w",
        "backbone": "tiny-backbone",
        "backbone_hash": "0",
        "img_resolution": 32,
        "source_hash": "0",
        "target_hash": "0",
        "commit": "0",
        "device": "cpu",
        "seconds": 1.0,
        "versions": "{}",
    } | columns
