"""A project of version 0.1 goes on under this version, and nothing in it is made again."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tiny_project import run_stage_module

from cli.app import run
from experiments.paper import paper_paths
from tasks.models.model_folder import read_model
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.lock_file import keep_copy
from tasks.running.upgrade import upgrade
from ui2i.tables import DISTANCE_SCHEMA, EVALUATION_SCHEMA, TRANSLATION_SCHEMA, TRUTH_SCHEMA, read_table

ARCHIVE = Path(__file__).parent / "old_project" / "project-0.1.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Project:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "project", filter="data")
    return Project(tmp_path / "project")


def out_of_date(project: Project) -> set[str]:
    """The stages that DVC would run, but for its cache, which is not in the archive."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {stage for stage, changes in found.items() if any("not in cache" not in str(change) for change in changes)}


def contents(project: Project) -> dict[str, bytes]:
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in project.root.rglob("*")
        if path.is_file() and ".dvc/tmp" not in path.as_posix() and ".locks" not in path.as_posix()
    }


def test_nothing_is_made_again(old: Project) -> None:
    assert run(["--project", str(old.root), "upgrade"]) == 0
    assert out_of_date(old) <= {"table@1", "table@2"}, "whose folder has files of other names; they take a second"
    assert upgrade(old) == []


@pytest.mark.parametrize("section", ["{}", "{weights: a.pth}", "\n    weights: a.pth"])
def test_a_backbone_left_to_the_default_stays_what_it_was(old: Project, section: str) -> None:
    for path in (old.params_path, old.root / "dvc.lock"):
        text = path.read_text().replace("{trunk: random}", section)
        in_lock = section.strip("{}\n ") or "{}"
        block = "perceptual: {}\n" if in_lock == "{}" else f"perceptual:\n          {in_lock}\n"
        path.write_text(text.replace("perceptual:\n          trunk: random\n", block))
    upgrade(old)
    perceptual = load_params(old).perceptual
    assert (perceptual.backbone, perceptual.weights) == ("alex", None if section == "{}" else "a.pth")
    assert out_of_date(old) <= {"table@1", "table@2"}
    assert upgrade(old) == []


def test_what_was_made_is_read(old: Project) -> None:
    upgrade(old)
    params = load_params(old)
    assert params.perceptual.backbone == "random"
    assert read_model(old.mode_checkpoint("cartoon", "FC-FT"), device="cpu")[2].domain == "cartoon"
    for path, schema in (
        (old.distance_table("cartoon"), DISTANCE_SCHEMA),
        (old.evaluation_table("cartoon"), EVALUATION_SCHEMA),
        (paper_paths.image_evaluation(old, "cartoon"), EVALUATION_SCHEMA),
        (old.truth_table("cartoon"), TRUTH_SCHEMA),
        (old.translations("cartoon") / "manifest.parquet", TRANSLATION_SCHEMA),
    ):
        assert len(read_table(path, schema)) > 0


def test_no_stage_names_a_section_of_old(old: Project) -> None:
    upgrade(old)
    stages = (old.root / "dvc.yaml").read_text()
    assert "- synthetic\n" in stages and "- drawn" not in stages


def test_a_dry_run_changes_nothing(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(old)
    assert run(["--project", str(old.root), "upgrade", "--dry-run"]) == 0
    assert "dvc.lock has the names of version 0.2" in capsys.readouterr().out
    assert contents(old) == before


def test_no_stage_runs_before_the_upgrade(old: Project) -> None:
    upgrade_params_alone = old.params_path.read_text().replace("trunk", "backbone")
    for old_name, name in (("drawn:", "synthetic:"), ("judged:", "evaluated:")):
        upgrade_params_alone = upgrade_params_alone.replace(old_name, name)
    old.params_path.write_text(upgrade_params_alone)
    done = run_stage_module(old, "swap", "--domain", "cartoon")
    assert done.returncode == 2
    assert "records commands of version 0.1" in done.stderr and "ui2i upgrade" in done.stderr


def test_settings_of_old_are_named_as_such(old: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--project", str(old.root), "distances"]) == 2
    assert "ui2i upgrade" in capsys.readouterr().err


def test_an_interrupted_upgrade_is_finished(old: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.running.upgrade as module

    monkeypatch.setattr(module, "write_text", lambda path, text: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        upgrade(old)
    monkeypatch.undo()
    upgrade(old)
    assert out_of_date(old) <= {"table@1", "table@2"}
    assert not os.path.lexists(old.data_dir / "tables" / "evaluation" / "pictures.cartoon.parquet")


def test_what_a_kill_cut_off_is_mended_first(old: Project) -> None:
    keep_copy(old)
    lock_path = old.root / "dvc.lock"
    lock_path.write_text(lock_path.read_text()[:3000])
    upgrade(old)
    assert "python -m tasks.ingest" not in lock_path.read_text()
    assert out_of_date(old) <= {"table@1", "table@2"}


def test_a_stage_of_one_s_own_stays(old: Project) -> None:
    own = "  mine:\n    cmd: python -m tasks.mine\n"
    (old.root / "dvc.yaml").write_text((old.root / "dvc.yaml").read_text().rstrip("\n") + f"\n{own}")
    upgrade(old)
    assert own in (old.root / "dvc.yaml").read_text()
