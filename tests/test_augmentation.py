"""Augmentation against scipy and numpy, its statistics, and whether it leaks into a generator."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from ui2i.augmentation import AugmentationDraws, ada, augment, draw_augmentation, matrices
from ui2i.augmentation.ada import GEOMETRY, AdaDraws, draw_ada
from ui2i.augmentation.diffaugment import draw_diffaugment
from ui2i.augmentation.warp import warp
from ui2i.settings import Augmentation

KINDS: tuple[Augmentation, ...] = ("none", "ada", "diffaugment")


def pictures(num_images: int = 4, resolution: int = 32, *, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(num_images, 3, resolution, resolution, generator=random) * 2 - 1


def smooth_image(resolution: int = 64) -> Tensor:
    """Waves of at least 13 px, different in every channel and without symmetry."""
    centers = (torch.arange(resolution) + 0.5) / resolution
    x, y = centers[None, :], centers[:, None]
    channels = [torch.sin(5 * x + 3 * y * k + k) * torch.cos(7 * y - k * x) + x * y / 4 for k in (1, 2, 3)]
    return torch.stack(channels)[None]


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def moved(picture: Tensor, *steps: Tensor) -> np.ndarray:
    """Apply affine maps to one image, the first one first, and nothing else."""
    target = functools.reduce(lambda done, step: step @ done, steps)
    draws = AdaDraws(torch.linalg.inv(target)[:, :2].float(), torch.eye(3, 4)[None])
    return augment(picture, draws)[0].numpy()


def recolored(picture: Tensor, matrix: Tensor) -> np.ndarray:
    return augment(picture, AdaDraws(torch.eye(2, 3)[None], matrix[:, :3].float()))[0].numpy()


def draw(kind: Augmentation, num_images: int, *, resolution: int = 32, seed: int = 0) -> AugmentationDraws:
    torch.manual_seed(seed)
    return draw_augmentation(kind, num_images, resolution=resolution, probability=0.7)


# Identity


def test_none_and_probability_zero_return_the_images_and_draw_nothing() -> None:
    images, before = pictures(), torch.get_rng_state()
    for kind in ("none", "ada"):
        draws = draw_augmentation(kind, 4, resolution=32, probability=0.0)
        assert augment(images, draws) is images
        assert augment(images[:2], draws[:2]).data_ptr() == images.data_ptr()
    assert torch.equal(torch.get_rng_state(), before)


def test_images_without_a_transform_are_bit_identical() -> None:
    images = pictures(64)
    images[:, :, 5:10] = 0  # where nothing would hide the smallest of sums
    assert torch.equal(augment(images, draw_ada(64, 32, 1e-15)), images)
    torch.manual_seed(0)
    draws = draw_ada(64, 32, 0.1)
    changed = (augment(images, draws) != images).flatten(1).any(dim=1)
    is_drawn = (draws.source != torch.eye(2, 3)).flatten(1).any(1) | (draws.color != torch.eye(3, 4)).flatten(1).any(1)
    assert torch.equal(changed, is_drawn)
    assert 0 < changed.sum() < 64


# Each transform against a literal one


def test_flips_turns_and_whole_pixels_move_pixels_unchanged() -> None:
    picture = pictures(1, 32)
    literal = picture[0].numpy()
    flipped = moved(picture, matrices.scaling(one(-1.0), one(1.0)))
    np.testing.assert_allclose(flipped, literal[:, :, ::-1], atol=1e-6)
    for quarters in range(4):
        turned = moved(picture, matrices.rotation(one(quarters * math.pi / 2)))
        # numpy turns from the first axis to the second: anticlockwise with y downwards.
        np.testing.assert_allclose(turned, np.rot90(literal, -quarters, axes=(1, 2)), atol=1e-5)
    shifted = moved(picture, matrices.translation(one(3 / 32), one(-5 / 32)))
    padded = np.pad(literal, ((0, 0), (5, 5), (5, 5)), mode="symmetric")
    np.testing.assert_allclose(shifted, padded[:, 10 : 10 + 32, 2 : 2 + 32], atol=1e-5)


# Maps of (row, column) offsets from the centre, in pixels of an image of 64.
GEOMETRIC_CASES: list[tuple[Tensor, np.ndarray, tuple[float, float]]] = [
    (matrices.scaling(one(1.2), one(1.2)), np.diag([1.2, 1.2]), (0, 0)),
    (matrices.scaling(one(0.8), one(0.8)), np.diag([0.8, 0.8]), (0, 0)),
    (matrices.scaling(one(1.25), one(0.8)), np.diag([0.8, 1.25]), (0, 0)),
    (matrices.rotation(one(0.4)), np.array([[math.cos(0.4), math.sin(0.4)], [-math.sin(0.4), math.cos(0.4)]]), (0, 0)),
    (matrices.translation(one(0.06), one(-0.11)), np.eye(2), (-0.11 * 64, 0.06 * 64)),
]


@pytest.mark.parametrize("case", range(len(GEOMETRIC_CASES)))
def test_geometry_is_scipys(case: int) -> None:
    matrix, forward, shift = GEOMETRIC_CASES[case]
    picture = smooth_image()
    backward = np.linalg.inv(forward)
    center = np.array([31.5, 31.5])
    offset = center - backward @ (center + shift)
    expected = [
        ndimage.affine_transform(channel.astype(np.float64), backward, offset, order=3, mode="reflect")
        for channel in picture[0].numpy()
    ]
    # Where the mirror image begins the image has a crease, which both blur in their own way.
    difference = np.abs(moved(picture, matrix) - np.stack(expected))
    assert np.quantile(difference, 0.95) < 0.006
    assert difference.max() < 0.05


def test_colors_are_the_formulas() -> None:
    picture = pictures(1, 16)
    literal = picture[0].numpy().astype(np.float64)
    grey = literal.mean(axis=0)
    pixels = literal.reshape(3, -1).T
    turn = Rotation.from_rotvec(0.7 * np.ones(3) / math.sqrt(3))
    expected = {
        "brightness": (matrices.brightness(one(0.3)), literal + 0.3),
        "contrast": (matrices.contrast(one(1.4)), literal * 1.4),
        "luma_flip": (matrices.luma_flip(one(1)), literal - 2 * grey),
        "no_luma_flip": (matrices.luma_flip(one(0)), literal),
        "hue": (matrices.hue_rotation(one(0.7)), turn.apply(pixels).T.reshape(3, 16, 16)),
        "saturation": (matrices.saturation(one(0.4)), grey + 0.4 * (literal - grey)),
    }
    for name, (matrix, result) in expected.items():
        np.testing.assert_allclose(recolored(picture, matrix), result, atol=2e-6, err_msg=name)


def test_transforms_are_composed_in_the_papers_order(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[tuple[str, np.ndarray]] = []

    def recording(name: str, draw_matrices: Callable[[ada._Dice], Tensor]) -> Callable[[ada._Dice], Tensor]:
        def record(dice: ada._Dice) -> Tensor:
            recorded.append((name, draw_matrices(dice).numpy()))
            return torch.from_numpy(recorded[-1][1])

        return record

    for table in ("GEOMETRY", "COLOR"):
        wrapped = {name: recording(name, function) for name, function in getattr(ada, table).items()}
        monkeypatch.setattr(ada, table, wrapped)
    torch.manual_seed(0)
    draws = draw_ada(5, 32, 1.0)
    names = [name for name, _ in recorded]
    assert names[:3] == ["x_flip", "quarter_turn", "integer_translation"]
    assert names[3:6] == ["isotropic_scaling", "rotation_before", "anisotropic_scaling"]
    assert names[6:8] == ["rotation_after", "fractional_translation"]
    assert names[8:] == ["brightness", "contrast", "luma_flip", "hue", "saturation"]
    point, color = np.array([0.3, -0.7, 1.0]), np.array([0.9, -0.2, 0.4, 1.0])
    for index in range(5):
        target, result = point, color
        for _, steps in recorded[:8]:
            target = steps[index] @ target
        for _, steps in recorded[8:]:
            result = steps[index] @ result
        np.testing.assert_allclose(draws.source[index].numpy() @ target, point[:2], atol=1e-5)
        np.testing.assert_allclose(draws.color[index].numpy() @ color, result[:3], atol=1e-5)


def test_diffaugment_is_the_literal_one() -> None:
    images, draws = pictures(16, 32), draw_diffaugment(16, 32)
    results = augment(images, draws).numpy()
    for index in range(16):
        x = images[index].numpy().astype(np.float64) + draws.brightness[index].item()
        grey = x.mean(axis=0, keepdims=True)
        x = (x - grey) * draws.saturation[index].item() + grey
        x = (x - x.mean()) * draws.contrast[index].item() + x.mean()
        expected = np.zeros_like(x)
        (right, down), (left, top) = draws.shift[index].tolist(), draws.hole[index].tolist()
        for row in range(32):
            for column in range(32):
                source_row, source_column = row - down, column - right
                is_hole = top <= row < top + 16 and left <= column < left + 16
                if 0 <= source_row < 32 and 0 <= source_column < 32 and not is_hole:
                    expected[:, row, column] = x[:, source_row, source_column]
        np.testing.assert_allclose(results[index], expected, atol=2e-6)


# Quality of the warp


def stripes(cycles_per_pixel: float, resolution: int = 128) -> Tensor:
    return torch.cos(2 * math.pi * cycles_per_pixel * torch.arange(resolution)).expand(1, 3, resolution, resolution)


def amplitude(picture: Tensor) -> float:
    """Of stripes, away from the borders."""
    return picture[..., 16:-16, 16:-16].square().mean().mul(2).sqrt().item()


def test_detail_too_fine_for_a_smaller_image_is_gone_not_folded() -> None:
    """Stripes of 0.45 cycles a pixel would have 0.64 after shrinking to 0.7, beyond the 0.5 that pixels can carry."""
    source = torch.linalg.inv(matrices.scaling(one(0.7), one(0.7)))[:, :2].float()
    assert amplitude(warp(stripes(0.45), source)) < 0.2
    plain = nn.functional.grid_sample(
        stripes(0.45), nn.functional.affine_grid(source, [1, 3, 128, 128], align_corners=False), align_corners=False
    )
    assert amplitude(plain) > 0.5
    assert amplitude(warp(stripes(0.2), source)) > 0.9


def test_shifts_by_a_part_of_a_pixel_keep_detail() -> None:
    """Plain bilinear sampling leaves cos(0.35 pi) = 45 % of these stripes at half a pixel, and 64 % at a quarter."""
    for pixels, kept in ((0.5, 0.84), (0.25, 0.77)):
        source = torch.linalg.inv(matrices.translation(one(pixels / 128), one(0.0)))[:, :2].float()
        assert kept < amplitude(warp(stripes(0.35), source)) < 1.03


def test_an_image_goes_on_as_its_mirror_image() -> None:
    """The middle of an image laid out with four mirror images to either side."""
    torch.manual_seed(0)
    picture, source = pictures(1, 16), draw_ada(20, 16, 1.0, transforms=GEOMETRY).source
    tiles = torch.from_numpy(np.pad(picture.numpy(), ((0, 0), (0, 0), (64, 64), (64, 64)), mode="symmetric"))
    source_in_tiles = source / torch.tensor([1.0, 1.0, 9.0])
    expected = warp(tiles.expand(20, -1, -1, -1), source_in_tiles)[:, :, 64:80, 64:80]
    assert torch.allclose(warp(picture.expand(20, -1, -1, -1), source), expected, atol=1e-4)


def test_a_plain_color_stays_plain() -> None:
    torch.manual_seed(0)
    source = draw_ada(64, 32, 1.0, transforms=GEOMETRY).source
    plain = torch.full((64, 3, 32, 32), 0.6)
    assert torch.allclose(warp(plain, source), plain, atol=1e-5)


# Differentiability


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_gradients(kind: Augmentation) -> None:
    """First and second ones: the square makes the latter differ from zero."""
    draws, images = draw(kind, 2, resolution=6), pictures(2, 6).double().requires_grad_()
    assert gradcheck(lambda x: augment(x, draws), (images,))
    assert gradgradcheck(lambda x: augment(x, draws).square(), (images,))


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_bright_and_dark_colors_keep_their_gradient(kind: Augmentation) -> None:
    """Nothing is clamped: generated images leave [-1, 1], and must be led back."""
    images = (3 * pictures(16)).requires_grad_()
    result = augment(images, draw(kind, 16))
    assert result.abs().max() > 1.5 and torch.isfinite(result).all()
    (gradient,) = torch.autograd.grad(result.sum(), images)
    assert (gradient.flatten(1).abs().amax(dim=1) > 0).all()


# Draws


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_neighbours_do_not_matter(kind: Augmentation) -> None:
    images, draws = pictures(8), draw(kind, 8)
    together = augment(images, draws)
    others = images.clone()
    others[:3], others[4:] = pictures(3, seed=1), pictures(4, seed=2)
    assert torch.equal(augment(others, draws)[3], together[3])
    for indices in (torch.tensor([5, 0, 3]), [5, 0, 3], slice(2, 5), slice(7, 8)):
        assert torch.allclose(augment(images[indices], draws[indices]), together[indices], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_format_is_kept(kind: Augmentation) -> None:
    images, draws = pictures(), draw(kind, 4)
    interleaved = augment(images.contiguous(memory_format=torch.channels_last), draws)
    assert interleaved.is_contiguous(memory_format=torch.channels_last)
    assert augment(images, draws).is_contiguous()
    assert torch.allclose(interleaved, augment(images, draws), atol=1e-6)


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_draws_of_other_images_are_refused(kind: Augmentation) -> None:
    with pytest.raises(AssertionError, match="1 draws for 4 images"):
        augment(pictures(4), draw(kind, 1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_devices_agree(kind: Augmentation) -> None:
    images = pictures(8, 64)
    torch.manual_seed(0)
    before = torch.cuda.get_rng_state()
    draws = draw_augmentation(kind, 8, resolution=64, probability=0.7, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    result = augment(images.cuda(), draws)
    expected = augment(images, draw(kind, 8, resolution=64))
    assert torch.allclose(result.cpu(), expected, atol=1e-4)
