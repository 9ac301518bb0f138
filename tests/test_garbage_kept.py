"""What `ui2i gc` keeps because something other than a domain refers to it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_garbage import cache, collect, found, lock, put, set_param, table_hashes
from test_garbage import project as project

from tasks.project.paths import Project
from tasks.running.lock_file import keep_copy


def test_what_bases_and_baselines_are_made_of_stays(project: Project) -> None:
    lock(project)
    set_param(project, "bases", {"cat": {}})
    set_param(project, "datasets.cat", {"images": "data/raw/cat"})
    put(project.run_dir("cat", "scratch") / "state.pt")
    put(project.checkpoint("cat") / "generator.safetensors", b"cat")
    put(project.baseline_run("cartoon") / "state.pt")
    assert found(project) == set()


@pytest.mark.parametrize("folder", ["tables", "translations", "figures"])
def test_models_that_any_table_names_stay(project: Project, folder: str) -> None:
    path = project.data_dir / folder / "x.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"checkpoint_hash": ["a" * 64]}), path)
    assert "a" * 64 in table_hashes(project)


def test_what_the_copy_of_the_record_names_stays(project: Project) -> None:
    lock(project, cache(project, b"old"))
    keep_copy(project)
    lock(project)
    assert found(project) == set()


def test_a_domain_may_be_called_as_the_folder_of_translators_trainings_is(project: Project) -> None:
    """Its own trainings lie there, too."""
    set_param(project, "datasets.translators", {"images": "data/raw/translators"})
    set_param(project, "domains.translators", {"base": "face", "modes": ["FC-FT"]})
    for run in ("fc-ft", "ft", "gone"):
        put(project.runs / "translators" / run / "state.pt")
    assert {path for _, path in found(project)} == {"data/runs/translators/ft", "data/runs/translators/gone"}
    assert len(collect(project).garbage) == 2, "each of them once"
