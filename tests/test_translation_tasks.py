"""The commands around inversion and translation, in a tiny project: which models, which tables, which refusals."""

import dataclasses
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import random_ws
from tiny_project import make_project, write_images
from translation_project import BASE, manifest, run
from translation_project import here as here
from translation_project import made as made

from cli import app
from tasks.models import domain_checks, domain_models
from tasks.models.translation_models import choose_source, choose_targets
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests import translate_folder
from tasks.requests.translation_request import TranslationRequest
from tasks.running import stage_cli
from tasks.running.locks import hold_output
from tasks.stages import translate
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.datasets.manifest import read_manifest
from ui2i.domain_check import fit_reference, load_reference, save_reference
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_file
from ui2i.layer_swap import FeatureSwappedGenerator, blend_weights, swap_weights
from ui2i.settings import IngestConfig, InversionConfig
from ui2i.tables import SWAP_CHOICE_SCHEMA, write_table


def variants(out: Path) -> list[str]:
    return list(dict.fromkeys(row["variant"] for row in manifest(out)))


def test_a_request_reaches_every_option(made: Project, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "variants": ("FC-FT",),
        "swap_resolutions": (4,),
        "swap_mode": "features",
        "psi": 0.9,
        "styles": 1,
        "seed": 30,
        "references": (made.root.parent / "mine" / "00.png",),
        "style_layers": 2,
        "directions": (2,),
        "strengths": (-1.5,),
        "method": "w",
        "steps": 1,
        "start": "mean",
        "framing": "fit",
    }
    out = tmp_path / "out"
    assert run(made, out, **changes) == 0
    names = ["FC-FT", "FC-FT-LS4-features"]
    endings = ["", "-style1", "-reference1", "-direction2-1.5"]
    assert variants(out) == ["reconstruction", *(f"{name}{ending}" for name in names for ending in endings)]
    rows = {row["variant"]: row for row in manifest(out)}
    assert rows["FC-FT-style1"]["seed"] == 31
    assert rows["FC-FT-reference1"]["reference_path"] == "00.png"
    assert rows["FC-FT"]["truncation_psi"] == 0.9
    assert (rows["FC-FT"]["steps"], rows["FC-FT"]["source_domain"], rows["FC-FT"]["framing"]) == (1, "face", "fit")
    assert list(made.latents.rglob("*.parquet"))


@pytest.mark.parametrize(("mode", "swap"), [("weights", swap_weights), ("blend", None), ("features", None)])
def test_layers_are_swapped_now(made: Project, mode: str, swap: Any) -> None:
    params = load_params(made)
    [target] = choose_targets(made, params, "cartoon", swap_resolutions=[16], swap_mode=mode, device="cpu")
    ws = random_ws(BASE, 2)
    own = target.own_generator
    expected = {
        "weights": lambda: swap_weights(BASE, own, 16),
        "blend": lambda: blend_weights(BASE, own, 16, params.swap.blend_width),
        "features": lambda: FeatureSwappedGenerator(BASE, own, 16),
    }[mode]()
    assert torch.equal(target.generator.synthesis(ws), expected.synthesis(ws))
    assert target.variant == {"weights": "FC-FT-LS16"}.get(mode, f"FC-FT-LS16-{mode}")


