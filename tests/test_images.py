"""Reading pictures of every kind, and drawing sheets of them."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFont

from ui2i import contact_sheet as contact_sheet_module
from ui2i import images
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.errors import DataError
from ui2i.images import (
    PictureError,
    center_square,
    encode_png,
    fit_square,
    grid,
    load_image,
    save_png,
    to_tensor,
    to_uint8,
)


def gradient(width: int = 24, height: int = 16) -> Image.Image:
    """A smooth picture without symmetry, so that every rotation looks different."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    levels = np.stack([200 * x + 20, 180 * y + 30, 90 * x + 90 * y + 40], axis=-1)
    return Image.fromarray(levels.astype(np.uint8))


def file_bytes(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def bomb_png(side: int = 100_000) -> bytes:
    """A PNG whose header promises 10^10 pixels and that has none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 20),
        ("JPEG", {"quality": 95}, 12),
        ("GIF", {}, 40),
    ],
)
def test_formats(file_format: str, options: dict[str, Any], tolerance: int) -> None:
    loaded = load_image(file_bytes(gradient(), file_format, **options))
    assert loaded.mode == "RGB"
    difference = np.abs(np.asarray(loaded).astype(int) - np.asarray(gradient()).astype(int))
    assert difference.max() <= tolerance


def test_reads_paths_files_and_bytes_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(file_bytes(gradient(), "PNG"))
    with path.open("rb") as handle:
        from_file = load_image(handle)
    for loaded in (load_image(path), load_image(str(path)), from_file):
        assert np.array_equal(np.asarray(loaded), np.asarray(gradient()))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(file_format: str, orientation: int) -> None:
    # What a camera does for each orientation: the stored picture, from the upright one (EXIF 2.32, tag 0x0112).
    upright = np.asarray(gradient())
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 98, "subsampling": 0} if file_format == "JPEG" else {}
    if file_format == "WEBP":
        options = {"lossless": True}
    data = file_bytes(Image.fromarray(np.ascontiguousarray(stored)), file_format, exif=exif, **options)
    loaded = np.asarray(load_image(data)).astype(int)
    assert loaded.shape == upright.shape
    assert np.abs(loaded - upright).max() <= (8 if file_format == "JPEG" else 0)


def test_transparency_is_laid_on_white() -> None:
    levels = np.zeros((4, 4, 4), np.uint8)
    levels[..., 0] = 200
    levels[:, :2, 3], levels[:, 2:, 3] = 255, 51  # opaque, and one fifth
    loaded = np.asarray(load_image(file_bytes(Image.fromarray(levels), "PNG")))
    assert loaded[0, 0].tolist() == [200, 0, 0]
    assert np.abs(loaded[0, 3].astype(int) - [244, 204, 204]).max() <= 1


def test_grey_with_alpha_and_transparent_palette() -> None:
    grey = Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), mode="LA")
    assert np.asarray(load_image(file_bytes(grey, "PNG"))).tolist() == [[[10] * 3, [255] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 255, 90, 90, 90])
    palette.putdata([0, 1])
    for file_format in ("PNG", "GIF"):
        loaded = load_image(file_bytes(palette, file_format, transparency=1))
        assert np.asarray(loaded).tolist() == [[[0, 0, 255], [255, 255, 255]]]


def test_grey_palette_and_bilevel() -> None:
    grey = gradient().convert("L")
    assert np.array_equal(np.asarray(load_image(file_bytes(grey, "PNG")))[..., 1], np.asarray(grey))
    palette = gradient().quantize(16)
    assert np.array_equal(np.asarray(load_image(file_bytes(palette, "PNG"))), np.asarray(palette.convert("RGB")))
    bilevel = grey.convert("1")
    assert set(np.unique(np.asarray(load_image(file_bytes(bilevel, "PNG"))))) == {0, 255}


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_whole_range(file_format: str) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535, 65535 - 128]], np.uint16)
    loaded = np.asarray(load_image(file_bytes(Image.fromarray(levels), file_format)))
    assert loaded[0, :, 0].tolist() == [0, 1, 128, 255, 255]


def test_32_bit_float_is_refused() -> None:
    data = file_bytes(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(PictureError, match="8 or 16 bits"):
        load_image(data)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk(file_format: str) -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = np.asarray(load_image(file_bytes(cmyk, file_format))).reshape(-1, 3).mean(axis=0)
    assert red[0] > 200 > 60 > max(red[1:])


def test_colour_profiles_are_converted_to_srgb() -> None:
    neutral = Image.new("RGB", (8, 8), (120, 120, 120))
    # XYZ as the device space: far from sRGB, so that doing nothing cannot pass.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (
        np.abs(np.asarray(load_image(file_bytes(gradient(), "PNG", icc_profile=srgb))) - np.asarray(gradient())).max()
        <= 1
    )
    linear = linear_profile(srgb)
    loaded = np.asarray(load_image(file_bytes(neutral, "PNG", icc_profile=linear)))
    # 120/255 of linear light is 0.4706; the sRGB curve gives 1.055 * 0.4706^(1/2.4) - 0.055 = 0.715.
    assert np.abs(loaded.astype(float) - 0.715 * 255).max() <= 2


def linear_profile(srgb: bytes) -> bytes:
    """An sRGB profile whose tone curves are replaced by straight lines."""
    profile = bytearray(srgb)
    (num_tags,) = struct.unpack_from(">I", profile, 128)
    for index in range(num_tags):
        signature, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if signature in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">4sII", profile, offset, b"curv", 0, 0)  # a curve with no points is the identity
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
def test_profile_that_does_not_fit_is_ignored(mode: str) -> None:
    image = gradient().convert(mode)
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    plain = np.asarray(load_image(file_bytes(image, file_format))).astype(int)
    broken = np.asarray(load_image(file_bytes(image, file_format, icc_profile=b"no profile at all"))).astype(int)
    assert np.array_equal(plain, broken)
    if mode == "CMYK":
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        assert np.array_equal(plain, np.asarray(load_image(file_bytes(image, file_format, icc_profile=srgb))))


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for file_format in ("GIF", "WEBP", "PNG"):
        data = file_bytes(frames[0], file_format, save_all=True, append_images=frames[1:])
        red = np.asarray(load_image(data))[4, 4]
        assert red[0] > 240 > 20 > red[2]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_picture(file_format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = file_bytes(noise, file_format)
    with pytest.raises(DataError, match=r"holiday\.x") as caught:
        load_image(data[: len(data) * 2 // 3], name="holiday.x")
    assert isinstance(caught.value, PictureError)
    assert caught.value.fault in ("damaged", "unreadable")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_unreadable_bytes(data: bytes) -> None:
    with pytest.raises(PictureError, match="expected one of PNG") as caught:
        load_image(data)
    assert caught.value.fault == "unreadable"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"nowhere\.png cannot be read"):
        load_image(tmp_path / "nowhere.png")


def test_decompression_bomb_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PictureError) as caught:
        load_image(bomb_png())
    assert caught.value.fault == "decompression_bomb"
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(PictureError, match="24 x 16 pixels") as caught:
        load_image(file_bytes(gradient(), "PNG"))
    assert caught.value.fault == "decompression_bomb"


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
    pictures = np.stack([np.full((4, 6, 3), level, np.uint8) for level in (10, 20, 30)])
    sheet = grid(pictures, num_columns=2, padding=2)
    assert sheet.shape == (10, 14, 3)
    assert np.array_equal(sheet[:4, :6], pictures[0])
    assert np.array_equal(sheet[:4, 8:], pictures[1])
    assert np.array_equal(sheet[6:, :6], pictures[2])
    assert (sheet[4:6] == 255).all() and (sheet[6:, 6:] == 255).all()


def test_contact_sheet_holds_every_picture_whole() -> None:
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
        rows, ["one", "two and more words"], upscale=2, title="A title wider than the pictures below it"
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
    pictures = np.zeros((2, 16, 16, 3), np.uint8)
    bare = contact_sheet([Row("", pictures)])
    assert contact_sheet([Row("label", pictures)]).shape[1] > bare.shape[1]
    assert contact_sheet([Row("", pictures)], ["a"]).shape[0] > bare.shape[0]
    assert contact_sheet([Row("", pictures)], title="t").shape[0] > bare.shape[0]


def test_letters_that_the_font_lacks_are_replaced() -> None:
    font = ImageFont.load_default(size=12)
    assert contact_sheet_module._drawable("plain", font) == "plain"
    assert "\u2603" not in contact_sheet_module._drawable("snow \u2603", font)


def test_contact_sheet_without_pictures() -> None:
    with pytest.raises(DataError, match="no pictures"):
        contact_sheet([])
