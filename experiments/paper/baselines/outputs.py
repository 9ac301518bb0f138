"""What a baseline writes: translations under the names of their inputs, several styles of some, and a contact sheet."""

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8

from experiments.paper.baselines.cyclegan import CycleGAN
from experiments.paper.baselines.image_sets import ImageSet
from experiments.paper.baselines.state import Baseline, Images
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.errors import DataError
from ui2i.files import atomic_folder
from ui2i.images import encode_png

NUM_COLUMNS = 12  # of the contact sheet
NUM_STYLED = 100  # of the first test images, of which several outputs are written


def write_images(folder: Path, names: Sequence[str], images: Images) -> None:
    """Write a PNG for each name, whatever its ending was; the folder is replaced when all are there.

    Raises:
        DataError: two names differ in their endings alone, or one leads out of the folder.
    """
    paths = [PurePosixPath(name) for name in names]
    with atomic_folder(folder) as temporary:
        for path, image in zip(paths, images, strict=True):
            output = temporary / path.with_suffix(".png")
            if path.is_absolute() or ".." in path.parts or output.exists():
                raise DataError(
                    f"the test image {path} has no place of its own below {folder}, expected names that differ in "
                    "more than their endings; rename it"
                )
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(encode_png(image))


def write_styles(folder: Path, model: Baseline, test: ImageSet, num_styles: int) -> None:
    """Write several outputs of each of the first test images to <folder>/<k>, each with a style of its own.

    The folder is replaced as a whole, so that it never has outputs of two models. A system with one output of an image
    leaves none.
    """
    if not model.is_multi_modal:
        shutil.rmtree(folder, ignore_errors=True)
        return
    names, images = test.names[:NUM_STYLED], test.images[:NUM_STYLED]
    with atomic_folder(folder) as temporary:
        for number in range(1, num_styles + 1):
            outputs = model.translate(images, seed=model.settings.seed + 1000 + number)
            write_images(temporary / str(number), names, outputs)


def sheet(model: Baseline, test: ImageSet, outputs: Images, target: ImageSet) -> UInt8[np.ndarray, "h w 3"]:
    """Return the first test images, their translations, the way back or other styles, and images of the target."""
    first = slice(NUM_COLUMNS)
    more = (
        {"and back": model.translate_back(outputs[first])}
        if isinstance(model, CycleGAN)
        else {f"style {number}": model.translate(test.images[first], seed=number) for number in (1, 2)}
    )
    rows = [
        Row(f"{test.name}, test", test.images[first]),
        Row("translated", outputs[first]),
        *(Row(name, images) for name, images in more.items()),
        Row(f"{target.name}, others", target.images[first]),
    ]
    title = f"{model.system}, {model.processor_seconds / 60:.1f} processor minutes"
    return contact_sheet(rows, upscale=max(1, 128 // test.resolution), title=title)
