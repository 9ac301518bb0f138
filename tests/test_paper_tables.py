"""The paper's tables from rows of measurements: which row counts, where it goes, and whether the order holds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.paper.tables import Cell, PaperTable, model_distance_table, order_faults, translation_table
from experiments.paper.tables.values import TABLE_1, TABLE_2, TABLE_3


def distance(source: str, target: str, mean: float, **columns: Any) -> dict[str, Any]:
    source_domain, _, source_mode = source.partition("/")
    target_domain, _, mode = target.partition("/")
    return {
        "run_id": "r",
        "measured_at": datetime(2026, 1, 2, tzinfo=UTC),
        "source": source,
        "target": target,
        "source_domain": source_domain,
        "target_domain": target_domain,
        "source_mode": source_mode or "scratch",
        "mode": mode or "scratch",
        "mean": mean,
        "sem": 0.001,
        "num_latents": 2000,
        "truncation_psi": 1.0,
        "noise_mode": "const",
        "backbone": "squeeze",
        "img_resolution": 64,
    } | columns


def measured(table: PaperTable) -> dict[tuple[str, str], float]:
    return {(cell.row, cell.column): cell.value for cell in table.cells if cell.origin == "measured"}


MODES = {"scratch": 0.6, "FT": 0.5, "FC-FT": 0.4, "FC-FT-LS8": 0.3, "FC-FT-LS16": 0.2}


def test_rows_of_table_1() -> None:
    rows = [distance("face", f"cat/{mode}", mean) for mode, mean in MODES.items()]
    rows += [distance("cat/FT", "cat/FC-FT", 0.9)]  # of one domain: no cell
    rows += [distance("cat/FC-FT", "dog/FC-FT", 0.35), distance("cat/FT", "dog/FC-FT", 0.9)]
    rows += [distance("face", "cartoon", 0.9)]  # a base from a base: no cell
    table = model_distance_table(pd.DataFrame(rows))
    assert measured(table) == {
        ("w/o FT", "face2cat"): 0.6,
        ("FT", "face2cat"): 0.5,
        ("FC-FT", "face2cat"): 0.4,
        ("FC-FT-LS8", "face2cat"): 0.3,
        ("FC-FT-LS16", "face2cat"): 0.2,
        ("FC-FT", "cat2dog"): 0.35,
    }
    assert table.rows == ["w/o FT", "FT", "FC-FT", "FC-FT-LS8", "FC-FT-LS16", "FC-FT-LS32"]
    assert table.header[:3] == ["target model", "face2cat", "cat2dog"]
    assert all(heading.startswith("paper: ") for heading in table.header[3:])
    assert "face2cat: in the paper's order, w/o FT > FT > FC-FT > FC-FT-LS8 > FC-FT-LS16." in table.notes
    first = table.text_rows()[0]
    assert first[:4] == ["w/o FT", "0.6000 ± 0.0010", "", "0.747"]


def test_the_last_measurement_of_a_pair_counts() -> None:
    rows = [distance("face", "cat/FT", mean, run_id=str(mean)) for mean in (0.1, 0.2)]
    (cell,) = [cell for cell in model_distance_table(pd.DataFrame(rows)).cells if cell.origin == "measured"]
    assert (cell.value, cell.run_id) == (0.2, "0.2")


def test_backbones_are_not_mixed() -> None:
    rows = [distance("face", "cat/FT", 0.5), distance("face", "cat/FC-FT", 0.4), distance("face", "dog/FT", 0.3)]
    rows += [distance("face", "cat/FC-FT", 0.2, backbone="st-alex")]
    table = model_distance_table(pd.DataFrame(rows))
    assert measured(table) == {("FC-FT", "face2cat"): 0.2, ("FT", "face2dog"): 0.3}
    both = translation_table(pd.DataFrame([evaluation("FT"), evaluation("FC-FT", backbone="st-alex")]))
    metrics = {"face2anime LPIPS_d (squeeze) ↑", "face2anime LPIPS_d (st-alex) ↑", "face2anime fd_st-alex ↓"}
    assert metrics <= set(both.header)


def cells(**values: float) -> list[Cell]:
    rows = {"scratch": "w/o FT", "FT": "FT", "FC": "FC-FT", "LS8": "FC-FT-LS8", "FreezeD": "FreezeD"}
    return [
        Cell(row=rows[name], column="face2cat", metric="d", value=value, sem=0.003) for name, value in values.items()
    ]


def test_order_faults() -> None:
    assert order_faults(cells(LS8=0.3, FC=0.4, FT=0.5, scratch=0.6, FreezeD=0.9)) == []
    (reversed_,) = order_faults(cells(scratch=0.6, FT=0.40, FC=0.45, LS8=0.3))
    assert (reversed_.farther, reversed_.nearer) == ("FT", "FC-FT")
    assert reversed_.is_reversed and "FT is below FC-FT (difference -0.0500" in str(reversed_)
    (unsure,) = order_faults(cells(FT=0.452, FC=0.45))
    assert not unsure.is_reversed and "cannot be told from" in str(unsure)
    assert unsure.sem == pytest.approx(0.003 * 2**0.5)
    (gap,) = order_faults(cells(scratch=0.3, FC=0.4))
    assert (gap.farther, gap.nearer) == ("w/o FT", "FC-FT"), "rows that are not there are passed over"


def evaluation(system: str, **columns: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "measured_at": datetime(2026, 1, 2, tzinfo=UTC),
        "source_domain": "face",
        "domain": "anime",
        "system": system,
        "inputs": "generated",
        "fid": None,
        "kid": None,
        "fd": 1.5,
        "fd_sem": None,
        "fd_network": None,
        "lpips_d": 0.5,
        "lpips_d_sem": 0.01,
        "lpips_s": 0.4,
        "lpips_s_sem": 0.02,
        "num_outputs": 100,
        "num_pairs": 50,
        "num_targets": 900,
        "img_resolution": 64,
        "resizer": "lanczos",
        "backbone": "squeeze",
    } | columns


def test_rows_of_table_2() -> None:
    rows = [
        evaluation("FC-FT", fd=9.0),
        evaluation("FC-FT"),
        evaluation("FC-FT", inputs="images", lpips_s=None, lpips_s_sem=None),
        evaluation("FC-FT-LS16", fid=30.0, kid=0.01),
        evaluation("cyclegan", inputs="images", fd_network="efficientnet-lite0", fd_sem=0.25),
    ]
    table = translation_table(pd.DataFrame(rows))
    by_place = {(cell.row, cell.metric): cell.value for cell in table.cells if cell.origin == "measured"}
    assert by_place["Ours (FC-FT)", "fd_squeeze"] == 1.5, "the last one"
    assert ("Ours (FC-FT), images", "LPIPS_s (squeeze)") not in by_place
    assert ("Ours (FC-FT)", "FID") not in by_place
    assert by_place["Ours (FC-FT-LS16)", "FID"] == 30
    assert by_place["cyclegan", "fd_efficientnet-lite0"] == 1.5 and "1.5000 ± 0.2500" in table.to_markdown()
    assert table.rows[:4] == ["cyclegan", "CycleGAN", "MUNIT", "DRIT++"]
    assert {"face2anime fd_squeeze ↓", "face2anime LPIPS_d (squeeze) ↑", "paper: face2anime LPIPS_s ↓"} <= set(
        table.header
    )
    assert "no FID" in table.to_markdown()


def test_columns_of_the_paper_come_last_and_stay_out_of_the_csv() -> None:
    table = model_distance_table(pd.DataFrame([distance("face", "anime/FT", 0.5)]))
    origins = [origin for origin, _, _ in table.columns]
    assert origins == ["measured"] + ["paper"] * 6
    assert table.to_csv() == "column,row,metric,value\nface2anime,FT,model distance,0.5\n"
    lines = table.to_markdown().splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_the_papers_values_are_the_papers(shared: Path) -> None:
    """Every number stands in the text, and the paper's own order holds where it says so."""
    text = (shared / "paper.txt").read_text()
    tables = text[text.index("TABLE I:") :]
    numbers = [value for row in TABLE_1.values() for value in row] + list(TABLE_3.values())
    numbers += [value for columns in TABLE_2.values() for row in columns.values() for value in row]
    assert all(f"{value:.3f}" in tables for value in numbers)
    for name, row in (("w/o FT", "w/o FT"), ("FC-FT-LS5", "FC-FT-LS32")):
        (line,) = [line for line in tables.splitlines() if line.startswith(f"{name}\t")]
        assert tuple(map(float, line.split("\t")[1:])) == TABLE_1[row]
    for column in range(6):
        values = [row[column] for row in TABLE_1.values()]
        assert values == sorted(values, reverse=True)
