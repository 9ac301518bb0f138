"""What people really have in their folders: more than a hundred cases, each with what has to become of it.

A case that is kept names the image it shows, so that not only its presence but its pixels can be checked.
"""

import dataclasses
import io
import os
import random
import socket
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from image_files import blobs, bomb_png, file_bytes, noise, png_chunk, textured
from PIL import Image, ImageCms, ImageEnhance

PASSED_OVER = {".txt": 1, ".db": 1, ".mp4": 1, ".zip": 1, "none": 1}


@dataclasses.dataclass(frozen=True)
class Kept:
    """A file that must be in the dataset."""

    data: bytes
    shows: Image.Image  # upright RGB
    tolerance: float = 2.0  # mean difference of levels, after framing


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A file that must be among the rejects."""

    data: bytes
    reason: str


class Cases(dict[str, Kept | Rejected]):
    """The cases by path. Each image is of another seed, so that none is a duplicate by mistake."""

    def __init__(self) -> None:
        super().__init__()
        pillow_heif.register_heif_opener()
        self._seed = 0
        for add in (self._colours, self._formats, self._metadata, self._names, self._liars, self._cut, self._bombs):
            add()
        self._damaged()
        self._unfit()
        self._twins()

    def image(self, width: int = 48, height: int = 40) -> Image.Image:
        self._seed += 1
        return blobs(self._seed, width, height)

    def keep(self, name: str, data: bytes, shows: Image.Image, tolerance: float = 2.0) -> None:
        assert name not in self
        self[name] = Kept(data, shows, tolerance)

    def reject(self, name: str, data: bytes, reason: str) -> None:
        assert name not in self
        self[name] = Rejected(data, reason)

    def _colours(self) -> None:
        rgb = self.image()
        self.keep("colours/rgb.png", file_bytes(rgb, "PNG"), rgb)
        for mode in ("L", "P", "1"):
            image = self.image().convert(mode)
            self.keep(f"colours/{mode}.png", file_bytes(image, "PNG"), image.convert("RGB"))
        grey = self.image().convert("L")
        wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        self.keep("colours/grey16.png", file_bytes(wide, "PNG"), grey.convert("RGB"))
        grey = self.image().convert("L")
        wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        self.keep("colours/grey16.tiff", file_bytes(wide, "TIFF"), grey.convert("RGB"))
        image = self.image()
        self.keep("colours/rgb16.png", png_of_16_bits(image), image)
        for name, alpha in (("opaque", 255), ("half", 128)):
            image = self.image()
            layered = image.copy()
            layered.putalpha(alpha)
            paper = Image.new("RGB", image.size, "white")
            self.keep(f"colours/{name}.png", file_bytes(layered, "PNG"), Image.blend(paper, image, alpha / 255))
        image = self.image().convert("L")
        layered = image.copy()
        layered.putalpha(64)
        paper = Image.new("RGB", image.size, "white")
        shows = Image.blend(paper, image.convert("RGB"), 64 / 255)
        self.keep("colours/grey-alpha.png", file_bytes(layered, "PNG"), shows)
        palette = self.image().quantize(8)
        clear = np.asarray(palette) == 0
        levels = np.asarray(palette.convert("RGB")).copy()
        levels[clear] = 255
        data = file_bytes(palette, "PNG", transparency=0)
        self.keep("colours/palette-clear.png", data, Image.fromarray(levels))
        image = self.image()
        self.keep("colours/cmyk.jpg", file_bytes(image.convert("CMYK"), "JPEG", quality=98), image, 6)
        image = self.image()
        self.keep("colours/cmyk.tif", file_bytes(image.convert("CMYK"), "TIFF"), image, 6)
        image = self.image().convert("L")
        self.keep("colours/grey.jpg", file_bytes(image, "JPEG", quality=98), image.convert("RGB"))

    def _formats(self) -> None:
        for name, file_format, options, tolerance in (
            ("plain.jpg", "JPEG", {"quality": 95}, 4),
            ("progressive.jpeg", "JPEG", {"quality": 95, "progressive": True}, 4),
            ("from-windows.jfif", "JPEG", {"quality": 95}, 4),
            ("SHOUTING.JPG", "JPEG", {"quality": 95}, 4),
            ("lossy.webp", "WEBP", {"quality": 95}, 5),
            ("lossless.webp", "WEBP", {"lossless": True}, 0.1),
            ("plain.bmp", "BMP", {}, 0.1),
            ("plain.tif", "TIFF", {}, 0.1),
            ("lzw.tiff", "TIFF", {"compression": "tiff_lzw"}, 0.1),
            ("deflate.tiff", "TIFF", {"compression": "tiff_adobe_deflate"}, 0.1),
            ("inside-jpeg.tiff", "TIFF", {"compression": "jpeg", "quality": 95}, 5),
            ("plain.gif", "GIF", {}, 12),
            ("phone.avif", "AVIF", {"quality": 95}, 5),
            ("phone.heic", "HEIF", {"quality": 95}, 5),
        ):
            image = self.image()
            self.keep(f"formats/{name}", file_bytes(image, file_format, **options), image, tolerance)
        for name, file_format in (("a.gif", "GIF"), ("a.webp", "WEBP"), ("a.apng", "PNG"), ("pages.tiff", "TIFF")):
            first, later = self.image(), self.image()
            data = file_bytes(first, file_format, save_all=True, append_images=[later])
            self.keep(f"formats/first-frame-of-{name}", data, first, 12)
        first = self.image()
        data = file_bytes(first, "MPO", save_all=True, append_images=[self.image()], quality=95)
        self.keep("formats/two-views.jpg", data, first, 4)
        palette = self.image().quantize(32)
        self.keep("formats/palette.bmp", file_bytes(palette, "BMP"), palette.convert("RGB"))

    def _metadata(self) -> None:
        for orientation, turn in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
            image, exif = self.image(), Image.Exif()
            exif[0x0112] = orientation
            data = file_bytes(image.transpose(turn), "JPEG", quality=95, exif=exif)
            self.keep(f"metadata/turned-{orientation}.jpg", data, image, 4)
        image, exif = self.image(), Image.Exif()
        exif[0x0112] = 99
        self.keep("metadata/turned-nowhere.png", file_bytes(image, "PNG", exif=exif), image)
        image = self.image()
        broken = b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 40
        self.keep("metadata/broken-exif.jpg", file_bytes(image, "JPEG", quality=95, exif=broken), image, 4)
        image = self.image()
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        self.keep("metadata/profile.png", file_bytes(image, "PNG", icc_profile=srgb), image)
        image = self.image()
        self.keep("metadata/broken-profile.png", file_bytes(image, "PNG", icc_profile=b"none"), image)
        image = self.image()
        self.keep("metadata/something-behind.png", file_bytes(image, "PNG") + b"\0" * 999, image)
        image = self.image()
        self.keep("metadata/something-behind.jpg", file_bytes(image, "JPEG", quality=95) + b"appendix", image, 4)
        image = self.image()
        comment = png_chunk(b"tEXt", b"Comment\0" + b"x" * 100_000)
        data = file_bytes(image, "PNG")
        self.keep("metadata/long-comment.png", data[:33] + comment + data[33:], image)

    def _names(self) -> None:
        for name in (
            "with space and 'quotes' & \"more\".png",
            "two\nlines.png",
            "日本語/猫 の 写真.png",
            "العربية.png",
            "кошка.png",
            "e\u0301 as two letters.png",
            "\u00e9 as one letter.png",
            "emoji 🐈.png",
            "-rf.png",
            "%2e%2e%2fescape.png",
            "$(touch owned).png",
            "back\\slash.png",
            "dots...png",
            "x" * 200 + ".png",
            "a/b/c/d/e/f/g/h/deep.png",
            "many.suffixes.txt.png",
        ):
            image = self.image()
            self.keep(f"names/{name}", file_bytes(image, "PNG"), image)

    def _liars(self) -> None:
        for name, file_format in (("jpeg-as.png", "JPEG"), ("png-as.jpg", "PNG"), ("webp-as.gif", "WEBP")):
            image = self.image()
            self.keep(f"liars/{name}", file_bytes(image, file_format), image, 8)
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("a.png", b"inside")
        for name, data in {
            "empty.png": b"",
            "zeros.png": bytes(1000),
            "text.png": b"hello",
            "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
            "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
            "script.jpg": b"#!/bin/sh\ntouch owned\n",
            "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(owned) run\n",
            "document.jpg": b"%PDF-1.7\n1 0 obj\n",
            "program.gif": b"MZ" + bytes(500),
            "archive.png": zipped.getvalue(),
            "noise.webp": random.Random(0).randbytes(4000),
            "pickle.png": b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.",
            "icon.png": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",
        }.items():
            self.reject(f"liars/{name}", data, "unreadable")

    def _cut(self) -> None:
        for file_format in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF"):
            data = file_bytes(noise(seed=self._seed), file_format)
            suffix = {"HEIF": "heic"}.get(file_format, file_format.lower())
            self.reject(f"cut/half.{suffix}", data[: len(data) // 2], "truncated")
        data = file_bytes(noise(seed=99), "JPEG")
        self.reject("cut/last-byte.jpg", data[:-600], "truncated")
        self.reject("cut/header-only.png", file_bytes(noise(), "PNG")[:33], "truncated")
        self.reject("cut/signature-only.png", b"\x89PNG\r\n\x1a\n", "truncated")
        self.reject("cut/signature-only.jpg", b"\xff\xd8\xff", "truncated")

    def _bombs(self) -> None:
        self.reject("bombs/huge.png", bomb_png(), "decompression_bomb")
        self.reject("bombs/just-too-large.png", bomb_png(8945), "decompression_bomb")
        gif = bytearray(file_bytes(self.image(), "GIF"))
        gif[6:10] = struct.pack("<HH", 65000, 65000)
        self.reject("bombs/huge.gif", bytes(gif), "decompression_bomb")
        bmp = bytearray(file_bytes(self.image(), "BMP"))
        bmp[18:26] = struct.pack("<ii", 60000, 60000)
        self.reject("bombs/huge.bmp", bytes(bmp), "decompression_bomb")
        jpeg = bytearray(file_bytes(self.image(), "JPEG"))
        frame = jpeg.index(b"\xff\xc0")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
        self.reject("bombs/huge.jpg", bytes(jpeg), "decompression_bomb")
        tiff = bytearray(file_bytes(self.image(), "TIFF"))
        for tag in (256, 257):
            place = tiff.index(struct.pack("<HHI", tag, 4, 1))
            tiff[place + 8 : place + 12] = struct.pack("<I", 50000)
        self.reject("bombs/huge.tiff", bytes(tiff), "decompression_bomb")
        data = file_bytes(self.image(), "PNG")
        for name, kind, head in (("text", b"zTXt", b"a\0\0"), ("profile", b"iCCP", b"a\0\0")):
            chunk = png_chunk(kind, head + zlib.compress(bytes(200_000_000), 9))
            self.reject(f"bombs/{name}.png", data[:33] + chunk + data[33:], "damaged")

    def _damaged(self) -> None:
        data = bytearray(file_bytes(noise(seed=5), "PNG"))
        data[3000:3040] = bytes(40)
        self.reject("damaged/middle.png", bytes(data), "damaged")
        data = bytearray(file_bytes(noise(seed=6), "PNG"))
        data[16:24] = struct.pack(">II", 0, 0)
        self.reject("damaged/no-pixels.png", bytes(data), "damaged")
        data = bytearray(file_bytes(noise(seed=7), "WEBP"))
        data[20:60] = bytes(40)
        self.reject("damaged/header.webp", bytes(data), "damaged")
        floats = Image.fromarray(np.zeros((40, 48), np.float32))
        self.reject("damaged/float.tiff", file_bytes(floats, "TIFF"), "unsupported")
        deep = Image.fromarray(np.full((40, 48), 1_000_000, np.int32))
        self.reject("damaged/32-bit.tiff", file_bytes(deep, "TIFF"), "unsupported")

    def _unfit(self) -> None:
        self.keep("unfit/just-large-enough.png", file_bytes(image := self.image(16, 16), "PNG"), image)
        self.reject("unfit/small.png", file_bytes(self.image(15, 40), "PNG"), "too_small")
        self.reject("unfit/dot.png", file_bytes(self.image(1, 1), "PNG"), "too_small")
        self.keep("unfit/three-to-one.png", file_bytes(image := self.image(96, 32), "PNG"), image)
        self.reject("unfit/banner.png", file_bytes(self.image(97, 32), "PNG"), "extreme_aspect")
        self.reject("unfit/column.png", file_bytes(self.image(32, 400), "PNG"), "extreme_aspect")
        self.reject("unfit/white.png", file_bytes(Image.new("RGB", (48, 40), "white"), "PNG"), "near_uniform")
        self.reject("unfit/clear.png", file_bytes(Image.new("RGBA", (48, 40), (9, 9, 9, 0)), "PNG"), "near_uniform")
        faint = Image.fromarray((np.random.default_rng(0).integers(120, 124, (40, 48, 3))).astype(np.uint8))
        self.reject("unfit/faint.png", file_bytes(faint, "PNG"), "near_uniform")

    def _twins(self) -> None:
        image = textured(5, 96, 80)
        data = file_bytes(image, "PNG")
        self.keep("twins/0-original.png", data, image)
        self.reject("twins/1-copy.png", data, "duplicate")
        self.reject("twins/2-recompressed.jpg", file_bytes(image, "JPEG", quality=60), "near_duplicate")
        smaller = image.resize((48, 40), Image.Resampling.LANCZOS)
        self.reject("twins/3-smaller.png", file_bytes(smaller, "PNG"), "near_duplicate")
        darker = ImageEnhance.Brightness(image).enhance(0.85)
        self.reject("twins/4-darker.png", file_bytes(darker, "PNG"), "near_duplicate")
        self.reject("twins/5-other-format.webp", file_bytes(image, "WEBP", lossless=True), "near_duplicate")
        self.reject("twins/6-copy-of-a-twin.png", file_bytes(smaller, "PNG"), "near_duplicate")
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        self.keep("twins/7-mirrored.png", file_bytes(mirrored, "PNG"), mirrored)


def write_folder(root: Path, cases: Cases) -> dict[str, str]:
    """Write every case, and what only a file system can hold; return the reasons of the latter."""
    for name, case in cases.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.data)
    for name in ("notes.txt", "Thumbs.db", "clip.mp4", "more.zip", "README"):
        (root / name).write_bytes(b"no image")
    for name in (".hidden.png", "__MACOSX/._a.png", ".cache/thumb.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not looked at")
    odd = root / "odd"
    (odd / "a folder.png").mkdir(parents=True)
    (odd / "dangling.png").symlink_to("nowhere.png")
    (odd / "itself.png").symlink_to("itself.png")
    (odd / "endless.png").symlink_to("/dev/zero")
    (odd / "elsewhere").symlink_to(root.parent)
    os.mkfifo(odd / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        place = os.open(odd, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{place}/socket.png")  # the whole path may be too long for a socket
        os.close(place)
    names = ("dangling.png", "itself.png", "endless.png", "pipe.png", "socket.png")
    return {f"odd/{name}": "unreadable" for name in names} | {"odd/elsewhere": "link"}


def png_of_16_bits(image: Image.Image) -> bytes:
    """An RGB PNG with 16 bits a channel, which Pillow cannot write."""
    levels = np.asarray(image).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    chunks: Any = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)
