"""Measurement as stages and commands: distances, evaluations and the paper's tables, on untrained models of 32 px."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from stage_calls import OPTIONS, run
from stage_calls import _stay_here as _stay_here
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_images
from typed_commands import ui2i as ui2i

from experiments.paper import paper_paths
from experiments.paper.stages.table import build_table
from tasks.project.params import load_params
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.files import sha256_file
from ui2i.metrics import unfinished
from ui2i.tables import (
    DISTANCE_SCHEMA,
    EVALUATION_SCHEMA,
    INVERTED_SCHEMA,
    LATENT_DISTANCE_SCHEMA,
    PAPER_TABLE_SCHEMA,
    read_table,
    write_table,
)

OPTIONS |= {"evaluate": "--domain", "table": "--table"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with a base and a domain, whose models are random, and prepared images of the domain."""
    with pytest.MonkeyPatch.context() as patch:
        project = make_project(tmp_path_factory.mktemp("measured") / "project")
        patch.chdir(project.root)
        write_images(project.raw("cartoon"), count=12)
        assert run(project, "ingest", "cartoon") == 0
        models = {
            project.checkpoint("face"): ModelCard(domain="face", mode="scratch", dataset_hash="faces"),
            project.mode_checkpoint("cartoon", "FC-FT"): ModelCard(domain="cartoon", mode="FC-FT", dataset_hash="c"),
            project.mode_checkpoint("cartoon", "FT"): ModelCard(domain="cartoon", mode="FT", dataset_hash="c"),
        }
        for seed, (folder, card) in enumerate(models.items()):
            folder.mkdir(parents=True)
            save_generator(folder / "generator.safetensors", random_generator(seed), card)
        assert run(project, "swap", "cartoon") == 0
    return project


@pytest.fixture
def project(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "project")
    return type(trained)(tmp_path / "project")


# Distances


def test_a_distance_row_says_all_that_decides_it(project):
    assert run(project, "distance", "cartoon") == 0
    frame = read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA)
    pair = frame[(frame["source"] == "face") & (frame["target"] == "cartoon/FC-FT-LS8")].iloc[0]
    assert (pair["source_mode"], pair["mode"], pair["swap_mode"], pair["swap_resolution"]) == (
        "scratch", "FC-FT-LS8", "weights", 8,
    )  # fmt: skip
    assert (pair["source_dataset_hash"], pair["dataset_hash"]) == ("faces", "c")
    assert pair["source_hash"] == sha256_file(project.checkpoint("face") / "generator.safetensors")
    assert pair["target_hash"] == sha256_file(project.variant("cartoon", 8))
    assert (pair["num_models"], pair["num_latents"], pair["seed"]) == (5, 4, 0)
    assert pair["ci95_low"] < pair["mean"] < pair["ci95_high"]
    assert pair["sem"] == pytest.approx(pair["std"] / 2)
    assert len(frame) == 10


def test_a_killed_measurement_leaves_its_state_and_takes_it_up(project, monkeypatch):
    monkeypatch.setattr(unfinished, "SAVE_INTERVAL_SECONDS", 0)
    set_param(project, "distance.batch_size", 1)
    state = project.unfinished_distances("cartoon")

    def kill(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ui2i.samples.shared_latents_sheet", kill)  # what comes after the measurement
        patch.setattr(unfinished.Unfinished, "remove", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            run(project, "distance", "cartoon")
    assert state.is_file()
    assert run(project, "distance", "cartoon") == 0
    assert not state.exists()
    assert read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA)["num_latents"].eq(4).all()


def test_measure_any_models_with_every_latent(project, ui2i, tmp_path):
    shutil.copy(project.variant("cartoon", 8), tmp_path / "mine.safetensors")
    status, out, _ = ui2i(
        "measure", "face", "cartoon/FT", tmp_path / "mine.safetensors", "--latents", 6,
        "--values", tmp_path / "v.parquet",
    )  # fmt: skip
    assert status == 0
    assert "cartoon/FT" in out and "mine.safetensors" in out
    rows = read_table(project.measured_distances, DISTANCE_SCHEMA)
    values = read_table(tmp_path / "v.parquet", LATENT_DISTANCE_SCHEMA)
    assert len(rows) == 3 and len(values) == 18
    for _, row in rows.iterrows():
        own = values[(values["source"] == row["source"]) & (values["target"] == row["target"])]
        assert own["latent"].tolist() == list(range(6))
        assert own["distance"].mean() == pytest.approx(row["mean"])
        assert set(own["run_id"]) == {row["run_id"]}
    assert ui2i("measure", "face", "cartoon/FT", "--values", tmp_path / "v.parquet")[0] == 0
    assert len(read_table(project.measured_distances, DISTANCE_SCHEMA)) == 4, "rows are added"


def test_a_trial_by_hand_does_not_take_the_place_of_the_stage_s_row(project, ui2i):
    assert run(project, "distance", "cartoon") == 0
    rows = read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA)
    of_stage = rows[(rows["source"] == "face") & (rows["target"] == "cartoon/FT")]["mean"].iloc[-1]
    assert ui2i("measure", "face", "cartoon/FT", "--latents", 2)[0] == 0
    cells = build_table(project, load_params(project), "1").cells
    (cell,) = [cell for cell in cells if cell.origin == "measured" and cell.row == "FT"]
    assert cell.value == pytest.approx(of_stage)
    by_hand = read_table(project.measured_distances, DISTANCE_SCHEMA)["mean"].iloc[-1]
    assert by_hand != pytest.approx(of_stage), "of other latents"


