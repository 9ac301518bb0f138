"""Reading image files of every kind, whole and spoilt."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import bomb_png, cmyk_profile, file_bytes, gradient, noise
from PIL import Image, ImageCms, features

from ui2i.errors import DataError
from ui2i.images import decoding
from ui2i.images.decoding import ImageError, decode, load_image
from ui2i.images.file_signatures import is_cut_short, recognize


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
        ("AVIF", {"quality": 95}, 12),
        ("HEIF", {"quality": 95}, 12),
    ],
)
def test_formats(file_format: str, options: dict[str, Any], tolerance: int) -> None:
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
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
    # What a camera does for each orientation: the stored image, from the upright one (EXIF 2.32, tag 0x0112).
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


def tiff(bits: int, pixels: bytes, *, white_is_zero: bool = False, sample_format: int = 1, samples: int = 1) -> bytes:
    """Write 8 x 8 pixels as an uncompressed TIFF of a depth that Pillow does not write."""
    values = {
        256: 8, 257: 8, 258: bits, 259: 1, 262: 0 if white_is_zero else 1, 273: 0, 277: samples, 278: 8,
        279: len(pixels), 339: sample_format,
    }  # fmt: skip
    values[273] = 8 + 2 + 12 * len(values) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4) + pixels


def test_a_tiff_says_what_white_is() -> None:
    ramp = np.arange(64) * 65
    twelve = int("".join(f"{level:012b}" for level in ramp), 2).to_bytes(96, "big")
    loaded = np.asarray(load_image(tiff(12, twelve)))[..., 0]
    assert loaded.ravel().tolist() == np.rint(ramp / 4095 * 255).tolist() and loaded.max() == 255
    levels = (np.arange(64) * 1040).astype("<u2")
    upright, negative = (
        np.asarray(load_image(tiff(16, levels.tobytes(), white_is_zero=inverted))) for inverted in (False, True)
    )
    assert np.array_equal(255 - upright, negative) and upright.max() == 255
    eight = (levels // 257).astype(np.uint8)
    assert np.asarray(load_image(tiff(8, eight.tobytes(), white_is_zero=True)))[0, 0, 0] == negative[0, 0, 0] == 255


@pytest.mark.parametrize(
    "data",
    [
        tiff(16, bytes(range(128)), sample_format=2), tiff(10, bytes(80)), tiff(14, bytes(112)),
        tiff(16, bytes(128), sample_format=3), tiff(64, bytes(512), sample_format=3),
    ],
)  # fmt: skip
def test_a_tiff_of_another_depth_is_not_called_damaged(data: bytes) -> None:
    with pytest.raises(ImageError, match="expected 8 or 16 bits; convert it") as caught:
        load_image(data)
    assert caught.value.fault == "unsupported"
    with pytest.raises(ImageError) as caught:
        load_image(data[:40])
    assert caught.value.fault in ("truncated", "damaged")


def test_the_transparent_level_of_16_bit_grey_shows_the_background() -> None:
    levels = np.array([[1000, 30000, 1000, 65535]], np.uint16)
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG", transparency=1000)
    loaded = np.asarray(load_image(out.getvalue(), background="#0000ff"))
    assert loaded[0].tolist() == [[0, 0, 255], [117] * 3, [0, 0, 255], [255] * 3]


def test_32_bit_float_is_refused() -> None:
    data = file_bytes(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(ImageError, match="8 or 16 bits") as caught:
        load_image(data)
    assert caught.value.fault == "unsupported"


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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA"])
def test_a_profile_of_grey_takes_no_colours(mode: str) -> None:
    profile = bytearray(linear_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()))
    profile[16:20] = b"GRAY"
    place = bytes(profile).index(b"rTRC")
    profile[place : place + 4] = b"kTRC"
    image = Image.new("RGB", (8, 8), (200, 30, 30)).convert(mode)
    found = np.asarray(load_image(file_bytes(image, "PNG", icc_profile=bytes(profile))))
    plain = np.asarray(load_image(file_bytes(image, "PNG")))
    assert np.array_equal(found, plain) == (mode not in ("L", "LA")), "grey images are converted by it"


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_a_profile_of_print_colours_is_followed_by_these_alone(file_format: str) -> None:
    profile = cmyk_profile()
    print_colours = Image.new("CMYK", (16, 16), (0, 255, 255, 127))
    found = np.asarray(load_image(file_bytes(print_colours, file_format, icc_profile=profile)))
    assert np.abs(found.astype(int) - 119).max() <= 2, "what sRGB has for a lightness of 50 of 100"
    plain, ignored = (load_image(file_bytes(noise(), "PNG", **options)) for options in ({}, {"icc_profile": profile}))
    assert plain == ignored


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


FORMATS = ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF"]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_truncated_image(file_format: str, share: float) -> None:
    data = encoded(noise(), file_format)
    with pytest.raises(DataError, match=r"holiday\.x is cut short") as caught:
        load_image(data[: int(len(data) * share)], name="holiday.x")
    assert isinstance(caught.value, ImageError)
    assert caught.value.fault == "truncated"


@pytest.mark.parametrize(("file_format", "place"), [("PNG", 2000), ("WEBP", 20), ("AVIF", 60), ("HEIF", 60)])
def test_a_whole_file_with_spoilt_contents_is_damaged_not_truncated(file_format: str, place: int) -> None:
    # Of lossy formats the header is spoilt: without checksums, a decoder draws whatever the rest says.
    data = bytearray(encoded(noise(), file_format))
    data[place : place + 40] = bytes(40)
    with pytest.raises(ImageError, match=r"holiday\.x is damaged") as caught:
        load_image(bytes(data), name="holiday.x")
    assert caught.value.fault == "damaged"
    assert " at 0x" not in str(caught.value)  # which would make the list of rejects differ from run to run


@pytest.mark.parametrize("file_format", FORMATS)
def test_formats_are_recognized_by_their_first_bytes(file_format: str) -> None:
    data = encoded(gradient(), file_format)
    assert recognize(data) == file_format
    assert not is_cut_short(data)
    assert not is_cut_short(data + bytes(8))  # some programs pad
    assert recognize(data[1:]) is None


def test_heif_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_has_heif", lambda: False)
    with pytest.raises(ImageError, match="pillow-heif") as caught:
        load_image(encoded(gradient(), "HEIF"))
    assert caught.value.fault == "unsupported"


def test_damaged_exif_leaves_the_image_as_it_is() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 40
    data = file_bytes(gradient(), "JPEG", quality=95, exif=exif)
    assert load_image(data).size == (24, 16)


def test_an_image_with_a_second_one_behind_it() -> None:
    # Phones append a depth map or a second view (Multi-Image Format).
    buffer = io.BytesIO()
    gradient().save(buffer, "MPO", save_all=True, append_images=[noise(8, 8)])
    decoded = decode(buffer.getvalue())
    assert decoded.image.size == (24, 16)


def test_transparency_is_laid_on_the_background_asked_for() -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    for colour, expected in (("black", [0, 0, 0]), ("#102030", [16, 32, 48])):
        loaded = load_image(file_bytes(clear, "PNG"), background=colour)
        assert np.asarray(loaded)[0, 0].tolist() == expected


def test_format_and_mode_of_the_file_are_kept() -> None:
    assert decode(file_bytes(gradient().convert("L"), "PNG"))[1:] == ("PNG", "L")
    assert decode(file_bytes(Image.new("CMYK", (8, 8)), "JPEG"))[1:] == ("JPEG", "CMYK")


def encoded(image: Image.Image, file_format: str) -> bytes:
    """The file's bytes; HEIF only where it can be written."""
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    return file_bytes(image, file_format)


@pytest.mark.parametrize("data", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_unreadable_bytes(data: bytes) -> None:
    with pytest.raises(ImageError, match="expected one of PNG") as caught:
        load_image(data)
    assert caught.value.fault == "unreadable"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png cannot be read"):
        load_image(tmp_path / "nowhere.png")


def test_decompression_bomb_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(bomb_png())
    assert caught.value.fault == "decompression_bomb"
    monkeypatch.setattr(decoding, "MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="24 x 16 pixels") as caught:
        load_image(file_bytes(gradient(), "PNG"))
    assert caught.value.fault == "decompression_bomb"
