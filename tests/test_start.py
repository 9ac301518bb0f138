"""A fine-tuning that goes on with an earlier model of its domain, and a translator that came with that model."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_models import random_generator
from tiny_project import make_project, set_param, write_base, write_images

from cli import app
from tasks.models.model_folder import read_model
from tasks.models.translator_models import check_translator, translator_path
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.stages import finetune, import_base, ingest
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator
from ui2i.distillation.translator_file import save_translator
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_file
from ui2i.settings import TranslatorConfig
from ui2i.translation import share_mapping


@pytest.fixture
def trained(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of `made`, entered."""
    root = tmp_path / "project"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return Project(root)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a fine-tuned domain, whose model is packed in data/domains/cartoon."""
    project = make_project(tmp_path_factory.mktemp("start") / "project")
    with contextlib.chdir(project.root):
        make_domain(project)
    return project


def make_domain(project: Project) -> None:
    write_base(project)
    for seed, name in enumerate(("face", "cartoon")):
        write_images(project.raw(name), seed=seed)
        assert ingest.main(ingest.STAGE, ["--dataset", name]) == 0
    assert import_base.main(import_base.STAGE, ["--base", "face"]) == 0
    assert finetune.main(finetune.STAGE, ["--domain", "cartoon"]) == 0
    model = project.mode_checkpoint("cartoon", "FC-FT")
    card = TranslatorCard(
        source="face",
        domain="cartoon",
        variant="FC-FT",
        source_hash=sha256_file(project.checkpoint("face") / "generator.safetensors"),
        target_hash=sha256_file(model / "generator.safetensors"),
        img_resolution=32,
    )
    save_translator(project.translator("cartoon"), Translator(TranslatorConfig(width=3), card))
    assert app.run(["base", "pack", "cartoon/FC-FT", "data/domains/cartoon"]) == 0


def start_with(project: Project, folder: str, sha256: str | None = None) -> None:
    sha256 = sha256 or sha256_file(project.root / folder / "generator.safetensors")
    set_param(project, "domains.cartoon.start", {"model": folder, "sha256": sha256})


def test_training_goes_on_with_it(trained: Project) -> None:
    folder = trained.mode_checkpoint("cartoon", "FC-FT")
    before, _, card = read_model(folder)
    packed = trained.root / "data/domains/cartoon"
    start_with(trained, "data/domains/cartoon")
    assert finetune.main(finetune.STAGE, ["--domain", "cartoon"]) == 0
    after, _, now = read_model(folder)
    assert now.started_from == sha256_file(packed / "generator.safetensors")
    assert now.images_seen == 2 * card.images_seen
    assert (now.base, now.base_hash) == (card.base, card.base_hash)
    base, _, _ = read_model(trained.checkpoint("face"))
    assert share_mapping(base, after)
    assert not torch.equal(*(each.synthesis.block(32).torgb.weight for each in (before, after)))
    # In as few steps nothing gets far from where it began.
    w = torch.zeros(1, before.config.num_ws, before.config.w_dim)
    gone, whole = (
        float((first.synthesis(w) - second.synthesis(w)).abs().mean())
        for first, second in ((before, after), (base, after))
    )
    assert gone < whole


def test_a_plan_says_what_each_mode_begins_with(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    start_with(trained, "data/domains/cartoon")
    capsys.readouterr()
    assert finetune.main(finetune.STAGE, ["--domain", "cartoon", "--dry-run"]) == 0
    digest = sha256_file(trained.root / "data/domains/cartoon/generator.safetensors")[:12]
    mine = [line for line in capsys.readouterr().out.splitlines() if "begins with" in line]
    assert mine == [
        f"  begins with data/domains/cartoon, trained on 8 images, SHA-256 {digest}",  # FC-FT
        "  begins with the base face",  # FT
    ]
    shutil.rmtree(trained.checkpoint("face"))  # before the stage import@ has run
    assert finetune.main(finetune.STAGE, ["--domain", "cartoon", "--dry-run"]) == 0
    asked = ["new-domain", "cartoon", "--images", "data/raw/cartoon", "--base", "face", "--dry-run"]
    asked += ["--mode", "FC-FT", "--mode", "scratch"]
    assert app.run(asked) == 2 and "pass --replace" in capsys.readouterr().err, "as without --dry-run"
    assert app.run([*asked, "--replace"]) == 0
    said = capsys.readouterr().out
    assert "  begins with the base face" in said, "registering a domain anew drops its start"
    assert "  begins with random weights" in said


def test_its_translator_serves_before_and_after_the_training(trained: Project) -> None:
    shutil.rmtree(trained.translator_folder("cartoon"))
    with pytest.raises(CheckpointError, match="train it with ui2i distill cartoon"):
        translator_path(trained, load_params(trained), "cartoon")
    start_with(trained, "data/domains/cartoon")
    params = load_params(trained)
    path = translator_path(trained, params, "cartoon")
    assert path == trained.root / "data/domains/cartoon/translator.safetensors"

    def translate(name: str) -> int:
        return app.run(["translate", "data/raw/face", "--fast", "--domain", "cartoon", "--out", name])

    assert translate("now") == 0
    assert finetune.main(finetune.STAGE, ["--domain", "cartoon"]) == 0
    assert translate("after") == 0
    for model in (trained.checkpoint("cartoon"), trained.checkpoint("face")):
        shutil.rmtree(model)
    assert translate("in-a-fresh-clone") == 0
    manifests = [trained.root / name / "manifest.parquet" for name in ("now", "after", "in-a-fresh-clone")]
    assert all(manifest.is_file() for manifest in manifests)


def test_a_translator_of_another_model_is_refused(trained: Project) -> None:
    start_with(trained, "data/domains/cartoon")
    params, path = load_params(trained), translator_path(trained, load_params(trained), "cartoon")
    model = trained.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors"
    card = ModelCard(domain="cartoon", mode="FC-FT", provenance={"started_from": "0" * 64})
    save_generator(model, random_generator(9), card)
    source = sha256_file(trained.checkpoint("face") / "generator.safetensors")
    imitating = TranslatorCard(
        source="face", domain="cartoon", variant="FC-FT", source_hash=source, target_hash="1" * 64, img_resolution=32
    )
    with pytest.raises(CheckpointError, match="imitates the model 111111111111 of FC-FT"):
        check_translator(trained, params, path, imitating)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("another file", "as start.sha256 says; write that of the model that is meant"),
        ("another mode", "was trained as FT, expected one of the domain's modes (FC-FT)"),
        ("another family", "has another mapping network than the source"),
        ("nothing", "does not exist"),
    ],
)
def test_what_cannot_go_on_is_refused(
    trained: Project, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    folder = trained.root / "data/domains/cartoon"
    generator, _, _ = read_model(folder)
    if change == "another mode":
        set_param(trained, "domains.cartoon.modes", ["FC-FT"])
        save_generator(folder / "generator.safetensors", generator, ModelCard(domain="cartoon", mode="FT"))
    if change == "another family":
        generator.mapping.fc0.weight.data.add_(1)
        save_generator(folder / "generator.safetensors", generator, ModelCard(domain="cartoon", mode="FC-FT"))
    start_with(trained, "data/domains/cartoon", "0" * 64 if change == "another file" else None)
    if change == "nothing":
        shutil.rmtree(folder)
    kept = (trained.mode_checkpoint("cartoon", "FC-FT") / "card.json").read_text()
    capsys.readouterr()
    for options in ([], ["--dry-run"]):
        assert finetune.main(finetune.STAGE, ["--domain", "cartoon", *options]) == 2
        assert message in capsys.readouterr().err
    assert (trained.mode_checkpoint("cartoon", "FC-FT") / "card.json").read_text() == kept


def test_a_digest_is_spelt_out(trained: Project) -> None:
    set_param(trained, "domains.cartoon.start", {"model": "data/domains/cartoon", "sha256": "abc"})
    with pytest.raises(ConfigError, match=r"start.sha256 is 'abc', expected a SHA-256 in 64 hexadecimal digits"):
        load_params(trained)


def test_only_the_translator_of_the_packed_model_goes_along(trained: Project) -> None:
    assert json.loads((trained.root / "data/domains/cartoon/card.json").read_text())["card"]["mode"] == "FC-FT"
    folder = trained.mode_checkpoint("cartoon", "FC-FT")
    generator, _, card = read_model(folder)
    generator.synthesis.block(32).torgb.bias.data.add_(1)
    save_generator(folder / "generator.safetensors", generator, card)
    assert app.run(["base", "pack", "cartoon/FC-FT", "packed"]) == 0
    assert not (trained.root / "packed/translator.safetensors").exists()
