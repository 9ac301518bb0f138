"""The files of a dataset and the rows of its table. Light to import, for processes that draw are spawned."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.synthetic.drawing.registry import find_style, subject_of


def file_name(index: int) -> str:
    """Name of the file of image `index`."""
    return f"{index:06d}.png"


def draw_files(
    style: str, seed: int, indices: range, resolution: int, folder: Path, unwanted: Callable[[], bool] = lambda: False
) -> None:
    """Write the images of `indices` as PNG files into `folder`, and their rows, which `take_rows` collects.

    Once the images are `unwanted` only the first ones are there, and no rows.
    """
    paint, subject = find_style(style), subject_of(style)
    rows = []
    for index in indices:
        if unwanted():
            return
        attributes = subject.sample(seed, index)
        image = Image.fromarray(paint(attributes, resolution))
        image.save(folder / file_name(index), compress_level=4)
        rows.append({"file": file_name(index), "style": style, "seed": seed, "index": index, **vars(attributes)})
    _rows_path(folder, indices).write_text(json.dumps(rows))


def take_rows(folder: Path, chunks: Iterable[range]) -> list[dict[str, Any]]:
    """Return the rows that `draw_files` left in `folder` for each of its chunks, and remove their files."""
    rows: list[dict[str, Any]] = []
    for chunk in chunks:
        path = _rows_path(folder, chunk)
        rows += json.loads(path.read_text())
        path.unlink()
    return rows


def _rows_path(folder: Path, indices: range) -> Path:
    """Where a chunk's rows wait: a process that may be killed sends nothing through a pipe."""
    return folder / f"rows-{indices.start:06d}.json"
