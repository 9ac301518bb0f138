"""Where the faces in an image are: from MediaPipe, or from a table that any tool may have made.

A detector is any object with `find` and `identity` (the protocol below), so one of one's own, for cats or drawings, is
a few lines. A table needs no code at all: a row a face, with the file's `path` in the source and the coordinates
`left_eye_x, left_eye_y, right_eye_x, ...` of `Landmarks` in pixels of the upright image.
"""

import csv
import dataclasses
import functools
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_file
from ui2i.images.alignment import Landmarks, Point

MAX_DETECTED = 20  # faces of one image

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
        return _read_table(self.table).get(path, ())


@dataclasses.dataclass(frozen=True)
class MediaPipeDetector:
    """Asks MediaPipe's face landmarker, whose model (`face_landmarker.task`) has to be downloaded."""

    model: str

    @property
    def identity(self) -> str:
        """The model's hash."""
        return f"mediapipe {sha256_file(self.model)}"

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:  # noqa: ARG002 -- a protocol
        """Return the faces that MediaPipe sees."""
        import mediapipe

        pixels = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        meshes = _load_model(self.model).detect(pixels).face_landmarks
        return [from_mesh([(point.x, point.y) for point in mesh], image.size) for mesh in meshes]


def open_detector(landmarks: str | None) -> Detector:
    """Return the detector that `IngestConfig.face_landmarks` names.

    Raises:
        ConfigError: it names none, or a kind of file that is none.
        DataError: the file is missing or damaged, or MediaPipe is not installed.
    """
    expected = "a model of MediaPipe (.task) or a table of landmarks (.csv, .parquet)"
    if landmarks is None:
        raise ConfigError(
            f"the framing face has no face_landmarks, expected {expected}; set ingest.face_landmarks in params.yaml, "
            "or frame by center or fit"
        )
    suffix = Path(landmarks).suffix.lower()
    if suffix not in (".task", ".csv", ".parquet"):
        raise ConfigError(f"face_landmarks is {landmarks!r}, expected {expected}; correct it")
    if not Path(landmarks).is_file():
        raise DataError(f"{landmarks} does not exist, expected {expected}; check the path")
    if suffix != ".task":
        _read_table(landmarks)
        return TableDetector(landmarks)
    if importlib.util.find_spec("mediapipe") is None:
        raise DataError(
            f"MediaPipe is not installed, expected it for the model {landmarks}; "
            'pip install "ui2i[faces]", or give a table'
        )
    _load_model(landmarks)
    return MediaPipeDetector(landmarks)


def from_mesh(mesh: Sequence[Point], size: tuple[int, int]) -> Landmarks:
    """Return the landmarks of a face from MediaPipe's 468 or 478 points, given as shares of the image's size."""
    points = np.asarray(mesh, dtype=np.float64) * size
    left_eye, right_eye = (points[list(outline)].mean(axis=0) for outline in (_MESH_LEFT_EYE, _MESH_RIGHT_EYE))
    left_mouth, right_mouth = points[list(_MESH_MOUTH)]
    return Landmarks(*((float(x), float(y)) for x, y in (left_eye, right_eye, left_mouth, right_mouth)))


@functools.lru_cache(maxsize=1)
def _load_model(model: str) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=model), num_faces=MAX_DETECTED)
    try:
        return vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(
            f"{model} cannot be loaded ({error}), expected MediaPipe's face_landmarker.task; fetch it again"
        ) from error


@functools.lru_cache(maxsize=1)
def _read_table(table: str) -> Mapping[str, Sequence[Landmarks]]:
    """Return the faces of each path.

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
        raise DataError(f"{table} cannot be read ({error}), expected a table of landmarks; correct it") from error
