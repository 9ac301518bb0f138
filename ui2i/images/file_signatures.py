"""What an image file's bytes say before anything is decoded: its type, and whether it is complete.

Each format is known by its first bytes, and each but TIFF states its length or marks its end, so that a download that
broke off can be told from a file that was spoilt. (A TIFF keeps its parts anywhere.)
"""

import struct

HEAD_BYTES = 256  # in which every format announces itself

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


def recognize(data: bytes) -> str | None:
    """Return the format that a file's first bytes announce, as Pillow names it; None: none that is known."""
    if data[4:8] == b"ftyp":
        return _brand_format(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    return None


def is_cut_short(data: bytes) -> bool:
    """Whether a file ends before the end that its own header or structure announces."""
    check = _END_CHECKS.get(recognize(data) or "")
    return check is not None and check(data)


def _brand_format(data: bytes) -> str | None:
    """Return which of the formats that share a container a file is, by its main and its compatible brands."""
    brands = data[8 : max(16, min(int.from_bytes(data[:4], "big"), 128))]
    if any(brand in brands for brand in _AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if any(brand in brands for brand in _HEIF_BRANDS) else None


def _png_is_cut(data: bytes) -> bool:
    """A PNG is a row of chunks (length, name, content, checksum), of which IEND is the last."""
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if data[place + 4 : place + 8] == b"IEND":
            return False
        place += 12 + length
    return True


def _jpeg_is_cut(data: bytes) -> bool:
    """After the marker that starts the last scan (FF DA) comes the one that ends the image (FF D9)."""
    return data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")


def _gif_is_cut(data: bytes) -> bool:
    """A GIF ends with a semicolon; some writers add zeros."""
    return not data.rstrip(b"\0").endswith(b";")


def _webp_is_cut(data: bytes) -> bool:
    """A RIFF file states the number of bytes after its first eight."""
    return int.from_bytes(data[4:8], "little") + 8 > len(data)


def _bmp_is_cut(data: bytes) -> bool:
    """A BMP states its length after its two letters."""
    return int.from_bytes(data[2:6], "little") > len(data)


def _boxes_are_cut(data: bytes) -> bool:
    """An ISO file is a row of boxes that begin with their length; 0: up to the end, 1: 64 bits of it follow."""
    place = 0
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16], "big")
        if length < 8:
            return False
        place += length
    return place > len(data)


_SIGNATURES = (
    (PNG_SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_END_CHECKS = {
    "PNG": _png_is_cut,
    "JPEG": _jpeg_is_cut,
    "GIF": _gif_is_cut,
    "WEBP": _webp_is_cut,
    "BMP": _bmp_is_cut,
    "AVIF": _boxes_are_cut,
    "HEIF": _boxes_are_cut,
}
