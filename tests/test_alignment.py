"""Faces come out upright, at one size, with eyes and mouth at fixed places, whatever the detector."""

import cmath
import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import blobs, file_bytes, textured
from PIL import Image, ImageDraw

from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import ConfigError, DataError
from ui2i.images.alignment import Landmarks, Square, _reflect, align
from ui2i.images.decoding import ImageError
from ui2i.images.framing import Framer
from ui2i.images.landmarks import from_mesh, open_detector
from ui2i.settings import IngestConfig

LANCZOS = Image.Resampling.LANCZOS
UPRIGHT = Landmarks((40, 50), (60, 50), (42, 70), (58, 70))


def moved(face: Landmarks, *, angle: float, scale: float, shift: complex) -> Landmarks:
    """The landmarks of a face that was turned, scaled and shifted."""
    turned = [complex(*point) * scale * cmath.exp(1j * angle) + shift for point in face]
    return Landmarks(*((point.real, point.imag) for point in turned))


def literal_corners(face: Landmarks) -> list[complex]:
    """FFHQ's square, read with complex numbers: x + iy, so that a factor i is a quarter turn."""
    left_eye, right_eye, left_mouth, right_mouth = (complex(*point) for point in face)
    eye, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    x = (right_eye - left_eye) - 1j * (mouth - eye)
    x *= max(2.0 * abs(right_eye - left_eye), 1.8 * abs(mouth - eye)) / abs(x)
    center = eye + 0.1 * (mouth - eye)
    return [center - x - 1j * x, center + x - 1j * x, center + x + 1j * x, center - x + 1j * x]


def test_the_square_of_an_upright_face() -> None:
    # Eyes 20 apart, mouth 20 below: side max(4 * 20, 3.6 * 20) = 80 around (50, 50 + 2).
    square = Square.around(UPRIGHT)
    assert square.side == pytest.approx(80)
    assert np.allclose(square.corners, [(10, 12), (90, 12), (90, 92), (10, 92)])
    assert square.bounds == (10, 12, 90, 92)
    long_face = UPRIGHT._replace(left_mouth=(42, 90), right_mouth=(58, 90))
    assert Square.around(long_face).side == pytest.approx(3.6 * 40)


coordinates = st.floats(0, 100)
points = st.tuples(coordinates, coordinates)


@given(points, points, points, points)
def test_squares_agree_with_the_formula(a: tuple, b: tuple, c: tuple, d: tuple) -> None:
    face = Landmarks(a, b, c, d)
    try:
        expected = literal_corners(face)
    except ZeroDivisionError:
        expected = None
    try:
        found = Square.around(face).corners
    except ImageError as error:
        assert error.fault == "no_face"  # noqa: PT017 -- both outcomes are checked
        left, right = (complex(*face.left_eye), complex(*face.right_eye))
        down = (complex(*face.left_mouth) + complex(*face.right_mouth) - left - right) / 2
        assert abs((right - left) - 1j * down) < 1e-3
        return
    assert expected is not None
    assert np.allclose([complex(*corner) for corner in found], expected, atol=1e-6 * (1 + max(map(abs, expected))))


@pytest.mark.parametrize("face", [Landmarks((5, 5), (5, 5), (5, 5), (5, 5)), UPRIGHT._replace(left_eye=(math.nan, 0))])
def test_points_that_are_no_face(face: Landmarks) -> None:
    with pytest.raises(ImageError) as caught:
        Square.around(face)
    assert caught.value.fault == "no_face"


def dotted(face: Landmarks, size: int) -> Image.Image:
    """A grey image with a dot of its own colour at each landmark."""
    image = Image.new("RGB", (size, size), (128, 128, 128))
    pen = ImageDraw.Draw(image)
    radius = 0.06 * Square.around(face).side
    for (x, y), colour in zip(face, ("red", "lime", "blue", "yellow"), strict=True):
        # Pillow counts from the middle of the first pixel.
        pen.ellipse((x - radius - 0.5, y - radius - 0.5, x + radius - 0.5, y + radius - 0.5), fill=colour)
    return image


