"""Looking at tables: the command, and the three ways of the user guide to one answer."""

import io
import re

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tiny_project import REPOSITORY, distance_row, make_project

from cli import app
from experiments.paper import paper_paths
from tasks.requests.result_tables import diff_runs, filter_rows, first_columns
from ui2i.errors import ConfigError, DataError
from ui2i.tables import DISTANCE_SCHEMA, append_rows, read_table

RUNS = {
    "aaaa1": {"cartoon/FT": 0.5, "cartoon/FC-FT": 0.4},
    "bbbb2": {"cartoon/FT": 0.6, "cartoon/FC-FT": 0.4, "cartoon/FC-FT-LS8": 0.2},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    for hour, (run_id, means) in enumerate(RUNS.items()):
        rows = [
            distance_row(run_id, target, mean, measured_at=pd.Timestamp(2026, 1, 1, hour, tz="UTC"))
            for target, mean in means.items()
        ]
        rows += [rows[0] | {"source": "cartoon/FC-FT", "mean": 0.01, "ci95_low": 0.0, "ci95_high": 0.02}]
        append_rows(project.distance_table("cartoon"), rows, DISTANCE_SCHEMA)
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture
def ui2i(project, capsys):
    def call(*arguments):
        capsys.readouterr()
        status = app.run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


def test_one_question_three_ways(ui2i):
    text = (REPOSITORY / "docs" / "tables.md").read_text()
    answer = [["cartoon/FC-FT-LS8", 0.2], ["cartoon/FC-FT", 0.4], ["cartoon/FT", 0.6]]

    place: dict[str, pd.DataFrame] = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], place)
    assert place["nearest"][["target", "mean"]].to_numpy().tolist() == answer

    query = re.search(r"```sql\n(.*?)```", text, re.DOTALL)[1]
    found = duckdb.sql(query).fetchall()
    assert [list(row[:2]) for row in found] == answer

    command = re.search(r"With `ui2i`:\n\n```\nui2i (.*?)\n```", text)[1]
    status, out, _ = ui2i(*command.split(), "--csv")
    assert status == 0
    assert pd.read_csv(io.StringIO(out))[["target", "mean"]].to_numpy().tolist() == answer


def test_every_table_of_the_guide_exists_in_the_code(project):
    names = re.findall(r"^\| `([a-z]+)/", (REPOSITORY / "docs" / "tables.md").read_text(), re.MULTILINE)
    folders = {
        path.relative_to(project.data_dir / "tables").parts[0]
        for path in (
            project.distance_table("x"), project.measured_distances, project.evaluation_table("x"),
            project.measured_evaluations("x"), paper_paths.inversion_table(project, "x"), project.swap_choice("x"),
            paper_paths.paper_table(project, "1"), project.truth_table("x"),
        )
    }  # fmt: skip
    assert set(names) == folders


def test_list(ui2i):
    status, out, _ = ui2i("tables", "list")
    assert status == 0
    (line,) = [line for line in out.splitlines() if "distance/cartoon" in line]
    assert re.findall(r"[\w/]+", line) == ["distance/cartoon", "7", "2", "distance", "3"]


def test_show(ui2i):
    status, out, _ = ui2i(
        "tables", "show", "distance/cartoon", "--last", "--where", "mean<0.5", "--sort", "-mean", "--columns",
        "target,mean,run_id",
    )  # fmt: skip
    assert status == 0
    assert "3 rows" in out
    assert [line.split()[0] for line in out.splitlines() if "cartoon/" in line and "rows" not in line] == [
        "cartoon/FC-FT", "cartoon/FC-FT-LS8", "cartoon/FT",
    ]  # fmt: skip
    assert "aaaa1" not in out


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["target=cartoon/FT", "source=face"], [0.5, 0.6]),
        (["target!=cartoon/FT"], [0.4, 0.4, 0.2]),
        (["target~LS"], [0.2]),
        (["mean>=0.5"], [0.5, 0.6]),
        (["mean > 0.5"], [0.6]),
        (["mean<=0.01"], [0.01, 0.01]),
        (["num_latents=2000", "run_id=bbbb2", "mean>0.3"], [0.6, 0.4]),
        (["swap_resolution=8"], []),
    ],
)
def test_conditions(project, conditions, expected):
    frame = read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA)
    assert filter_rows(frame, conditions)["mean"].tolist() == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("mean", "expected for example"),
        ("means=1", "there is no column means"),
        ("mean<x", "expected a number after <"),
    ],
)
def test_conditions_that_cannot_be(project, condition, message):
    with pytest.raises(ConfigError, match=message):
        filter_rows(read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA), [condition])


def test_a_condition_on_a_truth_value_is_written_as_anywhere():
    frame = pd.DataFrame({"is_on": [True, False, True]})
    assert [len(filter_rows(frame, [f"is_on={word}"])) for word in ("true", "True", "false")] == [2, 2, 1]
    with pytest.raises(ConfigError, match="expected true or false after ="):
        filter_rows(frame, ["is_on=1"])


def test_diff(project, ui2i):
    found = diff_runs(read_table(project.distance_table("cartoon"), DISTANCE_SCHEMA))
    changed = {(row["of"], row["column"]): row["change"] for _, row in found.iterrows()}
    assert set(changed) == {
        ("face to cartoon/FT", "mean"), ("face to cartoon/FT", "ci95_low"), ("face to cartoon/FT", "ci95_high"),
        ("face to cartoon/FC-FT-LS8", "(the whole row)"),
    }  # fmt: skip
    assert changed["face to cartoon/FT", "mean"] == pytest.approx(0.1)
    status, out, _ = ui2i("tables", "diff", "distance/cartoon", "--before", "bbbb", "--after", "aaaa")
    assert status == 0 and "-0.1000" in out
    assert ui2i("tables", "diff", "distance/cartoon", "--before", "c")[0] == 2


def test_tables_of_earlier_versions_are_shown(project, ui2i, monkeypatch):
    path = project.data_dir / "tables" / "evaluation" / "cartoon.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pq.read_table(REPOSITORY / "docs" / "results" / "real" / "evaluation.parquet")
    pq.write_table(rows, path)
    assert "fd_sem" not in rows.column_names
    assert set(first_columns(project, "evaluation/cartoon")) < set(rows.column_names)


def test_cells_of_the_papers_tables_have_no_runs_to_compare():
    cells = pd.DataFrame({"row": ["FT", "FT"], "column": ["a", "b"], "run_id": ["aaaa1", "bbbb2"], "value": [1.0, 2.0]})
    with pytest.raises(DataError, match="the table has 0 runs, expected two to compare"):
        diff_runs(cells)


def test_what_is_not_there(ui2i, project):
    status, _, err = ui2i("tables", "show", "distance/cartoons")
    assert status == 2 and "there is no table distance/cartoons, expected one of distance/cartoon;" in err
    status, _, err = ui2i("tables", "diff", "distance/cartoon", "--where", "run_id=aaaa1")
    assert status == 2 and "the table has 1 run, expected two" in err
    project.distance_table("cartoon").write_bytes(b"PAR1")
    status, _, err = ui2i("tables", "list")
    assert status == 2 and "cannot be read" in err
