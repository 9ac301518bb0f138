"""Pack a folder of rendered avatars into a zip of lossless WebP files, which `ingest` reads as it is.

Equal images give equal bytes with one version of Pillow:

    python data/avatars/pack.py renders/lorelei data/avatars/lorelei.zip
"""

import io
import sys
import zipfile
from pathlib import Path

from PIL import Image

EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that the bytes do not depend on the day


def pack(folder: Path, archive: Path) -> None:
    """Write the PNG files of `folder` to `archive`, which is complete or absent."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise SystemExit(f"error: {folder} has no .png files, expected rendered avatars; run make.mjs first")
    unfinished = archive.with_name(f".{archive.name}")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as file:
        for path in paths:
            stream = io.BytesIO()
            with Image.open(path) as image:
                image.convert("RGB").save(stream, "WEBP", lossless=True, quality=100, method=4)
            file.writestr(zipfile.ZipInfo(f"{path.stem}.webp", EPOCH), stream.getvalue())
    unfinished.replace(archive)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("error: expected a folder of PNG files and the archive to write; see the top of this file")
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
