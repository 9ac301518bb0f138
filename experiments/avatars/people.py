"""Who is in an avatar: the attributes that the recipe in `data/avatars` draws, which every style shows if it can."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ui2i.errors import DataError
from ui2i.images import load_image

ATTRIBUTES_FILE = "attributes.jsonl"

Images = UInt8[np.ndarray, "n r r 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """The attributes that styles share; colours are hexadecimal."""

    skin: str
    hair: str
    clothes: str
    long: bool
    glasses: bool
    beard: bool
    happy: bool


def read_people(folder: Path) -> list[Person]:
    """Return who is in the images of a folder that the recipe wrote, in their order.

    Raises:
        DataError: the file of attributes is missing, or a line of it holds something else.
    """
    path = folder / ATTRIBUTES_FILE
    names = {field.name for field in dataclasses.fields(Person)}
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Person(**{name: row[name] for name in names}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read ({error!r}), expected one line for each person with {', '.join(sorted(names))}; "
            "render the images again with data/avatars/make.mjs"
        ) from error


def read_renders(folder: Path, places: Sequence[int], resolution: int | None = None) -> Images:
    """Return the people at `places` as a folder of one style shows them.

    Args:
        resolution: of the images in pixels; None: that of the first.

    Raises:
        DataError: an image is missing, damaged or of another size.
    """
    paths = [folder / f"{place:05d}.png" for place in places]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing} is missing, expected an image of each person; render them again")
    images = [np.asarray(load_image(path.read_bytes(), name=path.name)) for path in paths]
    side = resolution or len(images[0])
    for path, image in zip(paths, images, strict=True):
        if image.shape != (side, side, 3):
            raise DataError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels, expected {side} x {side}; render all with the "
                "same --size"
            )
    return np.stack(images)
