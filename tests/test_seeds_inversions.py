"""Inversion methods judged by the truth of what their codes become in a domain's model."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from stage_calls import run
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_base

from experiments.paper import inversion_comparison
from experiments.paper.inversion_comparison import Contestant, compare_inversions, generated_contestant
from experiments.paper.seeds import inversions as command
from experiments.paper.seeds.contest import Contest
from experiments.paper.seeds.made import MADE_FILE
from experiments.paper.tables.published import INVERTED, INVERTED_TRUTH, read_published
from experiments.paper.tables.truth_claims import inversion_claims
from experiments.paper.truth import draw_images, read_drawn
from tasks.stages import import_base
from ui2i.files import sha256_file
from ui2i.images import to_tensor
from ui2i.inversion.codes import code_spread
from ui2i.inversion.optimize import InversionResult
from ui2i.metrics.ssim import ssim
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.training.snapshots import STATE_FILE

METHODS = ("closed_form", "closed_form_mapping", "w")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    made = make_project(tmp_path / "project")
    set_param(made, "finetune.evaluation_images", 8)
    set_param(made, "imported.face", {"checkpoint": "data/base/face"})
    write_base(made)
    for name in ("face", "cartoon"):
        assert run(made, "draw", name) == 0
        assert run(made, "ingest", name) == 0
    assert import_base.main(import_base.STAGE, ["--base", "face", "--project", str(made.root)]) == 0
    return made


def arguments(project: Any, out: Path) -> list[str]:
    lengths = ["--kimg", "0.008", "--every-kimg", "0.008", "--num-images", "3", "--num-steps", "1"]
    domains = ["--domains", "cartoon", "--methods", *METHODS]
    return ["--project", str(project.root), *domains, *lengths, "--out", str(out)]


def test_each_method_is_judged_by_reconstructions_and_by_translations(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert command.main(arguments(project, out)) == 0
    rows = pd.read_parquet(out / INVERTED)
    counts = rows.groupby(["kind", "method"])["image"].nunique()
    assert counts.to_dict() == {(kind, method): 3 for kind in ("generated", "real") for method in METHODS}
    assert rows["steps"].eq(1).all()
    scores = pd.read_parquet(out / INVERTED_TRUTH)
    assert set(scores["variant"]) == set(METHODS) and len(scores) == 3 * len(METHODS) * 3
    assert set(scores["input_path"]) == set(rows[rows["kind"] == "real"]["image"])
    assert set(scores["checkpoint_hash"]) == {sha256_file(out / "runs" / "cartoon" / "0" / "FC-FT" / STATE_FILE)}
    frozen = out / "runs" / "cartoon" / "0" / "FC-FT" / STATE_FILE
    assert set(scores["checkpoint_hash"]) == {sha256_file(frozen)}

    # That the truth is that of the same person: an input's own distance to it follows from its file alone.
    drawn = read_drawn(project.raw("face"))
    for name, own in scores[(scores["metric"] == "ssim") & (scores["variant"] == "w")].groupby("input_path"):
        person = [drawn[str(name)].attributes]
        inputs, truth = (to_tensor(draw_images(person, style, 32)) for style in ("face", "cartoon"))
        assert own["copy_distance"].item() == pytest.approx(1 - ssim(inputs, truth).item(), abs=1e-4)

    made = json.loads((out / MADE_FILE).read_text())
    assert made["inversions to cartoon, seed 0"]["provenance"]["commit"]
    published = read_published(out)
    ours = [claim for claim in published.claims if claim.text.startswith("The closed form's codes")]
    assert [len(claim.findings) for claim in ours] == [6, 0], "two readings by three metrics; in_domain did not run"

    def search_no_more(*_: Any, **__: Any) -> None:
        raise AssertionError("what was found was searched again")

    monkeypatch.setattr(inversion_comparison, "invert", search_no_more)
    assert command.main(arguments(project, out)) == 0
    assert pd.read_parquet(out / INVERTED).equals(rows)
    assert command.main([*arguments(project, out), "--kinds", "generated"]) == 0
    order = ["kind", "method", "image"]
    assert (
        pd.read_parquet(out / INVERTED)
        .sort_values(order, ignore_index=True)
        .equals(rows.sort_values(order, ignore_index=True))
    ), "what was measured of real images stays"
    assert pd.read_parquet(out / INVERTED_TRUTH).equals(scores), "generated images have no truth"
    assert command.main([*arguments(project, out), "--methods", "w"]) == 0
    assert set(pd.read_parquet(out / INVERTED_TRUTH)["variant"]) == set(METHODS), "other methods stay"
    with pytest.raises(AssertionError, match="searched again"):
        command.main([*arguments(project, out), "--num-steps", "2"])


def test_too_few_images_are_refused(project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*arguments(project, tmp_path / "out"), "--num-images", "1"]) == 2
    assert "--num-images is 1, expected 2 or more" in capsys.readouterr().err
    assert command.main([*arguments(project, tmp_path / "out"), "--methods", "magic"]) == 2
    assert "magic" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_images_of_the_same_names_are_others_by_their_pixels() -> None:
    zeros, ones = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    real = [Contestant(kind="real", images=images, names=["a.png"]) for images in (zeros, ones)]
    assert real[0].identity != real[1].identity
    generated = [
        Contestant(kind="generated", images=images, names=["seed 0"], w=zeros[0, 0]) for images in (zeros, zeros + 1e-7)
    ]
    assert generated[0].identity == generated[1].identity, "their codes make them, on any processor"


def test_what_was_found_is_kept_under_all_that_decides_it() -> None:
    images, config = torch.zeros(1, 3, 4, 4), InversionConfig(method="w", num_steps=2)
    contestant = Contestant(kind="real", images=images, names=["a.png"])
    columns = {"base": "face", "base_hash": "b", "encoder_hash": None, "commit": "c", "device": "cpu"}

    def path(it: Contestant = contestant, config: InversionConfig = config, **changes: str) -> Path:
        backbone: Any = SimpleNamespace(weights_hash=changes.pop("backbone", "0"))
        found: dict[str, Any] = {"model": None, "encoder": None, "contestants": [it], "configs": [config]}
        return Contest(perceptual=backbone, columns=columns | changes, folder=Path(), **found)._path(it, config)

    of_images: list[dict[str, Any]] = [{"kind": "generated"}, {"names": ["b.png"]}, {"images": images + 1}]
    of_search: list[dict[str, Any]] = [{"method": "w_plus"}, {"num_steps": 3}, {"seed": 1}, {"learning_rate": 0.1}]
    others = [
        *(path(**{name: "another"}) for name in ("base", "base_hash", "encoder_hash", "device", "backbone")),
        *(path(dataclasses.replace(contestant, **change)) for change in of_images),
        *(path(config=dataclasses.replace(config, **change)) for change in of_search),
    ]
    assert len({path(), *others}) == 1 + len(others)
    assert path() == path(commit="another"), "which need not change anything"


def test_errors_of_codes_and_images_are_those_of_each_image(
    perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = random_generator(0)
    known = generated_contestant(generator, 40, seed=0)
    assert known.w is not None
    offsets = torch.linspace(0, 2, 40)
    ws = generator.broadcast(known.w + code_spread(generator).variance ** 0.5 * offsets[:, None])
    noise = tuple(torch.randn(40, 1, size, size) for size in (4, 8, 8, 16, 16, 32, 32))
    ones = torch.ones(40)
    values: dict[str, Any] = {"losses": ones[None], "loss": ones, "ssim": ones, "lpips": ones, "seconds": 8.0}
    found = InversionResult(ws=ws, noise=noise, num_steps=1, method="w", learning_rate=0.1, **values)
    monkeypatch.setattr(inversion_comparison, "invert", lambda *_, **__: found)
    contestants = [known, dataclasses.replace(known, kind="real", w=None)]
    rows = pd.DataFrame(compare_inversions(contestants, generator, perceptual, [InversionConfig()], columns={}))
    made = generator.synthesis(ws, noise=noise).clamp(-1, 1)
    for kind, own in rows.groupby("kind"):
        assert own["l2"].to_numpy() == pytest.approx((known.images - made).square().mean((1, 2, 3)).numpy(), rel=1e-4)
        errors = offsets**2 if kind == "generated" else torch.full((40,), torch.nan)
        assert own["latent_error"].to_numpy(float) == pytest.approx(errors.numpy(), rel=1e-3, abs=1e-6, nan_ok=True)
    assert rows["seconds_per_image"].eq(8 / 40).all()


def test_differences_are_those_of_the_same_image() -> None:
    values = {"w": [0.1, 0.5, 0.3], "closed_form": [0.09, 0.48, 0.27], "closed_form_mapping": [0.11, 0.52, 0.33]}
    table = pd.DataFrame(
        [
            {"domain": "anime", "variant": name, "metric": "lpips", "input_path": str(place), "distance": value}
            for name, distances in values.items()
            for place, value in enumerate(distances)
        ]
    )
    claim, _ = inversion_claims(table)
    found = {case.aspect: case.differences[0] for case in claim.cases}
    assert found == pytest.approx({"closed_form, lpips": 0.02, "closed_form_mapping, lpips": -0.02})
