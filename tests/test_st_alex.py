"""ST-LPIPS against the code of the package that publishes it, its properties, and a package that is not whole."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from ui2i.errors import BackboneError, DataError
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.published_weights import packaged_file
from ui2i.settings import PerceptualConfig

INNER = "weights/vST0.0/alex_shift_tolerant.pth"


@pytest.fixture(scope="module")
def st_alex() -> Perceptual:
    return load_perceptual(PerceptualConfig())


@pytest.fixture(scope="module")
def reference() -> Iterator[nn.Module]:
    """The package's own module. It imports a name each of two packages that it neither uses nor asks for."""
    with pytest.MonkeyPatch.context() as patch:
        for name, attribute in (("IPython", "embed"), ("torchsummary", "summary")):
            module = ModuleType(name)
            setattr(module, attribute, None)
            patch.setitem(sys.modules, name, module)
        from stlpips_pytorch.stlpips import LPIPS

        yield LPIPS(net="alex", variant="shift_tolerant", verbose=False)


def images(num_images: int, height: int, width: int, *, seed: int) -> Tensor:
    """Smooth images in [-1, 1] with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num_images, 3, 5, 5, generator=generator) * 2 - 1
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (smooth + 0.1 * torch.randn(smooth.shape, generator=generator)).clamp(-1, 1)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 46), (21, 21)])
def test_equals_the_package(st_alex: Perceptual, reference: nn.Module, height: int, width: int) -> None:
    x, y = images(3, height, width, seed=1), images(3, height, width, seed=2)
    expected = reference(x, y).flatten()
    assert expected.min() > 0.01
    torch.testing.assert_close(st_alex.distance(x, y), expected, atol=1e-6, rtol=0)


def test_gradients_equal_those_of_the_package(reference: nn.Module) -> None:
    ours, theirs = load_perceptual(PerceptualConfig()).double(), reference.double()
    x, y = (images(2, 35, 35, seed=seed).double().requires_grad_() for seed in (1, 2))
    expected = torch.autograd.grad(theirs(x, y).sum(), (x, y))
    actual = torch.autograd.grad(ours.distance(x, y).sum(), (x, y))
    reference.float()
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


def test_a_shift_counts_for_little(st_alex: Perceptual) -> None:
    wide = images(4, 64, 68, seed=3)
    x, shifted, other = wide[..., 2:66], wide[..., 4:68], images(4, 64, 64, seed=4)
    assert torch.equal(st_alex.distance(x, x), torch.zeros(4))
    assert (st_alex.distance(x, shifted) < 0.2 * st_alex.distance(x, other)).all()


def test_it_is_the_default_and_named(st_alex: Perceptual) -> None:
    assert st_alex.name == "st-alex"
    assert st_alex.weights_hash == "2786d7ad30c34b178107e9188ca29f41280d1f44f475459f55afdc5d59635b31"


def test_smallest_image(st_alex: Perceptual) -> None:
    assert st_alex.distance(images(1, 21, 21, seed=1), images(1, 21, 21, seed=2)).item() > 0
    with pytest.raises(DataError, match=r"40 x 20 px, expected at least 21 px a side for the backbone st-alex"):
        st_alex.features(images(1, 20, 40, seed=1))
    with pytest.raises(RuntimeError, match="Padding size"):  # the limit is the network's own
        st_alex.backbone(images(1, 20, 40, seed=1))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed package that is found in its place; its file of weights."""
    folder = tmp_path / "stlpips_pytorch"
    (folder / INNER).parent.mkdir(parents=True)
    shutil.copy(packaged_file("stlpips_pytorch", INNER), folder / INNER)
    (folder / "__init__.py").write_text("raise SystemExit('the code of the package was run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stlpips_pytorch", raising=False)
    return folder / INNER


def test_no_code_of_the_package_is_run(package: Path, st_alex: Perceptual) -> None:
    assert load_perceptual(PerceptualConfig()).weights_hash == st_alex.weights_hash


def test_missing_file(package: Path) -> None:
    package.unlink()
    with pytest.raises(BackboneError, match=r"alex_shift_tolerant\.pth is not there, .*; install the package stlpips"):
        load_perceptual(PerceptualConfig())


@pytest.mark.parametrize("other", [True, False], ids=["another network's", "cut"])
def test_file_that_is_not_the_published_one(package: Path, other: bool) -> None:
    vgg = packaged_file("lpips", "weights/v0.1/vgg.pth")
    package.write_bytes(vgg.read_bytes() if other else package.read_bytes()[:-1])
    with pytest.raises(BackboneError, match=r"alex_shift_tolerant\.pth has the SHA-256 .*, expected b356b38.*install"):
        load_perceptual(PerceptualConfig())


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackboneError, match="the package stlpips_pytorch is not installed, expected the weights"):
        load_perceptual(PerceptualConfig())
