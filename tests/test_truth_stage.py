"""The stage that compares translations with the truth, in a tiny project."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn_people import truth as truth
from stage_calls import run
from tiny_models import random_generator
from tiny_project import PARAMS, make_project, set_param

from experiments.paper import truth as truth_module
from experiments.paper.settings import sections_of
from experiments.paper.truth import METRICS, DrawnImage, load_cases, read_drawn
from experiments.synthetic.procedural import draw_dataset
from tasks.project.params import load_params, parse_params
from tasks.project.paths import Project
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import ConfigError, DataError
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.tables import KEPT_SCHEMA, TRUTH_SCHEMA, read_table
from ui2i.translation import NamedImages, translate_folder

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perceptual: Perceptual) -> Iterator[Project]:
    """A project in which 6 synthetic faces were translated by models that were never trained."""
    monkeypatch.chdir(tmp_path)
    project = make_project(tmp_path / "project")
    for name in ("face", "cartoon"):
        assert run(project, "draw", name) == 0
        assert run(project, "ingest", name) == 0
    translate(project, perceptual)
    return project


def translate(project: Project, perceptual: Perceptual) -> None:
    dataset = PreparedDataset(project.prepared("face"))
    shard = pq.read_table(dataset.path / dataset.manifest.shards[0].name).take(dataset.ids[:6])
    inputs = NamedImages(
        names=shard["source_path"].to_pylist(), images=dataset.images(slice(6)), sha256s=shard["sha256"].to_pylist()
    )
    translate_folder(
        inputs,
        random_generator(1),
        {"FC-FT": random_generator(2), "FC-FT-LS8": random_generator(3)},
        perceptual,
        InversionConfig(num_steps=1),
        project.translations("cartoon"),
        domain="cartoon",
        source_hash="base",
        target_hashes={"FC-FT": "first", "FC-FT-LS8": "second"},
        force=True,  # they share no mapping network
    )


def test_the_stage_writes_its_tables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"num_drawings": 60, "num_held_out": 20, "num_epochs": 10, "batch_size": 12, "width": 8}
    set_param(project, "truth.cartoon.regressor", settings)
    set_param(project, "truth.cartoon.seed", 7)
    compared: list[Any] = []
    plain = truth_module.score_translations

    def noting(inputs: Any, outputs: Any, counterparts: Any, others: Any, *args: Any, **options: Any) -> Any:
        compared[:] = others, options["num_draws"], options["seed"]
        return plain(inputs, outputs, counterparts, others, *args, **options)

    monkeypatch.setattr(truth_module, "score_translations", noting)
    assert run(project, "truth", "cartoon") == 0
    held_out = PreparedDataset(project.prepared("cartoon"), "test").images(slice(None))
    assert np.array_equal(compared[0], held_out), "chance is that of images no model was trained on"
    assert compared[1:] == [sections_of(load_params(project)).truth["cartoon"].num_draws, 7]
    scores = read_table(project.truth_table("cartoon"), TRUTH_SCHEMA)
    assert len(scores) == 6 * 2 * len(METRICS)
    drawn = read_drawn(project.raw("face"))
    for _, row in scores.iterrows():
        assert drawn[row["input_path"]] == DrawnImage(
            style="face", seed=row["synthetic_seed"], index=row["synthetic_index"]
        )
        assert row["score"] == 1 - row["distance"] / row["chance_distance"]
    assert set(zip(scores["variant"], scores["checkpoint_hash"], strict=True)) == {
        ("FC-FT", "first"),
        ("FC-FT-LS8", "second"),
    }
    summary = json.loads(project.truth_table("cartoon").with_suffix(".json").read_text())
    own = scores[(scores["variant"] == "FC-FT") & (scores["metric"] == "lpips")]
    assert summary["variants"]["FC-FT"]["lpips"]["mean"] == pytest.approx(own["score"].mean())
    assert summary["copy"]["lpips"]["mean"] == pytest.approx(own["copy_score"].mean())
    gain = summary["gain_over_copy"]["FC-FT"]["lpips"]
    assert gain["mean"] == pytest.approx((own["score"] - own["copy_score"]).mean())
    assert gain["sem"] == pytest.approx((own["score"] - own["copy_score"]).sem())
    assert summary["num_images"] == 6
    kept = read_table(project.truth_table("cartoon").with_suffix(".attributes.parquet"), KEPT_SCHEMA)
    assert set(zip(kept["variant"], kept["style"], strict=True)) == {
        ("reconstruction", "face"), ("FC-FT", "cartoon"), ("FC-FT-LS8", "cartoon"),
    }  # fmt: skip
    assert not set(kept[kept["style"] == "cartoon"]["attribute"]) & set(summary["unreadable"])
    assert project.truth_sheet("cartoon").is_file()
    regressors = {path: path.stat().st_mtime_ns for path in project.regressors.iterdir()}
    assert len(regressors) == 2
    before = project.truth_table("cartoon").read_bytes()
    assert run(project, "truth", "cartoon") == 0
    assert {path: path.stat().st_mtime_ns for path in project.regressors.iterdir()} == regressors
    assert project.truth_table("cartoon").read_bytes() == before


def refusal(project: Project, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(project, "truth", "cartoon") == 2
    assert not project.truth_table("cartoon").exists()
    return capsys.readouterr().err


def test_paired_domains_are_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    draw_dataset("cartoon", 24, 1, project.raw("cartoon"), resolution=32)
    assert "6 inputs have their counterparts among the target's own images" in refusal(project, capsys)


def test_a_regressor_trained_on_what_it_judges_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    set_param(project, "truth.cartoon.regressor.seed", 1)
    assert "truth.cartoon.regressor.seed is 1, that of the images it would evaluate" in refusal(project, capsys)


def test_images_that_are_not_what_the_table_says_are_refused(
    project: Project, capsys: pytest.CaptureFixture[str], perceptual: Perceptual
) -> None:
    for path in sorted(project.raw("face").glob("*.png")):  # the mirror image: as if the drawing had changed since
        from PIL import Image, ImageOps

        ImageOps.mirror(Image.open(path)).save(path)
    assert run(project, "ingest", "face") == 0
    assert "000000.png was translated, expected an image of" in refusal(project, capsys)
    translate(project, perceptual)
    assert "of face differs by" in refusal(project, capsys)


def test_translations_of_other_images_are_refused(project: Project) -> None:
    dataset, folder = PreparedDataset(project.prepared("face"), None), project.translations("cartoon")
    with pytest.raises(DataError, match="expected one of 0 synthetic images"):
        load_cases(folder, dataset, {}, "cartoon")
    with pytest.raises(DataError, match="does not exist, expected a translation table"):
        load_cases(folder.parent, dataset, read_drawn(project.raw("face")), "cartoon")
    next(folder.glob("*-FC-FT.png")).unlink()
    with pytest.raises(DataError, match=r"FC-FT\.png cannot be read"):
        load_cases(folder, dataset, read_drawn(project.raw("face")), "cartoon")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {base: cartoon,", "truth.cartoon.base is 'cartoon'"),
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {", "truth.cartoon lacks 'base'"),
        ("truth:\n  cartoon:", "truth:\n  anime:", "expected None as in domains.anime"),
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {base: face, num_draws: 0,", "num_draws is 0"),
        ("num_epochs: 1", "epochs: 1", "truth.cartoon.regressor has the unknown key 'epochs'"),
        ("  face: {style: face, num", "  faces: {style: face, num", "needs the images of face to be drawn"),
    ],
)
def test_the_section_is_checked(old: str, new: str, message: str) -> None:
    assert old in PARAMS
    with pytest.raises(ConfigError, match=message):
        parse_params(PARAMS.replace(old, new))
