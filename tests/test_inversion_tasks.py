"""Encoders and the comparison of inversions, in a tiny project: stages, tables, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_project import make_project, set_param
from translation_project import BASE, manifest, run
from translation_project import here as here
from translation_project import made as made

import ui2i.inversion
from cli import app
from experiments.paper import paper_paths
from experiments.paper.inversion_parts import compare_in_parts
from experiments.paper.requests import style_layers
from experiments.paper.stages import compare_inversions
from tasks.models.inversion_models import encoder_path, find_encoder
from tasks.project.params import load_params, parse_params
from tasks.project.paths import Project
from tasks.project.register import register_encoder
from tasks.stages import encode, import_base
from ui2i.checkpoints import ModelCard, load_discriminator, save_discriminator, save_generator
from ui2i.errors import ConfigError
from ui2i.files import sha256_file
from ui2i.inversion import load_encoder
from ui2i.networks.discriminator import Discriminator
from ui2i.schemas import INVERSION_SCHEMA, INVERTED_SCHEMA, STYLE_LAYERS_SCHEMA
from ui2i.settings import InversionConfig
from ui2i.tables import read_table


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


def test_the_encoder_is_a_stage_and_translates(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, sheet = ui2i.inversion.train_encoder, encode._sheet
    splits: list[str | None] = []

    def noting_train(generator: Any, dataset: Any, held_out: Any, *args: Any, **options: Any) -> Any:
        splits.extend((dataset.split, held_out.split))
        return train(generator, dataset, held_out, *args, **options)

    def noting_sheet(encoder: Any, generator: Any, dataset: Any) -> Any:
        splits.append(dataset.split)
        return sheet(encoder, generator, dataset)

    monkeypatch.setattr(ui2i.inversion, "train_encoder", noting_train)
    monkeypatch.setattr(encode, "_sheet", noting_sheet)
    assert encode.main(encode.STAGE, ["--base", "face"]) == 0
    assert splits == ["train", "test", "test"], "it is measured and shown on images that it was not trained on"
    folder = made.encoder_folder("face")
    assert {path.name for path in folder.iterdir()} == {"encoder.safetensors", "encoder.json", "reconstructions.png"}
    assert set(json.loads((folder / "encoder.json").read_text())) == {"held_out", "precision", "training"}
    assert run(made, tmp_path / "out", method="encoder", variants=("FC-FT",)) == 0
    rows = manifest(tmp_path / "out")
    assert {(row["method"], row["steps"], row["encoder_hash"]) for row in rows} == {
        ("encoder", 0, sha256_file(made.encoder("face")))
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
    base_hash = sha256_file(other.checkpoint("face") / "generator.safetensors")
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


def test_tables_are_printed(made: Project, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--project", str(made.root)]
    assert app.run([*place, "compare-inversions", "face", "--num", "2", "--steps", "1", "--method", "w"]) == 0
    assert app.run([*place, "style-layers", "cartoon", "--num", "2", "--styles", "2", "--variant", "FC-FT"]) == 0
    printed = capsys.readouterr().out
    assert "LPIPS_d" in printed and "±" in printed and "face.parquet" in printed
    assert app.run([*place, "compare-inversions", "nobody"]) == 2
