"""Baselines of curves over compute in the claims of Table II: which row counts, and when it is a control."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.paper.tables.baselines import longest_baselines
from experiments.paper.tables.claims import Claim
from experiments.paper.tables.published import _SAME_WEIGHTS, BASELINE_CURVE, EVALUATIONS, TRUTH_ROWS, read_published
from ui2i.errors import DataError


def row(system: str, fd: float, *, domain: str = "anime", **columns: Any) -> dict[str, Any]:
    lpips = {"lpips_d": 0.5, "lpips_s": 0.4, "lpips_d_sem": 0.01, "lpips_s_sem": 0.01}
    ends = {"mark": None, "core_minutes": None, "budget_core_minutes": None, "fd_network": None}
    place = {"source_domain": "face", "domain": domain, "system": system, "inputs": "images"}
    return {**place, "fd": fd, "fid": None, **lpips, **ends, **columns}


def trained(
    minutes: float, fd: float, *, budget: float | None = None, system: str = "CycleGAN", **columns: Any
) -> dict[str, Any]:
    marks: dict[str, Any] = {"mark": minutes, "core_minutes": minutes + 0.4, "budget_core_minutes": budget or minutes}
    return row(system, fd, **marks, **{"kimg": minutes / 10} | columns)


def curve(*rows: dict[str, Any], inputs: float = 90) -> pd.DataFrame:
    return pd.DataFrame([row("the data itself", 5), row("the input itself", inputs), *rows])


def test_the_longest_training_that_is_done_counts() -> None:
    rows = curve(trained(10, 80), trained(80, 70, budget=230), trained(40, 60), trained(230, 1, fd_network="other"))
    found = longest_baselines([rows])["face", "anime", "CycleGAN"]
    assert found.outputs["core_minutes"] == 40.4, "80 of 230 is not done, and other networks do not compare"
    assert found.unfinished == ""
    halfway = curve(trained(80, 30, system="MUNIT"), trained(230, 20, system="MUNIT", budget=480))
    found = longest_baselines([halfway])["face", "anime", "MUNIT"]
    assert found.outputs["fd"] == 20, "its learning rate does not depend on the budget"
    slower = curve(trained(40, 60), trained(50, 65, kimg=3.9))
    assert longest_baselines([slower])["face", "anime", "CycleGAN"].outputs["kimg"] == 4, "images count, not minutes"
    assert longest_baselines([rows.iloc[:2]]) == {}
    shorter, longer = curve(trained(10, 80)), curve(trained(80, 70))
    for folders in ([shorter, longer], [longer, shorter]):
        assert longest_baselines(folders)["face", "anime", "CycleGAN"].outputs["kimg"] == 8, "in whichever folder"
    late = longest_baselines([curve(trained(10, 120))])["face", "anime", "CycleGAN"]
    assert late.unfinished == "Frechet distance 120 against 90, 10 core minutes"
    ends = [trained(10, 80), trained(10, 120, fd_network="other"), row("the input itself", 110, fd_network="other")]
    assert longest_baselines([curve(*ends)])["face", "anime", "CycleGAN"].unfinished == "", (
        "the claims are made by the backbone"
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    rows = [
        row(system, fd, domain=domain)
        for domain in ("anime", "cartoon")
        for system, fd in (("CycleGAN", 160), ("FC-FT", 20))
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / EVALUATIONS)
    summary = '{"baseline.%s": {"gain_over_copy": {"CycleGAN": {"lpips": {"mean": -0.3}}}}}'
    (tmp_path / "truth.json").write_text(summary % "cartoon")
    return tmp_path


def nearer(page: Path, *rows: dict[str, Any]) -> Claim:
    more = page / "curves"
    more.mkdir()
    curve(*rows).to_parquet(more / BASELINE_CURVE)
    return next(claim for claim in read_published(page, [more]).claims if "nearer to the target's images" in claim.text)


def test_a_finished_baseline_replaces_the_short_one_and_the_unfinished_is_left_out(page: Path) -> None:
    claim = nearer(page, trained(80, 60))
    assert [(case.column, case.differences) for case in claim.cases] == [("face2anime", (40,))]
    assert (
        "left out: CycleGAN is not finished" in claim.evidence and "(cartoon: by 0.300 of the score" in claim.evidence
    )


def test_without_any_finished_baseline_the_control_is_missing(page: Path) -> None:
    claim = nearer(page, trained(80, 100))
    assert claim.verdict == "control missing" and [case.differences for case in claim.cases] == [(80,), (140,)]
    assert "anime: Frechet distance 100 against 90, 80 core minutes" in claim.missing_control


def test_means_of_scores_decide_only_where_there_are_no_rows(page: Path) -> None:
    rows = [
        {"variant": name, "metric": "lpips", "input_path": str(place), "distance": distance, "copy_distance": copy}
        for name in ("CycleGAN", "FC-FT")
        for place, (distance, copy) in enumerate([(0.5, 0.9), (0.5, 0.2)])
    ]
    tables = [pd.DataFrame(rows).assign(table=name) for name in ("baseline.cartoon", "cartoon")]
    pd.concat(tables).to_parquet(page / TRUTH_ROWS)
    claim = next(claim for claim in read_published(page).claims if "nearer to the target's images" in claim.text)
    assert not claim.left_out and len(claim.cases) == 2, "the rows say that its outputs are nearer to the truth"


def test_diversity_is_judged_by_the_domain_that_the_curves_measured(page: Path) -> None:
    nearer(page, trained(80, 60, lpips_d=0.6))
    (diverse,) = (claim for claim in read_published(page, [page / "curves"]).claims if "more diverse" in claim.text)
    (case,) = diverse.cases
    assert case.differences == pytest.approx((0.1,)) and case.aspect == "", "FC-FT and the domain have 0.5"


def test_each_baseline_of_the_curves_is_judged_by_itself(page: Path) -> None:
    nearer(page, trained(80, 60), trained(80, 100, system="MUNIT"), trained(80, 10, system="DRIT++"))
    claims = [claim for claim in read_published(page, [page / "curves"]).claims if " than " in claim.text]
    by_name = {name: [claim for claim in claims if name in claim.text] for name in ("CycleGAN", "MUNIT", "DRIT++")}
    verdicts = {name: [claim.verdict for claim in found[:3]] for name, found in by_name.items()}
    assert verdicts["CycleGAN"][0] == "direction only"
    assert verdicts["MUNIT"] == ["control missing"] * 3
    assert verdicts["DRIT++"][0] == "direction only, against"
    assert "MUNIT is not finished" in by_name["MUNIT"][0].missing_control
    assert by_name["DRIT++"][0].paper == "FID: face2portrait 32.48 against 76.271, face2anime 52.93 against 72.293"


def test_weights_that_version_0_1_hashed_under_other_names_are_the_same(page: Path) -> None:
    ((before, now),) = _SAME_WEIGHTS.items()
    table = pd.read_parquet(page / EVALUATIONS)
    table.assign(trunk_hash=before).to_parquet(page / EVALUATIONS)
    claim = nearer(page, trained(80, 60, backbone_hash=now))
    assert [case.differences for case in claim.cases] == [(40,)]
    table.assign(trunk_hash="another").to_parquet(page / EVALUATIONS)
    with pytest.raises(DataError, match="face2anime: backbone_hash of fd differs"):
        _ = read_published(page, [page / "curves"]).claims
