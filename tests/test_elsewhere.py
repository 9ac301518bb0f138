"""The same results on other machines: in a second clone, and on the workers of a Dask or Ray cluster."""

import os
import shutil
import subprocess
import sys

import pytest
from outputs_compare import differences, num_rows
from prefect.settings import PREFECT_HOME, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from stage_calls import run as run_stage_here
from tiny_models import random_generator
from tiny_project import REPOSITORY, make_project, set_param, write_base, write_images

from flows import pipeline
from flows.task_runners import dask_runner, ray_runner
from tasks.project.paths import Project
from tasks.requests.translation_request import TranslationRequest
from tasks.running.dvc_command import run_dvc
from tasks.running.lock_file import read_outputs
from ui2i.checkpoints import ModelCard, save_generator

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

STAGES = ("draw@cartoon", "ingest@cartoon", "import@face")


def git(project, *arguments):
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.invalid", *arguments]
    subprocess.run(command, cwd=project.root, check=True, capture_output=True)


def test_a_second_clone_pulls_and_reruns_nothing(tmp_path):
    first = make_project(tmp_path / "first")
    write_base(first)
    (first.root / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore"):
        shutil.copyfile(REPOSITORY / name, first.root / name)
    git(first, "init", "--quiet")
    run_dvc(first.root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    run_dvc(first.root, "repro", *STAGES)
    run_dvc(first.root, "push")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "results")

    git(first, "clone", "--quiet", ".", str(tmp_path / "second"))
    second = Project(tmp_path / "second")
    assert not second.prepared("cartoon").exists()
    run_dvc(second.root, "pull", *STAGES)
    assert differences(first, second) == []
    before = read_outputs(second)
    assert "Running stage" not in run_dvc(second.root, "repro", *STAGES)
    assert read_outputs(second) == before == read_outputs(first)
    (second.prepared("cartoon") / "manifest.json").unlink()
    assert len(differences(first, second)) == 1, "a comparison that sees a lost file"


@pytest.fixture
def prefect(tmp_path, monkeypatch):
    from prefect.testing.utilities import prefect_test_harness  # seconds, which collecting these tests need not take

    monkeypatch.setenv("DO_NOT_TRACK", "1")
    settings = {PREFECT_HOME: tmp_path / "home", PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(settings), prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture
def trained(tmp_path):
    """A project with the models of two domains, which nobody trained."""
    project = make_project(tmp_path / "threads")
    for section in ("truth", "synthetic"):
        set_param(project, section, {})
    set_param(project, "domains", {"cartoon": {"base": "face"}, "anime": {"base": "face"}})
    set_param(project, "datasets.anime", {"images": "data/raw/cartoon"})
    write_base(project)
    folder = os.getcwd()  # noqa: PTH109
    for seed, name in enumerate(("face", "cartoon")):
        write_images(project.raw(name), seed=seed)
    for name in ("face", "cartoon", "anime"):
        run_stage_here(project, "ingest", name)
    save_generator(project.checkpoint("face") / "generator.safetensors", random_generator(0), card("face", "scratch"))
    for seed, domain in enumerate(("cartoon", "anime"), start=1):
        path = project.mode_checkpoint(domain, "FC-FT") / "generator.safetensors"
        path.parent.mkdir(parents=True)
        save_generator(path, random_generator(seed), card(domain, "FC-FT"))
        run_stage_here(project, "swap", domain)
    os.chdir(folder)
    return project


def card(domain, mode):
    return ModelCard(domain=domain, mode=mode)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_two_workers_make_what_threads_make(name, trained, tmp_path, monkeypatch, prefect):
    pytest.importorskip(f"prefect_{name}")
    monkeypatch.setenv("UI2I_TASK_RUNNER", name)  # which workers import, too; the runners themselves are given below
    other = Project(tmp_path / name)
    shutil.copytree(trained.root, other.root)
    elsewhere = {"dask": dask_runner, "ray": ray_runner}[name](2)
    for project, runner in ((trained, ThreadPoolTaskRunner(max_workers=2)), (other, elsewhere)):
        outcomes = pipeline.re_evaluate.with_options(task_runner=runner)(project=str(project.root))
        stages = [stage for domain in ("cartoon", "anime") for stage in pipeline._evaluation_stages(domain)]
        assert sorted(outcome.stage for outcome in outcomes) == sorted(stages)
        translate = pipeline.translate.with_options(task_runner=runner)
        out = project.translations("folder")
        request = TranslationRequest(images=project.raw("face"), domain="cartoon", out=out, force=True)
        translate(request, project=str(project.root))
    assert differences(trained, other) == []
    assert num_rows(trained, "anime") == num_rows(other, "anime") > 0
    assert (other.translations("folder") / "manifest.parquet").exists()


RAY_LISTENERS = """
import psutil
from flows.task_runners import ray_runner
runner = ray_runner(1)
import ray
ray.init(**runner.init_kwargs, log_to_driver=False)
assert ray.get(ray.remote(lambda: 3).remote()) == 3
for process in psutil.Process().children(recursive=True):
    for connection in process.net_connections(kind="inet"):
        if connection.status == psutil.CONN_LISTEN:
            print(connection.laddr.ip)
print("GCS", ray.get_runtime_context().gcs_address)
input()
"""
RAY_TRIES_ONCE = {"RAY_gcs_server_port_wait_time_s": "1", "RAY_NUM_REDIS_GET_RETRIES": "1"}  # not for minutes
RAY_STRANGER = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"


def test_a_local_ray_cluster_listens_to_its_own_process_alone(tmp_path):
    pytest.importorskip("prefect_ray")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", RAY_LISTENERS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=REPOSITORY, **pipes) as owner:
        *listeners, last = lines_until(owner.stdout, "GCS")
        assert listeners
        assert {ip.strip().removeprefix("::ffff:") for ip in listeners} == {"127.0.0.1"}
        for mode in ("token", "disabled"):
            environment = os.environ | RAY_TRIES_ONCE | {"HOME": str(tmp_path), "RAY_AUTH_MODE": mode}
            stranger = [sys.executable, "-c", RAY_STRANGER, last.split()[1]]
            refused = subprocess.run(stranger, env=environment, **pipes)
            assert refused.returncode != 0
            assert "token" in refused.stderr or "Failed to connect" in refused.stderr
        owner.communicate("\n")
    assert owner.returncode == 0


def lines_until(lines, start):
    """Yield lines, and last one that starts so."""
    for line in lines:
        yield line
        if line.startswith(start):
            return
