"""Translated images whose truth is known: a folder of translations, matched with the drawings it came from."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from experiments.paper.truth.pairs import DrawnImage, check_redrawn, draw_images
from experiments.synthetic.drawing.subjects import Attributes
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import load_image
from ui2i.tables import TRANSLATION_SCHEMA, read_table
from ui2i.translation.outputs import RECONSTRUCTION
from ui2i.translation_files import MANIFEST_NAME

if TYPE_CHECKING:
    import pandas as pd

Images = UInt8[np.ndarray, "n r r 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cases:
    """Inputs, their translations and their true counterparts, all in the order of the inputs."""

    indices: list[int]  # in the translations' table
    input_paths: list[str]
    synthetic: list[DrawnImage]
    people: list[Attributes]
    inputs: Images
    counterparts: Images  # the same people in the target's style
    reconstructions: Images  # of the inputs, by the source's model
    outputs: dict[str, Images]  # by variant
    checkpoint_hashes: dict[str, str]  # of all variants and of the reconstruction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs:
    """Prepared drawings and their true counterparts, in one order."""

    synthetic: list[DrawnImage]
    people: list[Attributes]
    inputs: Images
    counterparts: Images  # the same people in the target's style


def load_cases(
    translations: Path, dataset: PreparedDataset, drawn: Mapping[str, DrawnImage], target_style: str
) -> Cases:
    """Return the images of a folder that `translate_folder` wrote, with the truth.

    Args:
        dataset: the prepared images of the source domain, both splits or the one that was translated.
        synthetic: what each of its source files was drawn from (`read_drawn`).
        target_style: of the counterparts.

    Raises:
        DataError: the folder is no translation, or of other images; or these were drawn by another version.
        ConfigError: the target's style is unknown or draws something else than the source's.
    """
    table = read_table(translations / MANIFEST_NAME, TRANSLATION_SCHEMA)
    listed = table.drop_duplicates("index")
    paths = list(listed["input_path"])
    pairs = find_pairs(dataset, paths, list(listed["input_sha256"]), drawn, target_style)
    outputs = {
        str(variant): read_outputs(translations, rows, len(paths), dataset.resolution)
        for variant, rows in table.groupby("variant", sort=False)
    }
    return Cases(
        indices=[int(index) for index in listed["index"]],
        input_paths=paths,
        synthetic=pairs.synthetic,
        people=pairs.people,
        inputs=pairs.inputs,
        counterparts=pairs.counterparts,
        reconstructions=outputs.pop(RECONSTRUCTION),
        outputs=outputs,
        checkpoint_hashes=dict(zip(table["variant"], table["checkpoint_hash"], strict=True)),
    )


def find_pairs(
    dataset: PreparedDataset,
    paths: Sequence[str],
    hashes: Sequence[str],
    drawn: Mapping[str, DrawnImage],
    target_style: str,
) -> Pairs:
    """Return the images of a dataset that came from these source files, and their counterparts.

    Args:
        hashes: SHA-256 of the files, by which a dataset that was made anew is noticed.
        drawn: what each source file was drawn from (`read_drawn`).
        target_style: of the counterparts.

    Raises:
        DataError: the files are others now, or were drawn by another version.
        ConfigError: the target's style is unknown or draws something else than the source's.
    """
    inputs, drawn_resolution = _find_inputs(dataset, paths, hashes)
    images = [_drawn_as(path, drawn) for path in paths]
    people = [image.attributes for image in images]
    redrawn = draw_images(people, images[0].style, dataset.resolution, drawn_resolution=drawn_resolution)
    check_redrawn(inputs, redrawn, what=dataset.name)
    counterparts = draw_images(people, target_style, dataset.resolution, drawn_resolution=drawn_resolution)
    return Pairs(synthetic=images, people=people, inputs=inputs, counterparts=counterparts)


def _find_inputs(dataset: PreparedDataset, paths: Sequence[str], hashes: Sequence[str]) -> tuple[Images, int]:
    """Return the prepared images of source files, and at how many pixels these were drawn."""
    columns = dataset.columns("source_path", "sha256", "width")
    places = {path: place for place, path in enumerate(columns["source_path"].to_pylist())}
    known = columns["sha256"].to_pylist()
    strange = [
        path for path, digest in zip(paths, hashes, strict=True) if path not in places or known[places[path]] != digest
    ]
    if strange:
        raise DataError(
            f"{strange[0]} was translated, expected an image of {dataset.path} as it is now; translate again"
        )
    chosen = [places[path] for path in paths]
    return dataset.images(chosen), int(columns["width"][chosen[0]].as_py())


def _drawn_as(path: str, drawn: Mapping[str, DrawnImage]) -> DrawnImage:
    if path not in drawn:
        raise DataError(
            f"{path} was translated, expected one of {len(drawn)} synthetic images; translate synthetic images"
        )
    return drawn[path]


def read_outputs(folder: Path, rows: "pd.DataFrame", num_images: int, resolution: int) -> Images:
    """Read one variant's images."""
    if len(rows) != num_images:
        raise DataError(f"{folder} has {len(rows)} images of a variant, expected {num_images}; translate again")
    images = np.empty((num_images, resolution, resolution, 3), np.uint8)
    for place, name in enumerate(rows["output_file"]):
        try:
            image = np.asarray(load_image((folder / name).read_bytes(), name=name))
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read ({error}), expected an image; translate again") from error
        if image.shape != images.shape[1:]:
            raise DataError(f"{folder / name} has the shape {list(image.shape)}, expected {list(images.shape[1:])}")
        images[place] = image
    return images
