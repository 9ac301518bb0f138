"""The newcomer's path, from the wheel in a fresh environment: no clone, no git, nothing else on the PATH."""

import json
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tiny_project import REPOSITORY, set_param

from tasks.project.paths import Project
from tasks.project.shipped import shipped_files
from ui2i import __version__ as VERSION
from ui2i.checkpoints import read_card

UV = Path(sys.executable).with_name("uv")
SMALLEST = {
    "synthetic.face.num_images": 24,
    "synthetic.cartoon.num_images": 24,
    "finetune": {"total_kimg": 0.008, "batch_size": 4, "snapshot_kimg": 0.008},
    "domains": {"cartoon": {"base": "face"}},
    "swap.resolutions": [8],
    "distance": {"num_latents": 4, "batch_size": 4},
    "inversion": {"num_steps": 2},
    "translate": {"num_images": 2},
    "evaluation": {"num_images": 4},
    "truth": {},
}


def uv(*arguments: str | Path) -> None:
    subprocess.run([UV, *arguments, "--quiet"], check=True, cwd=REPOSITORY)


class Installation:
    """An environment with the wheel, and a home without anything."""

    def __init__(self, root: Path, wheel: Path, *dependencies: str | Path) -> None:
        self.bin = root / "env" / "bin"
        uv("venv", "--python", sys.executable, root / "env")
        uv("pip", "install", "--python", self.bin / "python", wheel, *dependencies)
        (root / "home").mkdir()
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(root / "home"),
            "OMP_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
        }

    def run(self, folder: Path, command: str, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [self.bin / command, *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the source distribution and of the wheel made from it, without the network."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, REPOSITORY)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel alone; what it depends on is taken from the environment of the tests."""
    installation = Installation(tmp_path_factory.mktemp("installed"), wheel, "--offline", "--no-deps")
    packages = next(installation.bin.parent.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))  # whose own .pth files are not read
    return installation


def start_project(installation: Installation, folder: Path) -> Project:
    """Make a project in a new folder as anybody would, and reduce its settings to the smallest."""
    said = installation.run(folder.parent, "ui2i", "init", folder.name, "--example")
    assert f"record ui2i-{VERSION} in place of a commit" in said
    project = Project(folder.resolve())
    for path, value in SMALLEST.items():
        set_param(project, path, value)
    return project


def test_the_wheel_carries_the_clone_s_own_files(built, wheel):
    prefix = "tasks/project/shipped/"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith(prefix)}
        assert names == {prefix + name for name in shipped_files(REPOSITORY)}
        for name in names:
            assert archive.read(name) == (REPOSITORY / name.removeprefix(prefix)).read_bytes()
        assert {"tasks/requests/new_project.md", "ui2i/report/templates/page.html"} <= set(archive.namelist())
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        assert not any(name.endswith((".webp", ".pyc")) for name in archive.getnames())


@pytest.mark.slow
def test_fresh_environment_init_and_a_training(installed, tmp_path):
    assert "make one with `ui2i init`" in installed.run(tmp_path, "ui2i", "demo", status=2)
    assert installed.run(tmp_path, "ui2i", "--version") == f"ui2i {VERSION} (installed package ui2i-{VERSION})\n"
    project = start_project(installed, tmp_path / "faces")
    found = installed.run(project.root, "python", "-c", "import tasks, ui2i; print(tasks.__file__, ui2i.__file__)")
    assert all(Path(path).is_relative_to(installed.bin.parent) for path in found.split())
    installed.run(project.root, "python", "-m", "dvc", "repro", "finetune@cartoon")
    _, card = read_card(project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")
    assert card.provenance["commit"] == f"ui2i-{VERSION}"
    plan = installed.run(project.root, "ui2i", "reproduce", "--quick", "--dry-run")
    assert "finetune@cartoon" in plan
    assert not (project.root / "reproduction-quick").exists()


@pytest.mark.slow
def test_everything_installed_anew_runs_the_demo_and_a_server(wheel, tmp_path):
    installed = Installation(tmp_path, wheel, "--constraint", REPOSITORY / "requirements.lock")
    project = start_project(installed, tmp_path / "faces")
    said = installed.run(project.root, "ui2i", "demo")
    assert "cartoon/FC-FT-LS8" in said
    assert (project.translations("cartoon") / "contact_sheet.png").is_file()
    assert json.loads(project.distance_summary("cartoon").read_text())
    assert "up to date" in installed.run(project.root, "ui2i", "demo")
    try:
        installed.run(project.root, "ui2i", "up", "--port", "0")
        said = installed.run(project.root, "ui2i", "trigger", "re-evaluate", "--wait")
        assert "Completed" in said
    finally:
        installed.run(project.root, "ui2i", "down")
    shutil.rmtree(installed.bin.parent)
