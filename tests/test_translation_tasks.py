"""The commands around inversion and translation, in a tiny project: which models, which tables, which refusals."""

import copy
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_models import random_generator, random_ws
from tiny_project import make_project, set_param, write_images

from cli import app
from experiments.paper import paper_paths
from experiments.paper.inversion_parts import compare_in_parts
from experiments.paper.requests import style_layers
from experiments.paper.stages import compare_inversions
from tasks.models import domain_checks, domain_models
from tasks.models.inversion_models import encoder_path, find_encoder
from tasks.models.translation_models import choose_source, choose_targets
from tasks.project.params import load_params, parse_params
from tasks.project.paths import Project
from tasks.project.register import register_encoder
from tasks.requests import translate_folder
from tasks.requests.translation_request import TranslationRequest
from tasks.running import stage_cli
from tasks.stages import encode, import_base, translate
from ui2i.checkpoints import ModelCard, file_hash, load_discriminator, save_discriminator, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.domain_check import fit_reference, load_reference, save_reference
from ui2i.errors import ConfigError
from ui2i.inversion import load_encoder
from ui2i.layer_swap import FeatureSwappedGenerator, blend_weights, swap_weights
from ui2i.networks.discriminator import Discriminator
from ui2i.schemas import INVERSION_SCHEMA, INVERTED_SCHEMA, STYLE_LAYERS_SCHEMA
from ui2i.settings import IngestConfig, InversionConfig
from ui2i.tables import SWAP_CHOICE_SCHEMA, read_table, write_table

