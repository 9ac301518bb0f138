"""Where the faces in an image are: found in photographs, or read from a table that any tool may have made.

A detector is any object with `find` and `identity` (the protocol below), so one of one's own, for cats or drawings, is
a few lines. A table needs no code at all: a row a face, with the file's `path` in the source and the coordinates
`left_eye_x, left_eye_y, right_eye_x, ...` of `Landmarks` in pixels of the upright image.
"""

import csv
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64
from PIL import Image

from ui2i.errors import ConfigError, DataError, is_out_of_memory
from ui2i.files import sha256_file
from ui2i.images.alignment import Landmarks
from ui2i.images.face_mesh import INSTALL, find_meshes, models_hash

# Points of MediaPipe's face mesh. The outline of an eye in six points, as in the 68 landmarks that FFHQ was aligned by.
_MESH_LEFT_EYE = (33, 160, 158, 133, 153, 144)
_MESH_RIGHT_EYE = (362, 385, 387, 263, 373, 380)
_MESH_MOUTH = (61, 291)

_COLUMNS = tuple(f"{name}_{axis}" for name in Landmarks._fields for axis in "xy")


class Detector(Protocol):
    """Finds faces. Is sent to other processes, so it must be picklable."""

    @property
    def identity(self) -> str:
        """What its results depend on, such as the hash of a model: images are examined anew when it changes."""

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:
        """Return the faces of an upright RGB image, which has this path in the source."""


@dataclasses.dataclass(frozen=True)
class TableDetector:
    """Looks faces up in a .csv or .parquet file."""

    table: str

    @property
    def identity(self) -> str:
        """The table's hash."""
        return f"table {sha256_file(self.table)}"

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:  # noqa: ARG002 -- a protocol
        """Return the faces that the table has for `path`."""
        return _read_table(self.table, _stamp(self.table)).get(path, ())


@dataclasses.dataclass(frozen=True)
class MeshDetector:
    """Looks for faces in photographs with the models of the extra `faces`."""

    @property
    def identity(self) -> str:
        """The models' hashes."""
        return models_hash()

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:  # noqa: ARG002 -- a protocol
        """Return the faces that the models see."""
        return [from_mesh(mesh) for mesh in find_meshes(image)]


def open_detector(landmarks: str | None) -> Detector:
    """Return the detector that `IngestConfig.face_landmarks` names; None: the models of the extra `faces`.

    Raises:
        ConfigError: it names a kind of file that is no table.
        DataError: the table is missing or damaged, or the extra is not installed.
    """
    if landmarks is None:
        models_hash()
        return MeshDetector()
    expected = "a table of landmarks (.csv, .parquet)"
    if Path(landmarks).suffix.lower() not in (".csv", ".parquet"):
        raise ConfigError(
            f"face_landmarks is {landmarks!r}, expected {expected}; correct it, or remove it and let photographs be "
            f"searched for faces: {INSTALL}"
        )
    if not Path(landmarks).is_file():
        raise DataError(f"{landmarks} does not exist, expected {expected}; check the path")
    _read_table(landmarks, _stamp(landmarks))
    return TableDetector(landmarks)


def from_mesh(mesh: Float64[np.ndarray, "468 2"]) -> Landmarks:
    """Return the landmarks of a face from the 468 points of its mesh, in pixels."""
    left_eye, right_eye = (mesh[list(outline)].mean(axis=0) for outline in (_MESH_LEFT_EYE, _MESH_RIGHT_EYE))
    left_mouth, right_mouth = mesh[list(_MESH_MOUTH)]
    return Landmarks(*((float(x), float(y)) for x, y in (left_eye, right_eye, left_mouth, right_mouth)))


def _stamp(table: str) -> tuple[int, int]:
    """Return what changes when a file is written."""
    found = Path(table).stat()
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=1)
def _read_table(table: str, stamp: tuple[int, int]) -> Mapping[str, Sequence[Landmarks]]:  # noqa: ARG001 -- of the cache
    """Return the faces of each path.

    Args:
        table: the file.
        stamp: of it (`_stamp`), so that a table that was corrected is read again.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a coordinate that is no number.
    """
    faces: dict[str, list[Landmarks]] = {}
    for number, row in enumerate(_rows(table), 1):
        try:
            values = [float(row[column]) for column in _COLUMNS]
            path = str(row["path"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"row {number} of {table} lacks a path or a number ({error}), expected path, {', '.join(_COLUMNS)} for "
                "each face; complete or remove it"
            ) from error
        points = zip(values[::2], values[1::2], strict=True)
        faces.setdefault(path, []).append(Landmarks(*points))
    return faces


def _rows(table: str) -> Iterable[Mapping[str, Any]]:
    try:
        if Path(table).suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_table(table).to_pylist()
        with Path(table).open(encoding="utf-8-sig", newline="") as handle:
            return list(csv.DictReader(handle))
    except Exception as error:  # ArrowInvalid, csv.Error, OSError, UnicodeDecodeError share no base
        if is_out_of_memory(error):
            raise
        raise DataError(f"{table} cannot be read ({error}), expected a table of landmarks; correct it") from error
