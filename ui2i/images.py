"""Pictures in and out: files to arrays, arrays to tensors, and plain grids.

On disk and in arrays a picture is uint8 RGB (HWC, batches NHWC); inside the networks it is NCHW float32 in [-1, 1].
Torch is imported only by the two functions that need it, so that reading and drawing pictures starts at once.
"""

import functools
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms

from ui2i.errors import DataError
from ui2i.files import atomic_file

if TYPE_CHECKING:
    import torch

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # no other decoder is ever offered a file
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_PIXELS = 80_000_000  # larger pictures are refused before they are decoded; below Pillow's own limit of 89 million

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside

# How to undo each EXIF orientation; 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class PictureError(DataError):
    """One picture cannot be used; `fault` says in which way, in a word.

    From this module: "unreadable" (missing, or no picture at all), "damaged" (it begins as a picture but cannot be
    decoded to its end) and "decompression_bomb" (too many pixels).
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


def load_image(source: str | os.PathLike[str] | bytes | BinaryIO, *, name: str | None = None) -> Image.Image:
    """Read a picture as upright 8-bit sRGB.

    EXIF rotation is applied, colours are converted to sRGB when a profile is embedded, transparency is laid on white,
    16-bit grey is scaled to 8 bits, and of an animation the first frame is taken.

    Args:
        source: a path, the file's bytes, or an open binary file.
        name: what to call the picture in errors; None: its path, or "the picture".

    Returns:
        A Pillow image of mode RGB.

    Raises:
        PictureError: (a DataError) there is no such file, it is none of `FORMATS`, it is damaged or cut short, or it
            has more than `MAX_PIXELS` pixels.
    """
    data, default_name = _read(source)
    name = name or default_name
    image = _open(data, name)
    try:
        image.load()
        # Read after load(), which already turns a TIFF upright.
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        rgb = _to_srgb(image)
        return rgb if turn is None else rgb.transpose(turn)
    # Given damaged bytes, a decoder raises whatever its plugin happens to: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise PictureError(
            f"{name} is damaged ({error}), expected a complete {image.format} picture; replace or remove it", "damaged"
        ) from error


def center_square(width: int, height: int) -> Box:
    """Return the largest centered square of a picture."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def fit_square(image: Image.Image, resolution: int) -> Image.Image:
    """Crop the centered square and resize it to `resolution` pixels with an antialiased Lanczos filter."""
    # Cropped first: a resize with a box would blend in what lies just outside it.
    square = image.crop(center_square(*image.size))
    return square.resize((resolution, resolution), Image.Resampling.LANCZOS)


def encode_png(image: UInt8[np.ndarray, "h w 3"] | Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    _as_pillow(image).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(path: str | os.PathLike[str], image: UInt8[np.ndarray, "h w 3"] | Image.Image) -> None:
    """Write a picture as a PNG file, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(encode_png(image))


def to_tensor(images: np.ndarray) -> "torch.Tensor":
    """Return pictures as the networks take them.

    Args:
        images: uint8 RGB, [N, H, W, 3] or [H, W, 3] (taken as N = 1).

    Returns:
        float32 [N, 3, H, W] in [-1, 1].

    Raises:
        DataError: another shape or another type.
    """
    import torch

    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise DataError(
            f"images are {images.dtype} {list(images.shape)}, expected uint8 [N, H, W, 3] or [H, W, 3]; "
            "read them with load_image and np.asarray"
        )
    batch = images if images.ndim == 4 else images[None]
    planes = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
    return planes.to(torch.float32).div_(127.5).sub_(1)


def to_uint8(images: "torch.Tensor") -> UInt8[np.ndarray, "n h w 3"]:
    """Return [N, 3, H, W] in [-1, 1] as uint8 [N, H, W, 3], rounded to nearest; values outside are clamped.

    Raises:
        DataError: another shape.
    """
    import torch

    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"images have shape {list(images.shape)}, expected [N, 3, H, W]; add the batch dimension")
    levels = images.detach().to(torch.float32).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def grid(images: UInt8[np.ndarray, "n h w 3"], num_columns: int, padding: int = 2) -> UInt8[np.ndarray, "gh gw 3"]:
    """Lay pictures out row by row on white, `padding` pixels apart."""
    count, height, width, _ = images.shape
    num_rows = -(-count // num_columns)
    step_y, step_x = height + padding, width + padding
    canvas = np.full((max(num_rows * step_y - padding, 0), num_columns * step_x - padding, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // num_columns * step_y, index % num_columns * step_x
        canvas[top : top + height, left : left + width] = image
    return canvas


def _read(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[bytes, str]:
    """Return the file's bytes and what to call it."""
    if isinstance(source, bytes):
        return source, "the picture"
    if isinstance(source, (str, os.PathLike)):
        try:
            return Path(source).read_bytes(), os.fspath(source)
        except OSError as error:
            raise PictureError(
                f"{os.fspath(source)} cannot be read ({error.strerror}), expected a picture file; check the path",
                "unreadable",
            ) from error
    return source.read(), str(getattr(source, "name", "the picture"))


def _open(data: bytes, name: str) -> Image.Image:
    """Read a picture's header and refuse what is no picture or too large to decode."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        num_pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(name, str(error)) from error
    except Exception as error:  # as above: plugins raise anything on damaged bytes
        raise PictureError(
            f"{name} is not a picture that can be read ({len(data)} bytes), expected one of {', '.join(FORMATS)}; "
            "convert or remove it",
            "unreadable",
        ) from error
    if num_pixels > MAX_PIXELS:
        raise _bomb(name, f"{image.width} x {image.height} pixels")
    return image


def _bomb(name: str, what: str) -> PictureError:
    return PictureError(
        f"{name} is too large ({what}), expected at most {MAX_PIXELS} pixels; make it smaller or remove it",
        "decompression_bomb",
    )


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return a decoded picture of any mode as 8-bit sRGB on white."""
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode[0] in "IF":
        image = _reduce_depth(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    rgb = _apply_profile(image, profile) if profile else image.convert("RGB")
    if alpha is None:
        return rgb
    white = Image.new("RGB", rgb.size, "white")
    white.paste(rgb, mask=alpha)
    return white


def _reduce_depth(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits: 65535 becomes 255.

    Raises:
        ValueError: the values do not fit 16 bits; 32-bit pictures have no agreed white.
    """
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise ValueError(f"32-bit values of mode {image.mode}; 8 or 16 bits are needed")
    return Image.fromarray(np.rint(levels / 257).astype(np.uint8))


def _apply_profile(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """Convert colours from the embedded profile to sRGB; a profile that is broken or for other channels is ignored."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        if (image.mode == "CMYK") != (mode == "CMYK"):
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image.convert(mode), profile, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, KeyError):
        return image.convert("RGB")
    assert converted is not None  # only an in-place conversion returns nothing
    return converted


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _as_pillow(image: Any) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))
