"""The stage that makes the figures, in a tiny project."""

import json
import shutil

import pytest
from dvc.repo import Repo
from PIL import Image
from stage_calls import OPTIONS, run
from stage_calls import _stay_here as _stay_here
from test_measurement_stages import trained as trained
from tiny_project import make_project, set_param, write_images

from experiments.paper import paper_paths
from experiments.paper.figures.schemas import AGREEMENT_SCHEMA, CHANGES_SCHEMA, MEASURES_SCHEMA
from experiments.paper.truth import AttributeRegressor
from tasks.running.dvc_command import ensure_dvc
from tasks.running.dvc_stages import list_stages
from ui2i.tables import read_table

pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")
OPTIONS |= {"figures": "--set"}
TINY = {
    "num_styles": 2,
    "num_directions": 3,
    "num_moved": 4,
    "num_latents": 5,
    "num_shown": 2,
    "num_targets": 8,
    "inversion": {"num_steps": 2},
    "regressor": {"num_drawings": 12, "num_held_out": 6, "num_epochs": 1, "batch_size": 6, "width": 4},
}


@pytest.fixture
def project(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "project")
    project = type(trained)(tmp_path / "project")
    write_images(project.raw("face"), count=12, seed=1)
    assert run(project, "ingest", "face") == 0
    set_param(project, "figures", {"paper": TINY})
    return project


def test_the_stage_writes_images_tables_and_numbers(project, monkeypatch):
    monkeypatch.setattr(AttributeRegressor, "unreadable", lambda self, min_skill: [])
    assert run(project, "figures", "paper") == 0
    sizes = {number: Image.open(paper_paths.figure(project, number)).size for number in "45678"}
    assert all(min(size) > 60 for size in sizes.values())
    changes = read_table(paper_paths.figure(project, "6").with_suffix(".parquet"), CHANGES_SCHEMA)
    models = {("face", "scratch"), ("cartoon", "FC-FT"), ("cartoon", "FT")}
    assert set(zip(changes["domain"], changes["mode"], strict=True)) == models
    assert len(changes) == 3 * 3 * changes["trait"].nunique()
    agreement = read_table(paper_paths.figure(project, "6").with_suffix(".agreement.parquet"), AGREEMENT_SCHEMA)
    assert len(agreement) == 3 * 3 and agreement["cosine"].between(-1, 1).all()
    seven, eight = (read_table(paper_paths.figure(project, it).with_suffix(".parquet"), MEASURES_SCHEMA) for it in "78")
    assert list(dict.fromkeys(seven["mode"])) == ["FT", "FC-FT", "FC-FT-LS8", "FC-FT-LS16"]
    assert list(dict.fromkeys(eight["mode"])) == ["source", "FC-FT", "FC-FT-LS8", "FC-FT-LS16"]
    assert set(seven["metric"]) == {"lpips", "fd", "kd", "traits"}
    distances = seven[seven["metric"] == "fd"]
    assert (distances["ci95_low"] < distances["value"]).all() and (distances["value"] < distances["ci95_high"]).all()
    source = eight[(eight["mode"] == "source") & (eight["metric"] == "lpips")]["value"].item()
    assert source == pytest.approx(0, abs=1e-6)
    text = json.loads(paper_paths.figure_numbers(project).read_text())
    cartoon = text["figures"]["7"]["face"]["cartoon"]
    row = seven[(seven["mode"] == "FT") & (seven["metric"] == "lpips")].iloc[0]
    assert row["ci95_low"] < row["value"] < row["ci95_high"]
    assert cartoon["FT"]["lpips"] == pytest.approx(row["value"])
    difference = cartoon["FC-FT minus FT"]["lpips"]
    assert difference[0] == pytest.approx(cartoon["FC-FT"]["lpips"] - cartoon["FT"]["lpips"])
    assert difference[1] < difference[0] < difference[2]
    six = text["figures"]["6"]["face"]
    assert six["models"]["face/scratch"]["top_trait_moves_the_same_way"] == 3
    told = changes[changes["mode"] == "FT"].set_index(["direction", "trait"])["change"]
    for direction, moved in six["directions"].items():
        assert moved["change"]["cartoon/FT"] == pytest.approx(told[int(direction), moved["trait"]])


def test_images_that_nobody_drew_are_shown_and_their_attributes_not_measured(project):
    set_param(project, "truth", {})
    set_param(project, "synthetic", {})
    assert run(project, "figures", "paper") == 0
    assert paper_paths.figure(project, "6").is_file()
    assert len(read_table(paper_paths.figure(project, "6").with_suffix(".parquet"), CHANGES_SCHEMA)) == 0
    assert json.loads(paper_paths.figure_numbers(project).read_text())["figures"]["6"] == {}
    seven = read_table(paper_paths.figure(project, "7").with_suffix(".parquet"), MEASURES_SCHEMA)
    assert set(seven["metric"]) == {"lpips", "fd", "kd"}
    assert not project.regressors.exists()


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning:dvc")
def test_dvc_makes_figures_only_where_they_are_asked_for(tmp_path):
    project = make_project(tmp_path / "project")
    ensure_dvc(project.root)
    assert not any(stage.name.startswith("figures") for stage in Repo(str(project.root)).index.stages)
    set_param(project, "figures", {"paper": {"quick": True}})
    stages = [stage for stage in Repo(str(project.root)).index.stages if stage.name.startswith("figures")]
    assert [stage.name for stage in stages] == ["figures@paper"]
    assert list_stages(project)[-1] == "figures@paper"
    outputs = {output.fspath for output in stages[0].outs}
    tables = {paper_paths.figure(project, number).with_suffix(".parquet") for number in "678"}
    expected = {
        *(paper_paths.figure(project, number) for number in "45678"),
        *tables,
        paper_paths.figure_numbers(project),
    }
    expected.add(paper_paths.figure(project, "6").with_suffix(".agreement.parquet"))
    assert outputs == {str(path) for path in expected}