def test_a_variant_is_named_as_it_was_made_whatever_params_say_by_now(project, ui2i):
    set_param(project, "swap.mode", "blend")
    assert ui2i("measure", "face", "cartoon/FC-FT-LS8")[0] == 0
    status, _, said = ui2i("measure", "face", "cartoon/FC-FT-LS8-blend")
    assert status == 2 and "cartoon has no model 'FC-FT-LS8-blend'" in said


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["face"], "expected at least two different ones"),
        (["face", "face"], "expected at least two different ones"),
        (["face", "cartoon/FT-LS8"], "cartoon has no model 'FT-LS8', expected one of FC-FT, FT, FC-FT-LS8, FC-FT-LS16"),
        (["face", "cartoons/FT"], "did you mean 'cartoon'"),
        (["face", "absent.safetensors"], "absent.safetensors does not exist"),
    ],
)
def test_models_that_cannot_be_measured(ui2i, project, models, message):
    status, _, err = ui2i("measure", *models)
    assert (status, len(err.splitlines())) == (2, 1)
    assert message in err
    assert not project.measured_distances.exists()


# Evaluation


def test_evaluate_judges_every_model(project):
    assert run(project, "evaluate", "cartoon") == 0
    assert run(project, "evaluate", "cartoon") == 0
    frame = read_table(project.evaluation_table("cartoon"), EVALUATION_SCHEMA)
    assert frame["system"].tolist() == ["FC-FT", "FT", "FC-FT-LS8", "FC-FT-LS16"] * 2
    assert frame["run_id"].nunique() == 2
    values = frame[["fd", "kd", "lpips_d", "lpips_s", "outputs_hash", "checkpoint_hash"]]
    assert values.iloc[:4].reset_index(drop=True).equals(values.iloc[4:].reset_index(drop=True))
    assert values["outputs_hash"].nunique() == 4
    assert frame["fid"].isna().all() and frame["inception"].isna().all()
    first = frame.iloc[0]
    assert (first["source_domain"], first["domain"], first["inputs"]) == ("face", "cartoon", "generated")
    assert (first["num_outputs"], first["num_pairs"], first["num_targets"]) == (4, 2, 12)
    summary = json.loads(project.evaluation_summary("cartoon").read_text())
    assert summary["systems"]["FC-FT-LS16"]["lpips_s"] == pytest.approx(frame["lpips_s"][3])


def test_a_frechet_distance_on_trained_features_has_both_ends_of_its_scale(project):
    set_param(project, "evaluation.frechet_network", "efficientnet-lite0")
    assert run(project, "evaluate", "cartoon") == 0
    frame = read_table(project.evaluation_table("cartoon"), EVALUATION_SCHEMA).set_index("system")
    assert frame.index.tolist()[-2:] == ["the data itself", "the input itself"]
    assert set(frame["fd_network"]) == {"efficientnet-lite0"} and (frame["fd_sem"] > 0).all()
    data, copy = frame.loc["the data itself"], frame.loc["the input itself"]
    assert (data["num_outputs"], data["num_targets"], copy["num_targets"]) == (6, 6, 12)
    assert copy["lpips_s"] == 0 and pd.isna(data["lpips_s"]) and pd.isna(copy["checkpoint_hash"])
    assert data["fd"] < copy["fd"]
    assert json.loads(project.evaluation_summary("cartoon").read_text())["fd_network"] == "efficientnet-lite0"


