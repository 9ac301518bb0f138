"""SSIM against scikit-image."""

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.autograd import gradcheck

from ui2i.errors import DataError
from ui2i.metrics.ssim import ssim


def images(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def reference(x: Tensor, y: Tensor) -> Tensor:
    """Of the images as files hold them: levels from 0 to 255."""
    values = [
        structural_similarity(
            (a.permute(1, 2, 0).double().numpy() + 1) * 127.5,
            (b.permute(1, 2, 0).double().numpy() + 1) * 127.5,
            data_range=255,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(x, y, strict=True)
    ]
    return torch.tensor(values)


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (3, 3, 11, 11), (1, 1, 17, 40), (2, 3, 32, 12)])
@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_equals_scikit_image(shape: tuple[int, ...], noise: float) -> None:
    x = images(*shape, seed=1)
    y = (x + noise * images(*shape, seed=2)).clamp(-1, 1)
    torch.testing.assert_close(ssim(x, y).double(), reference(x, y).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(ssim(x.double(), y.double()), reference(x, y).double(), atol=1e-12, rtol=0)


def test_flat_images_lose_no_precision() -> None:
    x, y = torch.full((1, 3, 16, 16), 0.9), torch.full((1, 3, 16, 16), 0.9) + 1e-3
    torch.testing.assert_close(ssim(x, y).double(), reference(x, y).double(), atol=1e-4, rtol=0)


def test_opposite_signs_around_grey_are_nothing_special() -> None:
    # As levels from 0 these two greys are nearly the same; of [-1, 1] itself the ratio of means would be below 0.
    x, y = torch.full((1, 3, 16, 16), 0.05), torch.full((1, 3, 16, 16), -0.05)
    assert ssim(x, y).item() > 0.99


def test_equal_images_give_one_and_order_does_not_matter() -> None:
    x, y = images(2, 3, 16, 16, seed=1), images(2, 3, 16, 16, seed=2)
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    torch.testing.assert_close(ssim(x, y)[1:], ssim(x[1:], y[1:]))


def test_gradient_against_finite_differences() -> None:
    x, y = (images(2, 2, 12, 13, seed=seed).double().requires_grad_() for seed in (1, 2))
    assert gradcheck(ssim, (x, y), fast_mode=True)


@pytest.mark.parametrize("shape", [(1, 3, 10, 32), (1, 3, 32, 10)])
def test_images_smaller_than_the_window(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected at least 11 px"):
        ssim(torch.zeros(shape), torch.zeros(shape))


def test_images_of_two_shapes() -> None:
    with pytest.raises(DataError, match="expected two equal shapes"):
        ssim(torch.zeros(1, 3, 16, 16), torch.zeros(2, 3, 16, 16))
    with pytest.raises(DataError, match="expected two equal shapes"):
        ssim(torch.zeros(3, 16, 16), torch.zeros(3, 16, 16))