def centers(image: Image.Image) -> list[tuple[float, float]]:
    """Where the four dots are, in pixels from the corner."""
    levels = np.asarray(image).astype(float)
    found = []
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)):
        near = np.abs(levels - colour).sum(axis=-1) < 150
        rows, columns = np.nonzero(near)
        found.append((columns.mean() + 0.5, rows.mean() + 0.5))
    return found


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [
        (0.0, 2.0, 60 + 50j),
        (0.5, 2.5, 120 + 0j),
        (-0.6, 3.0, 0 + 160j),
        (1.5, 2.0, 330 + 50j),
        (3.1, 2.0, 330 + 320j),
        (0.3, 7.0, 0 + 40j),
    ],
)
def test_eyes_and_mouth_come_to_fixed_places(angle: float, scale: float, shift: complex) -> None:
    face = moved(UPRIGHT, angle=angle, scale=scale, shift=shift)
    aligned = align(dotted(face, 800), Square.around(face), 64, LANCZOS)
    # Of the upright face in its square: ((40, 50) - (10, 12)) / 80 of 64 pixels, and so on.
    expected = [((x - 10) / 80 * 64, (y - 12) / 80 * 64) for x, y in UPRIGHT]
    assert np.allclose(centers(aligned), expected, atol=0.5)


def test_a_square_on_the_grid_is_cut_out_exactly() -> None:
    image = textured(0, 96, 80)
    assert np.array_equal(align(image, Square((48, 40), (16, 0)), 32, LANCZOS), image.crop((32, 24, 64, 56)))


def test_large_faces_are_antialiased() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(align(Image.fromarray(stripes), Square((320, 320), (256, 0)), 32, LANCZOS)).astype(int)
    assert np.abs(small - 127.5).max() < 4
    turned = np.asarray(align(Image.fromarray(stripes), Square((320, 320), (150, 150)), 32, LANCZOS)).astype(int)
    assert np.abs(turned - 127.5).max() < 4


@pytest.mark.parametrize("length", [1, 2, 5])
def test_reflection_is_that_of_numpy(length: int) -> None:
    row = np.arange(length)
    expected = np.pad(row, 9, mode="reflect") if length > 1 else np.zeros(19, int)
    assert np.array_equal(row[_reflect(np.arange(-9, length + 9), length)], expected)


def test_the_border_reflects_the_image_and_blurs() -> None:
    image = textured(1, 80, 80)
    aligned = np.asarray(align(image, Square((20, 40), (40, 0)), 80, LANCZOS)).astype(int)  # 20 pixels outside
    pixels = np.asarray(image).astype(int)
    assert np.array_equal(aligned[:, 20:], pixels[:, :60])
    reflected = pixels[:, 20:0:-1]
    sharpness = [np.abs(np.diff(aligned[:, column], axis=0)).mean() for column in (2, 19)]
    assert sharpness[0] < 0.8 * sharpness[1]
    assert np.abs(aligned[:, 19] - reflected[:, 19]).mean() < 2
    assert np.abs(aligned[:, :20] - reflected).mean() < 12


@pytest.mark.parametrize("square", [Square((-1, 40), (20, 0)), Square((40, 200), (20, 0)), Square((40, 40), (500, 0))])
def test_squares_that_are_not_in_the_image(square: Square) -> None:
    with pytest.raises(ImageError) as caught:
        align(blobs(0, 96, 80), square, 32, LANCZOS)
    assert caught.value.fault == "no_face"


# Framing by faces


@dataclasses.dataclass(frozen=True)
class FixedDetector:
    """Finds the same faces in every image."""

    faces: tuple[Landmarks, ...]
    identity: str = "fixed"

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:
        return self.faces


