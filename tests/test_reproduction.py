"""`ui2i reproduce`: its stages each once at 32 px, and its page."""

import contextlib
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from flow_stages import in_this_process, run_stage_here
from reproduction_clone import clone as clone
from reproduction_clone import put_in_place
from reproduction_clone import repository as repository
from stage_calls import _stay_here as _stay_here
from test_flows import _prefect as _prefect

from cli import app
from experiments.paper import paper_paths
from experiments.paper.flow import reproduce
from experiments.paper.reproduction import page as reproduction_page
from experiments.paper.reproduction import project as reproduction
from experiments.paper.reproduction.page import page_text, read_claims
from experiments.paper.reproduction.project import prepare, reproduction_stages
from experiments.paper.reproduction.results import read_results
from experiments.paper.stages import baseline
from experiments.paper.tables import TABLE_1, TABLE_1_COLUMNS
from experiments.paper.tables.published import read_published
from flows import stages
from tasks.project.params import load_params
from tasks.requests.evaluate_folder import evaluate_folder
from tasks.running.dvc_stage import StageFailed, StageOutcome
from ui2i.checkpoints import load_generator
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.images import load_image
from ui2i.tables import DISTANCE_SCHEMA, EVALUATION_SCHEMA, INVERTED_SCHEMA, TRUTH_SCHEMA, read_table


