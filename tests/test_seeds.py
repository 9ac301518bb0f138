"""Pairs of trainings: what a pair shares, what is measured of it, and what differences are taken."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_base, write_images

from experiments.paper.seeds import __main__ as command
from experiments.paper.seeds.findings import AT_EQUAL_FIDELITY, find_differences, swap_bounds
from experiments.paper.seeds.made import MADE_FILE
from experiments.paper.seeds.measuring import BASE_MAPPING, latent_distances, variants
from experiments.paper.seeds.options import trainings_of
from experiments.paper.tables.equal_fidelity import distance_at, nearer_than_apart
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.published import read_published
from tasks.models import model_folder
from tasks.stages import import_base
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.images import to_tensor
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig, IngestConfig
from ui2i.training import loop, step


def test_variants_isolate_the_mapping_network_and_the_coarse_layers(perceptual: Perceptual) -> None:
    base, models = random_generator(0), {"FT": random_generator(1), "FC-FT": random_generator(2)}
    found = variants(models, base, [8])
    assert list(found) == ["FT", "FC-FT", BASE_MAPPING, "FC-FT-LS8"]
    mixed, own = found[BASE_MAPPING].state_dict(), models["FT"].state_dict()
    for name, value in base.state_dict().items():
        expected = value if name.startswith("mapping.") else own[name]
        assert torch.equal(mixed[name], expected), name
    assert not torch.equal(own["mapping.fc0.weight"], mixed["mapping.fc0.weight"]), "FT itself is left alone"
    rows = latent_distances(found, base, perceptual, DistanceConfig(num_latents=3))
    assert [row["latent"] for row in rows] == [0, 1, 2] * 4
    table = pd.DataFrame(rows).groupby("variant")["d"].mean()
    assert table["FC-FT-LS8"] < table["FC-FT"]


def latents(seed: int, domain: str = "cartoon", **distances: float) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    shared = random.random(50)  # that some latents are farther than others cancels out
    frames = [
        pd.DataFrame({"variant": variant, "latent": range(50), "d": shared + d + 0.001 * random.standard_normal(50)})
        for variant, d in distances.items()
    ]
    return pd.concat(frames).assign(domain=domain, seed=seed)


def curve(mode: str, seed: int, fd: list[float], d: list[float], domain: str = "cartoon") -> pd.DataFrame:
    return pd.DataFrame({"domain": domain, "seed": seed, "mode": mode, "kimg": range(len(fd)), "fd": fd, "d": d})


def test_distances_are_read_where_a_training_first_passes_a_frechet_distance() -> None:
    one = curve("FT", 0, [50, 40, 30, 35, 30, 20], [0.0, 0.1, 0.2, 0.25, 0.28, 0.3])
    assert distance_at(one, 40) == pytest.approx(0.1) and distance_at(one, 35) == pytest.approx(0.15)
    assert distance_at(one, 30) == pytest.approx(0.2), "where it came first, not where it came back"
    assert distance_at(one, 20) == pytest.approx(0.3)
    assert np.isnan([distance_at(one, fd) for fd in (19, 45, 51)]).all(), "never, and before the first measurement"


def test_differences_are_taken_latent_by_latent_and_pooled_over_pairs() -> None:
    table = pd.concat(latents(seed, FT=0.3 + 0.001 * seed, **{"FC-FT": 0.29, BASE_MAPPING: 0.298}) for seed in range(3))
    curves = pd.concat(
        [
            *(curve("FT", seed, [40, 20, 10], [0.0, 0.2, 0.3]) for seed in range(3)),
            *(curve("FC-FT", seed, [40, 20], [0.0, 0.2 + 0.001 * seed]) for seed in range(3)),
        ]
    )
    images, mapping, fidelity = find_differences(table, curves)
    assert images.cases[0].differences == pytest.approx([0.010, 0.011, 0.012], abs=0.0006)
    first = table[table["seed"] == 0].pivot(index="latent", columns="variant", values="d")
    assert images.cases[0].errors[0] == pytest.approx((first["FT"] - first["FC-FT"]).sem()), "of pairs of latents"
    assert images.status == "holds" and mapping.pooled.mean == pytest.approx(0.003, abs=0.0006)
    assert fidelity.aspect == AT_EQUAL_FIDELITY
    assert fidelity.cases[0].differences == pytest.approx([0, -0.001, -0.002]), "FT was ahead only in images"


@pytest.mark.parametrize(
    ("fd", "d", "bounds"),
    [
        (25, 0.1, ["at least +0.0500"]),  # FC-FT was at 0.15 when it still was farther from the domain
        (25, 0.3, ["at most -0.1000"]),  # and at 0.2 when it was nearer already
        (25, 0.18, []),  # between the two
        (35, 0.1, []),  # before FC-FT was first measured
        (35, 0.2, ["at most -0.0500"]),
        (10, 0.1, ["at least +0.0200"]),  # nearer than FC-FT ever was
        (20, 0.1, ["at least +0.0500"]),  # as near as FC-FT at a measurement
        (15, 0.16, []),  # FC-FT came back towards the base: at 0.2 before, at 0.12 after
    ],
)
def test_swapped_layers_are_compared_with_the_measurements_around_them(fd: float, d: float, bounds: list[str]) -> None:
    trained = curve("FC-FT", 0, [40, 30, 20, 12], [0.0, 0.15, 0.2, 0.12])
    curves = pd.concat([trained, curve("FC-FT-LS8", 0, [fd], [d])])
    expected = [f"FC-FT - FC-FT-LS8, at equal Frechet distance: cartoon {bound}" for bound in bounds]
    assert swap_bounds(curves) == expected
    assert find_differences(latents(0, **{"FC-FT": 0.1}), curves) == [], "a bound is no difference"


@pytest.mark.parametrize(
    ("fd", "differences"),
    [
        ([100, 30], [0.4 - 0.3]),  # as near as FT at its end
        ([100, 20], [0.5 - 0.1]),  # nearer than FT from its second measurement on; the base's own images are no model
        ([60, 95], [0.5 - 0.1]),  # at its nearest, not at its end
        ([120, 90], []),  # no nearer than the base's own images
    ],
)
def test_ft_is_compared_with_another_base_s_model_as_near_as_it_was(fd: list[float], differences: list[float]) -> None:
    own, apart = curve("FT", 0, [90, 50, 30], [0, 0.1, 0.3]), curve(APART, 0, fd, [0.5, 0.4])
    together = pd.concat([own.assign(d_sem=0.03), apart.assign(d_sem=0.04)]).assign(base="face")
    cases, left_out = nearer_than_apart([together])
    assert [case.differences[0] for case in cases] == pytest.approx(differences) and bool(left_out) != bool(cases)
    assert [case.errors[0] for case in cases] == pytest.approx([0.05] * len(differences))


def test_a_training_that_never_gets_there_is_left_out() -> None:
    curves = pd.concat([curve("FT", 0, [40, 30], [0, 0.1]), curve("FC-FT", 0, [25, 20], [0, 0.1])])
    assert [finding.aspect for finding in find_differences(latents(0, FT=0.1), curves)] == []


@pytest.fixture
def project(tmp_path: Path) -> Any:
    made = make_project(tmp_path / "project")
    set_param(made, "finetune.evaluation_images", 8)
    write_base(made)
    write_images(tmp_path / "raw")
    settings = IngestConfig(img_resolution=32, test_share=0.3)
    ingest(tmp_path / "raw", made.prepared("cartoon"), settings, name="cartoon")
    assert import_base.main(import_base.STAGE, ["--base", "face", "--project", str(made.root)]) == 0
    return made


def test_trainings_of_a_seed_differ_in_the_freezing_and_in_the_base_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    monkeypatch.setattr(model_folder, "read_model", lambda folder, device: (folder, None, None))
    options = argparse.Namespace(apart="other", kimg=0.5, apart_kimg=None, every_kimg=2.0, out=tmp_path)
    trainings = trainings_of(options, "cartoon")
    free, frozen, apart = (dataclasses.asdict(trainings.config(name)) for name in ("FT", "FC-FT", APART))
    assert {name for name in free if free[name] != frozen[name]} == {"freeze_mapping"} and frozen["freeze_mapping"]
    assert apart == free and free["total_kimg"] == 0.5
    starts = {name: trainings.start_of(name)[0] for name in ("FT", "FC-FT", APART)}
    face, other = (made.checkpoint(name) for name in ("face", "other"))
    assert starts == {"FT": face, "FC-FT": face, APART: other}


def test_models_are_measured_against_images_that_they_were_not_trained_on(
    project: Any, perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    options = argparse.Namespace(apart=None, kimg=None, apart_kimg=None, every_kimg=2.0, out=project.root)
    trainings = trainings_of(options, "cartoon")
    reference = trainings.evaluator(random_generator(0), perceptual).to_domain.reference
    held_out = PreparedDataset(project.prepared("cartoon"), "test")
    images = perceptual.embed(to_tensor(held_out.images(slice(None))))
    assert len(held_out) != len(PreparedDataset(project.prepared("cartoon")))
    assert np.allclose(reference, images.double().numpy(), atol=1e-5)


def test_a_pair_shares_its_images_and_its_latents(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[torch.Tensor] = []
    drawn: list[torch.Tensor] = []
    plain_step, plain_draw = loop.train_step, step.draw_latents

    def record_step(state: Any, real_img: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        shown.append(real_img.clone())
        return plain_step(state, real_img, *arguments, **options)

    def record_draw(*arguments: Any, **options: Any) -> Any:
        draws = plain_draw(*arguments, **options)
        drawn.append(draws.z.clone())
        return draws

    monkeypatch.setattr(loop, "train_step", record_step)
    monkeypatch.setattr(step, "draw_latents", record_draw)
    monkeypatch.chdir(tmp_path)
    out = Path("out").resolve()
    arguments = ["--project", str(project.root), "--domain", "cartoon", "--kimg", "0.016", "--every-kimg", "0.008"]
    assert command.main([*arguments, "--pairs", "1", "--out", "out"]) == 0
    assert Path.cwd() == project.root, "from where params.yaml's paths count"
    for recorded in (shown, drawn):
        first, second = recorded[: len(recorded) // 2], recorded[len(recorded) // 2 :]
        assert len(first) >= 4 and all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    curves, rows = (pd.read_parquet(out / name) for name in (command.CURVES_FILE, command.LATENTS_FILE))
    assert curves["mode"].tolist() == ["FT", "FC-FT"] * 2 + [BASE_MAPPING, "FC-FT-LS8", "FC-FT-LS16"]
    assert curves["kimg"][:2].tolist() == curves["d"][:2].tolist() == [0, 0], "both begin as the base"
    assert curves["kimg"][2:].to_numpy() == pytest.approx(0.016), "so short a training has one snapshot"
    assert (out / command.PLOT_FILE).is_file()
    made = json.loads((out / MADE_FILE).read_text())["cartoon, seed 0"]
    assert made["finetune"]["total_kimg"] == 0.016 and len(made["base_hash"]) == 64 and made["provenance"]["commit"]
    (run,) = read_published(out).distances
    values = rows.groupby("variant")["d"].mean()
    assert {(cell.row, cell.column): cell.value for cell in run} == pytest.approx(
        {(name, "face2cartoon"): value for name, value in values.items()}
    )
    ends = curves[curves["kimg"] > 0].set_index("mode")["d"]
    assert ends.to_dict() == pytest.approx(values.to_dict(), rel=1e-3), "few latents: the same along a training"
    assert set(rows["variant"]) == {"FT", "FC-FT", BASE_MAPPING, "FC-FT-LS8", "FC-FT-LS16"} and len(rows) == 5 * 4
    said = capsys.readouterr().out
    assert "FT - FC-FT, after equal images: cartoon " in said and "(one training)" in said
    num_steps = len(shown)
    assert command.main([*arguments, "--pairs", "2", "--out", str(out)]) == 0
    assert len(shown) == 2 * num_steps, "the first pair is not trained again"
    assert not torch.equal(shown[0], shown[num_steps]), "each pair has its own seed"
    rows = pd.read_parquet(out / command.LATENTS_FILE)
    assert rows["seed"].tolist() == [0] * 20 + [1] * 20
    assert command.main([*arguments, "--pairs", "1", "--apart", "face", "--out", str(out)]) == 0
    assert len(shown) == 2.5 * num_steps, "only the model that is to stand for those trained apart is trained"
    assert all(torch.equal(one, other) for one, other in zip(shown, shown[2 * num_steps :], strict=False))
    rows = pd.read_parquet(out / command.LATENTS_FILE)
    assert set(rows[rows["seed"] == 0]["variant"]) - set(rows[rows["seed"] == 1]["variant"]) == {APART}
    assert APART in pd.read_parquet(out / command.CURVES_FILE)["mode"].tolist()
    longer = [*arguments, "--pairs", "1", "--apart", "face", "--apart-kimg", "0.024", "--out", str(out)]
    for _ in range(2):
        assert command.main(longer) == 0
        assert len(shown) == 2.75 * num_steps, "the model of another base goes on, once"
    curves = pd.read_parquet(out / command.CURVES_FILE)
    last = curves[curves["seed"] == 0].groupby("mode")["kimg"].max()
    assert last[APART] == pytest.approx(0.024) and last.drop(APART).to_numpy() == pytest.approx(0.016)
    note = json.loads((out / MADE_FILE).read_text())
    key = {"base": "face", "domain": "cartoon", "seed": 0}
    trainings = command.trainings_of(command._parser().parse_args(longer), "cartoon")
    assert command._is_measured(out / command.CURVES_FILE, key, trainings)
    (out / MADE_FILE).write_text(json.dumps(note | {"cartoon, seed 0": note["cartoon, seed 0"] | {"apart": "cat"}}))
    assert not command._is_measured(out / command.CURVES_FILE, key, trainings), "another base's model is another"
    (out / MADE_FILE).write_text(json.dumps(note | {"cartoon, seed 0": {"backbone": "vgg", "backbone_hash": "0"}}))
    capsys.readouterr()
    assert command.main([*arguments, "--pairs", "3", "--out", str(out)]) == 2
    assert "measured on the backbone vgg, expected random-squeeze as params.yaml says" in capsys.readouterr().err
    (out / MADE_FILE).write_text(json.dumps(note))
    assert command.main([*arguments, "--pairs", "3", "--kimg", "0.024", "--out", str(out)]) == 2, "another length"
    said = capsys.readouterr().err
    assert "has pairs of cartoon from face of 0.016 kimg, expected face and 0.024 kimg as asked for" in said
    assert len(pd.read_parquet(out / command.LATENTS_FILE)) == len(rows)


def test_an_unknown_domain_is_refused_in_a_line(
    project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--project", str(project.root), "--domain", "moon", "--out", str(tmp_path / "out")]) == 2
    assert "moon" in capsys.readouterr().err
