"""What the operating system refuses is one line with exit status 2, and leaves nothing half-written."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
import warnings

import pytest
import torch
from safetensors.torch import save_file
from tiny_project import files_below, write_base
from typed_commands import ui2i as ui2i

from cli import app
from tasks.project.paths import Project
from tasks.running.command_line import one_line
from tasks.running.locks import hold_output
from tasks.running.stage_cli import Stage
from tasks.running.stage_cli import main as run_stage
from tasks.running.warning_lines import warnings_as_lines
from ui2i.errors import ConfigError, UI2IWarning
from ui2i.files import atomic_file


@contextlib.contextmanager
def limited(num_bytes):
    """No file may grow beyond this, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Commands. A file stands where a folder is needed, which no permission of root's overcomes.


@pytest.mark.parametrize(
    ("arguments", "blocked"),
    [
        ("data draw face --num 1 --resolution 32 --out blocked/drawn", "blocked"),
        ("checkpoint convert data/base/face blocked/face.pt", "blocked"),
        ("checkpoint convert data/base/face blocked/face.pkl", "blocked"),
        ("checkpoint convert data/base/face blocked/face", "blocked"),
        ("base add mine data/base/face", "data/runs"),
        ("gc --dry-run", "data/runs"),
        ("gc", "data/runs"),
        ("status", ".prefect"),
        ("demo", ".prefect"),
    ],
)
def test_a_command_that_cannot_write_says_so_in_one_line(project, capsys, monkeypatch, arguments, blocked):
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    write_base(project)
    (project.root / blocked).write_text("no folder")
    before = files_below(project.root)
    capsys.readouterr()
    status = app.run(arguments.split())
    out, err = capsys.readouterr()
    assert status == 2 and "Traceback" not in out + err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert blocked in err
    assert files_below(project.root) == before


def test_verbose_says_where(project, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.root / "data/runs").write_text("no folder")
    assert app.run(["--verbose", "gc"]) == 2
    *trace, last = capsys.readouterr().err.splitlines()
    assert trace[0].startswith("Traceback")
    assert last.startswith("error: ")


def test_a_stage_on_a_full_disk(project):
    done = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -f 1; exec "$@"',
            "-",
            sys.executable,
            "-m",
            "experiments.synthetic.draw",
            "--dataset",
            "face",
        ],
        cwd=project.root,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: ")
    assert "File too large, expected room for what is written" in last
    assert "Traceback" not in done.stderr
    assert not project.raw("face").exists()
    assert not [path for path in project.root.rglob("*") if path.suffix == ".tmp"]


def test_a_lock_whose_holder_cannot_be_noted_leaves_no_note(project):
    with limited(0), pytest.raises(OSError, match="File too large"), hold_output(project, project.raw("face")):
        pytest.fail("held")
    assert list((project.data_dir / "runs" / ".locks").glob("*.json")) == []


# Libraries that have words of their own for it


def write_torch(path):
    torch.save({"weights": torch.zeros(100_000)}, path)


def write_safetensors(path):
    save_file({"weights": torch.zeros(100_000)}, path)


@pytest.mark.parametrize("write", [write_torch, write_safetensors])
def test_a_library_s_own_error_is_the_operating_system_s(tmp_path, write):
    path = tmp_path / "weights"
    path.write_bytes(b"before")
    with limited(20_000), pytest.raises(OSError, match="File too large") as caught, atomic_file(path) as temporary:
        write(temporary)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert os.listdir(tmp_path) == ["weights"]  # noqa: PTH208
    assert path.read_bytes() == b"before"


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"), atomic_file(tmp_path / "x"):
        raise RuntimeError("a bug")
    with pytest.raises(ConfigError), atomic_file(tmp_path / "x"):
        raise ConfigError("a mistake")


# Words


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device, expected room for"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "a: Permission denied, expected a place that this"),
        (OSError(errno.EXDEV, "Cross-device link", "a", None, "b"), "a: b: Cross-device link, expected the operating"),
        (OSError("encoder error -2 when writing image file"), "encoder error -2 when writing image file, expected"),
        (OSError(errno.ENOLCK, "No locks available"), "[Errno 37] No locks available, expected a file system"),
        (OSError(), "OSError, expected the operating system to do it; mend that"),
        (ConfigError("two\nlines"), "two lines"),
    ],
)
def test_errors_in_one_line(error, line):
    assert one_line(error).startswith(line)
    assert "\n" not in one_line(error)


def test_warnings_of_the_library_are_lines(capsys):
    with warnings_as_lines():
        warnings.warn("the commit is unknown", UI2IWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: the commit is unknown\n"


@pytest.mark.parametrize(
    "allocate", [lambda _: bytearray(1 << 62), lambda _: torch.empty(1 << 58)], ids=["python", "torch"]
)
def test_memory_that_does_not_suffice_is_one_line(project, capsys, monkeypatch, allocate):
    monkeypatch.chdir(project.root)
    stage = Stage(name="ingest", summary="", option="dataset", output=Project.prepared, work=allocate)
    assert run_stage(stage, ["--dataset", "face"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the memory does not suffice (") and "lower batch_size" in line
    assert not project.prepared("face").exists()


@pytest.mark.parametrize(
    "allocate", [lambda: bytearray(1 << 62), lambda: torch.empty(1 << 58)], ids=["python", "torch"]
)
def test_memory_that_does_not_suffice_for_a_command_is_one_line(ui2i, monkeypatch, allocate):
    monkeypatch.setattr("tasks.requests.generate.generate", lambda *_, **__: allocate())
    status, _, err = ui2i("generate", "face", "--seeds", "0", "--out", "out")
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: the memory does not suffice (") and "take fewer images" in err


def test_another_error_stays_a_crash(project, monkeypatch):
    def work(_):
        raise RuntimeError("a bug")

    monkeypatch.chdir(project.root)
    with pytest.raises(RuntimeError, match="a bug"):
        run_stage(
            Stage(name="ingest", summary="", option="dataset", output=Project.prepared, work=work),
            ["--dataset", "face"],
        )


def test_a_warning_cannot_steer_the_terminal(capsys):
    with warnings_as_lines():
        warnings.warn("a\x1b[2Jb\nerror: c", UI2IWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: a\\x1b[2Jb error: c\n"
