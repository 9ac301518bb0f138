"""Squares, tensors, PNG files, and sheets of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import gradient
from PIL import Image, ImageFont

from ui2i import contact_sheet as contact_sheet_module
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.errors import DataError
from ui2i.images import center_square, encode_png, fit_square, grid, load_image, save_png, to_tensor, to_uint8


def test_center_square() -> None:
    assert center_square(30, 20) == (5, 0, 25, 20)
    assert center_square(20, 31) == (0, 5, 20, 25)


def test_fit_square_crops_the_middle_and_antialiases() -> None:
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, 16:80:2] = 255  # every second column of the middle
    stripes[:, :16] = stripes[:, 80:] = (255, 0, 0)  # must be cropped away
    small = np.asarray(fit_square(Image.fromarray(stripes), 16)).astype(int)
    assert small.shape == (16, 16, 3)
    assert np.abs(small[:, 2:-2] - 127.5).max() < 4  # grey: no stripe survives, none turns into moire
    assert np.array_equal(small[..., 0], small[..., 1])


def test_fit_square_leaves_the_right_size_alone() -> None:
    assert np.array_equal(np.asarray(fit_square(gradient(), 16)), np.asarray(gradient())[:, 4:20])


def test_tensor_range_and_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    levels[..., 1] = 255 - levels[..., 1]
    tensor = to_tensor(levels)
    assert tensor.dtype == torch.float32 and tensor.shape == (1, 3, 16, 16)
    assert tensor.min() == -1 and tensor.max() == 1
    assert torch.allclose(tensor[0, 0].flatten(), torch.arange(256) / 127.5 - 1, atol=1e-6)
    assert np.array_equal(to_uint8(tensor), levels)
    assert torch.equal(to_tensor(levels[0]), tensor)


def test_to_uint8_rounds_and_clamps() -> None:
    values = torch.tensor([-3.0, -1.0, 0.0039, 0.99, 7.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 128, 254, 255]
    assert to_uint8(values.to(torch.bfloat16).requires_grad_()).dtype == np.uint8


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(DataError, match=r"images are float32 \[4, 4, 3\], expected uint8"):
        to_tensor(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(DataError, match=r"expected \[N, 3, H, W\]"):
        to_uint8(torch.zeros(3, 4, 4))


def test_save_png_is_lossless_and_leaves_nothing_beside(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    save_png(tmp_path / "new" / "a.png", levels)
    assert np.array_equal(np.asarray(load_image(tmp_path / "new" / "a.png")), levels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    assert encode_png(levels) == encode_png(Image.fromarray(levels))


def test_grid() -> None:
    images = np.stack([np.full((4, 6, 3), level, np.uint8) for level in (10, 20, 30)])
    sheet = grid(images, num_columns=2, padding=2)
    assert sheet.shape == (10, 14, 3)
    assert np.array_equal(sheet[:4, :6], images[0])
    assert np.array_equal(sheet[:4, 8:], images[1])
    assert np.array_equal(sheet[6:, :6], images[2])
    assert (sheet[4:6] == 255).all() and (sheet[6:, 6:] == 255).all()


def test_contact_sheet_holds_every_image_whole() -> None:
    rng = np.random.default_rng(0)
    rows = [
        Row("first", rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)),
        Row(
            "a second label, longer than its place is wide, so that it has to be broken",
            rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8),
        ),
        Row("unbreakable" * 20, rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)),
    ]
    sheet = contact_sheet(
        rows, ["one", "two and more words"], upscale=2, title="A title wider than the images below it"
    )
    for row in rows:
        for image in row.images:
            assert holds(sheet, image.repeat(2, axis=0).repeat(2, axis=1))
    assert (sheet[:, -8:] == 255).all() and (sheet[-8:] == 255).all() and (sheet[:, :8] == 255).all()


def holds(sheet: np.ndarray, image: np.ndarray) -> bool:
    """Whether `image` stands somewhere on `sheet`, unchanged and not written over."""
    height, width, _ = image.shape
    corners = np.argwhere((sheet[: -height + 1, : -width + 1] == image[0, 0]).all(axis=-1))
    return any(np.array_equal(sheet[top : top + height, left : left + width], image) for top, left in corners)


def test_contact_sheet_grows_with_labels_title_and_headings() -> None:
    images = np.zeros((2, 16, 16, 3), np.uint8)
    bare = contact_sheet([Row("", images)])
    assert contact_sheet([Row("label", images)]).shape[1] > bare.shape[1]
    assert contact_sheet([Row("", images)], ["a"]).shape[0] > bare.shape[0]
    assert contact_sheet([Row("", images)], title="t").shape[0] > bare.shape[0]


def test_letters_that_the_font_lacks_are_replaced() -> None:
    font = ImageFont.load_default(size=12)
    assert contact_sheet_module._drawable("plain", font) == "plain"
    assert "\u2603" not in contact_sheet_module._drawable("snow \u2603", font)


def test_contact_sheet_without_images() -> None:
    with pytest.raises(DataError, match="no images"):
        contact_sheet([])