CONFIG = IngestConfig(img_resolution=32, framing="face")


def test_the_largest_face_is_taken_or_as_many_as_asked_for() -> None:
    small, large = (moved(UPRIGHT, angle=0, scale=scale, shift=shift) for scale, shift in ((0.8, 0j), (2, 100j)))
    detector = FixedDetector((small, large, moved(small, angle=0, scale=0.1, shift=0j)))
    image = textured(2, 300, 320)
    assert [square.crop for square in Framer.of(CONFIG, detector).squares(image, "a", 32)] == [(20, 124, 180, 284)]
    framer = Framer.of(dataclasses.replace(CONFIG, max_faces=9), detector)
    crops = [square.crop for square in framer.squares(image, "a", 32)]
    assert crops == [(20, 124, 180, 284), (8, 9, 72, 74)]  # the third is too small


def test_landmarks_of_no_face_cost_an_image_none_of_its_faces() -> None:
    good = moved(UPRIGHT, angle=0, scale=1, shift=100j)
    image = textured(2, 300, 320)
    (alone,) = Framer.of(CONFIG, FixedDetector((good,))).squares(image, "a", 32)
    outside = moved(UPRIGHT, angle=0, scale=2, shift=5000j)
    broken = ((math.nan, 1.0), *good[1:])
    for other in (outside, moved(UPRIGHT, angle=0, scale=0.5, shift=5000j), broken):
        framer = Framer.of(dataclasses.replace(CONFIG, max_faces=9), FixedDetector((other, good)))
        assert [square.crop for square in framer.squares(image, "a", 32)] == [alone.crop]
        with pytest.raises(ImageError) as caught:
            Framer.of(CONFIG, FixedDetector((other,))).squares(image, "a", 32)
        assert caught.value.fault == "no_face"


@pytest.mark.parametrize(
    ("faces", "reason"),
    [((), "no_face"), ((moved(UPRIGHT, angle=0, scale=0.1, shift=20j),), "too_small")],
)
def test_images_without_a_face_to_take(faces: tuple[Landmarks, ...], reason: str) -> None:
    with pytest.raises(ImageError, match="here") as caught:
        Framer.of(CONFIG, FixedDetector(faces)).squares(textured(2), "here", 32)
    assert caught.value.fault == reason


COLUMNS = [f"{name}_{axis}" for name in Landmarks._fields for axis in "xy"]


def table_rows(faces: dict[str, list[Landmarks]]) -> list[dict]:
    return [
        {"path": path} | dict(zip(COLUMNS, (value for point in face for value in point), strict=True))
        for path, found in faces.items()
        for face in found
    ]


def write_csv(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, ["path", *COLUMNS])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_dataset_of_faces_from_a_table(tmp_path: Path) -> None:
    one = moved(UPRIGHT, angle=0.4, scale=1.5, shift=60 + 10j)
    two = moved(UPRIGHT, angle=-0.2, scale=1.2, shift=20 + 120j)
    (tmp_path / "raw" / "猫").mkdir(parents=True)
    both = textured(3, 260, 260)
    both.paste(dotted(one, 260).crop((60, 60, 160, 160)), (60, 60))
    for name, image in {"a.png": both, "b.png": textured(4, 260, 260), "猫/c.png": textured(5, 260, 260)}.items():
        (tmp_path / "raw" / name).write_bytes(file_bytes(image, "PNG"))
    rows = table_rows({"a.png": [two, one], "猫/c.png": [one]})
    table = write_csv(tmp_path / "faces.csv", rows)
    config = dataclasses.replace(CONFIG, face_landmarks=str(table), max_faces=2, max_reject_share=0.5)
    manifest = ingest(tmp_path / "raw", tmp_path / "out", config, name="faces")
    assert (manifest.num_images, manifest.rejected_by_reason) == (3, {"no_face": 1})
    shard = pq.read_table(tmp_path / "out" / "images-00000.parquet").to_pylist()
    assert [row["source_path"] for row in shard] == ["a.png", "a.png", "猫/c.png"]
    assert shard[0]["split"] == shard[1]["split"]  # one photograph is in one split
    details = pq.read_table(tmp_path / "out" / "details.parquet").to_pylist()
    assert [row["part"] for row in details] == [0, 1, 0]
    assert np.allclose(details[0]["corners"], np.ravel(Square.around(one).corners))
    assert len(PreparedDataset(tmp_path / "out", None)) == 3
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "faces.parquet")
    other = dataclasses.replace(config, face_landmarks=str(tmp_path / "faces.parquet"))
    assert ingest(tmp_path / "raw", tmp_path / "two", other, name="faces").dataset_sha256 == manifest.dataset_sha256


