"""What stages import: nothing that takes seconds and that they do without."""

import subprocess
import sys
from pathlib import Path

import pytest
import torchvision
from tiny_project import distance_row, make_project

from cli.expectation import computes_bf16, expected_duration
from ui2i.backbone_weights import ARCHITECTURES, download_url
from ui2i.tables import DISTANCE_SCHEMA, append_rows

ROOT = Path(__file__).parents[1]
SLOW = ("torch._dynamo", "torchvision", "lpips", "stlpips_pytorch", "pandas", "scipy.stats", "matplotlib")

SETUP = """
import sys
from pathlib import Path

import torch

from experiments.paper.settings import RegressorConfig
from ui2i.settings import DistanceConfig, InversionConfig, PerceptualConfig
from cli.expectation import computes_bf16, expected_duration
from ui2i.perceptual import load_perceptual

face, workspace = Path("data/base/face"), Path(sys.argv[1])
"""

STEPS = {
    "generator": """
from ui2i.checkpoints import load_generator
generator, _ = load_generator(face / "generator.safetensors")""",
    "discriminator": """
from ui2i.checkpoints import load_discriminator
load_discriminator(face / "discriminator.safetensors")""",
    "model": """
from tasks.models.model_folder import read_model
read_model(face)""",
    "encoder": """
from ui2i.inversion import load_encoder
encoder = load_encoder(face / "encoder.safetensors")""",
    "LPIPS, random": """
perceptual = load_perceptual(PerceptualConfig(backbone="random"))""",
    "ST-LPIPS": """
load_perceptual(PerceptualConfig())""",
    "LPIPS, trained": """
weights = {name.removeprefix("backbone.").replace(name.split(".")[1], "features", 1): value
           for name, value in perceptual.state_dict().items() if name.startswith("backbone.")}
torch.save(weights, workspace / "backbone.pth")
load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(workspace / "backbone.pth")))""",
    "rosinality's": """
from ui2i.converters.formats import read_checkpoint
read_checkpoint(workspace / "rosinality-source-32.pt")""",
    "NVIDIA's": """
read_checkpoint(workspace / "ada-auto-64.pkl")""",
    "regressor": """
from experiments.paper.truth.cache import load_regressor, save_regressor
from experiments.paper.truth.columns import Column
from experiments.paper.truth.regressor import AttributeRegressor
column = Column(name="age", kind="number")
save_regressor(workspace / "r.safetensors", AttributeRegressor("face", [column], 32, RegressorConfig(width=4)))
load_regressor(workspace / "r.safetensors")""",
    "swap": """
from ui2i.layer_swap import swap_weights
variant = swap_weights(generator, generator, 8)""",
    "samples": """
from ui2i.training.loop import sample_grid
sample_grid(generator)""",
    "distance": """
from ui2i.metrics.model_distance import model_distances
model_distances({"a": generator, "b": variant}, perceptual, DistanceConfig(num_latents=2, batch_size=2))""",
    "encode": """
from ui2i.inversion import invert
config = InversionConfig(method="encoder")
invert(torch.zeros(1, 3, 64, 64), generator, perceptual, config, encoder=encoder)""",
    "stages": """
from experiments.synthetic import draw
from tasks.stages import distance, evaluate, import_base, ingest, swap, translate""",
}


def first_imports(setup: str, steps: dict[str, str], watched: tuple[str, ...], *arguments: str) -> dict[str, set[str]]:
    """Run steps one after another in a process; return which of the watched modules each was the first to import."""
    lines = [setup, f"import sys; watched, known = {set(watched)!r}, set(sys.modules)"]
    for name, code in steps.items():
        lines += [code, f"print('::', {name!r}, *(watched & set(sys.modules)) - known, sep='|')"]
        lines += ["known |= set(sys.modules)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = [line.split("|")[1:] for line in done.stdout.splitlines() if line.startswith("::")]
    return {name: set(modules) for name, *modules in answers}


def test_loaders_import_neither_the_compiler_nor_torchvision(golden: Path, tmp_path: Path) -> None:
    for name in ("rosinality-source-32.pt", "ada-auto-64.pkl"):
        (tmp_path / name).symlink_to(golden / name)
    assert first_imports(SETUP, STEPS, SLOW, str(tmp_path)) == {name: set() for name in STEPS}


def test_addresses_of_trained_backbones_are_torchvision_s() -> None:
    classes = {"alex": "AlexNet_Weights", "vgg": "VGG16_Weights", "squeeze": "SqueezeNet1_1_Weights"}
    for backbone, name in classes.items():
        assert download_url(backbone) == getattr(torchvision.models, name).IMAGENET1K_V1.url
    assert set(classes) | {"random", "st-alex"} == set(ARCHITECTURES)


def test_distances_are_printed_without_what_takes_a_second_to_import(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    append_rows(project.distance_table("cartoon"), [distance_row("new", "cartoon/FT", 0.4)], DISTANCE_SCHEMA)
    steps = {"distances": "assert app.run(['--project', sys.argv[1], 'distances']) == 0"}
    watched = ("torch", "pandas", "prefect", "dvc", "scipy", *SLOW)
    assert first_imports("import sys; from cli import app", steps, watched, str(project.root)) == {"distances": set()}


def test_what_to_expect_depends_on_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text("processor\t: 0\nflags\t\t: fpu avx2\n")
    assert not computes_bf16(cpu_info)
    assert not computes_bf16(tmp_path / "absent")
    cpu_info.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n")
    assert computes_bf16(cpu_info)
    cpu_info.write_text("processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n")  # Arm
    assert computes_bf16(cpu_info)
    lines = []
    for is_native in (True, False):
        monkeypatch.setattr("cli.expectation.computes_bf16", lambda native=is_native: native)
        lines.append(expected_duration(1))
    assert "computes in bf16" in lines[0]
    assert "fp32" in lines[1]
