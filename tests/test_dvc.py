"""The pipeline as DVC runs it, and the bridge to it."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import networkx
import psutil
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML
from tiny_project import REPOSITORY, files_below, make_project, set_param, write_base, write_images

from experiments.synthetic import draw
from tasks.project.params import all_sections, load_params
from tasks.project.paths import Project
from tasks.requests.raw_images import add_raw
from tasks.running import dvc_stage, process_group
from tasks.running.dvc_command import DVC, DvcError, dvc_environment, ensure_dvc, run_dvc
from tasks.running.dvc_stage import StageFailed, run_stage
from tasks.running.dvc_stages import base_stages, domain_stages, list_stages
from tasks.running.dvc_status import leading_up_to_date
from tasks.running.process_group import end_running_commands
from ui2i.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning:dvc")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project in which `dvc repro` has made everything."""
    project = make_project(tmp_path_factory.mktemp("dvc") / "project")
    write_base(project)
    ensure_dvc(project.root)
    run_dvc(project.root, "repro")
    return project


@pytest.fixture
def project(tmp_path):
    """A project with nothing made."""
    return make_project(tmp_path / "project")


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


# Failures


def test_a_user_s_mistake_is_one_line(project):
    project.raw("face").mkdir(parents=True)
    with pytest.raises(StageFailed) as error:
        run_stage("ingest@face", project=project)
    assert str(error.value).startswith(f"{project.raw('face')} contains no images")
    assert error.value.stage == "ingest@face"
    assert error.value.is_user_error
    assert any(line.startswith("error: ") for line in error.value.lines)
    assert not project.prepared("face").exists()


def test_a_stage_that_comes_too_early_says_what_is_missing(project):
    with pytest.raises(StageFailed, match=r"data/checkpoints/face/generator\.safetensors'\); run that first") as error:
        run_stage("swap@cartoon", project=project)
    assert error.value.is_user_error
    assert "\n" not in str(error.value)


def test_an_unknown_stage_is_refused_before_anything_starts(project):
    with pytest.raises(ConfigError, match="no stage 'ingest@nobody'"):
        run_stage("ingest@nobody", project=project)
    assert not (project.root / ".dvc").exists()


# Processes. Stages that sleep stand for stages that train.

SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('::progress {"stage": "draw@face", "done": 1, "total": 9, "note": "asleep"}', flush=True)
time.sleep(600)
"""


def test_an_empty_data_folder_gets_what_git_keeps_in_a_clone(project):
    """Translations depend on whatever is in the folder of encoders; DVC would find nothing to depend on."""
    shutil.rmtree(project.data_dir)
    with pytest.raises(StageFailed) as caught:
        run_stage("translate@cartoon", project=project)
    assert "encoders" not in str(caught.value)
    assert project.encoders.is_dir()


@pytest.fixture
def sleeper(project):
    """A project whose drawing sleeps, with a child that sleeps too."""
    (project.root / "sleeper.py").write_text(SLEEPER)
    stages = {"draw": {"foreach": "${synthetic}", "do": {"cmd": "python sleeper.py", "outs": ["data/raw/${key}"]}}}
    (project.root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    project.raw("face").parent.mkdir(parents=True)
    return project


def processes_in(project):
    """Processes whose current folder is the project."""
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(project.root)]


def assert_none_left(project):
    deadline = time.monotonic() + 20
    while processes_in(project):
        assert time.monotonic() < deadline, f"left behind: {processes_in(project)}"
        time.sleep(0.05)


class CancelledError(Exception):
    """What an orchestrator throws into a running stage."""


def test_a_cancelled_stage_leaves_no_process(sleeper):
    def cancel(done, total, note):
        assert len(processes_in(sleeper)) >= 3, "dvc, the stage and its child"
        raise CancelledError

    with pytest.raises(CancelledError):
        run_stage("draw@face", project=sleeper, on_progress=cancel)
    assert_none_left(sleeper)


def test_a_killed_dvc_leaves_no_process_and_no_lock(sleeper):
    def kill_dvc(done, total, note):
        for process in processes_in(sleeper):
            if "repro" in process.cmdline():
                process.kill()

    with pytest.raises(StageFailed) as error:
        run_stage("draw@face", project=sleeper, on_progress=kill_dvc)
    assert not error.value.is_user_error
    assert_none_left(sleeper)
    (sleeper.root / "sleeper.py").write_text("import pathlib; pathlib.Path('data/raw/face').write_text('drawn')")
    assert run_stage("draw@face", project=sleeper).status == "ran"


@pytest.mark.parametrize("victim", ["sleeper.py", "dvc", "tasks.running.tether"])
def test_whatever_was_killed_is_named_as_killed(sleeper, victim):
    """As the system kills the largest process when the memory does not suffice, which may not be the stage."""

    def kill(done, total, note):
        for process in processes_in(sleeper):
            if victim in process.cmdline()[1:3]:
                process.kill()

    with pytest.raises(StageFailed, match=r"draw@face failed: .*\(killed: by somebody, or by the system"):
        run_stage("draw@face", project=sleeper, on_progress=kill)
    assert_none_left(sleeper)


def test_a_stage_that_ignores_the_request_is_ended_all_the_same(sleeper, monkeypatch):
    monkeypatch.setattr(process_group, "STOP_SECONDS", 0.5)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    (sleeper.root / "sleeper.py").write_text(deaf)

    def cancel(done, total, note):
        raise CancelledError

    with pytest.raises(CancelledError):
        run_stage("draw@face", project=sleeper, on_progress=cancel)
    assert_none_left(sleeper)


def test_a_stage_of_another_thread_is_ended(sleeper):
    failures, has_begun = [], threading.Event()

    def run():
        try:
            run_stage("draw@face", project=sleeper, on_progress=lambda *_: has_begun.set())
        except StageFailed as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert has_begun.wait(60)
    end_running_commands()
    thread.join(60)
    assert [error.is_user_error for error in failures] == [True]  # so that nobody tries again
    assert "draw@face was stopped with its run" in str(failures[0])
    assert_none_left(sleeper)


def test_a_stage_computes_with_its_share_of_threads(sleeper, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    told = "import os, pathlib; pathlib.Path('data/raw/face').write_text(os.environ['OMP_NUM_THREADS'])"
    (sleeper.root / "sleeper.py").write_text(told)
    run_stage("draw@face", project=sleeper, num_threads=3)
    assert sleeper.raw("face").read_text() == "3"


def hold_dvc(project, holder):
    """Tell DVC that a living process is writing the drawing's output."""
    ensure_dvc(project.root)
    (project.root / ".dvc/tmp").mkdir(exist_ok=True)
    entry = {"write": {str(project.raw("face")): {"pid": holder, "cmd": "dvc repro"}}, "read": {}}
    (project.root / ".dvc/tmp/rwlock").write_text(json.dumps(entry))