BASE = random_generator(1, use_noise=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a base, a domain of its family, one of another, images, and an encoder to be trained."""
    root = tmp_path_factory.mktemp("translation")
    project = make_project(root / "project")
    for path, value in {
        "domains": {"cartoon": {"base": "face", "modes": ["FC-FT", "FT"]}, "alien": {"base": "face"}},
        "datasets.alien": {"images": "data/raw/face"},
        "swap.resolutions": [8],
        "encoders": {"face": {"total_kimg": 0.016, "batch_size": 8, "num_held_out": 2, "precision": "fp32"}},
        "truth": {},
    }.items():
        set_param(project, path, value)
    save_generator(project.checkpoint("face") / "generator.safetensors", BASE, ModelCard(domain="face", mode="scratch"))
    base_hash = file_hash(project.checkpoint("face") / "generator.safetensors")
    cartoon, alien = random_generator(2, use_noise=False), random_generator(3, use_noise=False)
    cartoon.mapping.load_state_dict(BASE.mapping.state_dict())
    drifted = copy.deepcopy(cartoon)
    drifted.mapping.fc0.bias.add_(0.01)
    _save(project, "cartoon", "FC-FT", cartoon, base_hash)
    _save(project, "cartoon", "FT", drifted, base_hash)
    _save(project, "alien", "FC-FT", alien, None)
    for name, generator in {"cartoon": cartoon, "alien": alien}.items():
        card = ModelCard(domain=name, mode="FC-FT-LS8", swap_resolution=8)
        save_generator(project.variant(name, 8), swap_weights(BASE, generator, 8), card)
    write_images(root / "raw")
    ingest(root / "raw", project.prepared("face"), IngestConfig(img_resolution=32, test_share=0.2), name="face")
    write_images(root / "mine", count=2, seed=5)
    return project


def _save(project: Project, domain: str, mode: str, generator: Any, base_hash: str | None) -> None:
    path = project.mode_checkpoint(domain, mode) / "generator.safetensors"
    save_generator(path, generator, ModelCard(domain=domain, mode=mode, base="face", base_hash=base_hash))


def run(project: Project, out: Path, *, domain: str = "cartoon", **changes: Any) -> int:
    request = TranslationRequest(images=project.root.parent / "mine", domain=domain, out=out, **changes)
    return translate_folder.main(translate_folder.command(project, request)[3:])


def manifest(out: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(out / "manifest.parquet").read().to_pylist()


def variants(out: Path) -> list[str]:
    return list(dict.fromkeys(row["variant"] for row in manifest(out)))


@pytest.fixture(autouse=True)
def here(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.root)  # stages change to their project


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
        save_reference(folder / "domain_check.safetensors", dataclasses.replace(shipped, base_hash="another's"))
        assert domain_checks.find_reference(made, source, extractor).origin == "samples"
    finally:
        shutil.rmtree(folder)


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
    # Packed with the base, it goes where the base goes.
    assert app.run(["--project", str(project.root), "base", "pack", "face", str(tmp_path / "packed")]) == 0
    assert (tmp_path / "packed" / "domain_check.safetensors").read_bytes() == kept.read_bytes()


def test_any_domain_of_a_family_to_any_other(made: Project, tmp_path: Path) -> None:
    assert run(made, tmp_path / "back", source="cartoon", steps=1, domain="face") == 0
    assert variants(tmp_path / "back") == ["reconstruction", "face"]
    rows = manifest(tmp_path / "back")
    assert (rows[0]["source_domain"], rows[0]["domain"]) == ("cartoon", "face")
    assert rows[0]["base_hash"] == file_hash(made.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")
    params = load_params(made)
    assert choose_source(made, params, "cartoon", None, device="cpu").name == "face"
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


def test_a_missing_encoder_is_named(made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(made.encoder_folder("face"), ignore_errors=True)  # whether or not another test has trained it
    assert run(made, tmp_path / "out", method="encoder") == 2
    assert "train it with ui2i train-encoder" in capsys.readouterr().err


def test_without_its_encoder_a_base_inverts_as_set_for_that(made: Project, tmp_path: Path) -> None:
    """A method that is asked for stays what it is."""
    shutil.rmtree(made.encoder_folder("face"), ignore_errors=True)
    before = made.params_path.read_text()
    try:
        set_param(made, "inversion.method", "in_domain")
        assert run(made, tmp_path / "needs one", variants=("FC-FT",)) == 2
        set_param(made, "translate", {"num_images": 2, "without_encoder": "w"})
        assert run(made, tmp_path / "out", variants=("FC-FT",)) == 0
        assert {row["method"] for row in manifest(tmp_path / "out")} == {"w"}
        assert run(made, tmp_path / "asked", method="in_domain", variants=("FC-FT",)) == 2
    finally:
        made.params_path.write_text(before)


def test_the_encoder_is_a_stage_and_translates(made: Project, tmp_path: Path) -> None:
    assert encode.main(encode.STAGE, ["--base", "face"]) == 0
    folder = made.encoder_folder("face")
    assert {path.name for path in folder.iterdir()} == {"encoder.safetensors", "encoder.json", "reconstructions.png"}
    assert set(json.loads((folder / "encoder.json").read_text())) == {"held_out", "precision", "training"}
    assert run(made, tmp_path / "out", method="encoder", variants=("FC-FT",)) == 0
    rows = manifest(tmp_path / "out")
    assert {(row["method"], row["steps"], row["encoder_hash"]) for row in rows} == {
        ("encoder", 0, file_hash(made.encoder("face")))
    }
    assert run(made, tmp_path / "w", method="w", start="encoder", steps=1, variants=("FC-FT",)) == 0
    assert manifest(tmp_path / "w")[0]["start"] == "encoder"
    # Another generator's images are refused: the encoder predicts latent codes of its own.
    assert run(made, tmp_path / "no", source="cartoon", method="encoder", domain="face") == 2


def test_a_base_is_packed_with_its_encoder_and_used_elsewhere(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not made.encoder("face").exists():
        assert encode.main(encode.STAGE, ["--base", "face"]) == 0
    source = made.checkpoint("face")
    card = ModelCard(domain="face", mode="scratch")
    save_discriminator(source / "discriminator.safetensors", Discriminator(BASE.config), card)
    packed = tmp_path / "packed"
    assert app.run(["--project", str(made.root), "base", "pack", "face", str(packed)]) == 0
    assert (packed / "generator.safetensors").read_bytes() == (source / "generator.safetensors").read_bytes()
    for name in ("discriminator.safetensors", "encoder.safetensors"):
        full = made.encoder("face") if name.startswith("encoder") else source / name
        with safe_open(packed / name, "pt") as half, safe_open(full, "pt") as whole:
            for key in whole.keys():  # noqa: SIM118
                assert half.get_tensor(key).dtype == torch.float16
                torch.testing.assert_close(half.get_tensor(key).float(), whole.get_tensor(key), rtol=1e-3, atol=1e-4)
    assert load_discriminator(packed / "discriminator.safetensors")[0].state_dict().popitem()[1].dtype == torch.float32

    other = make_project(tmp_path / "other")
    shutil.copytree(packed, other.base("face"))
    assert import_base.main(import_base.STAGE, ["--base", "face", "--project", str(other.root)]) == 0
    assert encoder_path(other, "face") == other.checkpoint("face") / "encoder.safetensors"
    base_hash = file_hash(other.checkpoint("face") / "generator.safetensors")
    encoder, _ = find_encoder(other, "face", base_hash, device="cpu")
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    trained = load_encoder(made.encoder("face"))
    torch.testing.assert_close(encoder(images), trained(images), rtol=0.02, atol=0.02)
    # One that is trained here goes before it.
    shutil.copytree(made.encoder_folder("face"), other.encoder_folder("face"))
    assert encoder_path(other, "face") == other.encoder("face")
    # Beside another model it is refused, and nothing is taken over.
    save_generator(other.base("face") / "generator.safetensors", BASE, ModelCard(domain="other", mode="scratch"))
    before = sorted(path.name for path in other.checkpoint("face").iterdir())
    assert import_base.main(import_base.STAGE, ["--base", "face", "--project", str(other.root)]) == 2
    assert "predicts latent codes of the generator" in capsys.readouterr().err
    assert sorted(path.name for path in other.checkpoint("face").iterdir()) == before
    # A folder that is there, and a model that is none of the bases.
    for name, folder in (("face", packed), ("cartoon", tmp_path / "new")):
        assert app.run(["--project", str(made.root), "base", "pack", name, str(folder)]) == 2
    assert not (tmp_path / "new").exists()


def test_an_interrupted_comparison_keeps_finished_methods(tmp_path: Path) -> None:
    made: list[str] = []

    def compare(config: InversionConfig, report: Any) -> list[dict[str, Any]]:
        if config.method == "w" and not made.count("w"):
            made.append("w")
            raise KeyboardInterrupt
        made.append(config.method)
        report(1, 1)
        return [{"kind": kind, "method": config.method, "ssim": 0.1 + 0.2} for kind in ("generated", "real")]

    configs = [InversionConfig(method=method) for method in ("directions", "w")]
    arguments = {"decides": {"base": "face"}, "progress": lambda *_: None}
    with pytest.raises(KeyboardInterrupt):
        compare_in_parts(tmp_path / "parts", configs, compare, **arguments)
    rows = compare_in_parts(tmp_path / "parts", configs, compare, **arguments)
    assert made == ["directions", "w", "w"]
    assert [(row["kind"], row["method"]) for row in rows] == [
        ("generated", "directions"), ("generated", "w"), ("real", "directions"), ("real", "w"),
    ]  # fmt: skip
    assert rows[0]["ssim"] == 0.1 + 0.2 and not (tmp_path / "parts").exists()
    other = {**arguments, "decides": {"base": "cat"}}
    with pytest.raises(KeyboardInterrupt):
        made.clear()
        compare_in_parts(tmp_path / "parts", configs, compare, **arguments)
    compare_in_parts(tmp_path / "parts", configs, compare, **other)
    assert made == ["directions", "w", "directions", "w"], "rows of other models are not taken"


def test_every_method_is_compared(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    if not made.encoder("face").exists():
        assert encode.main(encode.STAGE, ["--base", "face"]) == 0
    calls: list[tuple[int, int]] = []
    means = compare_inversions.compare(
        made, "face", num_images=3, num_steps=2, encoder_steps=1, progress=lambda d, t, n="": calls.append((d, t))
    )
    methods = ["closed_form", "closed_form_mapping", "directions", "w", "closed_form_plus", "w_plus", "encoder"]
    methods += ["in_domain", "w"]
    assert [(row["kind"], row["method"]) for row in means] == [(k, m) for k in ("generated", "real") for m in methods]
    assert [row["steps"] for row in means[:9]] == [2, 2, 2, 2, 2, 2, 0, 2, 1]
    assert [row["start"] for row in means[-2:]] == ["mean", "encoder"]
    assert calls[-1] == (18_000, 18_000) and calls == sorted(calls)
    table = read_table(paper_paths.inversion_table(made, "face"), INVERSION_SCHEMA)
    images = read_table(paper_paths.inverted_table(made, "face"), INVERTED_SCHEMA)
    assert len(table) == 18 and len(images) == 54
    chosen = images[(images["kind"] == "real") & (images["method"] == "w_plus")]
    row = table[(table["kind"] == "real") & (table["method"] == "w_plus")].iloc[0]
    assert row["ssim"] == pytest.approx(chosen["ssim"].mean())
    half = 4.302653 * chosen["ssim"].std() / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert row["ssim_ci95_high"] == pytest.approx(chosen["ssim"].mean() + half, rel=1e-4)
    assert table["latent_error"].isna().tolist() == [False] * 9 + [True] * 9
    assert images["encoder_hash"].isna().sum() == 2 * 6 * 3
    chosen_ones = compare_inversions.compare(made, "face", num_images=2, num_steps=1, methods=["w"])
    assert [row["method"] for row in chosen_ones] == ["w", "w"]
    with pytest.raises(ConfigError, match=r"inversion\.method is 'x'"):
        compare_inversions.compare(made, "face", methods=["x"])


def test_style_layers_are_measured(made: Project) -> None:
    rows = style_layers.measure(made, "cartoon", num_images=2, num_styles=2, variants=["FC-FT"])
    path = paper_paths.style_layers_table(made, "cartoon")
    table = read_table(path, STYLE_LAYERS_SCHEMA)
    assert table["num_style_layers"].tolist() == list(range(9)) == [row["num_style_layers"] for row in rows]
    assert path.with_suffix(".png").is_file()
    assert set(table["variant"]) == {"FC-FT"} and set(table["num_images"]) == {2}


def test_entries_of_encoders_are_checked(made: Project) -> None:
    text = made.params_path.read_text()
    with pytest.raises(ConfigError, match=r"encoders\.cartoon names no base, expected .* \(face\)"):
        parse_params(text.replace("encoders:\n  face:", "encoders:\n  cartoon:"))
    with pytest.raises(ConfigError, match=r"encoders\.face has the unknown key"):
        parse_params(text.replace("num_held_out:", "num_held:"))


def test_an_encoder_is_registered(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    assert register_encoder(project, "face", {"total_kimg": 3.0}).encoders["face"].total_kimg == 3
    assert load_params(project).encoders["face"].total_kimg == 3
    with pytest.raises(ConfigError, match=r"encoders\.face with other settings"):
        register_encoder(project, "face", {"total_kimg": 4.0})


@pytest.mark.parametrize("command", ["translate", "train-encoder", "compare-inversions", "style-layers"])
def test_commands_have_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out


def test_tables_are_printed(made: Project, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--project", str(made.root)]
    assert app.run([*place, "compare-inversions", "face", "--num", "2", "--steps", "1", "--method", "w"]) == 0
    assert app.run([*place, "style-layers", "cartoon", "--num", "2", "--styles", "2", "--variant", "FC-FT"]) == 0
    printed = capsys.readouterr().out
    assert "LPIPS_d" in printed and "±" in printed and "face.parquet" in printed
    assert app.run([*place, "compare-inversions", "nobody"]) == 2


def test_a_method_of_the_request_takes_its_own_rate() -> None:
    config = dataclasses.replace(InversionConfig(), learning_rate=0.7)
    request = TranslationRequest(images=Path("i"), domain="d", out=Path("o"), method="w_plus")
    assert request.inversion(config).learning_rate is None
    assert dataclasses.replace(request, method=None).inversion(config).learning_rate == 0.7


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
