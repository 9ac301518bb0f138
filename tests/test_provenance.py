"""The record of what made a result."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from ui2i.provenance import RECORDED_PACKAGES, git_commit, processor, provenance


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
    assert git_commit() == git(repository, "rev-parse", "HEAD")[:12]


def test_changed_files_show(repository: Path) -> None:
    (repository / "untracked").write_text("not part of it")
    assert not git_commit().endswith("-dirty")
    (repository / "file").write_text("two")
    assert git_commit() == git(repository, "rev-parse", "HEAD")[:12] + "-dirty"


def test_outside_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    assert git_commit() == "unknown"


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit() == "unknown"


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
