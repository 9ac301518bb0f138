"""The stage distill@, `translate --fast` and `export-onnx`, in a tiny project: what they make and what they refuse."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import torch
from tiny_models import random_generator
from tiny_project import REPOSITORY, make_project, set_param, write_images

from cli import app
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests.evaluate_folder import evaluate_folder
from tasks.running.dvc_stages import domain_stages, stages_of
from tasks.stages import distill, translate
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.distillation import onnx_export
from ui2i.distillation.folder import FAST_TRANSLATION_SCHEMA
from ui2i.distillation.onnx_export import export_onnx
from ui2i.distillation.onnx_session import OnnxTranslator
from ui2i.distillation.translator_file import load_translator, save_translator
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_file
from ui2i.images import load_image, to_tensor, to_uint8
from ui2i.settings import IngestConfig
from ui2i.tables import TRANSLATION_SCHEMA, read_rows, read_table, write_table

ENTRY = {
    "base": "face",
    "total_kimg": 0.064,
    "num_pairs": 12,
    "batch_size": 8,
    "num_held_out": 4,
    "width": 3,
    "learning_rate": 0.03,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a base, a domain of its family, their images, and a translator that the stage trained."""
    root = tmp_path_factory.mktemp("fast")
    project = make_project(root / "project")
    for path, value in {
        "domains": {"cartoon": {"base": "face"}},
        "swap.resolutions": [8],
        "translators": {"cartoon": ENTRY},
        "truth": {},
    }.items():
        set_param(project, path, value)
    base = random_generator(1, use_noise=False)
    cartoon = copy.deepcopy(base)
    cartoon.synthesis.block(32).torgb.bias.add_(0.4)
    path = project.checkpoint("face") / "generator.safetensors"
    save_generator(path, base, ModelCard(domain="face", mode="scratch"))
    card = ModelCard(domain="cartoon", mode="FC-FT", base="face", base_hash=sha256_file(path), license="CC0-1.0")
    save_generator(project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors", cartoon, card)
    swapped = ModelCard(domain="cartoon", mode="FC-FT-LS8", swap_resolution=8)
    save_generator(project.variant("cartoon", 8), cartoon, swapped)
    for seed, name in enumerate(("face", "cartoon")):
        write_images(root / name, seed=seed)
        ingest(root / name, project.prepared(name), IngestConfig(img_resolution=32, test_share=0.2), name=name)
    write_images(root / "mine", count=4, seed=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        assert translate.main(translate.STAGE, ["--domain", "cartoon"]) == 0
        assert distill.main(distill.STAGE, ["--domain", "cartoon"]) == 0
    return project


@pytest.fixture(autouse=True)
def here(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.root)


@pytest.fixture(scope="module")
def exported(made: Project) -> Iterator[Path]:
    """The project's translator as ONNX, made once: an export takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        assert app.run(["export-onnx", "cartoon"]) == 0
    yield made.onnx_translator("cartoon")
    made.onnx_translator("cartoon").unlink()


def fast(made: Project, out: Path, *options: str) -> int:
    images = str(made.root.parent / "mine")
    return app.run(["translate", images, "--domain", "cartoon", "--out", str(out), "--fast", *options])


def images_of(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(load_image(path)) for path in sorted(folder.glob("0*.png"))])


def test_the_stage_leaves_a_translator_its_measures_and_a_sheet(made: Project) -> None:
    folder = made.translator_folder("cartoon")
    assert {path.name for path in folder.iterdir()} == {
        "translator.safetensors",
        "translator.json",
        "translations.png",
    }
    summary = json.loads((folder / "translator.json").read_text())
    assert summary["held_out"]["l1"] < summary["held_out"]["input_l1"]
    assert summary["training"][-1]["kimg"] == 0.064
    card = load_translator(made.translator("cartoon")).card
    assert (card.source, card.domain, card.variant, card.license) == ("face", "cartoon", "FC-FT", "CC0-1.0")
    folders = made.checkpoint("face"), made.mode_checkpoint("cartoon", "FC-FT")
    assert [card.source_hash, card.target_hash] == [sha256_file(it / "generator.safetensors") for it in folders]
    height = load_image(folder / "translations.png").height
    assert height > 3 * 128, "input, pipeline, translator"
    assert list(made.translator_run("cartoon").rglob("*.npy"))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("input_sha256", "0" * 64, "it is of other images or models"),
        ("checkpoint_hash", "0" * 64, "it is of other images or models"),
        ("output_file", "gone.png", "gone.png"),
    ],
)
def test_translations_of_other_images_are_not_shown_beside_the_translators(
    made: Project, capsys: pytest.CaptureFixture[str], column: str, value: str, reason: str
) -> None:
    manifest, shown = made.translations("cartoon") / "manifest.parquet", made.translator_folder("cartoon")
    kept, translator = manifest.read_bytes(), shown.with_name("kept")
    shutil.copytree(shown, translator)
    rows = read_rows(manifest, TRANSLATION_SCHEMA)
    write_table(manifest, [row | {column: value} for row in rows], TRANSLATION_SCHEMA)
    try:
        assert distill.main(distill.STAGE, ["--domain", "cartoon"]) == 0
        assert 2 * 128 < load_image(shown / "translations.png").height < 3 * 128, "input, translator"
        (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("warning: ")]
        assert line.startswith("warning: translations.png leaves out data/translations/cartoon (") and reason in line
    finally:
        manifest.write_bytes(kept)
        shutil.rmtree(shown)
        translator.rename(shown)


def test_the_stage_runs_last_and_only_where_it_is_asked_for(made: Project) -> None:
    assert domain_stages(made, "cartoon")[-2:] == ["translate@cartoon", "distill@cartoon"]
    params = load_params(made)
    needed = stages_of(made, params).leading_to(["distill@cartoon"])
    assert {"ingest@cartoon", "import@face", "swap@cartoon"} <= set(needed)
    assert not {"evaluate@cartoon", "translate@cartoon"} & set(needed), "each night's would make it train again"


def test_a_plan_changes_nothing(made: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = made.params_path.read_text()
    assert app.run(["distill", "cartoon", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "cartoon/FC-FT from face" in plan and "0.064 thousand pairs in 8 steps of 8" in plan
    assert made.params_path.read_text() == before
    assert app.run(["distill", "cartoon", "--variant", "FT", "--dry-run"]) == 2
    assert "cartoon has no model 'FT', expected one of FC-FT, FC-FT-LS8" in capsys.readouterr().err
    assert app.run(["distill", "cartoon", "--pairs", "0", "--dry-run"]) == 2
    assert "translators.cartoon.num_pairs is 0, expected" in capsys.readouterr().err


def test_a_folder_is_translated_in_one_pass(made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert fast(made, out, "--variant", "FC-FT") == 0
    assert "by its translator, 32 px, in torch" in capsys.readouterr().out
    rows = read_table(out / "manifest.parquet", FAST_TRANSLATION_SCHEMA)
    assert list(rows["output_file"]) == [f"0{place}-FC-FT.png" for place in range(4)]
    assert set(rows["engine"]) == {"torch"}
    assert set(rows["translator_hash"]) == {sha256_file(made.translator("cartoon"))}
    with torch.no_grad():
        expected = to_uint8(
            load_translator(made.translator("cartoon"))(to_tensor(images_of(made.root.parent / "mine")))
        )
    assert np.abs(images_of(out).astype(int) - expected).max() <= 1
    assert load_image(out / "contact_sheet.png").height > 3 * 128
    assert fast(made, out) == 0, "an earlier result is replaced"
    rows = evaluate_folder(made, out, "cartoon", inputs=made.root.parent / "mine")
    assert [(row["system"], row["num_outputs"]) for row in rows] == [("translator FC-FT", 4)], "beside FC-FT itself"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--psi", "0.7"], "--psi"),
        (["--styles", "2"], "--styles"),
        (["--reference", "x.png"], "--reference"),
        (["--direction", "1"], "--direction"),
        (["--swap-resolution", "8"], "--swap-resolution"),
        (["--steps", "5"], "--steps"),
        (["--from", "cartoon"], "--from"),
        (["--force"], "--force"),
        (["--only", "FC-FT"], "--only"),
        (["--watch"], "--watch"),
    ],
)
def test_what_a_translator_cannot_do_is_named(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert fast(made, tmp_path / "out", *options) == 2
    assert f"{named} came with --fast, expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_variant_or_a_model_that_changed_is_refused(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fast(made, tmp_path / "out", "--variant", "FC-FT-LS8") == 2
    assert "expected FC-FT, which the translator of cartoon imitates" in capsys.readouterr().err
    model, translator = made.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors", made.translator("cartoon")
    kept = {path: path.read_bytes() for path in (model, translator)}
    model.write_bytes(made.variant("cartoon", 8).read_bytes())
    assert fast(made, tmp_path / "out") == 2
    assert "imitates the model" in capsys.readouterr().err
    assert app.run(["export-onnx", "cartoon"]) == 2
    model.write_bytes(kept[model])
    translator.write_bytes(kept[translator][:-9])
    damaged = fast(made, tmp_path / "out"), capsys.readouterr().err
    translator.unlink()
    missing = fast(made, tmp_path / "out"), capsys.readouterr().err
    translator.write_bytes(kept[translator])
    assert damaged[0] == missing[0] == 2
    assert "is not a readable translator" in damaged[1]
    assert "train it with ui2i distill cartoon" in missing[1]
    assert not (tmp_path / "out").exists()


def test_an_image_of_one_pixel_is_translated_and_no_image_is_refused(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    (tmp_path / "one").mkdir()
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one" / "0.png")
    (tmp_path / "one" / "1.png").write_bytes(b"no image")
    arguments = ["translate", str(tmp_path / "one"), "--domain", "cartoon", "--out", str(tmp_path / "out"), "--fast"]
    assert app.run(arguments) == 0
    assert "1 of 2 images translated" in capsys.readouterr().out
    assert load_image(tmp_path / "out" / "0-FC-FT.png").size == (32, 32)
    assert pq.read_table(tmp_path / "out" / "rejects.parquet")["path"].to_pylist() == ["1.png"]
    (tmp_path / "one" / "0.png").unlink()
    assert app.run([*arguments[:-2], str(tmp_path / "none"), "--fast"]) == 2
    assert "none of the 1 images can be used" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_onnx_file_says_what_it_is_and_translates_alike(made: Project, exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    assert model.opset_import[0].version >= 17
    assert not list(exported.parent.glob("*.data"))
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert notes["license"] == "CC0-1.0"
    assert json.loads(notes["ui2i.card"])["img_resolution"] == 32
    weights = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) > 64]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT16}, "half the size"
    opened = OnnxTranslator(exported)
    assert opened.card == load_translator(made.translator("cartoon")).card
    images = PreparedDataset(made.prepared("face"), None).images(slice(7))
    together = opened(images)
    with torch.no_grad():
        expected = to_uint8(load_translator(made.translator("cartoon"))(to_tensor(images)))
    assert np.abs(together.astype(int) - expected).max() <= 1
    assert np.array_equal(opened(images[:1]), together[:1]), "any number of images"


def test_fast_takes_the_onnx_file_and_leaves_torch_alone(made: Project, exported: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from cli import app; status = app.run(sys.argv[1:]);"
        "print('::', status, *({'torch', 'prefect', 'scipy'} & set(sys.modules)))"
    )
    arguments = ["translate", str(made.root.parent / "mine"), "--domain", "cartoon", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", code, "--project", str(made.root), *arguments, "--fast"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1:] == [":: 0"], ran.stdout + ran.stderr
    assert set(read_table(tmp_path / "out" / "manifest.parquet", FAST_TRANSLATION_SCHEMA)["engine"]) == {"onnxruntime"}


def test_onnx_files_that_cannot_be_used(
    made: Project, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, translator = exported.read_bytes(), made.translator("cartoon")
    for length in (0, 200, len(content) // 2, len(content) - 1):
        exported.write_bytes(content[:length])
        assert fast(made, tmp_path / "out") == 2
        assert "no readable ONNX file" in capsys.readouterr().err
    bare = onnx.load_from_string(content)
    del bare.metadata_props[:]
    exported.write_bytes(bare.SerializeToString())
    with pytest.raises(CheckpointError, match="no usable card of a translator"):
        OnnxTranslator(exported)
    exported.write_bytes(content)
    kept = translator.read_bytes()
    save_translator(translator, load_translator(translator))  # trained again, with another date
    if translator.read_bytes() != kept:
        assert fast(made, tmp_path / "out") == 0
        assert "in torch" in capsys.readouterr().out, "the file is of an earlier translator"
    translator.write_bytes(kept)


def test_an_export_that_differs_replaces_nothing(
    made: Project, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = exported.read_bytes()
    translator = load_translator(made.translator("cartoon"))
    program = type("Program", (), {"model_proto": onnx.load_from_string(content)})
    monkeypatch.setattr(onnx_export.torch.onnx, "export", lambda *_, **__: program)
    translator.outlet.bias[: 3 * translator.fold**2].add_(0.02)
    images = PreparedDataset(made.prepared("face"), "test").images(slice(2))
    with pytest.raises(
        CheckpointError, match=r"translator's images differ from its own by up to 0\.02.*nothing was written"
    ):
        export_onnx(exported, translator, images, translator_hash="0")
    assert exported.read_bytes() == content
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r'onnxscript is not installed.*pip install "ui2i\[onnx\]"'):
        export_onnx(exported, translator, images, translator_hash="0")


def test_an_export_replaces_nothing_but_onnx_files(made: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path, before = made.params_path, made.params_path.read_bytes()
    assert app.run(["export-onnx", "cartoon", "--out", str(path)]) == 2
    assert "expected a name that ends in .onnx" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_finished_training_is_not_repeated(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_translator(made.translator("cartoon"))

    def fail(*_: Any) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr("ui2i.distillation.training.TranslatorTrainer.advance", fail)
    folder = made.translator_folder("cartoon")
    kept = shutil.copytree(folder, folder.with_name("kept"))
    assert distill.main(distill.STAGE, ["--domain", "cartoon"]) == 0
    after = load_translator(made.translator("cartoon"))
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())
    shutil.rmtree(folder)
    kept.rename(folder)  # with the same bytes, of which the ONNX file is
