"""The pipeline as DVC runs it: what makes what, lists of stages, and names that may not do harm."""

import shutil

import networkx
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML
from tiny_project import REPOSITORY, distance_row, files_below, make_project, set_param, write_base, write_images

from experiments.synthetic import draw
from tasks.project.params import all_sections, load_params
from tasks.project.paths import Project
from tasks.running.dvc_command import DvcError, ensure_dvc, run_dvc
from tasks.running.dvc_stage import run_stage
from tasks.running.dvc_stages import base_stages, domain_stages, list_stages
from tasks.running.dvc_status import leading_up_to_date
from ui2i.errors import ConfigError
from ui2i.tables import DISTANCE_SCHEMA, append_rows

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning:dvc")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project in which `dvc repro` has made everything."""
    project = make_project(tmp_path_factory.mktemp("dvc") / "project")
    write_base(project)
    ensure_dvc(project.root)
    run_dvc(project.root, "repro")
    return project


def stages_run(output):
    """Names of the stages that a `dvc repro` ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]


def changed_stages(project):
    """Names of the stages that `dvc repro` would run: those that differ, and what follows from them."""
    repo = Repo(str(project.root))
    changed = {name.rsplit(":")[-1] for name in repo.status()}  # dvc.yaml's path comes first when it is elsewhere
    graph = repo.index.graph  # from each stage to those it needs
    return {stage.name for stage in graph if changed & {it.name for it in (stage, *networkx.descendants(graph, stage))}}


def test_every_setting_that_a_stage_names_is_in_a_section():
    sections = all_sections(load_params(Project(REPOSITORY)))
    named = set()
    for stage in YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text())["stages"].values():
        named |= {name.partition(".")[0] for name in stage.get("do", stage).get("params", [])}
    assert named <= set(sections)


# The pipeline, on one project


def test_repro_alone_makes_everything(built):
    data = files_below(built.data_dir)
    assert {
        "prepared/face/manifest.json",
        "checkpoints/face/generator.safetensors",
        "checkpoints/cartoon/fc-ft/generator.safetensors",
        "checkpoints/cartoon/ft/generator.safetensors",
        "variants/cartoon/ls8.safetensors",
        "variants/cartoon/ls16.safetensors",
        "tables/distance/cartoon.parquet",
        "tables/distance/cartoon.json",
        "tables/evaluation/cartoon.parquet",
        "tables/paper/table1.md",
        "tables/paper/table2.csv",
        "translations/cartoon/contact_sheet.png",
        "tables/truth/cartoon.parquet",
        "tables/truth/cartoon.attributes.parquet",
    } <= data
    assert set(Repo(str(built.root)).metrics.show()[""]["data"]) == {
        "data/tables/distance/cartoon.json",
        "data/tables/evaluation/cartoon.json",
        "data/tables/truth/cartoon.json",
    }


def test_a_second_repro_runs_nothing(built):
    assert stages_run(run_dvc(built.root, "repro")) == []
    assert changed_stages(built) == set()


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("distance.num_latents", 3, "distance"),
        ("evaluation.num_images", 5, "evaluate"),
        ("drift.max_sems", 5, ""),
        ("inversion.num_steps", 3, "translate truth"),
        ("translate.num_images", 1, "translate truth"),
        ("truth.cartoon.num_draws", 3, "truth"),
        ("perceptual.name", "mine", "distance evaluate translate truth"),
        ("swap.torgb_from", "source", "swap distance evaluate translate truth"),
        ("finetune.learning_rate", 0.001, "finetune swap distance evaluate translate truth"),
        ("domains.cartoon.modes", ["FC-FT"], "finetune swap distance evaluate translate truth"),
        ("synthetic.cartoon.seed", 9, "draw ingest finetune swap distance evaluate translate truth"),
        ("ingest.test_share", 0.2, "ingest finetune swap distance evaluate translate truth"),
        ("pretrain.total_kimg", 1, ""),
        ("network.w_dim", 9, ""),
    ],
)
def test_a_changed_number_reruns_what_reads_it_and_what_follows(built, path, value, stages):
    before = built.params_path.read_text()
    try:
        set_param(built, path, value)
        changed = changed_stages(built)
    finally:
        built.params_path.write_text(before)
    assert {name for name in changed if name.endswith("@cartoon")} == {f"{stage}@cartoon" for stage in stages.split()}


def test_a_stage_that_is_up_to_date_is_skipped(built):
    outcome = run_stage("swap@cartoon", project=built)
    assert (outcome.stage, outcome.status) == ("swap@cartoon", "skipped")


def test_many_stages_are_asked_after_in_one_process(built, monkeypatch):
    stages = domain_stages(built, "cartoon")
    assert leading_up_to_date(stages, project=built) == stages
    place = stages.index("evaluate@cartoon")
    before = built.params_path.read_text()
    try:
        set_param(built, "evaluation.num_images", 5)
        set_param(built, "truth.cartoon.num_draws", 3)  # of a stage that is not asked after
        assert leading_up_to_date(stages, project=built) == stages[:place]
        assert leading_up_to_date(["swap@cartoon", "truth@cartoon"], project=built) == ["swap@cartoon"]
    finally:
        built.params_path.write_text(before)
    swapped = built.variant("cartoon", 8)
    kept = swapped.read_bytes()
    try:
        swapped.unlink()
        assert leading_up_to_date(stages, project=built) == stages[: stages.index("swap@cartoon")]
    finally:
        swapped.write_bytes(kept)


def test_what_dvc_cannot_answer_is_left_to_the_stage(built, project):
    assert leading_up_to_date(["draw@face"], project=project) == []  # nothing has ever run
    assert leading_up_to_date(["draw@face", "draw@nobody"], project=built) == []


def test_a_changed_number_of_latents_runs_the_distance_alone(built):
    set_param(built, "distance.num_latents", 3)
    reports, lines = [], []
    outcome = run_stage(
        "distance@cartoon", project=built, on_progress=lambda *r: reports.append(r), on_line=lines.append
    )
    assert outcome.status == "ran"
    assert reports[-1][:2] == (3, 3)
    assert "Running stage 'distance@cartoon':" in lines
    assert not any(line.startswith("::progress") for line in lines)
    assert changed_stages(built) == {"table@1"}  # made from it


def test_the_real_files_and_the_stage_lists_name_the_same_stages(project):
    shutil.copyfile(REPOSITORY / "params.yaml", project.params_path)
    ensure_dvc(project.root)
    set_param(project, "encoders", {"face": {}})
    set_param(project, "translators", {"cartoon": {"base": "face"}})
    set_param(project, "figures", {"paper": {}})
    listed, index = list_stages(project), Repo(str(project.root)).index
    assert sorted(listed) == sorted(stage.name for stage in index.stages)
    for stage, needed in index.graph.edges:  # a folder that many stages write into counts too
        assert listed.index(needed.name) < listed.index(stage.name)
    assert {"import@face", "finetune@cartoon"} <= set(listed)


def test_a_table_is_made_anew_when_other_models_take_part(project):
    append_rows(project.distance_table("cartoon"), [distance_row("one", "cartoon/FT", 0.4)], DISTANCE_SCHEMA)
    ensure_dvc(project.root)
    run_dvc(project.root, "repro", "--single-item", "table@1")
    assert leading_up_to_date(["table@1"], project=project) == ["table@1"]
    set_param(project, "domains", {})
    assert leading_up_to_date(["table@1"], project=project) == []


# Lists of stages


def test_the_stages_of_a_domain_are_in_order(project):
    assert domain_stages(project, "cartoon") == [
        "draw@face",
        "ingest@face",
        "import@face",
        "draw@cartoon",
        "ingest@cartoon",
        "finetune@cartoon",
        "swap@cartoon",
        "distance@cartoon",
        "evaluate@cartoon",
        "translate@cartoon",
    ]
    assert base_stages(project, "face") == ["draw@face", "ingest@face", "import@face"]
    with pytest.raises(ConfigError):
        domain_stages(project, "face")
    with pytest.raises(ConfigError):
        base_stages(project, "cartoon")


def test_a_domain_of_own_images_from_a_trained_base_needs_no_drawing(project):
    set_param(project, "truth", {})
    set_param(project, "synthetic", {})
    set_param(project, "imported", {})
    set_param(project, "bases.face", {})
    assert domain_stages(project, "cartoon")[:3] == ["ingest@face", "pretrain@face", "ingest@cartoon"]


# What a stranger's params.yaml may say


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("synthetic", "x; touch PWNED #"),
        ("synthetic", "x' && touch PWNED && '"),
        ("datasets", "$(touch PWNED)"),
        ("datasets", "x\ntouch PWNED"),
        ("figures", "`touch PWNED`"),
        ("encoders", "|touch PWNED"),
    ],
)
def test_no_name_reaches_the_shell(project, section, name):
    set_param(project, "synthetic", {})  # so that the stage in question comes first
    set_param(project, "datasets", {})
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(project.params_path.read_text())
    values[section] = {name: {"images": "data"}}
    with project.params_path.open("w") as file:
        yaml.dump(values, file)
    for stage in Repo.init(str(project.root), no_scm=True).index.stages:
        assert name not in str(stage.cmd)
        assert all(out.persist for out in stage.outs)  # DVC deletes nothing before the name is checked
    ensure_dvc(project.root)
    with pytest.raises(DvcError):
        run_dvc(project.root, "repro", "--keep-going")
    assert not list(project.root.rglob("PWNED"))


def test_a_name_that_leads_elsewhere_deletes_nothing(project, tmp_path):
    precious = tmp_path / "precious"
    write_images(precious, count=1)
    set_param(project, "synthetic", {"../../../precious": {"style": "face", "num_images": 1, "seed": 1}})
    ensure_dvc(project.root)
    with pytest.raises(DvcError):
        run_dvc(project.root, "repro", "draw@../../../precious")
    assert files_below(precious) == {"00.png"}


def test_a_stage_takes_its_name_from_dvc_and_from_nothing_else(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    for said, message in (
        ("", "--dataset is missing"),
        ("ingest@face", "DVC_STAGE is 'ingest@face'"),
        ("draw@face@cartoon", "has the name 'face@cartoon'"),
        ("draw@gone", "has no synthetic.gone"),
    ):
        monkeypatch.setenv("DVC_STAGE", said)
        assert draw.main(draw.STAGE, []) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setenv("DVC_STAGE", "../project/dvc.yaml:draw@face")
    assert draw.main(draw.STAGE, []) == 0
    assert (project.raw("face") / "attributes.parquet").exists()