def test_enough_images_are_enough_though_a_file_gives_several(tmp_path: Path) -> None:
    faces = [moved(UPRIGHT, angle=0, scale=1.2, shift=shift) for shift in (20 + 20j, 120 + 120j)]
    (tmp_path / "raw").mkdir()
    for index in range(5):
        (tmp_path / "raw" / f"{index}.png").write_bytes(file_bytes(textured(index, 260, 260), "PNG"))
    table = write_csv(tmp_path / "faces.csv", table_rows({f"{index}.png": faces for index in range(5)}))
    config = dataclasses.replace(CONFIG, face_landmarks=str(table), max_faces=2, max_images=3)
    assert ingest(tmp_path / "raw", tmp_path / "out", config, name="faces").num_images == 4, "the last file is whole"


def test_a_table_that_was_corrected_is_read_again(tmp_path: Path) -> None:
    first, second = (moved(UPRIGHT, angle=0, scale=scale, shift=40 + 40j) for scale in (1.5, 1.7))
    table, image = str(tmp_path / "faces.csv"), Image.new("RGB", (260, 260))
    write_csv(Path(table), table_rows({"a.png": [first]}))
    detector = open_detector(table)
    assert detector.find(image, "a.png") == [first]
    write_csv(Path(table), table_rows({"a.png": [second], "b.png": [first]}))
    assert detector.find(image, "a.png") == [second], "by the detector at hand, too"


def test_a_changed_table_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_bytes(file_bytes(textured(3, 260, 260), "PNG"))
    config = dataclasses.replace(CONFIG, face_landmarks=str(tmp_path / "faces.csv"), max_reject_share=0.5)
    hashes = []
    for scale in (1.5, 1.7):
        face = moved(UPRIGHT, angle=0, scale=scale, shift=40 + 40j)
        write_csv(tmp_path / "faces.csv", table_rows({"a.png": [face]}))
        hashes.append(ingest(tmp_path / "raw", tmp_path / "out", config, name="faces").dataset_sha256)
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("faces.xml", b"<xml/>", "face_landmarks is"),
        ("face_landmarker.task", b"PK", "face_landmarks is .*or remove it and let photographs be searched"),
        ("nowhere.csv", None, "does not exist"),
        ("faces.csv", b"path,left_eye_x\na.png,4\n", "row 1 of .* lacks"),
        ("faces.csv", b"\xff\xfe\x00", "cannot be read"),
        ("faces.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_detectors_that_cannot_be_had(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=message):
        open_detector(str(tmp_path / name))


def test_landmarks_of_a_face_mesh() -> None:
    points = np.random.default_rng(0).random((468, 2))
    for outline, (x, y) in zip(([33, 160, 158, 133, 153, 144], [362, 385, 387, 263, 373, 380]), UPRIGHT, strict=False):
        angles = np.arange(6) * np.pi / 3
        points[outline] = np.stack([x + 3 * np.cos(angles), y + 2 * np.sin(angles)], axis=-1)
    points[[61, 291]] = UPRIGHT[2:]
    assert np.allclose(from_mesh(points), UPRIGHT)
