"""Written files in the hands of other tools: Python's pickle with NVIDIA's module tree, torch.load for rosinality's.

`stand_in/` has the tree: own modules that compute from the attributes they are given. The same files were loaded with
NVIDIA's own code once; docs/results/checkpoints.md has what came out.
"""

import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import load_expected, tiny_checkpoint

from ui2i.converters.ada_modules import SOURCE
from ui2i.converters.formats import read_checkpoint, write_checkpoint

STAND_IN = Path(__file__).parent / "stand_in"
PACKAGES = ("dnnlib", "torch_utils", "training")


@pytest.fixture(params=["stylegan2-ada-pytorch", "stylegan3"])
def tree(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module tree on Python's path, whose networks have the name that they have in that repository."""
    shutil.copytree(STAND_IN, tmp_path / "tree")
    if request.param == "stylegan3":
        training = tmp_path / "tree" / "training"
        (training / "networks.py").rename(training / "networks_stylegan2.py")
    monkeypatch.syspath_prepend(str(tmp_path / "tree"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]


def unpickle(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)


@pytest.mark.parametrize("name", ["ada-auto-64.pkl", "ada-stylegan2-32.pkl", "rosinality-source-32.pt"])
@torch.no_grad()
def test_a_pkl_gives_the_expected_images(tree: None, golden: Path, tmp_path: Path, name: str) -> None:
    write_checkpoint(tmp_path / "m.pkl", read_checkpoint(golden / name))
    theirs = unpickle(tmp_path / "m.pkl")
    expected = load_expected(golden, name.split(".")[0].replace("-source", ""))
    generator, z = theirs["G_ema"], expected["z"]
    assert (generator(z, None) - expected["image_psi1"]).abs().max() < 2e-5
    assert (generator(z[:1], None, truncation_psi=0.7) - expected["image_psi07"]).abs().max() < 2e-5
    assert (theirs["D"](expected["image_psi1"], None) - expected["d_logits"]).abs().max() < 1e-5


@torch.no_grad()
@pytest.mark.parametrize(
    "settings", [{"conv_clamp": 0.2}, {"use_noise": False}, {"z_dim": 12, "mapping_lr_multiplier": 0.3}]
)
def test_every_setting_arrives(tree: None, tmp_path: Path, settings: dict[str, Any]) -> None:
    ours = tiny_checkpoint(**settings)
    write_checkpoint(tmp_path / "m.pkl", ours)
    theirs = unpickle(tmp_path / "m.pkl")
    z = torch.randn(4, ours.generator.config.z_dim)
    images = ours.generator(z)
    assert ours.discriminator is not None
    torch.testing.assert_close(theirs["G_ema"](z, None), images, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(theirs["D"](images, None), ours.discriminator(images), atol=1e-5, rtol=1e-5)


def test_what_their_loader_asks_of_a_pkl(tree: None, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m.pkl", tiny_checkpoint(discriminator=False))
    theirs = unpickle(tmp_path / "m.pkl")
    for name in ("G", "D", "G_ema"):
        assert isinstance(theirs[name], torch.nn.Module) and not theirs[name].training
        assert not any(parameter.requires_grad for parameter in theirs[name].parameters())
    assert theirs["training_set_kwargs"] is None and theirs["augment_pipe"] is None
    assert theirs["G"] is theirs["G_ema"]
    hooks = [module._forward_hooks for module in theirs["G_ema"].modules()]
    assert len({id(hook) for hook in hooks}) == len(hooks)
    assert theirs["G_ema"]._init_kwargs["synthesis_kwargs"]["channel_max"] == 6
    assert theirs["D"]._init_kwargs["epilogue_kwargs"] == {"mbstd_group_size": 4}


def test_the_text_in_a_pkl_is_this_project_s_own(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m.pkl", tiny_checkpoint())
    data = (tmp_path / "m.pkl").read_bytes()
    assert SOURCE.encode() in data and b"NVIDIA" not in data and b"class " not in data


def test_what_rosinality_s_tools_ask_of_a_pt(golden: Path, tmp_path: Path) -> None:
    """The names, shapes and dtypes of a file that rosinality's own train.py wrote, and optimisers that load."""
    import argparse

    source = golden / "rosinality-source-32.pt"
    write_checkpoint(tmp_path / "m.pt", read_checkpoint(source))
    with torch.serialization.safe_globals([argparse.Namespace]):
        expected = torch.load(source, weights_only=True)
    written = torch.load(tmp_path / "m.pt", weights_only=True)
    for network in ("g", "d", "g_ema"):
        described = [
            {name: (v.shape, v.dtype) for name, v in content[network].items()} for content in (expected, written)
        ]
        assert described[0] == described[1]
    assert written["latent_avg"].shape == expected["latent_avg"].shape
    assert torch.equal(written["g"]["input.input"], written["g_ema"]["input.input"])


def test_fresh_optimisers_load_into_adam(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m.pt", tiny_checkpoint())
    written = torch.load(tmp_path / "m.pt", weights_only=True)
    for network, optimiser, ratio in (("g", "g_optim", 4 / 5), ("d", "d_optim", 16 / 17)):
        state, group = written[optimiser]["state"], written[optimiser]["param_groups"][0]
        parameters = [name for name in written[network] if not name.endswith("kernel") and "noises" not in name]
        assert state == {} and group["params"] == list(range(len(parameters)))
        assert group["lr"] == pytest.approx(0.002 * ratio) and group["betas"] == (0.0, pytest.approx(0.99**ratio))
