"""LPIPS against the lpips package, where its weights come from, and what happens when they are not there."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
from perceptual_images import NETWORKS, images
from torch import Tensor, nn
from torch.autograd import gradcheck

from ui2i.errors import DataError
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import BackboneName, PerceptualConfig

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")
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
