"""LPIPS against the lpips package, where its weights come from, and what happens when they are not there."""

import copy
import urllib.error
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.autograd import gradcheck

from ui2i.backbone_weights import ARCHITECTURES
from ui2i.errors import BackboneError, ConfigError, DataError
from ui2i.files import sha256_file
from ui2i.metrics.efficientnet import FILE_NAME
from ui2i.metrics.inception import WEIGHTS_NAME
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.published_weights import SHA256
from ui2i.settings import BackboneName, PerceptualConfig

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")

NETWORKS: dict[BackboneName, str] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
MIN_RESOLUTIONS: dict[BackboneName, int] = {"alex": 31, "vgg": 16, "squeeze": 17, "random": 17}


def random_features(backbone: BackboneName) -> nn.Module:
    """Torchvision's own convolutional part with random weights; meta saves the time of its large classifier."""
    with torch.device("meta"):
        features: nn.Module = getattr(torchvision.models, NETWORKS[backbone])(weights=None).features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in features.parameters():
            scale = (2 / parameter[0].numel()) ** 0.5 if parameter.ndim == 4 else 0.1
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return features


@pytest.fixture(scope="module", params=list(NETWORKS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Perceptual, nn.Module]:
    """A backbone read from a file of torchvision's names, and lpips' own module around the same network."""
    import lpips

    backbone = request.param
    features = random_features(backbone)
    path = tmp_path_factory.mktemp("weights") / f"{backbone}-features.pth"
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, path)
    perceptual = load_perceptual(PerceptualConfig(backbone=backbone, weights=str(path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision.models, NETWORKS[backbone], lambda pretrained: SimpleNamespace(features=features))
        return perceptual, lpips.LPIPS(net=backbone, verbose=False)


@pytest.fixture(scope="module")
def untrained() -> Perceptual:
    return load_perceptual(PerceptualConfig(backbone="random"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


def images(num_images: int, height: int, width: int, *, seed: int) -> Tensor:
    return torch.rand(num_images, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


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


@pytest.mark.parametrize(("height", "width"), [(32, 32), (47, 40)])
def test_equals_lpips(trained: tuple[Perceptual, nn.Module], height: int, width: int) -> None:
    perceptual, reference = trained
    x, y = images(3, height, width, seed=1), images(3, height, width, seed=2)
    expected = reference(x, y).flatten()
    assert expected.min() > 0.01
    torch.testing.assert_close(perceptual.distance(x, y), expected, atol=1e-6, rtol=0)
    from_features = perceptual.distance_from_features(perceptual.features(x), perceptual.features(y))
    torch.testing.assert_close(from_features, expected, atol=1e-6, rtol=0)


def test_gradients_equal_those_of_lpips(trained: tuple[Perceptual, nn.Module]) -> None:
    # In float32 a rounding error may choose another side of a ReLU.
    perceptual, reference = (copy.deepcopy(module).double() for module in trained)
    x, y = (images(2, 35, 35, seed=seed).double().requires_grad_() for seed in (1, 2))
    expected = torch.autograd.grad(reference(x, y).sum(), (x, y))
    actual = torch.autograd.grad(perceptual.distance(x, y).sum(), (x, y))
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


def test_equals_lpips_with_real_weights(shared: Path) -> None:
    import lpips

    path = shared / "weights" / "squeezenet1_1-caffe-features.pth"
    if not path.is_file():
        pytest.skip(f"needs {path.name}")
    perceptual = load_perceptual(PerceptualConfig(backbone="squeeze", weights=str(path)))
    reference = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    for name, value in torch.load(path, weights_only=True).items():
        _, index, rest = name.split(".", 2)
        slice_name = next(
            part for part, module in reference.net.named_children() if index in dict(module.named_children())
        )
        reference.net.get_parameter(f"{slice_name}.{index}.{rest}").data.copy_(value)
    x, y = images(4, 64, 64, seed=1), images(4, 64, 64, seed=2)
    torch.testing.assert_close(perceptual.distance(x, y), reference(x, y).flatten(), atol=1e-6, rtol=0)
    assert perceptual.name == "squeezenet1_1-caffe"


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


def test_random_backbone_is_always_the_same_and_leaves_the_random_state() -> None:
    hashes = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        perceptual = load_perceptual(PerceptualConfig(backbone="random"))
        assert torch.equal(torch.get_rng_state(), before)
        hashes.add(perceptual.weights_hash)
    assert len(hashes) == 1
    assert perceptual.name == "random-squeeze"


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


def test_no_parameter_requires_a_gradient(untrained: Perceptual) -> None:
    assert not any(parameter.requires_grad for parameter in untrained.parameters())
    assert not untrained.distance(images(1, 17, 17, seed=1), images(1, 17, 17, seed=2)).requires_grad


def test_features_have_unit_length(untrained: Perceptual) -> None:
    for maps in untrained.features(images(2, 33, 40, seed=1)):
        lengths = maps.square().sum(dim=1).sqrt()
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-5, rtol=0)


def test_distance_is_symmetric_and_zero_between_equal_images(untrained: Perceptual) -> None:
    x, y = images(3, 20, 20, seed=1), images(3, 20, 20, seed=2)
    assert torch.equal(untrained.distance(x, y), untrained.distance(y, x))
    assert torch.equal(untrained.distance(x, x), torch.zeros(3))
    singly = torch.cat([untrained.distance(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(untrained.distance(x, y), singly, atol=1e-6, rtol=0)


def test_gradient_against_finite_differences() -> None:
    perceptual = load_perceptual(PerceptualConfig(backbone="random")).double()
    x, y = (images(1, 17, 17, seed=seed).double().requires_grad_() for seed in (1, 2))
    # ReLU and max-pooling have corners, so the step must be small.
    assert gradcheck(perceptual.distance, (x, y), eps=1e-8, atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("level", [-1.0, 1e-25])
def test_gradient_is_finite_where_features_vanish(level: float) -> None:
    """Behind a dead ReLU, and where the square of a feature is too small for float32."""
    perceptual = load_perceptual(PerceptualConfig(backbone="random"))
    for name, parameter in perceptual.backbone.named_parameters():
        parameter.data.fill_(level if name.endswith("bias") else 0.0)
    x, y = images(1, 17, 17, seed=1).requires_grad_(), images(1, 17, 17, seed=2)
    distance = perceptual.distance(x, y)
    distance.sum().backward()
    assert distance.item() == 0
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("backbone", list(NETWORKS))
def test_smallest_image(backbone: BackboneName, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({f"features.{name}": value for name, value in random_features(backbone).state_dict().items()}, path)
    perceptual = load_perceptual(PerceptualConfig(backbone=backbone, weights=str(path)))
    side = MIN_RESOLUTIONS[backbone]
    assert perceptual.min_resolution == side
    assert perceptual.distance(images(1, side, side, seed=1), images(1, side, side, seed=2)).item() > 0
    with pytest.raises(DataError, match=rf"40 x {side - 1} px, expected at least {side} px.*weights"):
        perceptual.features(images(1, side - 1, 40, seed=1))
    with pytest.raises(RuntimeError, match="too small"):  # the limit is the network's own
        perceptual.backbone(images(1, side - 1, 40, seed=1))


@pytest.mark.parametrize(
    "x", [torch.zeros(3, 32, 32), torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)]
)
def test_images_of_another_kind(untrained: Perceptual, x: Tensor) -> None:
    with pytest.raises(DataError, match=r"expected float \[N, 3, H, W\]"):
        untrained.features(x)


def test_images_of_two_shapes(untrained: Perceptual) -> None:
    with pytest.raises(DataError, match="expected two equal shapes"):
        untrained.distance(images(1, 32, 32, seed=1), images(2, 32, 32, seed=1))
