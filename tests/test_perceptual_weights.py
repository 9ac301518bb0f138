"""Weights of perceptual backbones: where they come from, and files that are refused."""

import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from perceptual_images import NETWORKS, images
from torch import Tensor, nn

from ui2i.backbone_weights import ARCHITECTURES
from ui2i.errors import BackboneError, ConfigError
from ui2i.files import sha256_file
from ui2i.metrics.efficientnet import FILE_NAME
from ui2i.metrics.inception import WEIGHTS_NAME
from ui2i.perceptual import load_perceptual
from ui2i.published_weights import SHA256
from ui2i.settings import BackboneName, PerceptualConfig

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Take a file for the one that was published under its name."""

    def take(path: Path) -> Path:
        monkeypatch.setitem(SHA256, path.name, sha256_file(path))
        return path

    return take


def save_squeezenet(path: Path) -> Path:
    """A full state dict, classifier and all, of a random torchvision network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


def test_torchvisions_cache_is_used(
    hub: Path,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    published: Callable[[Path], Path],
) -> None:
    import lpips

    published(save_squeezenet(hub / "squeezenet1_1-b8a52dc0.pth"))
    perceptual = load_perceptual(PerceptualConfig(backbone="squeeze"))
    assert not recwarn.list
    assert capsys.readouterr().out == ""
    assert perceptual.name == "squeeze"
    reference = lpips.LPIPS(net="squeeze", verbose=False)
    x, y = images(2, 32, 32, seed=1), images(2, 32, 32, seed=2)
    torch.testing.assert_close(perceptual.distance(x, y), reference(x, y).flatten(), atol=1e-6, rtol=0)


def test_missing_weights_are_downloaded_to_the_cache(
    hub: Path, monkeypatch: pytest.MonkeyPatch, published: Callable[[Path], Path]
) -> None:
    calls = []

    def download(url: str, dst: str, hash_prefix: str, progress: bool) -> None:
        calls.append((url, hash_prefix))
        published(save_squeezenet(Path(dst)))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    first, second = (load_perceptual(PerceptualConfig(backbone="squeeze")) for _ in range(2))
    assert calls == [("https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth", "b8a52dc0")]
    assert first.weights_hash == second.weights_hash


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no route"), TimeoutError("no route"), RuntimeError("no route")]
)
@pytest.mark.parametrize("backbone", list(NETWORKS))
def test_failed_download_names_the_ways_out(
    hub: Path, monkeypatch: pytest.MonkeyPatch, backbone: BackboneName, error: Exception
) -> None:
    def download(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(BackboneError) as caught:
        load_perceptual(PerceptualConfig(backbone=backbone))
    message = str(caught.value)
    for part in (
        f"the {backbone} backbone",
        str(hub / NETWORKS[backbone]),
        "no route",
        "perceptual.weights",
        "perceptual.backbone: st-alex",
    ):
        assert part in message


def test_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(
        BackboneError, match=r"squeeze backbone.*absent\.pth.*expected a file; put torchvision's file at"
    ):
        load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(tmp_path / "absent.pth")))


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02garbage", b"PK\x03\x04 broken zip"])
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"damaged\.pth cannot be read as weights"):
        load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))


def drop(state: dict[str, Tensor]) -> None:
    del state["features.4.squeeze.bias"]


def reshape(state: dict[str, Tensor]) -> None:
    state["features.0.weight"] = torch.zeros(96, 3, 7, 7)


def surplus(state: dict[str, Tensor]) -> None:
    state["features.13.weight"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (drop, r"features\.4\.squeeze\.bias is missing"),
        (reshape, r"features\.0\.weight is \[96, 3, 7, 7\] and not \[64, 3, 3, 3\]"),
        (surplus, r"features\.13\.weight is unknown"),
    ],
)
def test_file_of_another_network(tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], match: str) -> None:
    path = save_squeezenet(tmp_path / "other.pth")
    state = torch.load(path, weights_only=True)
    spoil(state)
    torch.save(state, path)
    with pytest.raises(BackboneError, match=match + r".*expected the state dict of torchvision's squeezenet1_1"):
        load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))


def test_file_without_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "nested.pth"
    for content in ({"state_dict": {}}, {0: torch.zeros(1)}):
        torch.save(content, path)
        with pytest.raises(BackboneError, match=r"not a flat state dict"):
            load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))


@pytest.mark.parametrize("place", ["cache", "setting"])
def test_a_file_of_a_published_name_must_be_the_published_one(hub: Path, tmp_path: Path, place: str) -> None:
    folder = hub if place == "cache" else tmp_path
    path = save_squeezenet(folder / "squeezenet1_1-b8a52dc0.pth")
    config = PerceptualConfig(backbone="squeeze", weights=None if place == "cache" else str(path))
    with pytest.raises(
        BackboneError, match=rf"has the SHA-256 {sha256_file(path)}, expected b8a52dc0.*; it is damaged"
    ):
        load_perceptual(config)


def test_recorded_hashes_are_those_that_the_names_begin() -> None:
    named = {name: value for name, value in SHA256.items() if "-" in name}
    assert set(SHA256) - set(named) == {"alex_shift_tolerant.pth"}
    assert all(len(value) == 64 and value.startswith(Path(name).stem[-8:]) for name, value in named.items())
    names = {architecture.file_name for architecture in ARCHITECTURES.values()}
    assert names | {WEIGHTS_NAME, FILE_NAME} == set(SHA256)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["features.0.bias", "classifier.1.bias"])
def test_weights_that_are_not_finite(tmp_path: Path, name: str, value: float) -> None:
    path = save_squeezenet(tmp_path / "other.pth")
    state = torch.load(path, weights_only=True)
    state[name][0] = value
    torch.save(state, path)
    with pytest.raises(BackboneError, match=rf"other\.pth has values in {name} that are not finite"):
        load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "module.pth"
    torch.save(nn.Linear(1, 1), path)
    with pytest.raises(BackboneError, match="cannot be read"):
        load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))


@pytest.mark.parametrize("backbone", ["random", "st-alex"])
def test_backbones_that_take_no_file(backbone: BackboneName) -> None:
    with pytest.raises(ConfigError, match=rf"weights is x\.pth with perceptual\.backbone {backbone}, expected no file"):
        load_perceptual(PerceptualConfig(backbone=backbone, weights="x.pth"))


def test_hash_follows_the_backbone_and_name_follows_the_file(tmp_path: Path) -> None:
    path = save_squeezenet(tmp_path / "mine-features.pth")
    config = PerceptualConfig(backbone="squeeze", weights=str(path))
    first = load_perceptual(config)
    state = torch.load(path, weights_only=True)
    state["classifier.1.bias"] += 1  # not part of the backbone
    torch.save(state, path)
    assert load_perceptual(config).weights_hash == first.weights_hash
    state["features.0.bias"][0] += 1e-3
    torch.save(state, path)
    assert load_perceptual(config).weights_hash != first.weights_hash
    assert first.name == "mine"
    named = load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path), name="own"))
    assert named.name == "own"
