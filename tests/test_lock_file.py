"""DVC's record: every cut is found, nothing that was whole is lost, and what is left is put together again."""

import hashlib
import json

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.main import CParser
from tiny_project import REPOSITORY, make_project, set_param

from tasks.running import lock_file
from tasks.running.dvc_stages import defined_stages
from tasks.running.lock_file import find_fault, keep_copy, mend, read_copy, read_outputs
from ui2i.errors import ConfigError


def entry(stage, *outputs, generation=0):
    """A stage's entry as DVC writes it."""
    lines = [f"  {stage}:", f"    cmd: python -m tasks.stages.{stage.replace('@', ' --name ')}", "    outs:"]
    for output in outputs:
        md5 = hashlib.md5(f"{output}{generation}".encode()).hexdigest()
        lines += [f"    - path: {output}", "      hash: md5", f"      md5: {md5}.dir", "      size: 2048"]
        lines += ["      nfiles: 3"]
    return "\n".join(lines) + "\n"


DRAW_FACE, DRAW_CARTOON = entry("draw@face", "data/raw/face"), entry("draw@cartoon", "data/raw/cartoon")
INGEST = entry("ingest@cartoon", "data/prepared/cartoon")
TABLE = entry("table@1", *(f"data/tables/paper/table1.{kind}" for kind in ("csv", "md", "parquet")))
HEAD = "schema: '2.0'\nstages:\n"
LOCK = HEAD + DRAW_FACE + DRAW_CARTOON + INGEST + TABLE


@pytest.fixture
def project(tmp_path):
    project = make_project(tmp_path / "project")
    (project.root / ".dvc" / "tmp").mkdir(parents=True)
    write(project, LOCK)
    return project


def write(project, text):
    (project.root / "dvc.lock").write_text(text)


def read(project):
    return (project.root / "dvc.lock").read_text()


def test_it_is_read_by_the_compiled_parser():
    """Each stage reads it twice, and DVC too: of 200 domains, for 9 s each time without."""
    assert YAML(typ="safe").Parser is CParser


def test_a_whole_file_is_whole_and_its_copy_has_its_digest(project):
    assert find_fault(project, LOCK, None) is None
    assert keep_copy(project) == []
    first, rest = (project.data_dir / "runs" / "dvc.lock.whole").read_text().split("\n", 1)
    assert first == f"# sha256 {hashlib.sha256(LOCK.encode()).hexdigest()}"
    assert rest == read_copy(project) == LOCK


def test_the_records_that_the_repository_ships_are_whole(project):
    """Written by DVC itself, of stages of every kind."""
    for name in ("dvc.yaml", "params.yaml"):
        path = REPOSITORY / "docs/results/reproduction" / name
        (project.root / name).write_bytes((path if path.exists() else REPOSITORY / name).read_bytes())
    text = (REPOSITORY / "docs/results/reproduction/dvc.lock").read_text()
    assert find_fault(project, text, None) is None


@pytest.mark.parametrize("has_copy", [True, False])
def test_every_cut_is_found(project, has_copy):
    copy = LOCK if has_copy else None
    starts = [len(HEAD + part) for part in (DRAW_FACE, DRAW_FACE + DRAW_CARTOON, DRAW_FACE + DRAW_CARTOON + INGEST)]
    line_ends = [index + 1 for index, character in enumerate(LOCK) if character == "\n"][:-1]
    missed = [cut for cut in line_ends if find_fault(project, LOCK[:cut], copy) is None]
    assert missed == ([] if has_copy else starts), "without a copy nobody knows of stages that are gone whole"
    inside = [cut for cut in range(1, len(LOCK), 7) if LOCK[cut - 1] != "\n"]
    assert [cut for cut in inside if find_fault(project, LOCK[:cut], copy) is None] == []


