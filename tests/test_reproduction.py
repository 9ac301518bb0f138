"""`ui2i reproduce`: its project, its stages each once at 32 px, its page, and what a second run does."""

import contextlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_flows import _prefect as _prefect
from test_flows import in_this_process, run_stage_here
from tiny_project import PARAMS, REPOSITORY, set_param, write_base

from cli import app
from experiments.paper import paper_paths
from experiments.paper.flow import reproduce
from experiments.paper.reproduction import page as reproduction_page
from experiments.paper.reproduction import project as reproduction
from experiments.paper.reproduction.page import page_text, read_claims, write_page
from experiments.paper.reproduction.plan import START_SECONDS, estimate_seconds
from experiments.paper.reproduction.project import (
    defined_stages,
    experiment_name,
    planned,
    prepare,
    reproduction_stages,
)
from experiments.paper.reproduction.results import read_results
from experiments.paper.settings import sections_of
from experiments.paper.stages import baseline
from experiments.paper.tables import TABLE_1, TABLE_1_COLUMNS
from experiments.paper.tables.paper_claims import PAPER_COLUMNS
from experiments.paper.tables.published import read_published
from experiments.synthetic.settings import synthetic_of
from flows import stages
from tasks.project.params import load_params, parse_params, training_config
from tasks.project.paths import Project
from tasks.requests.evaluate_folder import evaluate_folder
from tasks.running.costs import Cost, noted_cost, read_cost
from tasks.running.dvc_stage import StageFailed, StageOutcome, run_stage
from tasks.running.dvc_stages import list_stages
from tasks.running.stage_cli import find_stage
from ui2i.checkpoints import load_generator
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import ConfigError, DataError
from ui2i.images import load_image
from ui2i.tables import DISTANCE_SCHEMA, EVALUATION_SCHEMA, INVERTED_SCHEMA, TRUTH_SCHEMA, read_table

REGRESSOR = "regressor: {num_drawings: 12, num_held_out: 6, num_epochs: 1, batch_size: 6, width: 4}"
TINY = (
    PARAMS.replace("modes: [FC-FT, FT]", "modes: [FC-FT, scratch], scratch: {seed: 7}")
    .replace("num_images: 24, seed: 1", "num_images: 60, seed: 1")
    .replace("translate: {num_images: 2}", "translate: {num_images: 4}")
    .replace("encoders: {}", "encoders: {face: {total_kimg: 0.008, batch_size: 4, num_held_out: 2}}")
    .replace("\ntables:", '\ntables:\n  "3": {source: inversion}')
    .replace(
        "  cartoon: {style", "  portrait: {style: portrait, num_images: 24, seed: 3, resolution: 32}\n  cartoon: {style"
    )
    .replace("datasets:\n", "datasets:\n  portrait: {images: data/raw/portrait}\n")
    + "  portrait: {base: face, modes: [FC-FT, FT, scratch]}\n"
    + "inversions: {face: {num_images: 2, num_steps: 2, encoder_steps: 2}}\n"
    + "pairs: {cartoon2portrait: {source: cartoon, target: portrait}}\n"
    + "evaluated: {cartoon: {base: face}}\n"
    + "baselines: {cartoon: {base: face}}\n"
)


@pytest.fixture(autouse=True)
def _stay_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # stages change the folder; this restores it


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What `prepare` takes from a clone, with a tiny experiment and a tiny base."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("dvc.yaml", ".dvcignore"):
        (root / name).write_bytes((REPOSITORY / name).read_bytes())
    (root / "params.yaml").write_text(TINY)
    write_base(Project(root))
    experiments = root / "data" / "experiments"
    experiments.mkdir()
    for quick in (False, True):
        (experiments / f"{experiment_name(quick=quick)}.yaml").write_text(TINY)
    return root


def put_in_place(patch, clone):
    """Let `prepare` take a clone for the one that the code is in."""
    patch.setattr(reproduction, "SHIPPED", clone)


@pytest.fixture
def repository(clone, monkeypatch):
    """The tiny clone, in the place of the real one."""
    put_in_place(monkeypatch, clone)
    return clone


