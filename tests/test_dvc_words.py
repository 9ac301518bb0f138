"""Short commands of DVC: its own words reach people, and a lock that is held for a moment is waited for."""

import shutil

import pytest
import zc.lockfile
from tiny_project import files_below, make_project, write_images

from tasks.requests.raw_images import add_raw
from tasks.running import dvc_command
from tasks.running.dvc_command import DvcError, check_trackable, dvc_message, ensure_dvc, run_dvc


@pytest.fixture
def project(tmp_path):
    project = make_project(tmp_path / "project")
    ensure_dvc(project.root)
    (project.root / ".dvc/tmp").mkdir(exist_ok=True)
    return project


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images", count=2)
    return tmp_path / "images"


def test_a_list_of_paths_in_use_that_was_cut_off_is_mended(project, images):
    (project.root / ".dvc/tmp/rwlock").write_text("")
    add_raw(project, "anime", images)
    assert project.raw("anime").with_name("anime.dvc").is_file()


def test_a_lock_that_is_held_for_a_moment_is_waited_for(project, images, monkeypatch):
    writer = zc.lockfile.LockFile(str(project.root / ".dvc/tmp/lock"))
    waits = []

    def release(seconds):
        waits.append(seconds)
        writer.close()

    monkeypatch.setattr(dvc_command, "wait", release)
    add_raw(project, "anime", images)
    assert waits == [dvc_command.BUSY_WAITS_SECONDS[0]]
    assert project.raw("anime").with_name("anime.dvc").is_file()


def test_a_lock_that_stays_held_is_told_in_dvc_s_words(project, images, monkeypatch):
    monkeypatch.setattr(dvc_command, "BUSY_WAITS_SECONDS", ())
    writer = zc.lockfile.LockFile(str(project.root / ".dvc/tmp/lock"))
    try:
        with pytest.raises(DvcError, match=r"^dvc add failed: Unable to acquire lock\..*; wait for the other process"):
            add_raw(project, "anime", images)
    finally:
        writer.close()


@pytest.mark.parametrize("place", ["data", "data/raw"])
def test_a_folder_behind_a_link_is_refused_before_anything_is_copied(project, images, tmp_path, place):
    project.raw("x").parent.mkdir()
    shutil.move(project.root / place, tmp_path / "elsewhere")
    (project.root / place).symlink_to(tmp_path / "elsewhere")
    before = files_below(tmp_path / "elsewhere")
    with pytest.raises(
        DvcError, match=rf"^{place} is a link to .*, expected a folder, since DVC tracks nothing behind"
    ):
        add_raw(project, "anime", images)
    assert files_below(tmp_path / "elsewhere") == before


def test_dvc_itself_refuses_what_is_refused_here(project, tmp_path):
    """So that a version of DVC which tracks it is noticed."""
    (tmp_path / "elsewhere" / "anime").mkdir(parents=True)
    (tmp_path / "elsewhere" / "anime" / "x").write_text("x")
    (project.root / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DvcError, match="inside symlinked directories"):
        run_dvc(project.root, "add", "linked/anime")
    with pytest.raises(DvcError, match="linked is a link"):
        check_trackable(project.root, project.root / "linked" / "anime")
    check_trackable(project.root, project.raw("anime"))


def test_a_project_behind_a_link_is_none_of_its_own_links(project, tmp_path):
    (tmp_path / "link").symlink_to(project.root)
    check_trackable(tmp_path / "link", tmp_path / "link" / "data" / "raw" / "anime")


def test_words_that_dvc_marked_as_no_error_are_told_too():
    assert dvc_message(["a", "ERROR: one", "two", "", "three"]) == "one two"
    assert dvc_command._reason(["first", "second", "third", "fourth"], 1) == "second third fourth"
    assert dvc_command._reason([], 3) == "exit status 3"
    assert "`ui2i status --repair`" in dvc_command._reason(["ERROR: YAML file structure is corrupted"], 1)
