"""The images that a baseline is trained on and those that it translates, in memory."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.paper.baselines.state import Images, Settings
from tasks.stages.translate import first_images
from ui2i.datasets.manifest import MANIFEST_NAME
from ui2i.datasets.prepared import PreparedDataset, Split
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_bytes, sha256_file, sha256_listing
from ui2i.images import load_image
from ui2i.metrics.image_sets import find_images


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images in memory, and where they are from."""

    name: str  # of the folder
    names: list[str]  # relative paths of the files, with or without ending
    images: Images
    sha256: str  # of the whole dataset, or of the chosen files with their names

    @property
    def resolution(self) -> int:
        """Width and height in pixels."""
        return self.images.shape[1]


def read_images(folder: Path, split: Split, count: int | None = None) -> ImageSet:
    """Return one split of a prepared dataset, or all images of any other folder.

    Args:
        count: of the first images to take; None: all.

    Raises:
        DataError: there is no such folder, it holds no images, or they are not squares of one size.
        ConfigError: the count is not positive.
    """
    if count is not None and count < 1:
        raise ConfigError(f"--num-test is {count}, expected 1 or more; leave it out to take all")
    if (folder / MANIFEST_NAME).is_file():
        dataset = PreparedDataset(folder, split)
        found = first_images(dataset, len(dataset) if count is None else count)
        return ImageSet(name=dataset.name, names=list(found.names), images=found.images, sha256=dataset.hash)
    paths = dict(list(find_images(folder).items())[:count])
    listing = sha256_listing((name, sha256_file(path)) for name, path in paths.items())
    name = folder.resolve().name
    return ImageSet(name=name, names=list(paths), images=_read_files(list(paths.values())), sha256=listing)


def check(source: ImageSet, target: ImageSet, test: ImageSet) -> None:
    """Refuse images of several sizes, and test images that training would see.

    Raises:
        DataError: they are refused.
    """
    for other in (target, test):
        if other.resolution != source.resolution:
            raise DataError(
                f"{other.name} has {other.resolution} px and {source.name} {source.resolution} px, expected one size "
                "for all; ingest them alike"
            )
    seen = set(_hashes(source.images))
    leaked = [name for name, digest in zip(test.names, _hashes(test.images), strict=True) if digest in seen]
    if leaked:
        raise DataError(
            f"{len(leaked)} test images are among those of {source.name} that are trained on ({leaked[0]} is one), "
            "expected others; take a prepared dataset, which is split, or another folder"
        )


def identity_of(settings: Settings, source: ImageSet, target: ImageSet) -> str:
    """Return what a saved state must agree with."""
    data = {"source": source.sha256, "target": target.sha256}
    return json.dumps({**dataclasses.asdict(settings), **data}, sort_keys=True)


def _read_files(paths: Sequence[Path]) -> Images:
    images: list[np.ndarray] = []
    for path in paths:
        image = np.asarray(load_image(path))
        side = len(images[0]) if images else len(image)
        if image.shape != (side, side, 3):
            raise DataError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels, expected {side} x {side}; ingest the folder, "
                "or bring its images to squares of one size"
            )
        images.append(image)
    return np.stack(images)


def _hashes(images: Images) -> list[str]:
    return [sha256_bytes(image.tobytes()) for image in images]