def test_one_image_per_input_comes_from_one_variant(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(made, tmp_path / "one", only="FC-FT-LS8") == 0
    assert sorted(path.name for path in (tmp_path / "one").glob("0*.png")) == ["00.png", "01.png"]
    assert variants(tmp_path / "one") == ["FC-FT-LS8"]
    assert run(made, tmp_path / "two", only="FC-FT", variants=("FT",)) == 2
    assert "--only FC-FT came with other variants" in capsys.readouterr().err
    assert run(made, tmp_path / "two", only="best") == 2
    assert "compare them with ui2i choose-swap cartoon" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()

    row = {"domain": "cartoon", "fidelity": 1.0, "fidelity_metric": "fid", "lpips_s": 0.1, "lpips_s_sem": 0.1}
    row |= {"num_outputs": 4, "seed": 0, "is_on_front": True, "is_recommended": False} | dict.fromkeys(
        ("backbone", "backbone_hash", "target_hash", "base_hash", "commit"), "0"
    )
    swapped = {"variant": "FC-FT-LS16-blend", "swap_mode": "blend", "swap_resolution": 16, "is_recommended": True}
    write_table(made.swap_choice("cartoon"), [row | {"variant": "FC-FT"}, row | swapped], SWAP_CHOICE_SCHEMA)
    try:
        assert run(made, tmp_path / "best", only="best") == 0
        assert variants(tmp_path / "best") == ["FC-FT-LS16-blend"]
    finally:
        made.swap_choice("cartoon").unlink()


def test_images_unlike_the_bases_are_told_and_refused_by_a_strict_run(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(made, tmp_path / "out") == 0
    rows = manifest(tmp_path / "out")
    # The base is untrained, and its samples, which are all there is to compare with, look like nothing else.
    assert {row["looks_like_source"] for row in rows} == {False}
    assert {row["reconstructs_as_source"] for row in rows} == {None}
    [kept] = (made.data_dir / "runs" / "domain-checks").iterdir()
    assert load_reference(kept).origin == "samples"
    before = kept.stat().st_mtime_ns
    assert run(made, tmp_path / "strict", strict=True) == 2
    assert "2 of 2 images do not look like what face was trained on (00.png, 01.png)" in capsys.readouterr().err
    assert not (tmp_path / "strict").exists()
    assert kept.stat().st_mtime_ns == before  # it is made once


def test_the_stage_checks_its_images_too(made: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage_cli.main(translate.STAGE, ["--domain", "cartoon", "--project", str(made.root)]) == 0
    rows = manifest(made.translations("cartoon"))
    assert {row["looks_like_source"] for row in rows} == {False}
    assert {row["domain_reference"] for row in rows} == {"samples"}
    assert "2 of 2 test images in datasets.face do not look like what face was trained on" in capsys.readouterr().err


def test_a_model_that_is_not_made_yet_names_the_stage_that_makes_it(made: Project, tmp_path: Path) -> None:
    empty, params = Project(tmp_path), load_params(made)
    stage = "import@face" if "face" in params.imported else "pretrain@face"
    for name, made_by in (("face", stage), ("cartoon/FC-FT", "swap@cartoon")):
        with pytest.raises(CheckpointError, match=rf"expected the model {name}; make it with `dvc repro {made_by}`"):
            domain_models.named_model(empty, params, name, device="cpu")
    with pytest.raises(CheckpointError, match="`dvc repro finetune@cartoon`"):
        domain_models.target_models(empty, params, "cartoon", device="cpu")


def test_the_check_of_an_imported_base_is_found_where_it_came_from(made: Project, tmp_path: Path) -> None:
    folder = made.root / "data/base/face"
    folder.mkdir(parents=True)
    source = domain_models.base_model(made, load_params(made), "cartoon", device="cpu")
    extractor = domain_checks.extractor_of(source, device="cpu")
    own = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    values: dict[str, Any] = {"features": extractor.kind, "features_hash": extractor.hash, "dataset_hash": None}
    shipped = fit_reference(extractor(own[:40]), extractor(own[40:]), base_hash=source.hash, origin="images", **values)
    save_reference(folder / "domain_check.safetensors", shipped)
    domain_checks.kept_check(made, "face", source.hash).unlink(missing_ok=True)
    try:
        found = domain_checks.find_reference(made, source, extractor)
        assert (found.origin, found.num_images) == ("images", 40)
        for name in ("base_hash", "features_hash"):
            other = dataclasses.replace(shipped, **{name: "another's"})  # type: ignore[arg-type]
            save_reference(folder / "domain_check.safetensors", other)
            domain_checks.kept_check(made, "face", source.hash).unlink(missing_ok=True)
            assert domain_checks.find_reference(made, source, extractor).origin == "samples"
    finally:
        shutil.rmtree(folder)


def test_a_check_is_kept_for_its_generator_and_its_images(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = set()
    for base_hash, dataset_hash in (("1", "a"), ("2", "a"), ("1", "b"), ("1", None)):
        monkeypatch.setattr(domain_checks, "_dataset_hash", lambda *_, found=dataset_hash: found)
        paths.add(domain_checks.kept_check(project, "face", base_hash))
    assert len(paths) == 4


def test_a_base_is_checked_by_its_own_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "project")
    save_generator(project.checkpoint("face") / "generator.safetensors", BASE, ModelCard(domain="face", mode="scratch"))
    for name, seed in {"face": 1, "cartoon": 2}.items():
        write_images(tmp_path / name, count=100, seed=seed)
    for name, darken in {"face": lambda level: level * 0.4, "cartoon": lambda level: 255 - level * 0.4}.items():
        for path in (tmp_path / name).iterdir():
            Image.open(path).point(darken).save(path)
        ingest(tmp_path / name, project.prepared(name), IngestConfig(img_resolution=32, test_share=0.2), name=name)
    place = ["--project", str(project.root), "base", "check", "face"]
    assert app.run([*place, "--num", "8"]) == 0
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if "%" in line}
    assert lines["cartoon"][1:] == ["100.0%", "1.000"]
    assert float(lines["face"][1][:-1]) < 25 and len(lines["face"]) == 2
    assert "features: thumbnail" in printed and "on 8 held-out images" in printed
    [kept] = (project.data_dir / "runs" / "domain-checks").iterdir()
    reference = load_reference(kept)
    assert reference.origin == "images" and len(reference.reconstructions) == 1
    assert reference.dataset_hash == read_manifest(project.prepared("face")).dataset_sha256
    # Packed with the base, it goes where the base goes.
    assert app.run(["--project", str(project.root), "base", "pack", "face", str(tmp_path / "packed")]) == 0
    assert (tmp_path / "packed" / "domain_check.safetensors").read_bytes() == kept.read_bytes()


def test_any_domain_of_a_family_to_any_other(made: Project, tmp_path: Path) -> None:
    assert run(made, tmp_path / "back", source="cartoon", steps=1, domain="face") == 0
    assert variants(tmp_path / "back") == ["reconstruction", "face"]
    rows = manifest(tmp_path / "back")
    assert (rows[0]["source_domain"], rows[0]["domain"]) == ("cartoon", "face")
    assert rows[0]["base_hash"] == sha256_file(made.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")
    params = load_params(made)
    assert choose_source(made, params, "cartoon", None, device="cpu").name == "face"
    no_variants = Project(tmp_path / "without")
    shutil.copytree(made.checkpoint("cartoon"), no_variants.checkpoint("cartoon"))
    assert choose_source(no_variants, params, "face", "cartoon", device="cpu").name == "cartoon/FC-FT"
    with pytest.raises(ConfigError, match=r"face is no domain with a base, .* --from, one of: alien, cartoon"):
        choose_source(made, params, "face", None, device="cpu")
    with pytest.raises(ConfigError, match="face is a base, expected a domain for variants"):
        choose_targets(made, params, "face", variants=["FC-FT"], device="cpu")


def test_other_families_are_refused(made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(made, tmp_path / "out", steps=1, domain="alien") == 2
    assert "another mapping network than the source" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(made, tmp_path / "out", steps=1, force=True, domain="alien") == 0
    # Fine-tuned from the source with everything: its card says so.
    assert run(made, tmp_path / "ft", steps=1, variants=("FT",)) == 0


@pytest.mark.parametrize("command", ["translate", "train-encoder", "compare-inversions", "style-layers"])
def test_commands_have_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out


def test_a_method_of_the_request_takes_its_own_rate() -> None:
    config = dataclasses.replace(InversionConfig(), learning_rate=0.7)
    request = TranslationRequest(images=Path("i"), domain="d", out=Path("o"), method="w_plus")
    assert request.inversion(config).learning_rate is None
    assert dataclasses.replace(request, method=None).inversion(config).learning_rate == 0.7


def test_translations_of_a_link_are_named_after_it(made: Project, tmp_path: Path) -> None:
    """Also of an archive whose own name does not say that it is one."""
    image = made.root.parent / "mine" / "00.png"
    (tmp_path / "me.png").symlink_to(image)
    with tarfile.open(tmp_path / "ab12cd", "w") as archive:
        archive.add(image, "inner.png")
    (tmp_path / "photos.tar").symlink_to(tmp_path / "ab12cd")
    for link, stem in {"me.png": "me", "photos.tar": "inner"}.items():
        request = TranslationRequest(images=tmp_path / link, domain="cartoon", out=tmp_path / "out", steps=1)
        assert translate_folder.main(translate_folder.command(made, request.resolved())[3:]) == 0
        assert (tmp_path / "out" / f"{stem}-FC-FT.png").is_file()


def test_a_second_one_to_the_same_folder_names_that(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = TranslationRequest(images=tmp_path, domain="cartoon", out=tmp_path / "out").resolved()
    with hold_output(made, translate_folder._locked(made, "cartoon", out=request.out, part=None)):
        assert translate_folder.main(translate_folder.command(made, request)[3:]) == 2
    assert f"error: {request.out} is being written by process " in capsys.readouterr().err


def test_a_request_survives_json_and_a_broken_one_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    request = TranslationRequest(
        images=Path("/i"), domain="d", out=Path("/o"), strengths=(-1.5,), references=(Path("/r.png"),), force=True
    )
    assert TranslationRequest.from_json(request.to_json()) == request
    given = '{"images": "i", "domain": "d", "out": "o", '
    for text, told in (
        ("{}", "lacks 'images', expected images, domain, out; add it"),
        (given + '"stile": 3}', "unknown key 'stile', expected one of 21 settings; did you mean 'styles'?"),
        (given + '"psi": 3}', "psi is 3, expected a number from 0 to 2; correct it"),
        (given + '"source": "A b"}', "source is 'A b', expected lower-case letters, digits and dashes or null"),
        (given + '"framing": "whole"}', "framing is 'whole', expected one of center, fit, face or null; correct it"),
        ("no", "expected settings as key: value"),
    ):
        assert translate_folder.main(["--request", text]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
