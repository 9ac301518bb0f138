"""An image file of any kind -> upright 8-bit sRGB.

Everything here starts from bytes that may be damaged or hostile: what a file claims is checked before it is believed,
and whatever a decoder raises becomes an `ImageError` with a word for what is wrong. Resizing and tensors are in
`ui2i.images`.
"""

import contextlib
import functools
import importlib.util
import io
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image, ImageCms

from ui2i.errors import DataError, is_out_of_memory
from ui2i.images.depth import DepthError, is_of_unknown_kind, opaque_mask, reduce_depth
from ui2i.images.file_signatures import HEAD_BYTES, is_cut_short, recognize

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")  # no other decoder is ever offered a file
HEIF_EXTRA = "pillow-heif"  # decodes HEIF; not among the packages that always come
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif"),
)
NO_MEMORY = "no_memory"
"""`ImageError.fault` that says nothing about the image."""
_CHUNK_BYTES = 1 << 18
MAX_FILE_BYTES = 1 << 28  # 256 MiB: of a larger file no more than that and one byte is ever read
MAX_PIXELS = 80_000_000  # larger images are refused before they are decoded; below Pillow's own limit of 89 million

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


class ImageError(DataError):
    """One image cannot be used; `fault` says in which way, in a word.

    From this module: "unreadable" (missing, or no image at all), "too_large" (over `MAX_FILE_BYTES`), "truncated" (it
    ends before its end), "damaged" (it is complete but cannot be decoded), "unsupported" (a kind of image that is not
    read here), "decompression_bomb" (too many pixels) and "no_memory" (which is no fault of the image).
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


class Decoded(NamedTuple):
    """An image, and what its file was."""

    image: Image.Image  # upright, RGB
    file_format: str  # as Pillow names it
    mode: str  # of the pixels in the file, as Pillow names it


def load_image(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, name: str | None = None, background: str = "white"
) -> Image.Image:
    """Read an image as upright 8-bit sRGB.

    EXIF rotation is applied, colours are converted to sRGB when a profile is embedded, transparency is laid on
    `background`, 12-bit and 16-bit grey are scaled to 8 bits, and of an animation the first frame is taken.

    Args:
        source: a path, the file's bytes, or an open binary file.
        name: what to call the image in errors; None: its path, or "the image".
        background: a colour as Pillow takes it, such as "white" or "#808080".

    Returns:
        A Pillow image of mode RGB.

    Raises:
        ImageError: (a DataError) there is no such file, it is none of `FORMATS`, it is damaged or cut short, or it
            has more than `MAX_PIXELS` pixels.
    """
    data, default_name = _read(source)
    return decode(data, name=name or default_name, background=background).image


def decode(data: bytes, *, name: str = "the image", background: str = "white") -> Decoded:
    """Read an image from its file's bytes; see `load_image`.

    Raises:
        ImageError: as `load_image`.
    """
    image = _open(data, name)
    try:
        image.load()
        # Read after load(), which already turns a TIFF upright.
        turn = _UPRIGHT.get(_orientation(image))
        mode = image.mode
        rgb = _to_srgb(image, background)
        rgb.info.clear()  # or a profile that no longer holds, with the time it was made, goes into every PNG of it
        return Decoded(rgb if turn is None else rgb.transpose(turn), image.format or "", mode)
    except DepthError as error:
        raise ImageError(f"{name} has {error}, expected 8 or 16 bits; convert it", "unsupported") from error
    # Given damaged bytes, a decoder raises whatever its plugin happens to: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise _spoilt(data, name, error) from error


def read_image_file(path: str | os.PathLike[str], *, name: str | None = None) -> bytes:
    """Return the bytes of a file that may be anything: it is neither waited for nor read beyond `MAX_FILE_BYTES`.

    Args:
        name: what to call it in errors; None: its path.

    Raises:
        ImageError: it is missing, no regular file ("unreadable"), or too large ("too_large").
    """
    name = name or os.fspath(path)
    with _opened(path, name) as handle:
        data = _read_all(handle)
    check_file_size(len(data), name)
    return data


def _read_all(handle: BinaryIO) -> bytes:
    """Return what a file has, `MAX_FILE_BYTES` and one at most; a single read would allocate all of that beforehand."""
    data = bytearray()
    while len(data) <= MAX_FILE_BYTES and (chunk := handle.read(min(_CHUNK_BYTES, MAX_FILE_BYTES + 1 - len(data)))):
        data += chunk
    return bytes(data)


def check_image_file(path: str | os.PathLike[str], *, name: str | None = None) -> None:
    """Raise ImageError for a file that cannot be read, is too large, or does not begin as an image."""
    name = name or os.fspath(path)
    with _opened(path, name) as handle:
        check_file_size(os.fstat(handle.fileno()).st_size, name)
        check_signature(handle.read(HEAD_BYTES), name)


def check_signature(data: bytes, name: str) -> None:
    """Raise ImageError ("unreadable") for bytes that do not begin as an image."""
    if recognize(data) is None:
        raise ImageError(
            f"{name} does not begin as an image, expected one of {', '.join(FORMATS)}; convert or remove it",
            "unreadable",
        )


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    try:
        with open_regular_file(path) as handle:
            yield handle
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        why = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"{name} cannot be read ({why}), expected an image file; check the path", "unreadable"
        ) from error


def open_regular_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, without waiting: a pipe without a writer would hold the work up for ever.

    Raises:
        OSError: there is none, or it is a pipe, a device or the like.
    """
    handle = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError("it is no regular file")
    return handle


