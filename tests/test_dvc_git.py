"""DVC in a project with and without git."""

import shutil
import subprocess

import pytest
from tiny_project import REPOSITORY, files_below, write_images

from flows.registration import add_domain
from tasks.requests.raw_images import add_raw
from tasks.running.dvc_command import DvcError, ensure_dvc, run_dvc

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning:dvc")


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


def test_images_of_another_kind_leave_nothing_of_those_that_they_replace(shipped, tmp_path):
    write_images(tmp_path / "images", count=2)
    add_domain(shipped, "anime", "face", tmp_path / "images")
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "images")
    own = shipped.raw("anime").with_name("anime.tar")
    own.write_bytes(b"which DVC does not track")
    add_domain(shipped, "anime", "face", tmp_path / "other.zip", replace=True)
    assert files_below(shipped.data_dir / "raw") == {"anime.zip", "anime.zip.dvc", "anime.tar"}


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


def test_a_plain_push_publishes_images_and_a_clone_pulls_them(shipped, tmp_path):
    write_images(tmp_path / "images", count=2)
    add_raw(shipped, "anime", tmp_path / "images")
    run_dvc(shipped.root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    git(shipped, "init")
    ensure_dvc(shipped.root)
    git(shipped, "add", "--all")
    git(shipped, "commit", "--message", "images")
    run_dvc(shipped.root, "push")
    git(shipped, "clone", "--quiet", ".", str(tmp_path / "clone"))
    run_dvc(tmp_path / "clone", "pull", "--allow-missing")
    assert files_below(tmp_path / "clone/data/raw/anime") == {"00.png", "01.png"}
