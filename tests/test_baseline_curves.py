"""Curves over compute: marks, rows with what made them, lines, and resuming."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from table_rows import row as table_row
from tiny_baselines import StopError, blobs, tiny, write_folder
from tiny_project import make_project

from experiments.paper.baselines import curve, curve_table, training
from experiments.paper.baselines.image_sets import identity_of, read_images
from experiments.paper.baselines.systems import build, choose_settings
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.provenance import processor
from ui2i.schemas import EVALUATION_SCHEMA
from ui2i.settings import IngestConfig
from ui2i.tables import append_rows, read_rows


@pytest.mark.parametrize(("marks", "expected"), [([], [4]), ([3, 1.5], [1.5, 3, 4]), ([4, 1, 1], [1, 4])])
def test_marks_are_in_order_and_the_end_is_one(marks: list[float], expected: list[float]) -> None:
    assert curve._marks(SimpleNamespace(marks=marks, core_minutes=4.0)) == expected


def test_a_mark_is_done_when_a_row_is_of_the_same_training_at_it(tmp_path: Path) -> None:
    table = tmp_path / curve.TABLE_FILE
    assert not curve._has(table, "MUNIT", "its settings", 2)
    row = {"system": "MUNIT", "identity": "its settings", "mark": 2.0}
    append_rows(table, [table_row(curve.CURVE_SCHEMA, **row)], curve.CURVE_SCHEMA)
    asked = (
        ("MUNIT", "its settings", 2),
        ("DRIT++", "its settings", 2),
        ("MUNIT", "others", 2),
        ("MUNIT", "its settings", 4),
    )
    assert [curve._has(table, *each) for each in asked] == [True, False, False, False]


@pytest.mark.parametrize(("system", "styles"), [("cyclegan", 0), ("munit", 4)])
def test_rows_carry_what_made_them(system: str, styles: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends of the scale come once, before all; the rate falls within the budget, whatever the mark was overrun by."""
    settings = tiny(system, kimg=None, core_minutes=4.0, batch_size=2, seed=3)
    model, test, table = build(system, settings, "cpu"), SimpleNamespace(images=blobs(2, 0)), tmp_path / "curve.parquet"
    inputs: list[Any] = []

    def row(label: str, outputs: np.ndarray, **columns: Any) -> dict[str, Any]:
        assert (outputs == model.translate(test.images, seed=3)).all()
        return table_row(EVALUATION_SCHEMA, system=label) | columns

    def distances(stacks: np.ndarray, *_: Any) -> np.ndarray:
        inputs.append(stacks)
        return np.array([0.25, 0.75])

    monkeypatch.setattr(curve, "style_distances", distances)
    meter = SimpleNamespace(
        test=test,
        perceptual=None,
        device="cpu",
        row=row,
        ends=lambda: [table_row(EVALUATION_SCHEMA, system="the data itself")],
    )
    for mark in (1.0, 3.0, 4.0):
        model.num_steps, model.processor_seconds = int(1000 * mark), 60 * mark + 6
        curve._measure(table, model, f"at {mark}", mark, [meter])
    rows = pd.DataFrame(read_rows(table, curve.CURVE_SCHEMA))
    assert rows["system"].tolist() == ["the data itself", *[model.system] * 3]
    made = rows.iloc[1:]
    assert made["mark"].tolist() == [1, 3, 4] and made["core_minutes"].tolist() == [1.1, 3.1, 4.1]
    assert (made["budget_core_minutes"] == 4).all() and made["kimg"].tolist() == [2, 6, 8]
    assert made["rate_factor"].tolist() == ([1, 1, 1] if system == "munit" else [1, 0.5, 0])
    assert made["identity"].tolist() == ["at 1.0", "at 3.0", "at 4.0"]
    assert made["num_styles"].fillna(0).tolist() == [styles] * 3
    if styles:
        assert made["styles_lpips_d"].tolist() == [0.5] * 3
        (first, *_), outputs = inputs, [model.translate(test.images, seed=1003 + number) for number in range(4)]
        assert (first == np.stack(outputs, axis=1)).all(), "the outputs of each input"


def test_lines_of_a_curve_are_trainings(tmp_path: Path) -> None:
    rows = [
        {"system": "MUNIT", "mark": mark, "core_minutes": mark, "budget_core_minutes": 4.0, "identity": identity}
        for mark in (2.0, 4.0)
        for identity in ('{"seed": 0, "width": 32}', '{"seed": 1, "width": 32}')
    ]
    lines = curve_table._lines(rows)
    assert {name: [row["mark"] for row in line] for name, line in lines.items()} == {
        "MUNIT, 4, seed 0": [2, 4],
        "MUNIT, 4, seed 1": [2, 4],
    }
    assert list(curve_table._lines(rows[::2])) == ["MUNIT, 4"]