def fake_cyclegan(command):
    """Do what experiments.paper.baselines does with this command line, but hand the images on, dimmed."""
    from PIL import Image

    from experiments.paper.baselines.__main__ import _parser
    from tasks.stages.translate import first_images
    from ui2i.datasets.prepared import PreparedDataset

    options = _parser().parse_args(command[3:])
    assert options.minutes > 0 and options.source == options.test
    images = first_images(PreparedDataset(options.test, "test"), options.num_test)
    for name, image in zip(images.names, images.images, strict=True):
        path = (options.out / "images" / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image // 2).save(path)
    for name in ("card.json", "sheet.png"):
        (options.out / name).write_text("{}")


def run_page_here(name, command, *, project, on_progress, on_line):
    assert command[1:3] == ["-m", "experiments.paper.reproduction.page"]
    return in_this_process(name, lambda: reproduction_page.main(command[3:]), on_progress, on_line)


@pytest.fixture(scope="module")
def made(clone, tmp_path_factory, _prefect):
    """A project in which the flow has made everything, and what it returned."""
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(tmp_path_factory.mktemp("here")):
        put_in_place(patch, clone)
        patch.setattr(reproduction, "run_dvc", lambda root, *_: (root / ".dvc").mkdir())
        patch.setattr(stages, "run_stage", run_stage_here)
        patch.setattr(stages, "run_command", run_page_here)
        patch.setattr(baseline, "_run", fake_cyclegan)
        project = prepare(clone / "made", quick=True).project
        return project, reproduce(str(project.root))


# The flow


def test_the_flow_runs_every_stage_and_makes_the_page(made):
    project, outcomes = made
    assert [outcome.stage for outcome in outcomes] == [*reproduction_stages(load_params(project)), "report"]
    assert set(read_results(project).costs) == set(reproduction_stages(load_params(project)))
    page = (project.root / "report/reproduction.md").read_text()
    for part in (
        "## Table I",
        "| FC-FT-LS16 |",
        "face2cartoon",
        "cartoon2portrait",
        "| CycleGAN | images |",
        "closed_form",
    ):
        assert part in page
    assert page.count("Not measured yet") == 1, "there are no figures here"
    links = [part.split(")")[0] for part in page.split("](")[1:]]
    assert all((project.root / "report" / link).is_file() for link in links)
    assert {path.name for path in (project.root / "report/reproduction").iterdir()} == {
        "claims.json", "costs.json", "params.yaml", "truth.json", "translations-cartoon.webp",
        "distance.parquet", "evaluation.parquet", "inversion.parquet", "inversion.images.parquet",
        "truth.images.parquet",
    }  # fmt: skip
    table = pd.read_parquet(project.root / "report/reproduction/evaluation.parquet")
    assert len(table) == 4 + 3 + 1, "four models, three of them with images too, the baseline"
    assert read_claims(project)


def test_the_pair_is_compared_in_equal_modes(made):
    project, _ = made
    frame = read_table(paper_paths.pair_table(project, "cartoon2portrait"), DISTANCE_SCHEMA)
    modes = ["FC-FT", "scratch", "FC-FT-LS8", "FC-FT-LS16"]
    assert frame["source"].tolist() == [f"cartoon/{mode}" for mode in modes]
    assert frame["target"].tolist() == [f"portrait/{mode}" for mode in modes]
    cells = {(cell.row, cell.column): cell.value for cell in read_results(project).distances}
    assert cells["w/o FT", "cartoon2portrait"] == frame["mean"][1]
    ours, theirs = (
        load_generator(project.mode_checkpoint(name, "scratch") / "generator.safetensors")[0]
        for name in ("cartoon", "portrait")
    )
    assert not np.array_equal(ours.mapping.fc0.weight, theirs.mapping.fc0.weight)


def test_all_methods_are_compared_on_the_same_images(made):
    project, _ = made
    frame = read_table(paper_paths.inverted_table(project, "face"), INVERTED_SCHEMA)
    assert set(frame["method"]) == {
        "closed_form", "closed_form_mapping", "directions", "w", "closed_form_plus", "w_plus", "encoder", "in_domain",
    }  # fmt: skip
    assert frame.groupby(["kind", "method", "start"])["image"].apply(tuple).nunique() == 2


def test_baseline_and_own_models_are_judged_alike(made):
    project, _ = made
    own = read_table(paper_paths.image_evaluation(project, "cartoon"), EVALUATION_SCHEMA)
    other = read_table(paper_paths.baseline_evaluation(project, "cartoon"), EVALUATION_SCHEMA)
    assert own["system"].tolist() == ["FC-FT", "FC-FT-LS8", "FC-FT-LS16"]
    assert other["system"].tolist() == ["CycleGAN"]
    for column in ("inputs", "num_outputs", "num_targets", "backbone_hash", "dataset_hash", "source_domain", "domain"):
        assert set(own[column]) == set(other[column])
    truth, others = (
        read_table(path, TRUTH_SCHEMA)
        for path in (project.truth_table("cartoon"), paper_paths.baseline_truth(project, "cartoon"))
    )
    assert set(others["variant"]) == {"CycleGAN"}
    mine = truth[truth["variant"] == "FC-FT"].reset_index(drop=True)
    for column in ("input_path", "metric", "copy_distance", "chance_distance"):
        assert mine[column].equals(others[column])
    first = others[(others["metric"] == "rmse")].iloc[0]
    made_of = np.asarray(
        load_image((paper_paths.baseline(project, "cartoon") / "images" / first["input_path"]).read_bytes())
    )
    drawn = np.asarray(load_image((project.raw("face") / first["input_path"]).read_bytes()))
    assert np.array_equal(made_of, drawn // 2)


def test_inputs_may_be_files_or_a_prepared_dataset(made):
    project, _ = made
    dataset = PreparedDataset(project.prepared("face"), split=None)
    of_files, of_dataset = (
        evaluate_folder(project, project.translations("cartoon"), "cartoon", inputs=inputs)
        for inputs in (project.raw("face"), dataset)
    )
    for first, second in zip(of_files, of_dataset, strict=True):
        assert first["lpips_s"] == second["lpips_s"] > 0 and first["source_domain"] == second["source_domain"] == "face"
    with pytest.raises(DataError, match="has no input"):
        evaluate_folder(
            project,
            project.translations("cartoon"),
            "cartoon",
            inputs=PreparedDataset(project.prepared("cartoon"), split="test"),
        )


def test_a_baseline_is_trained_as_long_as_the_model_it_is_compared_with(made):
    project, _ = made
    log = pd.read_parquet(project.mode_checkpoint("cartoon", "FC-FT") / "training.parquet")
    assert baseline.training_minutes(project, "cartoon", "FC-FT") == pytest.approx(log["seconds"].sum() / 60)


def test_a_baseline_that_fails_says_why_in_its_own_words(tmp_path):
    script = tmp_path / "baseline.py"
    script.write_text("import sys; print('error: no room, expected more; buy some', file=sys.stderr); sys.exit(2)")
    with pytest.raises(baseline.BaselineError, match=r"baselines: no room, expected more; buy some"):
        baseline._run([sys.executable, str(script)])


def test_an_image_that_a_baseline_left_out(made):
    project, _ = made
    with pytest.raises(DataError, match=r"absent\.png cannot be read .* run baseline@cartoon again"):
        baseline.baseline_images(paper_paths.baseline(project, "cartoon"), ["absent.png"])


def test_a_stage_that_fails_is_named_and_the_rest_waits(made, repository, monkeypatch, capsys):
    project, _ = made
    calls = []

    def fail(stage, *, project, force, num_threads, on_progress, on_line):
        calls.append(stage)
        if stage.startswith("ingest"):
            raise StageFailed("no images, expected some; add them", stage=stage, lines=(), is_user_error=True)
        return StageOutcome(stage, "skipped", 0.1, ())

    monkeypatch.setattr(stages, "run_stage", fail)
    monkeypatch.setattr("experiments.paper.commands.session", lambda *_: contextlib.nullcontext())
    assert app.run(["reproduce", "--quick", "--out", str(project.root)]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[0].startswith("stopped in ingest@portrait; fix it and rerun the command")
    assert err.splitlines()[-1] == "error: no images, expected some; add them"
    assert calls == ["draw@face", "draw@portrait", "draw@cartoon", "ingest@portrait"]


# The page


def test_values_stand_beside_the_paper_s(made):
    project, _ = made
    results = read_results(project)
    page = page_text(results, [], [], [])
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    cell = next(cell for cell in results.distances if (cell.row, cell.column) == ("FC-FT", "face2cartoon"))
    paper = TABLE_1["FC-FT"][TABLE_1_COLUMNS.index("face2cartoon")]
    assert f"{cell.value:.4f} ± {1.96 * cell.sem:.4f} ({paper:.3f})" in lines["FC-FT"]


def test_verdicts_follow_the_tables(made, tmp_path):
    """A claim that the tables beside the page contradict is said to be against it."""
    project, _ = made
    files = shutil.copytree(project.root / "report" / "reproduction", tmp_path / "files")
    table = pd.read_parquet(files / "distance.parquet")
    table["mean"] = np.linspace(0.1, 0.9, len(table))
    table.to_parquet(files / "distance.parquet")
    claims = read_published(files).claims
    claim = next(claim for claim in claims if claim.text.startswith("Each further swap"))
    page = page_text(read_results(project), claims, [], [])
    line = next(line for line in page.splitlines() if claim.text in line)
    assert claim.verdict == "fails in part" and "**fails in part**" in line
    assert "FC-FT-LS8: face2cartoon -0." in line or "from face2cartoon -0." in line
