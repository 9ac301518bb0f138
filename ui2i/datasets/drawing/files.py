"""The files of a dataset and the rows of its table. Light to import, for processes that draw are spawned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ui2i.datasets.drawing.registry import find_style, subject_of


def file_name(index: int) -> str:
    """Name of the file of picture `index`."""
    return f"{index:06d}.png"


def draw_files(
    style: str, seed: int, indices: range, resolution: int, folder: Path, unwanted: Callable[[], bool] = lambda: False
) -> None:
    """Write the pictures of `indices` as PNG files into `folder`, or only the first ones once they are `unwanted`."""
    paint, subject = find_style(style), subject_of(style)
    for index in indices:
        if unwanted():
            return
        picture = Image.fromarray(paint(subject.sample(seed, index), resolution))
        picture.save(folder / file_name(index), compress_level=4)


def table_rows(style: str, seed: int, num_images: int) -> list[dict[str, Any]]:
    """Rows of the attribute table of the first pictures of a dataset."""
    subject = subject_of(style)
    return [
        {"file": file_name(index), "style": style, "seed": seed, "index": index, **vars(subject.sample(seed, index))}
        for index in range(num_images)
    ]
