"""The plan of faults covers what it must, and an interrupted suite goes on where it was."""

import collections

import torch
from fault_plan import CHOICES, Record, make_plan
from outputs_compare import differences

from tasks.project.paths import Project
from ui2i.checkpoints import ModelCard, save_generator


def test_every_victim_signal_and_stage_has_its_share():
    plan = make_plan(30, 5, 10, seed=3)
    kinds = collections.Counter((fault.victim, fault.signal) for fault in plan)
    assert set(kinds) == set(CHOICES)
    assert set(kinds.values()) == {2, 3}
    assert collections.Counter(fault.stage for fault in plan) == dict.fromkeys(range(10), 3)
    assert collections.Counter(fault.round for fault in plan) == dict.fromkeys(range(5), 6)
    assert all(plan[i].round < plan[i + 1].round or plan[i].stage <= plan[i + 1].stage for i in range(29))
    assert make_plan(30, 5, 10, seed=3) == plan != make_plan(30, 5, 10, seed=4)
    assert not any(fault.victim == "disk" for fault in make_plan(30, 5, 10, seed=3, has_disk=False))


def test_an_interrupted_suite_goes_on_where_it_was(tmp_path):
    plan = make_plan(4, 2, 10, seed=0)
    first = Record(tmp_path / "report.json", 0)
    first.add_fault(plan[0], stage="swap@cartoon", seconds=1.5)
    first.counts["runs"] += 2
    first.add_round(faults=1)
    second = Record(tmp_path / "report.json", 0)
    assert second.remaining(plan) == plan[1:]
    second.add_fault(plan[1], stage="draw@face", seconds=1.0)
    assert second.counts["runs"] == 2
    summary = Record(tmp_path / "report.json", 0).summary()
    assert summary.startswith("2 faults, 1 rounds compared")
    assert '"draw": 1' in summary and '"swap": 1' in summary


def test_models_compare_by_their_weights_and_not_by_when_they_were_made(tmp_path, generator):
    one, two = (Project(tmp_path / name) for name in ("one", "two"))
    for project, created in ((one, "2026-01-01"), (two, "2026-01-02")):
        card = ModelCard(domain="face", mode="scratch", provenance={"created": created})
        save_generator(project.data_dir / "checkpoints" / "face" / "generator.safetensors", generator, card)
    assert differences(one, two) == []
    with torch.no_grad():
        generator.mapping.w_avg[0] += 1e-3
    save_generator(two.data_dir / "checkpoints" / "face" / "generator.safetensors", generator, card)
    assert differences(one, two) == ["checkpoints/face/generator.safetensors differs"]
