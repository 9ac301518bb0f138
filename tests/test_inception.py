"""FID and KID with torch-fidelity's network: its own values, and what happens without its weights.

The trained weights are not part of the repository; random ones of the same shapes stand in, which is enough to compare
two ways of computing the same number.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ui2i.errors import BackboneError
from ui2i.files import sha256_file
from ui2i.images import to_tensor
from ui2i.metrics import inception as inception_module
from ui2i.metrics.evaluation import embed_set, evaluate
from ui2i.metrics.frechet import frechet_distance, kernel_distance
from ui2i.metrics.image_sets import in_memory
from ui2i.metrics.inception import WEIGHTS_NAME, Inception, load_inception
from ui2i.perceptual import load_perceptual
from ui2i.settings import PerceptualConfig

extractors = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
metric_fid = pytest.importorskip("torch_fidelity.metric_fid")
metric_kid = pytest.importorskip("torch_fidelity.metric_kid")


class _GivenError(Exception):
    """The network has been built."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights of the network's shapes."""
    shapes: dict[str, torch.Size] = {}

    def note(network: Any, *_: Any, **__: Any) -> None:
        shapes.update({name: tensor.shape for name, tensor in network.state_dict().items()})
        raise _GivenError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractors.FeatureExtractorInceptionV3, "load_state_dict", note)
        patch.setattr(extractors, "load_state_dict_from_url", lambda *_, **__: {})
        with pytest.raises(_GivenError):
            extractors.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    random = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.long)
        elif name.endswith("running_var") or len(shape) == 1:
            state[name] = torch.ones(shape) * 0.9
        else:
            state[name] = torch.randn(shape, generator=random) * (2 / max(1, shape[1:].numel())) ** 0.5
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def inception(weights: Path) -> Inception:
    found = load_inception(weights)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mix = random.normal(size=(8, 12))
    return random.normal(size=(60, 8)) @ mix, random.normal(size=(50, 8)) @ mix + 0.3


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_the_frechet_distance_is_torch_fidelitys(features: tuple[np.ndarray, np.ndarray]) -> None:
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(part)) for part in features]
    expected = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(*features) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_torch_fidelitys(features: tuple[np.ndarray, np.ndarray]) -> None:
    """Of one subset that is the whole set; their mean over random subsets is a noisier estimate of the same."""
    x, y = (torch.from_numpy(part[:50]) for part in features)
    expected = metric_kid.kid_features_to_metric(
        x, y, kid_subsets=1, kid_subset_size=50, kid_kernel="poly", verbose=False, rng_seed=0
    )["kernel_inception_distance_mean"]
    assert kernel_distance(x.numpy(), y.numpy()) == pytest.approx(expected, rel=1e-5)


def test_features_are_those_of_the_same_levels(inception: Inception) -> None:
    images = pictures(2, 1)
    with torch.no_grad():
        (expected,) = inception.network(torch.from_numpy(images).permute(0, 3, 1, 2))
    found = inception.embed(to_tensor(images))
    assert found.shape == (2, 2048)
    assert found.std() > 1e-6
    torch.testing.assert_close(found, expected)


def test_an_evaluation_has_fid_and_kid(inception: Inception, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inception.embed
    monkeypatch.setattr(inception, "embed", lambda images: whole(images)[:, :20])  # covariances of 2048 take seconds
    perceptual = load_perceptual(PerceptualConfig(backbone="random"))
    target = embed_set(in_memory(pictures(4, 3)), perceptual, inception)
    found = evaluate(in_memory(pictures(4, 1)), None, target, perceptual, inception)
    x, y = (inception.embed(to_tensor(pictures(4, seed))).double().numpy() for seed in (1, 3))
    assert found.fid == pytest.approx(frechet_distance(x, y), rel=1e-3)
    assert found.kid == pytest.approx(kernel_distance(x, y), rel=1e-3, abs=1e-6)
    assert inception.name.startswith("torch-fidelity ")
    assert len(inception.weights_hash) == 64


# Without


def test_without_weights_there_is_no_fid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inception_module, "cached_weights", lambda: tmp_path / WEIGHTS_NAME)
    assert load_inception() is None


def test_weights_in_the_cache_are_found(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setattr(inception_module, "cached_weights", lambda: weights)
    assert load_inception() is not None


def test_weights_that_are_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"weights are not at .*absent\.pth"):
        load_inception(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights", "cannot be read as weights"),
        (Path("/"), "cannot be read as weights"),
        ({"x": torch.zeros(3)}, "does not fit Inception"),
        ({"x": {}}, "not a flat state dict"),
        ({"x": torch.tensor([1.0, torch.nan])}, "has values in x that are not finite"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "inception.pth"
    torch.save(content, path)
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(BackboneError, match=message):
        load_inception(path)


def test_a_file_of_the_published_name_must_be_the_published_one(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / WEIGHTS_NAME
    path.symlink_to(weights)
    with pytest.raises(BackboneError, match=rf"has the SHA-256 {sha256_file(weights)}, expected 6726825d.*fetch"):
        load_inception(path)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(BackboneError, match=r"install ui2i\[fid\]"):
        load_inception(weights)
    monkeypatch.setattr(inception_module, "cached_weights", lambda: weights)
    assert load_inception() is None
