"""The comparison with other people's code, without that code: stand-ins of its shape, and this library as a peer."""

import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import randomize

from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig, TrainingConfig

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
STAND_IN = Path(__file__).parent / "stand_in"
TINY = NetworkConfig(
    img_resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=8, mbstd_group_size=4
)
MODULES = ("turns", "literal", "peers", "peer_equality", "bench_peers", "speed_tables")
MODEL = """
import op
class Generator:
    def __init__(self):
        self.channels = {4: 512, 8: 512, 16: 512, 32: 512}
        self.other = {4: 1}
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The benchmark's modules by their names."""
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name in MODULES or name.split(".")[0] in ("dnnlib", "torch_utils", "training", "legacy"):
            del sys.modules[name]


@pytest.fixture
def contestants(bench: SimpleNamespace) -> dict[str, Any]:
    """This library twice with equal weights."""
    torch.manual_seed(0)
    networks = randomize(Generator(TINY)), randomize(Discriminator(TINY))
    return {
        name: bench.peers.Ours(*networks, TrainingConfig(batch_size=4, precision="fp32")) for name in ("ours", "twin")
    }


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(4, TINY.z_dim), torch.rand(4, 3, 32, 32) * 2 - 1


def test_equal_networks_agree(bench: SimpleNamespace, contestants: dict[str, Any]) -> None:
    errors = bench.bench_peers.peer_errors(contestants, bench.peer_equality.relative_errors, *inputs())["twin"]
    bench.peer_equality.require_equal_values("twin", errors)
    assert max(errors.values()) == 0
    assert {"images", "logits", "r1", "path_length", "gradient of r1", "gradient of path_length"} <= errors.keys()


@pytest.mark.parametrize(
    ("network", "parameter", "quantity"),
    [
        ("generator", "synthesis.b16.conv1.weight", "images"),
        ("generator", "mapping.fc1.bias", "images"),
        ("discriminator", "b16.conv0.weight", "logits"),
    ],
)
def test_a_changed_weight_stops_the_comparison(
    bench: SimpleNamespace, contestants: dict[str, Any], network: str, parameter: str, quantity: str
) -> None:
    with torch.no_grad():
        getattr(contestants["twin"], network).get_parameter(parameter).view(-1)[0].add_(
            1
        )  # scaling all would be demodulated
    errors = bench.peer_equality.image_errors(contestants["ours"], contestants["twin"], inputs()[0])
    with pytest.raises(SystemExit, match=f"{quantity} of twin and of this library differ by .*expected at most 5e-05"):
        bench.peer_equality.require_equal_values("twin", errors)


def test_nan_is_a_difference(bench: SimpleNamespace) -> None:
    error = bench.peer_equality.relative_error(torch.tensor([torch.nan, 1.0]), torch.ones(2))
    with pytest.raises(SystemExit, match="differ by nan"):
        bench.peer_equality.require_equal_values("twin", {"images": error})


def test_a_gradient_may_differ_by_more_than_an_image(bench: SimpleNamespace) -> None:
    bench.peer_equality.require_equal_values("twin", {"gradient of r1": 5e-4, "images": 4e-5})
    with pytest.raises(SystemExit, match="images"):
        bench.peer_equality.require_equal_values("twin", {"images": 5e-4})