def test_a_busy_stage_is_tried_again(sleeper, monkeypatch):
    (sleeper.root / "sleeper.py").write_text("import pathlib; pathlib.Path('data/raw/face').write_text('drawn')")
    hold_dvc(sleeper, os.getpid())
    waits = []

    def release(seconds):
        waits.append(seconds)
        (sleeper.root / ".dvc/tmp/rwlock").unlink()

    monkeypatch.setattr(dvc_stage, "wait", release)
    assert run_stage("draw@face", project=sleeper).status == "ran"
    assert waits == [dvc_stage.BUSY_FIRST_WAIT_SECONDS]


def test_a_stage_that_stays_busy_is_given_up(sleeper, monkeypatch):
    hold_dvc(sleeper, os.getpid())
    monkeypatch.setattr(dvc_stage, "BUSY_RETRIES", 1)
    monkeypatch.setattr(dvc_stage, "BUSY_FIRST_WAIT_SECONDS", 0.01)
    with pytest.raises(StageFailed, match=r"is busy.*PID"):
        run_stage("draw@face", project=sleeper)


# With and without git


@pytest.fixture
def shipped(project):
    """A project with the configuration that the repository ships."""
    (project.root / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore"):
        shutil.copyfile(REPOSITORY / name, project.root / name)
    return project


def git(project, *arguments):
    command = ["git", "-c", "user.name=Someone", "-c", "user.email=someone@example.org", *arguments]
    return subprocess.run(command, cwd=project.root, check=True, capture_output=True, text=True).stdout


def test_in_a_clone_git_sees_the_dvc_file_and_no_image(shipped, tmp_path):
    git(shipped, "init")
    git(shipped, "add", "--all")
    git(shipped, "commit", "--message", "start")
    write_images(tmp_path / "images", count=2)
    place = add_raw(shipped, "anime", tmp_path / "images")
    assert git(shipped, "status", "--short", "--untracked-files=all").split() == ["??", "data/raw/anime.dvc"]
    shutil.rmtree(place)
    run_dvc(shipped.root, "checkout", "data/raw/anime.dvc")
    assert files_below(place) == {"00.png", "01.png"}


def test_a_copy_without_git_works_and_leaves_the_shipped_configuration_alone(shipped, tmp_path):
    write_images(tmp_path / "images", count=2)
    add_raw(shipped, "anime", tmp_path / "images")
    assert (shipped.root / "data/raw/anime.dvc").is_file()
    assert (shipped.root / ".dvc/config").read_bytes() == (REPOSITORY / ".dvc/config").read_bytes()
    git(shipped, "init")
    ensure_dvc(shipped.root)
    assert "no_scm" not in (shipped.root / ".dvc/config.local").read_text()


def test_dvc_s_own_words_reach_the_user(shipped):
    ensure_dvc(shipped.root)
    with pytest.raises(DvcError, match=r"^dvc add failed: .*nothing-here"):
        run_dvc(shipped.root, "add", "nothing-here")


def test_stages_find_this_interpreter_first(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = shutil.which("python", path=dvc_environment()["PATH"])
    assert found is not None
    assert os.path.samefile(os.path.dirname(found), os.path.dirname(sys.executable))  # noqa: PTH120, PTH121
    assert DVC[0] == sys.executable


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
