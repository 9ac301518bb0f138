"""The GPU benchmark where there is no GPU: it refuses, counts right, and its dry run goes through."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ui2i.ops.convolution import conv2d, without_weight_gradients

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu" / "time_training.py"


@pytest.fixture(scope="module")
def time_training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("time_training", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_refuses_without_a_gpu(time_training: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        time_training.main([])
    assert stop.value.code == 2
    assert "no CUDA device, expected one to measure; run it where" in capsys.readouterr().err


def test_counts_convolutions_and_their_derivatives(time_training: ModuleType) -> None:
    x, weight = torch.randn(2, 3, 8, 8).requires_grad_(), torch.randn(5, 3, 3, 3).requires_grad_()
    forwards = 2 * 2 * 5 * 3 * 9 * 8 * 8  # a multiply-add counts as two

    def second_derivative() -> None:
        y = conv2d(x, weight, padding=1)
        with without_weight_gradients():
            (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        gradient.square().sum().backward()

    assert time_training.count_flops(lambda: conv2d(x, weight, padding=1)) == forwards
    # y; dx of dy; then backwards through dx to dy and weight, and through y to x and weight.
    assert time_training.count_flops(second_derivative) == 6 * forwards


@pytest.mark.slow
def test_dry_run(tmp_path: Path) -> None:
    script = [sys.executable, str(SCRIPT)]
    # Without native bfloat16, which not every CPU has, the same takes minutes.
    command = [*script, "--dry-run", "--precision", "fp32", "--json", str(tmp_path / "result.json")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "s for 1000 images" in run.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["device"] == "cpu" and result["share_of_peak"] is None
    assert result["seconds_per_1000_images"] > 0 and result["share_of_matrix_product"] > 0
    assert result["network"]["num_mapping_layers"] == 2 and result["network"]["conv_clamp"] == 256


@pytest.mark.slow
def test_the_quarter_of_an_hour_is_rehearsed(tmp_path: Path) -> None:
    """Every part of `run.sh` goes through on the CPU, and leaves what is to be brought back."""
    script = SCRIPT.with_name("run.sh")
    environment = {**os.environ, "PYTHON": sys.executable}
    command = ["bash", str(script), "--rehearse", "--out", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout[-3000:]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tests.txt", "training-eager.json", "training-graphs.json", "inversion.json", "profile.txt"} <= names
    kept = {path.name for path in (tmp_path / "out" / "base").iterdir()}
    assert {"generator.safetensors", "discriminator.safetensors", "samples.png", "state.pt.00"} <= kept
    again = [*command[:-1], str(tmp_path / "again"), "--resume", str(tmp_path / "out" / "base")]
    assert subprocess.run(again, capture_output=True, env=environment).returncode == 0
    assert "resumed" in (tmp_path / "again" / "base.txt").read_text()


@pytest.mark.parametrize("arguments", [["--out"], ["--fast"]])
def test_the_script_names_what_it_does_not_know(arguments: list[str]) -> None:
    run = subprocess.run(["bash", str(SCRIPT.with_name("run.sh")), *arguments], capture_output=True, text=True)
    assert run.returncode == 2 and arguments[0] in run.stderr and "expected" in run.stderr
