"""What may go, and what a row, a commit or a setting keeps."""

import hashlib
import json
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zc.lockfile
from tiny_project import make_project, set_param

from cli import app
from tasks.requests import garbage
from tasks.requests.garbage import collect, remove, table_hashes
from tasks.running.lock_file import keep_copy, mend
from tasks.running.locks import hold_lease, new_holder
from ui2i.errors import ConfigError, DataError


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    (project.root / "dvc.yaml").write_text("stages: {one: {cmd: x}}")
    monkeypatch.setattr(garbage, "ensure_dvc", lambda root: None)
    monkeypatch.setattr(garbage, "run_dvc", lambda root, *_: f"{project.root / '.dvc/cache'}\n")
    return project


def cache(project, content, *, suffix=""):
    """Put an object into DVC's cache; return its md5."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    path = project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


def lock(project, *md5s):
    outs = ", ".join(f"{{path: data/x{index}, md5: {md5}, size: 1, nfiles: 1}}" for index, md5 in enumerate(md5s))
    (project.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  one: {{cmd: x, outs: [{outs}]}}\n")


def refer(project, *hashes):
    """Write a table whose rows name models."""
    path = project.distance_table("old")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"target_hash": list(hashes), "mean": [0.0] * len(hashes)}), path)


def put(path, content=b"weights"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def found(project):
    return {(item.kind, item.path.relative_to(project.root).as_posix()) for item in collect(project).garbage}


def in_cache(md5):
    return ("cache", f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")


def test_the_cache_keeps_what_the_lock_file_a_dvc_file_or_a_row_names(project):
    member = cache(project, b"member")
    listing = cache(project, json.dumps([{"md5": member, "relpath": "a"}]).encode(), suffix=".dir")
    added, named, gone = cache(project, b"added"), cache(project, b"named by a row"), cache(project, b"gone")
    old = cache(project, json.dumps([{"md5": gone, "relpath": "a"}]).encode(), suffix=".dir")
    lock(project, listing)
    put(project.data_dir / "raw/cat.dvc", f"outs: [{{md5: {added}, path: cat}}]\n".encode())
    refer(project, hashlib.sha256(b"named by a row").hexdigest())
    assert found(project) == {in_cache(gone), in_cache(old)}
    remove(project, collect(project).garbage)
    assert found(project) == set()
    assert (project.root / ".dvc/cache/files/md5" / named[:2] / named[2:]).exists()


IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]


def git(project, *arguments):
    subprocess.run(["git", *IDENTITY, *arguments], cwd=project.root, check=True, capture_output=True)


def commit(project, message):
    git(project, "add", "dvc.lock")
    git(project, "commit", "--quiet", "-m", message)


def test_what_any_commit_had_stays(project):
    before, after, gone = (cache(project, name) for name in (b"before", b"after", b"gone"))
    git(project, "init", "--quiet")
    lock(project, before)
    commit(project, "one")
    lock(project, after)
    assert found(project) == {in_cache(gone)}


def test_what_git_remembers_in_any_way_stays(project):
    """A branch whose changes a merge threw away, an amended commit, a stash, the index, another place of the file."""
    names = ("first", "branch", "main", "amended", "stashed", "staged", "last", "elsewhere", "beside", "gone")
    md5s = {name: cache(project, name.encode()) for name in names}

    def version(name):
        lock(project, md5s[name])
        commit(project, name)

    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "config", "log.showRoot", "false")
    git(project, "config", "color.ui", "always")
    version("first")
    git(project, "switch", "--quiet", "--create", "side")
    version("branch")
    git(project, "switch", "--quiet", "main")
    version("main")
    git(project, "merge", "--quiet", "--strategy", "ours", "--no-edit", "side")
    git(project, "branch", "--delete", "--force", "side")
    version("amended")
    git(project, "reset", "--quiet", "--hard", "HEAD~1")
    lock(project, md5s["stashed"])
    git(project, "stash")
    lock(project, md5s["staged"])
    git(project, "add", "dvc.lock")
    lock(project, md5s["last"])
    for place, name in (("old/dvc.lock", "elsewhere"), ("notes.dvc", "beside")):
        put(project.root / place, f"outs:\n- md5: {md5s[name]}\n  path: x\n".encode())
    assert found(project) == {in_cache(md5s["gone"])}


def test_a_commit_of_half_a_record_counts_as_far_as_it_goes(project):
    named = cache(project, b"named")
    git(project, "init", "--quiet")
    put(project.root / "dvc.lock", f"stages:\n  a:\n    outs: [{{md5: {named}, path: ".encode())
    commit(project, "half")
    lock(project)
    assert found(project) == set()


# The absence of a record is not the absence of references


def assert_refused(project, match):
    before = sorted((project.root / ".dvc/cache").rglob("*"))
    with pytest.raises(DataError, match=match):
        collect(project)
    assert sorted((project.root / ".dvc/cache").rglob("*")) == before


@pytest.mark.parametrize("has_copy", [True, False])
@pytest.mark.parametrize("left", [None, "", "schema: '2.0'\n", "schema: '2.0'\nstages:\n  one: {cmd: x, outs: ["])
def test_nothing_goes_when_the_lock_file_is_missing_or_cut(project, left, has_copy):
    lock(project, cache(project, b"needed"))
    if has_copy:
        keep_copy(project)
    path = project.root / "dvc.lock"
    path.unlink() if left is None else path.write_text(left)
    assert_refused(project, r"^dvc\.lock is (missing|cut off), expected .*; run `ui2i status --repair`")
    if has_copy:
        assert mend(project) == ["dvc.lock"]
        assert found(project) == set()


def test_nothing_goes_when_the_end_of_the_lock_file_is_lost(project):
    """Whole entries are missing, and there is no copy: the outputs that are there tell."""
    (project.root / "dvc.yaml").write_text("stages: {one: {cmd: x, outs: [data/x]}, two: {cmd: x, outs: [data/y]}}")
    put(project.root / "data/x")
    cache(project, b"needed")
    cut = f"schema: '2.0'\nstages:\n  two: {{cmd: x, outs: [{{path: data/y, md5: {'a' * 32}, size: 1}}]}}\n"
    (project.root / "dvc.lock").write_text(cut)
    assert_refused(project, "does not name one, though data/x is there")


@pytest.mark.parametrize(
    "text", ["", "outs:\n- md5: 0123", "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 1\n"]
)
def test_nothing_goes_when_a_dvc_file_is_cut(project, text):
    cache(project, b"needed")
    lock(project)
    put(project.data_dir / "raw/cat.dvc", text.encode())
    assert_refused(project, r"cat\.dvc is cut off, expected")


def test_nothing_goes_when_the_listing_of_a_folder_is_damaged(project):
    cache(project, b"member")
    lock(project, cache(project, b'[{"md5": "', suffix=".dir"))
    assert_refused(project, r"\.dir is damaged, expected the listing")


def test_nothing_goes_when_git_refuses(project, monkeypatch):
    git(project, "init", "--quiet")
    lock(project, cache(project, b"needed"))
    commit(project, "one")
    lock(project)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert_refused(
        project, r"^git refuses \(fatal: detected dubious ownership.*safe\.directory.*, expected .*; do what it"
    )


def test_nothing_goes_when_git_is_not_installed(project, monkeypatch):
    git(project, "init", "--quiet")
    lock(project)
    cache(project, b"perhaps needed")
    monkeypatch.setenv("PATH", "")
    assert_refused(project, r"^git cannot be run \(No such file or directory\), expected .*; install it")


def test_nothing_goes_in_a_clone_without_its_history(project, tmp_path):
    git(project, "init", "--quiet")
    for name in (b"one", b"two"):
        lock(project, cache(project, name))
        commit(project, "version")
    git(project, "clone", "--quiet", "--depth", "1", f"file://{project.root}", str(tmp_path / "shallow"))
    (tmp_path / "shallow" / ".git").rename(tmp_path / "git")
    shutil.rmtree(project.root / ".git")
    (tmp_path / "git").rename(project.root / ".git")
    assert_refused(project, "is shallow, expected all commits.*git fetch --unshallow")


# A cache that others may use


@pytest.fixture
def ui2i(project, capsys):
    """A function that runs a command line in the project and returns status, stdout and stderr."""

    def run(*arguments):
        capsys.readouterr()
        return app.run(["--project", str(project.root), *arguments]), *capsys.readouterr()

    return run


@pytest.mark.parametrize("is_link", [True, False])
def test_a_cache_outside_the_project_is_left_alone(project, ui2i, tmp_path, monkeypatch, is_link):
    shared = tmp_path / "shared"
    lock(project)
    put(project.run_dir("old", "ft") / "state.pt")
    entry = shared / "files/md5/01/23456789abcdef0123456789abcdef"
    put(entry)
    if is_link:
        (project.root / ".dvc").mkdir()
        (project.root / ".dvc/cache").symlink_to(shared)
    else:
        monkeypatch.setattr(garbage, "run_dvc", lambda root, *_: f"{shared}\n")
    status, out, err = ui2i("gc")
    assert (status, err) == (0, "")
    assert "1 removed" in out
    assert "lies outside the project, where others may need it: it was left alone" in out
    assert entry.exists()
    status, out, _ = ui2i("gc", "--shared-cache-is-mine")
    assert (status, "left alone" in out) == (0, False)
    assert not entry.exists()


def test_a_refusal_is_one_line(project, ui2i):
    cache(project, b"needed")
    for arguments in (["gc"], ["gc", "--dry-run"]):
        status, out, err = ui2i(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("error: dvc.lock is missing, expected ")
        assert len(err.splitlines()) == 1


def test_nothing_to_do_is_said(project, ui2i):
    lock(project)
    for arguments in (["gc"], ["gc", "--dry-run"]):
        assert ui2i(*arguments) == (0, "nothing to remove: everything is referred to\n", "")


def test_nothing_goes_while_dvc_records(project, ui2i, monkeypatch):
    monkeypatch.setattr(garbage, "_LOCK_SECONDS", 0.05)
    cache(project, b"just made")
    lock(project)
    (project.root / ".dvc" / "tmp").mkdir()
    writer = zc.lockfile.LockFile(str(project.root / ".dvc/tmp/lock"))
    try:
        status, _, err = ui2i("gc")
    finally:
        writer.close()
    assert (status, "another process keeps DVC locked" in err) == (2, True)
    assert "1 removed" in ui2i("gc")[1]


def test_training_states_and_models_of_forgotten_names(project):
    for name, mode in (("cartoon", "fc-ft"), ("cartoon", "freezed"), ("old", "ft")):
        put(project.run_dir(name, mode) / "state.pt")
    put(project.downloads / "x" / "state.pt")
    set_param(project, "encoders", {"face": {}})
    for base in ("face", "gone"):
        put(project.encoder_state(base))
    set_param(project, "translators", {"cartoon": {"base": "face"}})
    for domain in ("cartoon", "gone"):
        put(project.translator_run(domain) / "state.pt")
    put(project.checkpoint("face") / "generator.safetensors", b"face")
    kept = put(project.checkpoint("old") / "ft" / "generator.safetensors", b"kept")
    put(project.checkpoint("older") / "ft" / "generator.safetensors", b"older")
    put(project.variants("older") / "ls8.safetensors", b"older too")
    refer(project, kept)
    assert found(project) == {
        ("training state", "data/runs/cartoon/freezed"),
        ("training state", "data/runs/old/ft"),
        ("training state", "data/runs/encoders/gone.pt"),
        ("training state", "data/runs/translators/gone"),
        ("model", "data/checkpoints/older"),
        ("variants", "data/variants/older"),
    }
    remove(project, collect(project).garbage)
    assert (project.checkpoint("old") / "ft" / "generator.safetensors").exists()
    assert (project.run_dir("cartoon", "fc-ft") / "state.pt").exists()
    assert not project.checkpoint("older").exists()


def test_models_that_settings_name_by_their_paths_stay(project):
    for name in ("earlier", "linked", "gone"):
        put(project.mode_checkpoint(name, "FT") / "generator.safetensors", name.encode())
    (project.root / "link").symlink_to(project.checkpoint("linked"))
    set_param(project, "imported.face", {"checkpoint": "link"})
    set_param(project, "domains.cartoon.start", {"model": "data/checkpoints/earlier/ft", "sha256": "0" * 64})
    assert found(project) == {("model", "data/checkpoints/gone")}


def test_every_hash_of_every_table_counts(project):
    refer(project, "aa", "bb")
    path = project.translations("cartoon") / "manifest.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"checkpoint_hash": ["cc", None], "base_hash": ["dd", "dd"], "other": [1, 2]}), path)
    assert table_hashes(project) == {"aa", "bb", "cc", "dd"}


def test_nothing_goes_while_a_table_cannot_be_read(project):
    cache(project, b"gone")
    put(project.root / "data/tables/distance/old.parquet", b"stages: [")
    with pytest.raises(DataError, match="cannot be read"):
        collect(project)


def test_nothing_goes_while_a_run_is_at_work(project):
    lock(project)
    cache(project, b"gone")
    with (
        hold_lease(project, "run-1", new_holder("new-domain cat", "1")),
        pytest.raises(ConfigError, match="a run is in progress"),
    ):
        remove(project, collect(project).garbage)
    assert len(found(project)) == 1
