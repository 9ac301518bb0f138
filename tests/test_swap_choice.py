"""Choosing the swap: the front, the corner, the reason, and the whole command on untrained models."""

import numpy as np
import pytest
from PIL import Image
from test_measurement_stages import _stay_here as _stay_here  # fixtures
from test_measurement_stages import project as project
from test_measurement_stages import trained as trained
from test_measurement_stages import ui2i as ui2i

from experiments.paper.swap_choice import SwapVariant, choose_swap, pareto_front, save_plot
from ui2i.tables import SWAP_CHOICE_SCHEMA, read_table


def variant(name, fidelity, lpips_s, mode="weights"):
    resolution = int(name.rsplit("LS", 1)[1]) if "LS" in name else None
    return SwapVariant(
        name=name,
        swap_mode=mode if resolution else None,
        swap_resolution=resolution,
        fidelity=fidelity,
        lpips_s=lpips_s,
        lpips_s_sem=0.01,
    )


CURVE = [variant("FT", 1.0, 0.5), variant("LS8", 1.1, 0.25), variant("LS16", 1.6, 0.22), variant("LS32", 3.0, 0.1)]


def test_the_front_is_what_nothing_beats_in_both():
    random = np.random.default_rng(0)
    many = [variant(f"LS{place}", *random.random(2)) for place in range(200)]
    front = pareto_front(many)
    expected = [
        a for a in many
        if not any(b.fidelity <= a.fidelity and b.lpips_s <= a.lpips_s and b is not a for b in many)
    ]  # fmt: skip
    assert front == sorted(expected, key=lambda it: it.fidelity)
    assert 2 < len(front) < 20


def test_the_knee_is_recommended_and_the_reason_names_its_neighbours():
    choice = choose_swap(CURVE, "fd_squeeze")
    assert choice.front == tuple(CURVE)
    assert choice.recommended.name == "LS8"
    assert choice.reason.split("; ")[1:] == [
        "against FT, the next that is more faithful, it has 10 % more fd_squeeze and 50 % less LPIPS_s",
        "against LS16, the next that is more similar, it has 31 % less fd_squeeze and 14 % more LPIPS_s.",
    ]


def test_a_beaten_variant_is_never_recommended_and_order_does_not_matter():
    beaten = variant("LS9", 1.2, 0.35)
    choice = choose_swap([beaten, *reversed(CURVE)], "fid")
    assert beaten not in choice.front and choice.recommended.name == "LS8"
    assert [row[0] for row in choice.text_rows()] == ["FT", "LS8", "LS9", "LS16", "LS32"]
    assert [row[3] for row in choice.text_rows()] == ["yes", "yes", "", "yes", "yes"]


def test_scales_do_not_matter():
    scaled = [variant(it.name, 1000 * it.fidelity, it.lpips_s) for it in CURVE]
    assert choose_swap(scaled, "fid").recommended.name == "LS8"


@pytest.mark.parametrize("others", [[], [variant("LS8", 2.0, 0.6)]])
def test_one_that_is_best_in_both(others):
    choice = choose_swap([CURVE[0], *others], "fid")
    assert choice.recommended is CURVE[0]
    assert choice.reason == "FT: no other variant is more faithful or more similar."


def test_the_plot(tmp_path):
    blend = [variant("LS8", 1.3, 0.35, "blend"), variant("LS16", 1.9, 0.3, "blend")]
    save_plot(tmp_path / "a.png", choose_swap([*CURVE, *blend], "fd_squeeze"), "cartoon")
    save_plot(tmp_path / "b.png", choose_swap([*CURVE, *blend], "fd_squeeze"), "cartoon")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (770, 506)


def test_the_command_measures_every_resolution_and_mode(project, ui2i):
    status, out, _ = ui2i("choose-swap", "cartoon")
    assert status == 0
    frame = read_table(project.swap_choice("cartoon"), SWAP_CHOICE_SCHEMA)
    assert len(frame) == 1 + 3 * 3  # 4, 8 and 16 px: 32 would leave nothing to the target
    assert frame["variant"].iloc[:2].tolist() == ["FC-FT", "FC-FT-LS4"]
    assert frame["is_recommended"].sum() == 1
    assert frame[frame["is_recommended"]]["is_on_front"].all()
    by_place = frame.set_index(["swap_mode", "swap_resolution"])["lpips_s"].dropna()
    assert by_place["weights", 4] != by_place["weights", 16] != by_place["features", 16]
    assert frame["swapped_share"].tolist()[1:4] == [0.25, 0.5, 0.75]
    text = project.swap_choice("cartoon").with_suffix(".md").read_text()
    assert "recommended" in text and text.rstrip().endswith(".")
    assert frame[frame["is_recommended"]]["variant"].item() in out
    assert project.swap_choice("cartoon").with_suffix(".png").is_file()


def test_the_first_variant_of_a_swap_is_what_evaluation_says(project, ui2i):
    """Two ways to the same number."""
    from stage_calls import run

    from ui2i.tables import EVALUATION_SCHEMA

    assert run(project, "evaluate", "cartoon") == 0
    assert ui2i("choose-swap", "cartoon", "--mode", "weights")[0] == 0
    choice = read_table(project.swap_choice("cartoon"), SWAP_CHOICE_SCHEMA).set_index("variant")
    judged = read_table(project.evaluation_table("cartoon"), EVALUATION_SCHEMA).set_index("system")
    for name in ("FC-FT", "FC-FT-LS8"):
        assert choice["lpips_s"][name] == pytest.approx(judged["lpips_s"][name], abs=1e-6)
        assert choice["fidelity"][name] == pytest.approx(judged["fd"][name], rel=1e-4)


def test_a_mode_that_does_not_exist(ui2i):
    status, _, err = ui2i("choose-swap", "cartoon", "--mode", "weight")
    assert status == 2 and "the mode is 'weight', expected one of weights, features, blend" in err
