"""Pickles and torch's zip files, put together by hand."""

import struct
import zipfile
from pathlib import Path

GIB = 1 << 30


def text(value: str) -> bytes:
    """Push a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """Push the result of a call."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def pickled(body: bytes) -> bytes:
    """A whole pickle of protocol 4 whose dictionary has the body as its entry G_ema."""
    return b"\x80\x04}" + text("G_ema") + body + b"s."


def torch_zip(path: Path, pickle: bytes, storages: dict[str, bytes] | None = None, compression: int = 0) -> None:
    """A `.pt` with any pickle in it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)


def tensor_pickle(num_elements: int, shape: tuple[int, ...], strides: tuple[int, ...], key: str = "0") -> bytes:
    """A pickle of {"g_ema": {"x": tensor}} whose storage lies outside."""
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + integer(num_elements) + b"tQ"
    )
    sizes = [b"(" + b"".join(integer(size) for size in sizes) + b"t" for sizes in (shape, strides)]
    hooks = call("collections", "OrderedDict")
    tensor = call("torch._utils", "_rebuild_tensor_v2", storage, integer(0), *sizes, b"\x89", hooks)
    return b"\x80\x02}" + text("g_ema") + b"}" + text("style.1.weight") + tensor + b"ss."


def integer(value: int) -> bytes:
    """Push a whole number."""
    data = value.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + data
