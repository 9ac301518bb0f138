"""Files that people take for checkpoints, told by their first bytes, and the way out for each."""

from ui2i.converters.inert import RefusedError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<!--", b"<head", b"<body", b"<script", b"<meta", b"<svg")
_SAVED_PAGE = (b"from: <saved by", b"mime-version:", b"bplist00\xd1\x01\x02_\x10\x0fwebmain")

_UNPACK = "unpack it and name the checkpoint in it"
_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, which stands for the file", "fetch the file with `git lfs pull`"),
    (b"version http://git-media", "a Git LFS pointer, which stands for the file", "fetch the file with `git lfs pull`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\xfd7zXZ\x00", "packed with xz", _UNPACK),
    (b"BZh", "packed with bzip2", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", _UNPACK),
    (b"GGUF", "a GGUF file of a language model", "take a StyleGAN2 checkpoint"),
    (b"\x89PNG\r\n\x1a\n", "an image", "name the checkpoint"),
    (b"\xff\xd8\xff", "an image", "name the checkpoint"),
    (b"%PDF", "a PDF", "name the checkpoint"),
    (b'{"error', "an answer of a server that says an error", "look into it, and fetch the file again"),
    (b'{"message', "an answer of a server that says an error", "look into it, and fetch the file again"),
)
_TAR_PLACE, _TAR = 257, b"ustar"


def raise_if_known(start: bytes) -> None:
    """Raise RefusedError if a file is of a kind that is known to be no checkpoint.

    Args:
        start: its first 512 bytes.
    """
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    if text.startswith((*_PAGE, *_SAVED_PAGE)):
        raise RefusedError(
            "is a web page, expected a checkpoint; open its address in a browser, download the file there and name it"
        )
    for signature, kind, way_out in _SIGNATURES:
        if start.startswith(signature):
            raise RefusedError(f"is {kind}, expected a checkpoint; {way_out}")
    if start[_TAR_PLACE : _TAR_PLACE + len(_TAR)] == _TAR:
        raise RefusedError(f"is a tar archive, expected a checkpoint; {_UNPACK}")