def test_similarity_is_to_what_the_base_makes_of_the_same_latent(project):
    """A model that is the base gives the inputs back."""
    shutil.copy(
        project.checkpoint("face") / "generator.safetensors",
        project.mode_checkpoint("cartoon", "FT") / "generator.safetensors",
    )
    assert run(project, "evaluate", "cartoon") == 0
    frame = read_table(project.evaluation_table("cartoon"), EVALUATION_SCHEMA)
    assert frame["system"][1] == "scratch"
    assert frame["lpips_s"][1] == 0 < frame["lpips_s"][0]


def test_inputs_and_outputs_have_the_psi_of_the_settings(project):
    """At 0 every image of a model is that of its mean; one that is the base gives even that back."""
    base = project.checkpoint("face") / "generator.safetensors"
    shutil.copy(base, project.mode_checkpoint("cartoon", "FT") / base.name)
    set_param(project, "evaluation.truncation_psi", 0.0)
    assert run(project, "evaluate", "cartoon") == 0
    frame = read_table(project.evaluation_table("cartoon"), EVALUATION_SCHEMA)
    assert frame["lpips_d"].tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert frame["lpips_s"][1] == 0 < frame["lpips_s"][0]
    assert set(frame["truncation_psi"]) == {0}


def test_inception_that_is_named_must_be_there(project, capsys):
    set_param(project, "evaluation.inception_weights", "data/absent.pth")
    assert run(project, "evaluate", "cartoon") == 2
    assert "data/absent.pth" in capsys.readouterr().err
    assert not project.evaluation_table("cartoon").exists()


@pytest.fixture
def folders(tmp_path):
    for seed, name in enumerate(("outputs", "inputs", "anime")):
        write_images(tmp_path / name, count=6, seed=seed)
    return tmp_path


def test_evaluate_any_folder(project, ui2i, folders):
    arguments = ["--outputs", folders / "outputs", "--inputs", folders / "inputs"]
    assert ui2i("evaluate", *arguments, "--target", folders / "anime", "--name", "cyclegan")[0] == 0
    status, out, _ = ui2i("evaluate", *arguments, "--target", "cartoon", "--name", "munit")
    assert status == 0 and "munit" in out
    _, out, _ = ui2i("table", "2")
    assert "munit" in out and "cyclegan" in out, "both are in Table II"
    other = read_table(project.measured_evaluations("anime"), EVALUATION_SCHEMA).iloc[0]
    assert (other["system"], other["source_domain"], other["num_targets"]) == ("cyclegan", "inputs", 6)
    assert pd.isna(other["checkpoint_hash"]) and pd.isna(other["truncation_psi"])
    own = read_table(project.measured_evaluations("cartoon"), EVALUATION_SCHEMA).iloc[0]
    assert (own["source_domain"], own["num_targets"]) == ("face", 12)
    assert own["outputs_hash"] == other["outputs_hash"] and own["lpips_s"] == other["lpips_s"]
    assert own["fd"] != other["fd"]


def test_outputs_are_matched_with_inputs_by_name(project, ui2i, folders):
    """Copies of the inputs are at no distance from them, whatever the ending and the order."""
    from PIL import Image

    shutil.rmtree(folders / "outputs")
    (folders / "outputs").mkdir()
    for path in sorted((folders / "inputs").iterdir(), reverse=True):
        Image.open(path).save(folders / "outputs" / f"{path.stem}.bmp")
    arguments = ["--outputs", folders / "outputs", "--inputs", folders / "inputs"]
    assert ui2i("evaluate", *arguments, "--target", "cartoon", "--name", "copy")[0] == 0
    assert read_table(project.measured_evaluations("cartoon"), EVALUATION_SCHEMA)["lpips_s"][0] == 0
    (folders / "inputs" / "03.png").unlink()
    status, _, err = ui2i("evaluate", *arguments, "--target", "cartoon", "--name", "copy")
    assert status == 2 and "03.bmp has no input" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--name": None}, "expected --name of the system"),
        ({"--target": "anim"}, "the target is anim, expected a dataset of the project (face, cartoon) or a folder"),
        ({"--outputs": "absent"}, "absent is not a folder"),
    ],
)
def test_folders_that_cannot_be_evaluated(ui2i, folders, change, message):
    options = {"--outputs": folders / "outputs", "--target": "cartoon", "--name": "x"} | change
    given = [part for option, value in options.items() if value is not None for part in (option, value)]
    status, _, err = ui2i("evaluate", *given)
    assert status == 2 and message in err


