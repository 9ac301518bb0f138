"""What may go, and what a row, a commit or a setting keeps."""

import hashlib
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_project import make_project, set_param

from tasks import garbage
from tasks.garbage import collect, remove, table_hashes
from tasks.leases import hold_lease, new_holder
from ui2i.errors import ConfigError, DataError


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
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
    outs = ", ".join(f"{{path: data/x{index}, md5: {md5}}}" for index, md5 in enumerate(md5s))
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
    return {(item.kind, item.path.relative_to(project.root).as_posix()) for item in collect(project)}


def in_cache(md5):
    return ("cache", f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")


def test_the_cache_keeps_what_the_lock_file_a_dvc_file_or_a_row_names(project):
    member = cache(project, b"member")
    listing = cache(project, json.dumps([{"md5": member, "relpath": "a"}]).encode(), suffix=".dir")
    added, named, gone = cache(project, b"added"), cache(project, b"named by a row"), cache(project, b"gone")
    old = cache(project, json.dumps([{"md5": gone, "relpath": "a"}]).encode(), suffix=".dir")
    lock(project, listing)
    put(project.data_dir / "raw/cat.dvc", f"outs: [{{md5: {added}, path: cat}}]".encode())
    refer(project, hashlib.sha256(b"named by a row").hexdigest())
    assert found(project) == {in_cache(gone), in_cache(old)}
    assert named not in {path for _, path in found(project)}
    remove(project, collect(project))
    assert found(project) == set()
    assert (project.root / ".dvc/cache/files/md5" / named[:2] / named[2:]).exists()


def test_what_any_commit_had_stays(project):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    before, after, gone = (cache(project, name) for name in (b"before", b"after", b"gone"))
    subprocess.run(["git", "init", "--quiet"], cwd=project.root, check=True)
    lock(project, before)
    subprocess.run(["git", "add", "dvc.lock"], cwd=project.root, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "one"], cwd=project.root, check=True)
    lock(project, after)
    assert found(project) == {in_cache(gone)}


def test_training_states_and_models_of_forgotten_names(project):
    for name, mode in (("cartoon", "fc-ft"), ("cartoon", "freezed"), ("old", "ft")):
        put(project.run_dir(name, mode) / "state.pt")
    put(project.downloads / "x" / "state.pt")
    set_param(project, "encoders", {"face": {}})
    for base in ("face", "gone"):
        put(project.encoder_state(base))
    put(project.checkpoint("face") / "generator.safetensors", b"face")
    kept = put(project.checkpoint("old") / "ft" / "generator.safetensors", b"kept")
    put(project.checkpoint("older") / "ft" / "generator.safetensors", b"older")
    put(project.variants("older") / "ls8.safetensors", b"older too")
    refer(project, kept)
    assert found(project) == {
        ("training state", "data/runs/cartoon/freezed"),
        ("training state", "data/runs/old/ft"),
        ("training state", "data/runs/encoders/gone.pt"),
        ("model", "data/checkpoints/older"),
        ("variants", "data/variants/older"),
    }
    remove(project, collect(project))
    assert (project.checkpoint("old") / "ft" / "generator.safetensors").exists()
    assert (project.run_dir("cartoon", "fc-ft") / "state.pt").exists()
    assert not project.checkpoint("older").exists()


def test_every_hash_of_every_table_counts(project):
    refer(project, "aa", "bb")
    path = project.translations("cartoon") / "manifest.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"checkpoint_hash": ["cc", None], "base_hash": ["dd", "dd"], "other": [1, 2]}), path)
    assert table_hashes(project) == {"aa", "bb", "cc", "dd"}


@pytest.mark.parametrize("place", ["dvc.lock", "data/tables/distance/old.parquet"])
def test_nothing_goes_while_the_records_cannot_be_read(project, place):
    cache(project, b"gone")
    put(project.root / place, b"stages: [")
    with pytest.raises(DataError, match="cannot be read"):
        collect(project)


def test_nothing_goes_while_a_run_is_at_work(project):
    cache(project, b"gone")
    with (
        hold_lease(project, "run-1", new_holder("new-domain cat", "1")),
        pytest.raises(ConfigError, match="a run is at work"),
    ):
        remove(project, collect(project))
    assert len(found(project)) == 1
