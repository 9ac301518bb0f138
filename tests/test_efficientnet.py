"""EfficientNet-Lite0 by what it says of photographs, its padding, its package, and the distance on its features."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from ui2i.errors import BackboneError
from ui2i.images import to_tensor
from ui2i.metrics import efficientnet, frechet
from ui2i.metrics.efficientnet import EfficientNet, load_efficientnet, published_state
from ui2i.metrics.frechet import frechet_distance, frechet_standard_error
from ui2i.networks.efficientnet import Conv

CATS = range(281, 286)  # ImageNet's classes of domestic cats
ESPRESSO = 967


@pytest.fixture(scope="module")
def network() -> EfficientNet:
    return load_efficientnet()


def classes(network: EfficientNet, image: np.ndarray) -> torch.Tensor:
    """The five classes of the middle of a photograph that the package's own classifier finds likeliest."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    state = published_state()
    features = network.embed(to_tensor(image[None, top : top + side, left : left + side]))
    return (features @ state["_fc.weight"].T + state["_fc.bias"]).topk(5).indices[0]


def test_it_knows_what_photographs_show(network: EfficientNet) -> None:
    assert classes(network, data.chelsea())[0].item() in CATS
    assert classes(network, data.coffee())[0].item() == ESPRESSO


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_edges_are_padded_as_tensorflow_does(size: int, kernel_size: int, stride: int) -> None:
    torch.manual_seed(0)
    conv, x = Conv(2, 3, kernel_size, stride=stride), torch.randn(1, 2, size, size)
    torch.nn.init.normal_(conv.weight)
    num_out = -(-size // stride)
    total = max((num_out - 1) * stride + kernel_size - size, 0)
    padded = torch.zeros(1, 2, size + total, size + total)
    padded[..., total // 2 : total // 2 + size, total // 2 : total // 2 + size] = x
    expected = F.conv2d(padded, conv.weight, stride=stride)
    assert expected.shape[2] == num_out
    torch.testing.assert_close(conv(x), expected)


def test_features_do_not_depend_on_the_batch(network: EfficientNet) -> None:
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    singly = torch.cat([network.embed(images[place : place + 1]) for place in range(3)])
    torch.testing.assert_close(network.embed(images), singly, atol=1e-4, rtol=1e-4)
    assert network.embed(images).shape == (3, 1280)


def test_missing_and_cut_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = efficientnet.packaged_file(efficientnet.PACKAGE, f"models/{efficientnet.FILE_NAME}")
    cut = tmp_path / efficientnet.FILE_NAME
    cut.write_bytes(whole.read_bytes()[:-1])
    monkeypatch.setattr(efficientnet, "packaged_file", lambda *_: cut)
    with pytest.raises(BackboneError, match=r"efficientnet-lite0-57934424\.pth has the SHA-256 .*install the package"):
        load_efficientnet()
    monkeypatch.undo()
    monkeypatch.setattr(efficientnet, "FILE_NAME", "absent.pth")
    with pytest.raises(BackboneError, match=r"absent\.pth is not there, expected the weights"):
        load_efficientnet()


@pytest.mark.parametrize(("num_images", "num_features"), [(60, 4), (20, 40)], ids=["covariances", "products"])
def test_the_bootstrap_finds_the_spread_between_samples(num_images: int, num_features: int) -> None:
    random = np.random.default_rng(0)
    spread = np.linspace(1, 2, num_features)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        x, y = random.normal(size=(2, num_images, num_features))
        return x * spread, y + 1

    truth = np.std([frechet_distance(*draw()) for _ in range(200)], ddof=1)
    estimates = [frechet_standard_error(*draw(), seed=seed) for seed in range(10)]
    assert np.mean(estimates) == pytest.approx(truth, rel=0.25)


def test_the_bootstrap_leaves_out_what_hardly_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a steep spectrum, as features have, few directions decide; a difference of means is among them."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, 400, 60)) * 0.8 ** np.arange(60)
    y[:, 50] += 2
    sizes: list[int] = []
    plain = frechet.frechet_distance

    def recording(a: np.ndarray, b: np.ndarray) -> float:
        sizes.append(a.shape[1])
        return plain(a, b)

    monkeypatch.setattr(frechet, "frechet_distance", recording)
    short = frechet_standard_error(x, y)
    monkeypatch.setattr(frechet, "KEPT_VARIANCE", 1.0)
    assert short == pytest.approx(frechet_standard_error(x, y), rel=0.05)
    assert max(sizes[:50]) < 20 and min(sizes[50:]) > 50


def test_products_and_covariances_give_the_same_distance() -> None:
    from ui2i.metrics.frechet import _distance_from_products

    random = np.random.default_rng(1)
    x, y = random.normal(size=(12, 30)), random.normal(size=(17, 30)) + 0.3
    for a, b in ((x, y), (y, x)):
        assert _distance_from_products(a, b, a @ b.T) == pytest.approx(frechet_distance(a, b), rel=1e-6)