# The paper's tables


def test_table_1_and_2(project, ui2i):
    for module in ("distance", "evaluate"):
        assert run(project, module, "cartoon") == 0
    for number, measured in (("1", 4), ("2", 12)):
        assert run(project, "table", number) == 0
        path = paper_paths.paper_table(project, number)
        frame = read_table(path, PAPER_TABLE_SCHEMA)
        assert (frame["origin"] == "measured").sum() == measured
        assert (frame["origin"] == "paper").sum() == {"1": 36, "2": 30}[number]
        with path.with_suffix(".csv").open() as file:
            assert {row["column"] for row in csv.DictReader(file)} == {"face2cartoon"}
        text = path.with_suffix(".md").read_text()
        assert "| paper: face2anime" in text and "| face2cartoon" in text
        status, out, _ = ui2i("table", number)
        assert status == 0 and "FC-FT-LS16" in out and "paper: face2anime" in out
    distances = read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA)
    table = read_table(paper_paths.paper_table(project, "1"), PAPER_TABLE_SCHEMA)
    table = table[table["origin"] == "measured"].set_index(["row", "column"])["value"]
    expected = distances[(distances["source"] == "face") & (distances["target"] == "cartoon/FT")]["mean"].item()
    assert table["FT", "face2cartoon"] == expected


def test_a_table_can_be_written_anywhere(project, ui2i, tmp_path):
    assert run(project, "distance", "cartoon") == 0
    assert ui2i("table", 1, "--out", tmp_path / "results")[0] == 0
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"table1.csv", "table1.md", "table1.parquet"}


def inverted(method, kind, image, ssim, **columns):
    texts = ("base_hash", "perceptual_loss", "backbone", "backbone_hash", "commit", "device")
    numbers = {"lpips": 0.1, "l2": 0.2, "loss": 1.0, "seconds_per_image": 3.0, "steps": 7, "learning_rate": 0.1}
    return {
        **dict.fromkeys(texts, "same"), **numbers, "base": "face", "kind": kind, "method": method, "start": "mean",
        "seed": 0, "img_resolution": 32, "image": str(image), "ssim": ssim, **columns,
    }  # fmt: skip


def test_table_3_from_compared_inversions(project, ui2i):
    random = np.random.default_rng(0)
    rows = [
        inverted(method, kind, image, random.random())
        for method in ("w", "closed_form", "closed_form_plus")
        for kind in ("generated", "real")
        for image in range(3)
    ]
    rows += [inverted("w", "real", image, 0.9, start="encoder") for image in range(3)]
    write_table(paper_paths.inverted_table(project, "face"), rows, INVERTED_SCHEMA)
    table = build_table(project, load_params(project), "3")
    by_place = {(cell.row, cell.column, cell.metric): cell for cell in table.cells if cell.origin == "measured"}
    frame = pd.DataFrame(rows)
    own = frame[(frame["method"] == "w") & (frame["kind"] == "generated")]["ssim"]
    cell = by_place["w (StyleGan2-proj)", "face, generated", "SSIM"]
    assert (cell.value, cell.sem, cell.count) == (pytest.approx(own.mean()), pytest.approx(own.sem()), 3)
    assert by_place["w from the encoder's code", "face", "SSIM"].value == pytest.approx(0.9)
    assert ("closed_form_plus", "face", "seconds") in by_place
    status, out, _ = ui2i("table", 3)
    assert status == 0 and "0.667" in out and "paper: face SSIM ↑" in out
    set_param(project, "tables", {"3": {"source": "inversion"}})
    assert run(project, "table", "3") == 0
    assert len(read_table(paper_paths.paper_table(project, "3"), PAPER_TABLE_SCHEMA)) == 7 * 4 + 5


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_tables_of_nothing(ui2i, number):
    status, _, err = ui2i("table", number)
    assert status == 2 and f"nothing for table {number} was measured yet" in err


def test_a_table_that_does_not_exist(ui2i):
    status, _, err = ui2i("table", "4")
    assert status == 2 and "there is no table 4, expected one of 1, 2, 3" in err