def check_file_size(num_bytes: int, name: str) -> None:
    """Raise ImageError ("too_large") for a file over `MAX_FILE_BYTES`."""
    if num_bytes > MAX_FILE_BYTES:
        raise ImageError(
            f"{name} has over {MAX_FILE_BYTES} bytes, expected no more in an image; make it smaller or remove it",
            "too_large",
        )


def _read(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[bytes, str]:
    """Return the file's bytes and what to call it."""
    if isinstance(source, bytes):
        return source, "the image"
    if isinstance(source, (str, os.PathLike)):
        return read_image_file(source), os.fspath(source)
    name = str(getattr(source, "name", "the image"))
    data = _read_all(source)
    check_file_size(len(data), name)
    return data, name


def _open(data: bytes, name: str) -> Image.Image:
    """Read an image's header and refuse what is no image or too large to decode."""
    try:
        image = Image.open(io.BytesIO(data), formats=_formats(data, name))
        num_pixels = image.width * image.height
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(name, str(error)) from error
    except Exception as error:  # as above: plugins raise anything on damaged bytes
        if recognize(data) == "TIFF" and is_of_unknown_kind(data):
            raise ImageError(
                f"{name} is a TIFF of an unusual depth, expected 8 or 16 bits; convert it", "unsupported"
            ) from error
        if recognize(data) is not None:
            raise _spoilt(data, name, error) from error
        raise ImageError(
            f"{name} is not an image that can be read ({len(data)} bytes), expected one of {', '.join(FORMATS)}; "
            "convert or remove it",
            "unreadable",
        ) from error
    if num_pixels > MAX_PIXELS:
        raise _bomb(name, f"{image.width} x {image.height} pixels")
    return image


def _formats(data: bytes, name: str) -> tuple[str, ...]:
    """Return the decoders that may be offered a file; that of HEIF is loaded with the first file that needs it."""
    if recognize(data) != "HEIF":
        return FORMATS
    if not _has_heif():
        raise ImageError(
            f"{name} is a HEIF image, expected one of {', '.join(FORMATS)}, or {HEIF_EXTRA} to be installed; "
            'convert it, or pip install "ui2i[heif]"',
            "unsupported",
        )
    return ("HEIF",)


@functools.cache
def _has_heif() -> bool:
    """Whether HEIF can be decoded; if so, Pillow is told how."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def _spoilt(data: bytes, name: str, error: Exception) -> ImageError:
    """Say of a file that begins as an image why it cannot be decoded to its end."""
    if is_out_of_memory(error):
        return no_memory(name)
    what = re.sub(r"<.* at 0x.*>", "the file", str(error))  # Pillow names an object by its place in memory
    if is_cut_short(data) or "truncated" in what.lower():
        return ImageError(
            f"{name} is cut short at {len(data)} bytes ({what}), expected a complete {recognize(data)} image; "
            "fetch it again or remove it",
            "truncated",
        )
    return ImageError(
        f"{name} is damaged ({what}), expected a complete {recognize(data)} image; replace or remove it", "damaged"
    )


def no_memory(name: str) -> ImageError:
    """Return the error of an image for which memory did not suffice; the image may well be good."""
    return ImageError(
        f"{name} could not be read for want of memory, expected more of it; end other programs and try again",
        NO_MEMORY,
    )


def _bomb(name: str, what: str) -> ImageError:
    return ImageError(
        f"{name} is too large ({what}), expected at most {MAX_PIXELS} pixels; make it smaller or remove it",
        "decompression_bomb",
    )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where there is none that can be read."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF raises as damaged images do, and the image is good without it
        return 1


def _to_srgb(image: Image.Image, background: str) -> Image.Image:
    """Return a decoded image of any mode as 8-bit sRGB on `background`."""
    profile = image.info.get("icc_profile")
    alpha = None
    is_grey = image.mode in ("1", "L", "LA", "La") or image.mode[0] in "IF"
    if image.mode[0] in "IF":
        alpha = opaque_mask(image)
        image = reduce_depth(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    rgb = _apply_profile(image, profile, is_grey=is_grey) if profile else _to_rgb(image)
    if alpha is None:
        return rgb
    ground = Image.new("RGB", rgb.size, background)
    ground.paste(rgb, mask=alpha)
    return ground


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB without a profile; what is RGB already is not copied."""
    return image if image.mode == "RGB" else image.convert("RGB")


def _apply_profile(image: Image.Image, icc_profile: bytes, *, is_grey: bool) -> Image.Image:
    """Convert colours from the embedded profile to sRGB; a profile that is broken or for other channels is ignored.

    Args:
        is_grey: the image has no colours, whatever its mode is by now.
    """
    mode = _profile_mode(icc_profile)
    if mode is None or (image.mode == "CMYK") != (mode == "CMYK") or (mode == "L" and not is_grey):
        return _to_rgb(image)
    try:
        converted = ImageCms.applyTransform(image.convert(mode), _transform(icc_profile, mode))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _to_rgb(image)
    assert converted is not None  # only an in-place conversion returns nothing
    return converted


@functools.lru_cache(maxsize=16)
def _profile_mode(icc_profile: bytes) -> str | None:
    """Return the Pillow mode of the images that a profile is for; None: it is broken, or for no such mode."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        return _PROFILE_MODES.get(profile.profile.xcolor_space.strip())
    except (ImageCms.PyCMSError, OSError):
        return None


@functools.lru_cache(maxsize=16)
def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Return the conversion to sRGB. Cameras embed the same few profiles, and making one takes longer than using it."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
