"""Write a prepared dataset in the layout of other trainers, so that they can use the same images.

Folder and zip have the same content, that which stylegan2-ada-pytorch, stylegan3 and their descendants read:

    00000/img00000000.png   the images, a thousand to a folder, PNG in an uncompressed zip
    dataset.json            {"labels": null}: there are no classes
    sources.csv             where each image came from; the trainers pass over it

The PNGs are the dataset's own bytes. Equal datasets give equal zips.
"""

import contextlib
import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ui2i.datasets.ingestion.shards import read_rows
from ui2i.datasets.manifest import read_manifest
from ui2i.errors import DataError
from ui2i.files import atomic_file, atomic_folder
from ui2i.progress import Progress, no_progress

Layout = Literal["folder", "zip"]
Write = Callable[[str, bytes], Any]

_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can note
_FILES_PER_FOLDER = 1000
_COLUMNS = ["file", "id", "source_path", "sha256", "split"]


def export(
    dataset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: Layout,
    split: Literal["train", "test"] | None = "train",
    progress: Progress = no_progress,
) -> int:
    """Write the images of a split into a folder or a zip; return how many there are.

    Args:
        dataset: folder of a prepared dataset.
        out: the folder or the file to write; must not exist, or be an empty folder.
        split: None: both.

    Raises:
        DataError: there is no such dataset, it is damaged, the split is empty, or `out` is taken.
    """
    folder, out = Path(dataset), Path(out)
    manifest = read_manifest(folder)
    if out.exists() and not (to == "folder" and out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} exists already, expected a new {to}; move it away or choose another")
    total = {"train": manifest.num_train, "test": manifest.num_test, None: manifest.num_images}[split]
    if total == 0:
        raise DataError(f"{folder} has no images in its {split} split, expected at least one; choose the other split")
    rows = read_rows(folder, manifest, ["id", "source_path", "sha256", "split", "png"])
    with _folder_writer(out) if to == "folder" else _zip_writer(out) as write:
        sources = io.StringIO()
        table = csv.DictWriter(sources, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        chosen = (row for row in rows if split in (None, row["split"]))
        for number, row in enumerate(chosen):
            name = f"{number // _FILES_PER_FOLDER:05d}/img{number:08d}.png"
            write(name, row["png"])
            table.writerow(row | {"file": name})
            progress(number + 1, total, name)
        write("dataset.json", json.dumps({"labels": None}).encode())
        write("sources.csv", sources.getvalue().encode("utf-8", "surrogateescape"))
    return total


@contextlib.contextmanager
def _folder_writer(out: Path) -> Iterator[Write]:
    with atomic_folder(out) as folder:

        def write(name: str, data: bytes) -> None:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)

        yield write


@contextlib.contextmanager
def _zip_writer(out: Path) -> Iterator[Write]:
    with atomic_file(out) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        yield lambda name, data: archive.writestr(zipfile.ZipInfo(name, _NO_TIME), data)
