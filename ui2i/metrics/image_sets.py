"""Sets of images that metrics read batch by batch: a prepared dataset, files, or what a generator makes.

Whatever they come from, images are handed out as they would be read from PNG files: rounded to 8 bits, then NCHW
float32 in [-1, 1].
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import ImageError, to_tensor, to_uint8
from ui2i.images.decoding import read_image_file
from ui2i.images.folders import folder_source
from ui2i.images.framing import CENTERED, Framer
from ui2i.images.left_out import no_images
from ui2i.names import printable_path

Synthesize = Callable[[Tensor], Tensor]
Places = Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images by their places from 0 to `count` - 1."""

    count: int
    read: Callable[[Places], Tensor]  # places -> [n, 3, R, R] in [-1, 1]

    def take(self, chosen: Sequence[int]) -> "ImageSet":
        """Return the images at some places, in that order."""
        order = np.asarray(chosen, np.int64)
        return ImageSet(len(order), lambda places: self.read(order[np.asarray(places)]))


def in_memory(images: UInt8[np.ndarray, "n r r 3"], device: str = "cpu") -> ImageSet:
    """Return images that are there already."""
    return ImageSet(len(images), lambda places: to_tensor(images[np.asarray(places)]).to(device))


def of_dataset(dataset: PreparedDataset, device: str = "cpu") -> ImageSet:
    """Return the images of a prepared dataset."""
    return ImageSet(len(dataset), lambda places: to_tensor(dataset.images(np.asarray(places))).to(device))


def of_files(
    paths: Sequence[Path],
    resolution: int,
    device: str = "cpu",
    *,
    framer: Framer = CENTERED,
    folder: Path | None = None,
) -> ImageSet:
    """Return files as squares of `resolution` pixels; a file that gives none raises DataError.

    Args:
        folder: from which the paths of a table of landmarks count; None: they are names alone.
    """

    def read_file(path: Path) -> np.ndarray:
        name = path.name if folder is None else printable_path(path.relative_to(folder).as_posix())
        try:
            return framer.square(read_image_file(path), name, resolution)[0]
        except ImageError as error:
            raise DataError(f"{path} is no usable image ({error}), expected one; replace or remove it") from error

    def read(places: Places) -> Tensor:
        return to_tensor(np.stack([read_file(paths[place]) for place in places])).to(device)

    return ImageSet(len(paths), read)


def generated(
    latents: Float[Tensor, "n z_dim"] | Float[Tensor, "n num_ws w_dim"], synthesize: Synthesize, device: str = "cpu"
) -> ImageSet:
    """Return the images that a generator makes of latent codes.

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
    """Return the images below a folder by their relative path without its ending.

    Raises:
        DataError: there is no such folder, it has no images, or two differ in their endings alone.
    """
    source = folder_source(folder)
    found: dict[str, Path] = {}
    for member in source.members:
        name = PurePosixPath(member.path).with_suffix("").as_posix()
        if member.fault is None and found.setdefault(name, member.key) != member.key:
            raise DataError(
                f"{member.key} and {found[name]} have one name, expected different ones; rename or remove one"
            )
    if not found:
        raise no_images(str(folder), source.left_out)
    return found