def test_a_cut_file_never_takes_the_place_of_the_copy_and_is_put_back(project):
    keep_copy(project)
    second = len(HEAD + DRAW_FACE)
    for cut in (0, 20, second, second + 40, len(LOCK) - 1, len(LOCK) - len("      nfiles: 3\n")):
        write(project, LOCK[:cut])
        assert keep_copy(project) == ["dvc.lock"]
        assert (read(project), read_copy(project)) == (LOCK, LOCK)


def test_a_missing_file_is_put_back(project):
    keep_copy(project)
    (project.root / "dvc.lock").unlink()
    assert mend(project) == ["dvc.lock"]
    assert read(project) == LOCK


def test_newer_entries_stay_when_later_ones_were_cut_off(project):
    keep_copy(project)
    newer = entry("draw@cartoon", "data/raw/cartoon", generation=1)
    write(project, HEAD + DRAW_FACE + newer + INGEST[:-30])
    assert mend(project) == ["dvc.lock"]
    assert read(project) == HEAD + DRAW_FACE + newer + INGEST + TABLE


def test_a_stage_that_is_no_longer_defined_may_go(project):
    keep_copy(project)
    set_param(project, "tables", {"2": {"source": "evaluation"}})
    fewer = HEAD + DRAW_FACE + DRAW_CARTOON + INGEST
    write(project, fewer)
    assert keep_copy(project) == []
    assert (read(project), read_copy(project)) == (fewer, fewer)


def test_a_damaged_copy_is_not_believed(project):
    keep_copy(project)
    path = project.data_dir / "runs" / "dvc.lock.whole"
    path.write_text(path.read_text().replace("data/raw/face", "data/raw/fake"))
    assert read_copy(project) is None
    assert keep_copy(project) == []
    assert read_copy(project) == LOCK


@pytest.mark.parametrize("text", ["schema: '3.0'\nstages: {}\n", "schema: '3.0'\npipelines: []\n", "draw: {cmd: x}\n"])
def test_another_schema_is_refused_and_left_alone(project, text):
    keep_copy(project)
    write(project, text)
    for act in (keep_copy, mend, read_outputs):
        with pytest.raises(ConfigError, match=r"has the schema .*, expected '2\.0'; use the version of DVC"):
            act(project)
    assert (read(project), read_copy(project)) == (text, LOCK)


def test_a_file_in_the_making_is_not_taken_for_cut(project, monkeypatch):
    """Another process writes under DVC's lock: wait for it."""
    import zc.lockfile

    monkeypatch.setattr("tasks.running.dvc_locks.MEND_SECONDS", 0.1)
    keep_copy(project)
    write(project, LOCK[:80])
    writer = zc.lockfile.LockFile(str(project.root / ".dvc/tmp/lock"))
    try:
        assert keep_copy(project) == []
    finally:
        writer.close()
    assert read(project) == LOCK[:80]


def test_defined_stages_are_those_of_dvc(project):
    """Asked of DVC itself, paths included."""
    from dvc.repo import Repo

    (project.root / "dvc.yaml").write_text((REPOSITORY / "dvc.yaml").read_text())
    repo = Repo.init(str(project.root), no_scm=True, force=True)
    defined = defined_stages(project)
    theirs = {(stage.name, out.def_path) for stage in repo.index.stages for out in stage.outs}
    assert set(defined.output_paths()) == theirs
    for stage in repo.index.stages:
        assert stage.name in defined
        assert defined.num_outputs(stage.name) == len(stage.outs)
    assert "ingest@nobody" not in defined
    assert "nothing" not in defined


def test_own_stages_count_too(project):
    (project.root / "dvc.yaml").write_text(json.dumps({"stages": {"one": {"cmd": "x", "outs": ["a", {"b": {}}]}}}))
    defined = defined_stages(project)
    assert "one" in defined
    assert defined.num_outputs("one") == 2
    assert list(defined.output_paths()) == [("one", "a"), ("one", "b")]
    project.params_path.write_text("{")
    assert lock_file.defined_stages(project) is None