def test_a_curve_has_rows_at_its_marks_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "project")
    for name, seed in (("face", 0), ("cartoon", 1)):
        write_folder(tmp_path / name, blobs(40, seed))
        ingest(tmp_path / name, project.prepared(name), IngestConfig(img_resolution=32, test_share=0.2), name=name)
    monkeypatch.setattr(curve, "load_efficientnet", lambda _device: Colours())
    monkeypatch.setattr(training, "LOG_STEPS", 1)
    clock = Clock()
    monkeypatch.setattr(training.time, "process_time", clock)
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    arguments = ["--project", str(project.root), "--base", "face", "--domain", "cartoon", "--out", str(out)]
    arguments += ["--system", "munit", "--core-minutes", "4", "--width", "2", "--num-test", "6"]
    clock.stop_after = 3
    with pytest.raises(StopError):
        curve.main([*arguments, "--marks", "2"])
    clock.stop_after = 1000
    assert curve.main([*arguments, "--marks", "2"]) == 0
    assert Path.cwd() == project.root, "from where params.yaml's paths count"
    rows = pd.DataFrame(read_rows(out / curve.TABLE_FILE, curve.CURVE_SCHEMA))
    trained = rows[rows["system"] == "MUNIT"]
    assert trained["mark"].tolist() == [2, 2, 4, 4] and trained["core_minutes"].tolist() == [2, 2, 4, 4]
    assert trained["kimg"].tolist() == [0.002, 0.002, 0.004, 0.004], "a step a minute, those before a pause among them"
    assert trained["fd_network"].isna().tolist() == [True, False] * 2 and (trained["styles_lpips_d"] > 0).all()
    assert trained["fd_sem"].notna().tolist() == [False, True] * 2 and (trained["num_outputs"] == 6).all()
    assert rows["processor"].map(json.loads).tolist() == [processor()] * len(rows)
    assert rows["system"].tolist()[:4] == ["the data itself", "the input itself"] * 2
    assert {path.name for path in (out / "munit-4-0-w2").glob("*.png")} == {"sheet-2.png", "sheet-4.png"}
    assert (out / curve.PLOT_FILE).is_file()
    source, target = (read_images(project.prepared(name), "train") for name in ("face", "cartoon"))
    settings = choose_settings(
        "munit", 32, core_minutes=4.0, width=2, precision=json.loads(trained["identity"].iloc[0])["precision"]
    )
    assert (trained["identity"] == identity_of(settings, source, target)).all()
    hashes = [PreparedDataset(project.prepared(name), split=None).hash for name in ("cartoon", "face")]
    assert (rows[["dataset_hash", "inputs_hash"]] == hashes).all(axis=None)
    assert (trained["num_targets"] == 40).all() and (rows["img_resolution"] == 32).all()
    assert (rows[["source_domain", "domain"]] == ["face", "cartoon"]).all(axis=None)
    assert curve.main([*arguments, "--marks", "2", "3", "3.8", "3.82"]) == 0, "a mark that is past by 5 % is left out"
    assert "has 3 of 5 marks of munit-4-0-w2" in capsys.readouterr().out
    assert read_rows(out / curve.TABLE_FILE, curve.CURVE_SCHEMA)[-1]["mark"] == 3.82
    for mark in ("5", "0", "-1", "nan"):
        assert curve.main([*arguments, "--marks", mark]) == 2
        assert f"a mark is {mark}, expected core minutes above 0 up to --core-minutes, 4" in capsys.readouterr().err
    assert curve.main([*arguments, "--num-test", "5"]) == 2
    assert "has curves of 6 images from face to cartoon, expected 5 images" in capsys.readouterr().err
    assert len(read_rows(out / curve.TABLE_FILE, curve.CURVE_SCHEMA)) == len(rows) + 2, "those of the mark 3.82"


class Clock:
    """Processor time of which a step takes a minute, and which ends the process once."""

    stop_after = 1000

    def __init__(self) -> None:
        self.num_calls = 0

    def __call__(self) -> float:
        self.num_calls += 1
        if self.num_calls > self.stop_after:
            raise StopError
        return 60.0 * self.num_calls


class Colours:
    """Stands for the Frechet network, whose weights are not everywhere."""

    name, weights_hash = "colours", "0"

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))
