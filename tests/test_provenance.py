"""The record of what made a result."""

import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from tiny_project import make_project, run_stage_module

import ui2i
from ui2i.provenance import RECORDED_PACKAGES, UNKNOWN, git_commit, processor, provenance

METADATA = "Metadata-Version: 2.1\nName: ui2i\nVersion: 9.9\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit and a tag, as the current directory."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("one")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", "one")
    git(folder, "tag", "v1")
    monkeypatch.chdir(folder)
    return folder


def test_commit(repository: Path) -> None:
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")[:12]


def test_changed_files_show(repository: Path) -> None:
    (repository / "untracked").write_text("not part of it")
    assert not git_commit(repository).endswith("-dirty")
    (repository / "file").write_text("two")
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")[:12] + "-dirty"


def test_outside_git(repository: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert git_commit(outside) == UNKNOWN


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit(repository) == UNKNOWN


# The commit of the code, found by a process of its own: the code lies in another repository than the current folder


@pytest.fixture
def code(tmp_path: Path, repository: Path) -> Path:
    """A repository with a copy of the code that finds out; the current folder is that of `repository`."""
    folder = tmp_path / "code"
    (folder / "ui2i").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "provenance.py"):
        shutil.copy(Path(ui2i.__file__).parent / name, folder / "ui2i")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "code")
    return folder


def found(code: Path, **environment: str) -> tuple[str, str]:
    """What a process that runs the code says, and what it warns of."""
    done = subprocess.run(
        [sys.executable, "-c", "import ui2i.provenance as p; print(p.code_commit(), p.code_commit())"],
        env=os.environ | {"PYTHONPATH": str(code)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(set(done.stdout.split())) == 1
    return done.stdout.split()[0], done.stderr


def test_the_commit_is_the_code_s_wherever_the_command_runs(repository: Path, code: Path) -> None:
    commit = git(code, "rev-parse", "HEAD")[:12]
    assert commit != git(repository, "rev-parse", "HEAD")[:12]
    assert found(code) == (commit, "")
    assert found(code, GIT_DIR=str(repository / ".git"), GIT_WORK_TREE=str(repository)) == (commit, "")  # in its hook
    (code / "ui2i" / "__init__.py").write_text("changed = True\n")
    assert found(code) == (commit + "-dirty", "")


def test_a_repository_that_git_refuses_is_said_aloud(code: Path) -> None:
    commit, warned = found(code, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert commit == UNKNOWN
    assert "is unknown (fatal: detected dubious ownership" in warned
    assert warned.count("UI2IWarning") == 1


def test_what_git_says_in_bytes_of_another_encoding(code: Path) -> None:
    place = code.rename(code.with_name("cödé"))
    commit, warned = found(place, GIT_TEST_ASSUME_DIFFERENT_OWNER="1", LC_ALL="C", PYTHONUTF8="0")
    assert commit == UNKNOWN and "dubious ownership" in warned


def test_code_in_an_environment_inside_a_repository_is_not_that_repository_s(repository: Path, code: Path) -> None:
    installed = repository / ".venv"
    shutil.copytree(code / "ui2i", installed / "ui2i")
    commit, warned = found(installed)
    assert commit == UNKNOWN
    assert "did not match any file(s) known to git" in warned


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "ui2i-9.9"),
        ({"url": "file:///clone", "dir_info": {}}, "ui2i-9.9"),
        (
            {"url": "https://host.invalid/ui2i", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}},
            "0123456789ab",
        ),
    ],
)
def test_an_installed_package_names_its_version_or_what_pip_took(
    repository: Path, code: Path, origin: dict[str, object] | None, expected: str
) -> None:
    installed = repository / ".venv"
    shutil.copytree(code / "ui2i", installed / "ui2i")
    (installed / "ui2i-9.9.dist-info").mkdir()
    (installed / "ui2i-9.9.dist-info" / "METADATA").write_text(METADATA)
    (installed / "ui2i-9.9.dist-info" / "WHEEL").write_text("Wheel-Version: 1.0\n")
    if origin is not None:
        (installed / "ui2i-9.9.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    assert found(installed) == (expected, "")


def test_what_setuptools_leaves_in_a_clone_makes_it_no_package(code: Path) -> None:
    (code / "ui2i.egg-info").mkdir()
    (code / "ui2i.egg-info" / "PKG-INFO").write_text(METADATA)
    assert found(code) == (git(code, "rev-parse", "HEAD")[:12], "")


def test_a_stage_says_aloud_what_it_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    done = run_stage_module(make_project(tmp_path / "project"), "draw", "--dataset", "face")
    assert done.returncode == 0
    assert [line.partition("(")[0] for line in done.stderr.splitlines()] == [
        f"warning: the commit of the code in {Path(ui2i.__file__).parent} is unknown "
    ]


def test_record() -> None:
    record = provenance()
    assert json.loads(json.dumps(record)) == record
    assert set(record["versions"]) == set(RECORDED_PACKAGES)
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert (record["device"], record["num_threads"]) == ("cpu", torch.get_num_threads())
    assert record["processor"] == processor()
    age = datetime.now(UTC) - datetime.fromisoformat(record["created"])
    assert timedelta(seconds=-1) < age < timedelta(minutes=1)


@pytest.mark.parametrize("instruction_set", ["DEFAULT", "AVX2"])
def test_processor_says_which_instructions_torch_uses(instruction_set: str) -> None:
    command = [sys.executable, "-c", "import json; from ui2i.provenance import *; print(json.dumps(processor()))"]
    environment = os.environ | {"ATEN_CPU_CAPABILITY": instruction_set.lower()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    expected = torch.backends.cpu.get_cpu_capability() if platform.machine() != "x86_64" else instruction_set
    assert found["instruction_set"] == expected
    assert found["num_cores"] == os.cpu_count() and found["name"]


@pytest.mark.parametrize(("feature", "native"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512_f", False)])
def test_processor_says_whether_it_computes_bf16(monkeypatch: pytest.MonkeyPatch, feature: str, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "one", "avx2": True, feature: True})
    found = processor.__wrapped__()
    assert (found["name"], found["native_bf16"]) == ("one", native)