@pytest.fixture
def without_dvc(monkeypatch):
    """DVC takes seconds to be set up; what it is asked for."""
    asked = []

    def run(root, *arguments):
        asked.append(arguments)
        (root / ".dvc").mkdir()

    monkeypatch.setattr(reproduction, "run_dvc", run)
    return asked


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


# The settings


@pytest.mark.parametrize("quick", [False, True])
def test_the_experiments_are_valid_and_lead_to_all_tables_and_figures(quick):
    path = REPOSITORY / "data" / "experiments" / f"{experiment_name(quick=quick)}.yaml"
    params = parse_params(path.read_text())
    paper = sections_of(params)
    columns = {f"{domain.base}2{name}" for name, domain in params.domains.items()} | set(paper.pairs)
    assert columns == {column for column in PAPER_COLUMNS if not (quick and column.startswith("cat2"))}
    assert all({"FC-FT", "FT", "scratch"} == set(domain.modes) for domain in params.domains.values())
    assert params.swap.resolutions == (8, 16, 32) and params.distance.num_latents == 2000
    assert set(paper.evaluated) == set(paper.baselines) == set(paper.truth) and len(paper.evaluated) == 2
    assert set(paper.tables) == {"1", "2", "3"} and paper.inversions and paper.figures
    seeds = [drawn.seed for drawn in synthetic_of(params).values()]
    assert len(set(seeds)) == len(seeds), "equal seeds would draw pairs"
    scratch = {training_config(params, name, "scratch").seed for name in params.domains}
    assert len(scratch) == len(params.domains), "models without fine-tuning must not start from equal weights"
    assert params.translate.num_images <= 0.095 * synthetic_of(params)["face"].num_images


def test_the_stages_are_those_of_dvc_in_an_order_in_which_they_can_run(tmp_path):
    _, params = planned(tmp_path / "new", quick=True)
    project = Project(tmp_path)
    project.params_path.write_bytes((REPOSITORY / "data/experiments/reproduction-quick.yaml").read_bytes())
    (tmp_path / "dvc.yaml").write_bytes((REPOSITORY / "dvc.yaml").read_bytes())
    found = reproduction_stages(params)
    assert set(found) <= {*list_stages(project), *(f"figures@{name}" for name in sections_of(params).figures)}
    assert len(set(found)) == len(found)
    for earlier, later in (
        ("distance@anime", "pair@cartoon2portrait"), ("pair@cartoon2portrait", "table@1"), ("import@face", "table@3"),
        ("translate@anime", "baseline@anime"), ("evaluate_baseline@anime", "table@2"),
        ("finetune@portrait", "figures@paper"),
    ):  # fmt: skip
        assert found.index(earlier) < found.index(later)
    seconds = estimate_seconds(params, found)
    assert sum(seconds.values()) < 3600
    for stage in found:
        known = find_stage(defined_stages(params), stage)
        assert known is not None and known.name == stage.split("@")[0]
        assert not known.trains or seconds[stage] > START_SECONDS, f"{stage} trains and has no estimate"
    assert not (tmp_path / "new").exists()


def test_only_some_stages():
    params = parse_params(TINY)
    assert reproduction_stages(params, ["swap", "table@1"]) == ["swap@cartoon", "swap@portrait", "table@1"]
    with pytest.raises(ConfigError, match="there is no stage 'swap@dog', expected one of draw@face"):
        reproduction_stages(params, ["swap@dog"])


# The folder


def test_prepare_makes_a_project_and_keeps_what_people_change(repository, tmp_path, without_dvc):
    out = tmp_path / "out"
    first = prepare(out, quick=True)
    assert without_dvc == [("init", "--no-scm")]
    assert load_params(first.project) == parse_params(TINY)
    assert (out / "data/base/face/generator.safetensors").is_file()
    assert first.notes == (first.notes[0],) and "untrained" in first.notes[0]
    set_param(first.project, "distance.num_latents", 6)
    (out / "dvc.yaml").write_text("old")
    again = prepare(out, quick=True)
    assert load_params(again.project).distance.num_latents == 6
    assert "differs from" in again.notes[1]
    assert (out / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()
    assert len(without_dvc) == 1


def test_folders_that_are_refused(repository, tmp_path, without_dvc):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "params.yaml").write_text(TINY)
    with pytest.raises(ConfigError, match="mine holds something else, expected a new folder"):
        prepare(mine, quick=True)
    assert [path.name for path in mine.iterdir()] == ["params.yaml"]
    prepare(tmp_path / "quick", quick=True)
    with pytest.raises(ConfigError, match=r"holds the experiment reproduction-quick, expected .* one of reproduction;"):
        prepare(tmp_path / "quick", quick=False)


