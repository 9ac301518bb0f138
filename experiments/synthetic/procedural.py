"""Synthetic datasets: images of parametric faces in several styles, free of anyone's rights.

An image follows from a seed, an index and a style. The same seed and index in two styles of people show the same
person in the same pose, and in two styles of animals the same animal, so that a translation between the styles can be
compared with the truth. How faces are drawn is the business of `drawing`; a further style is one more file in
`drawing/styles`.
"""

import contextlib
import itertools
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.files import take_rows
from experiments.synthetic.drawing.registry import find_style, style_names, subject_of
from experiments.synthetic.drawing.subjects import Attributes
from experiments.synthetic.drawing.workers import draw_chunks
from ui2i.errors import ConfigError, DataError
from ui2i.progress import Progress, no_progress

__all__ = ["AnimalAttributes", "FaceAttributes", "draw", "draw_dataset", "sample_attributes", "style_names"]

ATTRIBUTES_FILE = "attributes.parquet"
MADE_BY = {b"ui2i.made_by": b"experiments.synthetic.procedural"}
"""Metadata of the attribute table, by which a folder is known to be one that may be replaced."""
MIN_RESOLUTION = 32
CHUNK = 64
"""Images a task of the process pool."""


def sample_attributes(seed: int, index: int, style: str = "face") -> Attributes:
    """Attributes of image `index` of the dataset of `seed`, of a person or an animal as `style` draws one.

    Raises:
        ConfigError: the style is unknown.
    """
    return subject_of(style).sample(seed, index)


def draw(attributes: Attributes, style: str, resolution: int = 64) -> np.ndarray:
    """Draw one person or animal in one style.

    Args:
        attributes: who, in which pose and light, of the style's subject; see `sample_attributes`.
        style: one of `style_names()`.
        resolution: side in pixels, at least 32; the drawings are designed for 64.

    Returns:
        uint8 [R, R, 3], RGB. The same arguments give the same bytes.

    Raises:
        ConfigError: the style is unknown, draws something else, or the resolution is too small.

    Examples:
        >>> draw(sample_attributes(seed=0, index=0), "face").shape
        (64, 64, 3)
    """
    _check_resolution(resolution)
    expected = subject_of(style).attributes
    if not isinstance(attributes, expected):
        raise ConfigError(
            f"the attributes are {type(attributes).__name__}, style {style!r} expects {expected.__name__}; "
            f"sample them for it: sample_attributes(seed, index, {style!r})"
        )
    return find_style(style)(attributes, resolution)


def draw_dataset(
    style: str,
    num_images: int,
    seed: int,
    out_dir: Path | str,
    resolution: int = 64,
    num_workers: int = 1,
    progress: Progress = no_progress,
) -> Path:
    """Write images 0 .. num_images - 1 of a seed and the table of their attributes into a folder.

    The folder holds `000000.png` and so on, and `attributes.parquet` with the columns file, style, seed, index and one
    for each attribute. It appears at once when all is written; a folder that an earlier call wrote is replaced. Its
    bytes do not depend on `num_workers`.

    Args:
        style: one of `style_names()`.
        num_images: how many images, at least 1.
        seed: not negative.
        out_dir: the folder to make.
        resolution: side in pixels, at least 32.
        num_workers: processes, each of which draws `CHUNK` images at a time; 1 draws in this one.
        progress: told about images written.

    Returns:
        The folder.

    Raises:
        ConfigError: a number is out of range or the style is unknown.
        DataError: `out_dir` holds something else than such a dataset, or a process died.
    """
    find_style(style)
    _check_resolution(resolution)
    for name, value, least in (("num_images", num_images, 1), ("seed", seed, 0), ("num_workers", num_workers, 1)):
        if value < least:
            raise ConfigError(f"{name} is {value}, expected at least {least}; raise it")
    out_dir = Path(out_dir)
    _check_replaceable(out_dir)
    with _fresh_folder(out_dir) as unfinished:
        chunks = [range(start, min(start + CHUNK, num_images)) for start in range(0, num_images, CHUNK)]
        with contextlib.closing(draw_chunks(style, seed, chunks, resolution, unfinished, num_workers)) as finished:
            for done in itertools.accumulate(finished):
                progress(done, num_images, style)
        table = pa.Table.from_pylist(take_rows(unfinished, chunks))
        pq.write_table(table.replace_schema_metadata(MADE_BY), unfinished / ATTRIBUTES_FILE)
    return out_dir


def _check_resolution(resolution: int) -> None:
    if resolution < MIN_RESOLUTION:
        raise ConfigError(f"resolution is {resolution}, expected at least {MIN_RESOLUTION} pixels; raise it")


def _check_replaceable(out_dir: Path) -> None:
    """Raise DataError unless `out_dir` is absent, empty, or written by `draw_dataset` and untouched since."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise DataError(f"{out_dir} is a file, expected a folder or nothing; choose another out_dir")
    names = {entry.name for entry in out_dir.iterdir()}
    if not names:
        return
    foreign = sorted(name for name in names if name != ATTRIBUTES_FILE and not re.fullmatch(r"\d{6,}\.png", name))
    if foreign or ATTRIBUTES_FILE not in names or not _is_ours(out_dir / ATTRIBUTES_FILE):
        found = foreign[0] if foreign else f"no {ATTRIBUTES_FILE} of a synthetic dataset"
        raise DataError(
            f"{out_dir} is not empty and has {found}, expected an empty folder or a synthetic dataset; "
            "choose another out_dir or remove the folder"
        )


def _is_ours(table_path: Path) -> bool:
    try:
        metadata = pq.read_schema(table_path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return False
    return all(metadata.get(key) == value for key, value in MADE_BY.items())


@contextlib.contextmanager
def _fresh_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place on leaving without an error.

    Unlike `ui2i.files.atomic_folder` it does not wait for the disk: at 6 ms a file that would take as long as drawing,
    and images lost to a power cut can be drawn again.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    old = fresh.with_suffix(".old")
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if path.exists():
            path.rename(old)
        try:
            fresh.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
