"""What one worker does: draw a run of pictures and write them. Light to import, for workers are spawned."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from ui2i.datasets.drawing.attributes import sample_attributes
from ui2i.datasets.drawing.registry import find_style


def file_name(index: int) -> str:
    """Name of the file of picture `index`."""
    return f"{index:06d}.png"


def draw_files(style: str, seed: int, indices: range, resolution: int, folder: Path) -> list[dict[str, Any]]:
    """Write the pictures of `indices` as PNG files into `folder`; returns their rows of the attribute table."""
    paint = find_style(style)
    rows: list[dict[str, Any]] = []
    for index in indices:
        attributes = sample_attributes(seed, index)
        Image.fromarray(paint(attributes, resolution)).save(folder / file_name(index), compress_level=4)
        rows.append({"file": file_name(index), "style": style, "seed": seed, "index": index, **asdict(attributes)})
    return rows