def test_forms_take_turns_after_a_warm_up(bench: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    comparison = bench.bench_peers.Comparison(
        task="a task",
        runs={name: lambda name=name: order.append(name) for name in ("ours", "twin")},
        warm_ups={"twin": lambda: order.append("warm")},
        num_images=3,
        errors={"twin": {"images": 1e-6, "logits": 2e-6}},
    )
    result = bench.bench_peers.timed(comparison, 2, both_allocators=False)
    assert order == ["ours", "warm", "ours", "twin", "ours", "twin"]
    assert result["seconds"].keys() == {"ours", "twin"} and len(result["seconds"]["twin"]["cpu"]) == 2
    assert "largest relative error 2.0e-06, of logits" in capsys.readouterr().out


def test_peers_are_timed_with_either_allocator(bench: SimpleNamespace) -> None:
    runs = {name: lambda: None for name in ("ours", "twin")}
    comparison = bench.bench_peers.Comparison(task="a task", runs=runs, num_images=1, errors={})
    assert list(bench.bench_peers.timed(comparison, 1, both_allocators=True)["seconds"]) == [
        "ours",
        "twin",
        "twin, memory kept",
    ]


def test_this_library_trains_and_projects_as_a_peer(bench: SimpleNamespace, contestants: dict[str, Any]) -> None:
    twin = contestants["twin"]
    before = twin.generator.synthesis.b16.conv1.weight.detach().clone()
    twin.train(inputs()[1], 1)
    assert not torch.equal(before, twin.generator.synthesis.b16.conv1.weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no peer was given, expected a checkout of one at least"),
        (
            ["--rosinality", "{folder}"],
            "has no model.py, expected a checkout of rosinality/stylegan2-pytorch; git clone",
        ),
        (["--stylegan2-ada", "{folder}"], "has no legacy.py, expected a checkout of NVlabs/stylegan2-ada-pytorch; git"),
    ],
)
def test_a_wrong_folder_is_said_in_a_line(
    bench: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        bench.bench_peers.main([argument.format(folder=tmp_path) for argument in arguments] + ["--tasks", "training"])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def rosinality(tmp_path: Path) -> Path:
    """A folder of rosinality's shape, whose `op` compiles as it is imported."""
    (tmp_path / "op").mkdir()
    (tmp_path / "op" / "__init__.py").write_text(
        "from torch.utils.cpp_extension import load\nfused = load('fused', [])"
    )
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "train.py").write_text("import lmdb\nimport op\nfrom tqdm import tqdm\n")
    return tmp_path


def test_rosinality_is_imported_without_a_compiler_and_with_our_widths(
    bench: SimpleNamespace, rosinality: Path
) -> None:
    compiler, path = torch.utils.cpp_extension.load, list(sys.path)
    model, script = bench.peers.load_rosinality(rosinality, TINY)
    generator = model.Generator()
    assert generator.channels == {4: 8, 8: 8, 16: 4, 32: 2} and generator.other == {4: 1}
    assert list(script.tqdm(range(2))) == [0, 1]
    assert torch.utils.cpp_extension.load is compiler and sys.path == path
    assert not {"op", "train", "model"} & sys.modules.keys()


def test_nvidia_s_networks_come_from_its_own_loader(bench: SimpleNamespace, tmp_path: Path) -> None:
    """With the stand-in's modules behind the names, and its equality with this library as the result."""
    import shutil

    folder = tmp_path / "ada"
    shutil.copytree(STAND_IN, folder)
    (folder / "legacy.py").write_text("import pickle\ndef load_network_pkl(file): return pickle.load(file)\n")
    loss = "class StyleGAN2Loss:\n    def __init__(self, *arguments, **settings): self.settings = settings\n"
    (folder / "training" / "loss.py").write_text(loss)
    network = dataclasses.replace(TINY, img_resolution=32)
    contestants = bench.bench_peers.make_contestants({"stylegan2-ada-pytorch": folder}, network)
    found = bench.peers.Nvidia  # the class that was used
    assert isinstance(contestants["stylegan2-ada-pytorch"], found)
    z = torch.randn(4, network.z_dim)
    errors = bench.bench_peers.peer_errors(contestants, bench.peer_equality.image_errors, z)
    assert max(errors["stylegan2-ada-pytorch"].values()) < 5e-5


def test_table(bench: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "task": "a task",
        "relative_errors": {"twin": {"images": 1e-6, "logits": 3e-6}},
        "images_per_second": {"ours": 10.0, "twin": 4.0},
        "images_per_cpu_second": {"ours": 5.0, "twin": 2.5},
        "ratio": {"twin": 2.5},
        "cpu_ratio": {"twin": 2.0},
    }
    (tmp_path / "one.json").write_text(json.dumps({"results": [result]}))
    bench.speed_tables.main([f"AVX2={tmp_path / 'one.json'}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == ["| a task | ours | 10 | 5 |  |  |", "|  | twin | 4 | 2.5 | 2.5x | 2.0x |"]
    assert lines[-1] == "| AVX2 | a task | twin | 3.0e-06 | logits |"
    with pytest.raises(SystemExit):
        bench.speed_tables.main([str(tmp_path / "one.json")])
