"""Sets of images that metrics read batch by batch: a prepared dataset, files, or what a generator makes.

Whatever they come from, images are handed out as they would be read from PNG files: rounded to 8 bits, then NCHW
float32 in [-1, 1].
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import SUFFIXES, ImageError, fit_square, load_image, to_tensor, to_uint8

Synthesize = Callable[[Tensor], Tensor]
Places = Sequence[int] | np.ndarray

RESIZER = "lanczos"
"""Filter of `ui2i.images.fit_square`, which cuts the centered square out of a file and resizes it."""


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images by their places from 0 to `count` - 1."""

    count: int
    read: Callable[[Places], Tensor]  # places -> [n, 3, R, R] in [-1, 1]


def in_memory(images: UInt8[np.ndarray, "n r r 3"], device: str = "cpu") -> ImageSet:
    """Return images that are there already."""
    return ImageSet(len(images), lambda places: to_tensor(images[np.asarray(places)]).to(device))


def of_dataset(dataset: PreparedDataset, device: str = "cpu", *, chosen: Sequence[int] | None = None) -> ImageSet:
    """Return the images of a prepared dataset, or those at some places of it."""
    order = np.arange(len(dataset)) if chosen is None else np.asarray(chosen, np.int64)
    return ImageSet(len(order), lambda places: to_tensor(dataset.images(order[np.asarray(places)])).to(device))


def of_files(paths: Sequence[Path], resolution: int, device: str = "cpu") -> ImageSet:
    """Return files as centered squares of `resolution` pixels; a file that is no readable image raises DataError."""

    def read(places: Places) -> Tensor:
        return to_tensor(np.stack([_read_file(paths[place], resolution) for place in places])).to(device)

    return ImageSet(len(paths), read)


def generated(latents: Tensor, synthesize: Synthesize, device: str = "cpu") -> ImageSet:
    """Return the images that a generator makes of codes.

    Args:
        latents: [N, z_dim] or [N, num_ws, w_dim], on any device.
        synthesize: latents -> [n, 3, R, R]; values outside [-1, 1] are clamped.
    """

    def read(places: Places) -> Tensor:
        with torch.no_grad():
            images = synthesize(latents[torch.as_tensor(np.asarray(places))].to(device))
        return to_tensor(to_uint8(images)).to(device)

    return ImageSet(len(latents), read)


def find_images(folder: Path) -> dict[str, Path]:
    """Return the images below a folder by their relative path without its ending; hidden ones are passed over.

    Raises:
        DataError: there is no such folder, it has no images, or two differ in their endings alone.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder, expected one with images; correct the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in relative.parts):
            continue
        name = relative.with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path} and {found[name]} have one name, expected different ones; rename or remove one")
        found[name] = path
    if not found:
        raise DataError(f"{folder} holds no images, expected files ending in {', '.join(SUFFIXES)}; add some")
    return found


def _read_file(path: Path, resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    try:
        return np.asarray(fit_square(load_image(path.read_bytes(), name=path.name), resolution))
    except (ImageError, OSError) as error:
        raise DataError(f"{path} is no readable image ({error}), expected one; replace or remove it") from error