def test_a_backbone_of_one_s_own(repository, tmp_path, without_dvc, monkeypatch):
    (tmp_path / "backbone.pth").write_bytes(b"weights")
    monkeypatch.setattr(reproduction, "_backbone_kind", lambda path: "alex")
    project = prepare(tmp_path / "out", quick=True, backbone=tmp_path / "backbone.pth").project
    params = load_params(project)
    assert (params.perceptual.backbone, params.perceptual.weights) == ("alex", "data/backbones/backbone.pth")
    assert (project.root / "data/backbones/backbone.pth").read_bytes() == b"weights"
    prepared = prepare(tmp_path / "out", quick=True)
    assert load_params(prepared.project).perceptual == params.perceptual, "once given, it stays"
    assert prepared.notes == ()


def test_a_file_that_is_no_backbone(repository, tmp_path, without_dvc):
    (tmp_path / "backbone.pth").write_bytes(b"weights")
    with pytest.raises(Exception, match="holds the weights of no backbone, expected torchvision's"):
        prepare(tmp_path / "out", quick=True, backbone=tmp_path / "backbone.pth")


def test_dvc_works_in_an_ignored_folder_and_does_nothing_twice(repository):
    """Below a repository that ignores the folder, as in a clone: DVC with git would refuse to work there."""
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    (repository / ".gitignore").write_text("/reproduction-quick/\n")
    project = prepare(None, quick=True).project
    assert project.root == repository / "reproduction-quick"
    assert [run_stage("draw@face", project=project).status for _ in range(2)] == ["ran", "skipped"]
    cost = read_cost(project.cost_file("draw@face"))
    assert cost is not None and cost.is_complete and cost.seconds > 0 and cost.peak_gib > 0.01
    prepare(None, quick=True)
    assert run_stage("draw@face", project=project).status == "skipped"


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


def test_a_dry_run_lists_the_stages_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert app.run(["reproduce", "--quick", "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "finetune@anime" in said and "on two quiet cores" in said
    assert not out.exists()


# The page


def test_a_page_of_nothing(repository, tmp_path, without_dvc):
    project = prepare(tmp_path / "out", quick=False).project
    page = write_page(project).read_text()
    assert page.startswith("# The paper, reproduced on synthetic domains\n")
    assert page.count("Not measured yet") == 5
    assert [line for line in page.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert {claim["verdict"] for claim in read_claims(project)} == {"not measured"}


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
    assert claim.verdict == "does not hold" and "**does not hold**" in line
    assert "FC-FT-LS8: face2cartoon -0." in line or "from face2cartoon -0." in line


# Costs


def test_a_cost_is_the_sum_of_runs_until_one_is_complete(tmp_path):
    path = tmp_path / "stage.json"
    with contextlib.suppress(KeyboardInterrupt), noted_cost(path):
        raise KeyboardInterrupt
    stopped = read_cost(path)
    assert stopped is not None and not stopped.is_complete
    path.write_text(json.dumps(stopped.__dict__ | {"seconds": 100.0, "peak_gib": 50.0}))
    with pytest.raises(ConfigError), noted_cost(path):
        raise ConfigError("a user's mistake")
    assert read_cost(path) == Cost(**(stopped.__dict__ | {"seconds": 100.0, "peak_gib": 50.0}))
    with noted_cost(path):
        pass
    done = read_cost(path)
    assert done is not None and done.is_complete
    assert (done.num_runs, done.peak_gib) == (2, 50.0) and 100 <= done.seconds < 110
    with noted_cost(path):
        pass
    again = read_cost(path)
    assert again is not None and again.num_runs == 1 and again.seconds < 10
