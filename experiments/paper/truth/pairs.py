"""True pairs: who is in a synthetic image, and the same person or animal drawn in another style.

A folder of synthetic images says in its table which style, seed and index each file has, and repeats the attributes.
The counterpart is drawn from these when it is asked for; it lies in no dataset, so no training can have seen it, and
`check_unpaired` refuses training images that would be such counterparts.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8
from PIL import Image

from experiments.synthetic.drawing.registry import subject_of
from experiments.synthetic.drawing.subjects import Attributes
from experiments.synthetic.procedural import ATTRIBUTES_FILE, draw, sample_attributes
from ui2i.errors import ConfigError, DataError
from ui2i.images import fit_square

MAX_MEAN_DIFFERENCE = 1.0
"""Levels of 255 by which an image and its second drawing may differ on average: none, but for a resize between."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawnImage:
    """What a synthetic image was made from."""

    style: str
    seed: int
    index: int

    @property
    def attributes(self) -> Attributes:
        """Who is in it."""
        return sample_attributes(self.seed, self.index, self.style)


def read_drawn(folder: Path) -> dict[str, DrawnImage]:
    """Return what each file of a folder of synthetic images was made from.

    Raises:
        DataError: the folder holds no synthetic dataset, or one whose attributes this version would not sample again.
    """
    path = folder / ATTRIBUTES_FILE
    try:
        table = pq.ParquetFile(path).read()
        rows = table.to_pylist()
        images = {row["file"]: DrawnImage(**{name: row[name] for name in ("style", "seed", "index")}) for row in rows}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            f"{path} cannot be read ({error}), expected the table of a synthetic dataset; draw the images again"
        ) from error
    for row in rows:
        _check_attributes(row, images[row["file"]], path)
    return images


def draw_images(
    people: Sequence[Attributes], style: str, resolution: int, *, drawn_resolution: int | None = None
) -> UInt8[np.ndarray, "n r r 3"]:
    """Draw people or animals in a style as a prepared dataset would show them.

    Args:
        resolution: pixels of what is returned.
        drawn_resolution: pixels at which the style draws, resized after it; None: `resolution`.

    Raises:
        ConfigError: the style is unknown or draws something else, or the resolution is too small.
    """
    images = np.empty((len(people), resolution, resolution, 3), np.uint8)
    for image, person in zip(images, people, strict=True):
        drawing = draw(person, style, drawn_resolution or resolution)
        if len(drawing) != resolution:
            drawing = np.asarray(fit_square(Image.fromarray(drawing), resolution))
        image[...] = drawing
    return images


def check_redrawn(images: UInt8[np.ndarray, "n r r 3"], redrawn: UInt8[np.ndarray, "n r r 3"], *, what: str) -> None:
    """Refuse images that are not what their attributes give when drawn again.

    Args:
        what: whose images they are, for the message.

    Raises:
        DataError: one of them differs.
    """
    differences = np.abs(images.astype(np.float32) - redrawn).mean(axis=(1, 2, 3))
    worst = int(differences.argmax())
    if differences[worst] > MAX_MEAN_DIFFERENCE:
        raise DataError(
            f"image {worst} of {what} differs by {differences[worst]:.1f} levels from its second drawing, expected "
            "the same image; it was drawn by another version: draw, ingest and translate again"
        )


def check_unpaired(inputs: Sequence[DrawnImage], training: Mapping[str, DrawnImage]) -> None:
    """Refuse training images of the target domain that show an input's person or animal.

    Args:
        training: images of the target domain by file, from `read_drawn`.

    Raises:
        ConfigError: the two styles draw different subjects, so that nothing has a counterpart.
        DataError: a counterpart was there to be seen in training.
    """
    other = next(iter(training.values()))
    if subject_of(inputs[0].style) is not subject_of(other.style):
        raise ConfigError(
            f"the styles {inputs[0].style} and {other.style} draw different subjects, expected two of the same, which "
            "make pairs; take the domain out of the section truth"
        )
    seen = {(image.seed, image.index): name for name, image in training.items()}
    leaked = [image for image in inputs if (image.seed, image.index) in seen]
    if leaked:
        first = leaked[0]
        raise DataError(
            f"{len(leaked)} inputs have their counterparts among the target's own images (seed {first.seed}, index "
            f"{first.index} is {seen[first.seed, first.index]}), expected unpaired domains; draw them with different "
            "seeds"
        )


def _check_attributes(row: Mapping[str, Any], image: DrawnImage, path: Path) -> None:
    sampled = dataclasses.asdict(image.attributes)
    differing = [name for name, value in sampled.items() if name not in row or row[name] != value]
    if differing:
        raise DataError(
            f"{path} has another {differing[0]} for {row['file']} than seed {image.seed} and index {image.index} "
            "give, expected equal attributes; it was drawn by another version: draw, ingest and translate again"
        )
