"""The project of `ui2i reproduce`: its settings, its folder, its stages and their costs."""

import contextlib
import json
import subprocess
from types import SimpleNamespace

import pytest
from reproduction_clone import TINY
from reproduction_clone import clone as clone
from reproduction_clone import repository as repository
from stage_calls import _stay_here as _stay_here
from tiny_project import REPOSITORY, set_param

from cli import app
from experiments.paper import paper_paths
from experiments.paper.reproduction import page as pages
from experiments.paper.reproduction import project as reproduction
from experiments.paper.reproduction.page import read_claims, write_page
from experiments.paper.reproduction.plan import START_SECONDS, estimate_seconds
from experiments.paper.reproduction.project import (
    defined_stages,
    experiment_name,
    planned,
    prepare,
    reproduction_stages,
)
from experiments.paper.settings import sections_of
from experiments.paper.tables.paper_claims import PAPER_COLUMNS
from experiments.paper.tables.published import INVERTED
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import load_params, parse_params, training_config
from tasks.project.paths import Project
from tasks.running.costs import Cost, noted_cost, read_cost
from tasks.running.dvc_stage import run_stage
from tasks.running.dvc_stages import list_stages
from tasks.running.stage_cli import find_stage
from ui2i.errors import ConfigError
from ui2i.tables import DISTANCE_SCHEMA, INVERTED_SCHEMA, read_rows, write_table


@pytest.fixture
def without_dvc(monkeypatch):
    """DVC takes seconds to be set up; what it is asked for."""
    asked = []

    def run(root, *arguments):
        asked.append(arguments)
        (root / ".dvc").mkdir()

    monkeypatch.setattr(reproduction, "run_dvc", run)
    return asked


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


def test_tables_of_two_versions_are_joined_and_those_of_inversions_can_be_read_again(tmp_path):
    results = REPOSITORY / "docs" / "results"
    paths = [results / name / "distance-anime.parquet" for name in ("first-run", "family")]
    pages._join_tables(paths, tmp_path / "distance.parquet", DISTANCE_SCHEMA)
    joined = read_rows(tmp_path / "distance.parquet", DISTANCE_SCHEMA)
    assert len(joined) == sum(len(read_rows(path, DISTANCE_SCHEMA)) for path in paths)
    project = Project(tmp_path / "project")
    rows = read_rows(results / "reproduction" / INVERTED, INVERTED_SCHEMA)
    paper_paths.inverted_table(project, "face").parent.mkdir(parents=True)
    write_table(paper_paths.inverted_table(project, "face"), rows, INVERTED_SCHEMA)
    found = SimpleNamespace(project=project, truth={}, baseline_truth={}, inversions={"face": rows})
    pages._write_rows(found, tmp_path)
    assert read_rows(tmp_path / INVERTED, INVERTED_SCHEMA) == rows, "from which verdicts rewrites Table III"


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
