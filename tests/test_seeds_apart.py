"""Models of several domains that were trained with one seed, and of another base: their distances and directions."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from figure_family import model
from tiny_project import make_project, set_param, write_base, write_images

from experiments.paper.figures.models import Family
from experiments.paper.figures.schemas import AGREEMENT_SCHEMA
from experiments.paper.seeds import apart as command
from experiments.paper.seeds import columns
from experiments.paper.seeds.made import MADE_FILE
from experiments.paper.tables.claims import Claim
from experiments.paper.tables.model_distance import APART
from experiments.paper.tables.published import ACROSS, AGREED, BETWEEN, COLUMNS, Published, read_published
from experiments.paper.truth import AttributeRegressor
from tasks.stages import import_base
from ui2i.datasets.ingest import ingest
from ui2i.metrics.model_distance import model_distances
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig, IngestConfig
from ui2i.tables import read_rows, write_table
from ui2i.training import loop

FIGURES = {
    "num_directions": 3,
    "num_moved": 4,
    "regressor": {"num_drawings": 12, "num_held_out": 6, "num_epochs": 1, "batch_size": 6, "width": 4},
}


@pytest.fixture
def project(tmp_path: Path) -> Any:
    made = make_project(tmp_path / "project")
    set_param(made, "finetune.evaluation_images", 8)
    set_param(made, "figures", {"paper": FIGURES})
    settings = IngestConfig(img_resolution=32, test_share=0.3)
    for seed, name in enumerate(("cartoon", "portrait")):
        write_images(tmp_path / name, seed=seed)
        set_param(made, f"synthetic.{name}", {"style": name, "num_images": 24, "seed": 2, "resolution": 32})
        set_param(made, f"datasets.{name}", {"images": f"data/raw/{name}"})
        set_param(made, f"domains.{name}", {"base": "face", "modes": ["FC-FT", "FT"]})
        ingest(tmp_path / name, made.prepared(name), settings, name=name)
    for name in ("face", "other"):
        write_base(made, name)
        set_param(made, f"imported.{name}", {"checkpoint": f"data/base/{name}"})
        set_param(made, f"datasets.{name}", {"images": f"data/raw/{name}"})
        assert import_base.main(import_base.STAGE, ["--base", name, "--project", str(made.root)]) == 0
    return made


def arguments(project: Any, out: Path, *, apart: str = "other") -> list[str]:
    lengths = ["--kimg", "0.008", "--every-kimg", "0.008"]
    domains = ["--domains", "cartoon", "portrait"]
    return ["--project", str(project.root), *domains, "--apart", apart, *lengths, "--out", str(out)]


def test_domains_are_compared_with_each_other_and_with_models_of_another_base(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AttributeRegressor, "unreadable", lambda self, min_skill: [])
    out = tmp_path / "out"
    assert command.main(arguments(project, out)) == 0
    pairs = pd.read_parquet(out / BETWEEN)
    assert set(zip(pairs["base"], pairs["domain"], pairs["variant"], strict=True)) == {
        (*order, name)
        for order in (("cartoon", "portrait"), ("portrait", "cartoon"))
        for name in ("FT", "FC-FT", APART)
    }
    assert len(pairs) == 2 * 3 * 4
    agreement = pd.read_parquet(out / AGREED)
    assert set(zip(agreement["domain"], agreement["mode"], strict=True)) == {
        ("face", "scratch"), *((domain, name) for domain in ("cartoon", "portrait") for name in ("FT", "FC-FT", APART))
    }  # fmt: skip
    assert agreement["checkpoint_hash"].nunique() == 7
    made = json.loads((out / MADE_FILE).read_text())
    assert made["portrait among cartoon, portrait, seed 0"]["apart"] == "other" and len(made) == 2
    models = pd.read_parquet(out / ACROSS)
    assert models["kimg"].to_numpy() == pytest.approx(0.008) and len(models) == 2 * 3
    models.assign(fd=10.0).to_parquet(out / ACROSS)
    published = read_published(tmp_path / "nothing", [out])
    (run,), distances = published.across, published.distances
    assert distances == [], "these trainings may be shorter than Table I's"
    values = pairs.groupby(["variant", "base", "domain"])["d"].mean()
    found = {(cell.row, cell.column): cell.value for cell in run.cells}
    assert found == pytest.approx({(name, f"{one}2{other}"): value for (name, one, other), value in values.items()})
    assert differences(section_iv_e(published)) == pytest.approx(
        [
            values[(APART, *order)] - values[(name, *order)]
            for name in ("FT", "FC-FT")
            for order in (("cartoon", "portrait"), ("portrait", "cartoon"))
        ]
    ), "either of both may be the one from another base"
    is_of_other_base = (models["domain"] == "portrait") & (models["mode"] == APART)
    models.assign(fd=is_of_other_base.map({True: 12.0, False: 10.0})).to_parquet(out / ACROSS)
    in_part = section_iv_e(read_published(tmp_path / "nothing", [out]))
    assert {case.column for case in in_part.cases} == {"portrait2cartoon"} and "12.0 against 10.0" in in_part.left_out
    (out / ACROSS).rename(out / "elsewhere.parquet")
    assert read_published(tmp_path / "nothing", [out]).across == [], "nobody knows what is finished"
    assert run.agreement is not None and len(run.agreement) == len(agreement)

    pairs.assign(seed=1).to_parquet(out / BETWEEN)
    other = [row | {"domain": "anime"} for row in read_rows(out / AGREED, AGREEMENT_SCHEMA) if row["domain"] != "face"]
    write_table(out / AGREED, other, AGREEMENT_SCHEMA)
    monkeypatch.setattr(loop, "train_step", _fail)
    assert command.main(arguments(project, out)) == 0
    expected = pd.concat([pairs.assign(seed=1), pairs], ignore_index=True)
    assert pd.read_parquet(out / BETWEEN).equals(expected), "those of another seed stay"
    assert set(pd.read_parquet(out / AGREED)["domain"]) == {"anime", "face", "cartoon", "portrait"}


def test_two_domains_models_of_one_seed_are_a_training_of_their_column(project: Any, tmp_path: Path) -> None:
    set_param(project, "finetune.total_kimg", 0.008)
    out = tmp_path / "out"
    pair = ["--source", "cartoon", "--target", "portrait", "--every-kimg", "0.008", "--out", str(out)]
    place = ["--project", str(project.root), *pair]
    assert columns.main([*place, "--first-seed", "1", "--pairs", "2"]) == 0
    rows = pd.read_parquet(out / COLUMNS)
    variants = ("FT", "FC-FT", "FC-FT-LS8", "FC-FT-LS16")
    assert set(zip(rows["base"], rows["domain"], rows["seed"], rows["variant"], strict=True)) == {
        ("cartoon", "portrait", seed, name) for seed in (1, 2) for name in variants
    }
    made = json.loads((out / MADE_FILE).read_text())
    assert {f"{domain} in cartoon2portrait, seed {seed}" for domain in ("cartoon", "portrait") for seed in (1, 2)} == {
        *made
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "_distances", _fail)  # neither is measured again
        assert columns.main([*place, "--first-seed", "1", "--pairs", "2"]) == 0

    published = read_published(tmp_path / "nothing", [out])
    assert published.across == [] and len(published.distances) == 2, "one a seed, in Table I"
    means = rows.groupby(["seed", "variant"])["d"].mean()
    for seed, cells in zip((1, 2), published.distances, strict=True):
        assert {cell.column for cell in cells} == {"cartoon2portrait"}
        assert {cell.row: cell.value for cell in cells} == pytest.approx(means[seed].to_dict())
    swaps = next(claim for claim in published.claims if "further swap" in claim.text)
    assert next(case.differences for case in swaps.cases if case.column == "cartoon2portrait") == pytest.approx(
        tuple(means[seed]["FC-FT"] - means[seed]["FC-FT-LS8"] for seed in (1, 2))
    )


def test_the_rows_of_a_column_compare_models_of_one_kind(perceptual: Perceptual) -> None:
    names = ("FT", "FC-FT", "FC-FT-LS8")
    models = {
        domain: {name: model(domain, name, 3 * place + number).generator for number, name in enumerate(names)}
        for place, domain in enumerate(("cartoon", "portrait"))
    }
    config = DistanceConfig(num_latents=3)
    trainings: Any = SimpleNamespace(params=SimpleNamespace(distance=config))
    rows = pd.DataFrame(columns._distances(models, "cartoon", "portrait", trainings, perceptual))
    for name in names:
        both = {domain: found[name] for domain, found in models.items()}
        (expected,) = model_distances(both, perceptual, config, keep_values=True)
        assert rows.loc[rows["variant"] == name, "d"].to_numpy() == pytest.approx(expected.values, rel=1e-3), name
    assert list(rows["latent"]) == [0, 1, 2] * 3


def test_a_column_of_one_domain_is_refused(project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = ["--source", "cartoon", "--target", "cartoon", "--out", str(tmp_path / "out")]
    assert columns.main(["--project", str(project.root), *same]) == 2
    assert "expected two domains" in capsys.readouterr().err and not (tmp_path / "out").exists()


def _fail(*_: Any, **__: Any) -> None:
    raise AssertionError("what is done was done again")


def test_models_of_one_variant_are_compared_and_ft_with_those_of_another_base(perceptual: Perceptual) -> None:
    domains = {
        domain: [model(domain, mode, 3 * place + number) for number, mode in enumerate(command.NAMES)]
        for place, domain in enumerate(("cartoon", "portrait"))
    }
    generators = {each.name: each.generator for found in domains.values() for each in found}
    config = DistanceConfig(num_latents=3)
    trainings: Any = SimpleNamespace(params=SimpleNamespace(distance=config))
    family = Family(base=model("face", "scratch", 9), domains=domains)
    rows = pd.DataFrame(command._between(family, 0, perceptual, trainings))
    for (one, other, variant), found in rows.groupby(["base", "domain", "variant"])["d"]:
        pair = (f"{one}/{'FT' if variant == APART else variant}", f"{other}/{variant}")
        (expected,) = model_distances(generators, perceptual, config, pairs=[pair], keep_values=True)
        assert found.to_numpy() == pytest.approx(expected.values, rel=1e-3), pair
    assert len(rows) == 2 * 3 * 3


def test_a_model_is_as_near_to_its_domain_as_it_was_last_measured() -> None:
    log = [{"kimg": 1, "fd": 9, "kd": 3}, {"kimg": 2, "fd": 7, "kd": 2}, {"kimg": 3}]
    states: Any = {("cartoon", "FT"): SimpleNamespace(log=log)}
    expected = {"base": "face", "domain": "cartoon", "seed": 5, "mode": "FT", "kimg": 2, "fd": 7, "kd": 2}
    assert list(command._nearness(states, 5, "face")) == [expected]


def section_iv_e(published: Published) -> Claim:
    return next(claim for claim in published.claims if claim.source == "Section IV-E")


def differences(claim: Claim) -> list[float]:
    return [difference for case in claim.cases for difference in case.differences]


def test_another_base_has_to_be_another(project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments(project, tmp_path / "out", apart="face")) == 2
    assert "another base with --apart, got face, from which they are fine-tuned" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
