"""Which attributes translations kept, next to the ends of the scale: the input itself, and somebody else.

1 is what can be read from the same people rendered in the target's style, 0 what can be read from shuffled images.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from experiments.avatars.people import Images, Person, read_people, read_renders
from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import AttributeRegressor, KeptAttribute, kept_attributes
from experiments.paper.truth.cases import read_outputs
from experiments.paper.truth.regressor_training import fit_regressor
from ui2i.distillation.folder import manifest_schema
from ui2i.errors import DataError
from ui2i.progress import Progress, no_progress
from ui2i.tables import read_table
from ui2i.translation_files import MANIFEST_NAME

INPUT = "the input itself"
SOMEBODY_ELSE = "somebody else"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translations:
    """A folder of translations of rendered people."""

    places: list[int]  # of the people, in the order of the images
    outputs: dict[str, Images]  # by variant
    checkpoint_hashes: dict[str, str]


def train_reader(
    renders: Path, style: str, config: RegressorConfig, *, progress: Progress = no_progress
) -> AttributeRegressor:
    """Train what reads attributes from images of one style, on a folder that the recipe wrote."""
    people = read_people(renders)[: config.num_drawings + config.num_held_out]
    images = read_renders(renders / style, range(len(people)))
    return fit_regressor(style, images, people, config, progress=progress)


def read_translations(folder: Path, resolution: int) -> Translations:
    """Return a folder of translations of images that are called by their place: 00000.png, 00001.png ...

    Raises:
        DataError: the folder is no translation, or an input is called otherwise.
    """
    table = read_table(folder / MANIFEST_NAME, manifest_schema(folder))
    paths = list(table.drop_duplicates("index")["input_path"])
    stems = [PurePosixPath(path).stem for path in paths]
    if strange := [path for path, stem in zip(paths, stems, strict=True) if not stem.isdecimal()]:
        raise DataError(
            f"{strange[0]} was translated, expected a person's number such as 00012.png; translate images that "
            "data/avatars/make.mjs wrote"
        )
    return Translations(
        places=[int(stem) for stem in stems],
        outputs={
            str(variant): read_outputs(folder, rows, len(paths), resolution)
            for variant, rows in table.groupby("variant", sort=False)
        },
        checkpoint_hashes=dict(zip(table["variant"], table["checkpoint_hash"], strict=True)),
    )


def compare(
    reader: AttributeRegressor,
    outputs: Mapping[str, Images],
    *,
    inputs: Images,
    counterparts: Images,
    people: list[Person],
    seed: int = 0,
) -> Iterator[tuple[str, KeptAttribute]]:
    """Yield what each variant kept, then the two ends of the scale.

    Args:
        reader: of the target's style.
        inputs: the people in the source's style.
        counterparts: the same people in the target's.
    """
    others = np.random.default_rng(seed).permutation(len(people))
    for variant, images in {**outputs, INPUT: inputs, SOMEBODY_ELSE: counterparts[others]}.items():
        for attribute in kept_attributes(reader, images, counterparts, people, seed=seed):
            yield variant, attribute


def as_row(variant: str, kept: KeptAttribute, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table `kept`."""
    return {**dataclasses.asdict(kept), "variant": variant, **shared}
