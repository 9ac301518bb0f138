"""A 1024 px generator is converted in less than three times its file's size of memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from foreign_files import CARD

from ui2i.converters.formats import Checkpoint, write_checkpoint
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_checkpoints.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("names", [("m.pt", "n.safetensors"), ("m.safetensors", "n.pt"), ("m.safetensors", "n.pkl")])
def test_less_than_three_times_the_file(tmp_path: Path, names: tuple[str, str]) -> None:
    torch.manual_seed(0)
    generator = Generator(NetworkConfig(img_resolution=1024)).eval()
    paths = [tmp_path / name for name in names]
    write_checkpoint(paths[0], Checkpoint(format="ui2i", generator=generator, discriminator=None, card=CARD))
    command = [sys.executable, str(BENCHMARK), "--convert", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["peak_per_file_byte"] < 3
