"""Stages as a person starts them, without DVC: what each writes."""

import json
import shutil
import zipfile

import pytest
import torch
from stage_calls import _stay_here as _stay_here
from stage_calls import prepared as prepared
from stage_calls import run
from tiny_project import files_below, set_param, write_base, write_images

from tasks.models.model_folder import read_model
from tasks.running import stage_cli
from tasks.running.dvc_stages import defined_stages
from ui2i.checkpoints import load_generator, read_card
from ui2i.datasets.manifest import read_manifest
from ui2i.domain_check import load_reference
from ui2i.files import sha256_file
from ui2i.model_files import DOMAIN_CHECK_FILE
from ui2i.tables import DISTANCE_SCHEMA, TRAINING_SCHEMA, TRANSLATION_SCHEMA, read_table

# What each stage writes


def test_draw(project):
    assert run(project, "draw", "cartoon") == 0
    assert len(list(project.raw("cartoon").glob("*.png"))) == 24


def test_ingest_of_a_zip(project):
    write_images(project.root / "images")
    set_param(project, "truth", {})  # which is for synthetic images alone
    set_param(project, "datasets.face.images", "data/raw/face.zip")
    project.raw("face").parent.mkdir(parents=True)
    with zipfile.ZipFile(project.raw("face").with_name("face.zip"), "w") as archive:
        for path in (project.root / "images").iterdir():
            archive.write(path, path.name)
    assert run(project, "ingest", "face") == 0
    assert read_manifest(project.prepared("face")).num_images == 24


def test_ingest_passes_over_a_few_damaged_images(project):
    write_images(project.raw("face"))
    (project.raw("face") / "zz.png").write_bytes(b"no image")
    assert run(project, "ingest", "face") == 0
    assert read_manifest(project.prepared("face")).num_rejected == 1


def test_import_copies_the_checkpoint_unchanged_and_completes_it(prepared):
    source, copy = prepared.root / "data/base/face", prepared.checkpoint("face")
    for name in ("generator.safetensors", "discriminator.safetensors"):
        assert (source / name).read_bytes() == (copy / name).read_bytes()
    assert (copy / "samples.png").is_file()
    assert json.loads((copy / "card.json").read_text())["card"]["domain"] == "face"


def test_import_leaves_the_domain_check_where_it_is(prepared):
    """One that a base gets later changes nothing that DVC compares, so nothing that follows runs again."""
    check = prepared.root / "data/base/face" / DOMAIN_CHECK_FILE
    before = files_below(prepared.checkpoint("face"))
    check.write_bytes(b"statistics")
    try:
        assert run(prepared, "import_base", "face") == 0
        assert files_below(prepared.checkpoint("face")) == before
    finally:
        check.unlink()


def test_import_without_a_discriminator(project):
    (write_base(project) / "discriminator.safetensors").unlink()
    assert run(project, "import_base", "face") == 0
    assert read_model(project.checkpoint("face"))[1] is None


def test_a_domain_from_fine_tuning_to_translations(prepared):
    for module in ("finetune", "swap", "distance", "translate"):
        assert run(prepared, module, "cartoon") == 0

    base, _ = load_generator(prepared.checkpoint("face") / "generator.safetensors")
    frozen, card = load_generator(prepared.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors")
    tuned, _ = load_generator(prepared.mode_checkpoint("cartoon", "FT") / "generator.safetensors")
    assert torch.equal(base.mapping.fc0.weight, frozen.mapping.fc0.weight)
    assert not torch.equal(base.mapping.fc0.weight, tuned.mapping.fc0.weight)
    assert not torch.equal(base.synthesis.b8.conv0.weight, frozen.synthesis.b8.conv0.weight)
    assert (card.domain, card.mode, card.base, card.images_seen) == ("cartoon", "FC-FT", "face", 8)
    assert card.dataset_hash == read_manifest(prepared.prepared("cartoon")).dataset_sha256
    assert "rights follow its images" in card.license
    assert len(read_table(prepared.mode_checkpoint("cartoon", "FT") / "training.parquet", TRAINING_SCHEMA))

    assert files_below(prepared.variants("cartoon")) == {"ls8.safetensors", "ls16.safetensors"}
    swapped, swapped_card = load_generator(prepared.variant("cartoon", 8))
    assert torch.equal(swapped.synthesis.b8.conv0.weight, base.synthesis.b8.conv0.weight)
    assert torch.equal(swapped.synthesis.b16.conv0.weight, frozen.synthesis.b16.conv0.weight)
    assert (swapped_card.mode, swapped_card.swap_resolution) == ("FC-FT-LS8", 8)

    table = read_table(prepared.distance_table("cartoon"), DISTANCE_SCHEMA)
    names = ["face", "cartoon/FC-FT", "cartoon/FT", "cartoon/FC-FT-LS8", "cartoon/FC-FT-LS16"]
    pairs = {(a, b) for index, a in enumerate(names) for b in names[index + 1 :]}
    assert set(zip(table["source"], table["target"], strict=True)) == pairs
    assert set(table[table["target"] == "cartoon/FT"]["latent_space"]) == {"z"}
    summary = json.loads(prepared.distance_summary("cartoon").read_text())
    assert set(summary["from_face"]) == set(names[1:])

    manifest = read_table(prepared.translations("cartoon") / "manifest.parquet", TRANSLATION_SCHEMA)
    assert set(manifest["variant"]) == {"reconstruction", "FC-FT", "FC-FT-LS8", "FC-FT-LS16"}
    assert manifest["input_path"].nunique() == 2

    assert run(prepared, "distance", "cartoon") == 0
    appended = read_table(prepared.distance_table("cartoon"), DISTANCE_SCHEMA)
    assert appended["run_id"].nunique() == 2
    assert len(appended) == 2 * len(pairs)


def test_the_mode_scratch_has_the_base_s_architecture_but_not_its_weights(prepared):
    set_param(prepared, "domains.cartoon.modes", ["scratch"])
    assert run(prepared, "finetune", "cartoon") == 0
    base, _ = load_generator(prepared.checkpoint("face") / "generator.safetensors")
    network, card = read_card(prepared.mode_checkpoint("cartoon", "scratch") / "generator.safetensors")
    assert network == base.config
    assert (card.mode, card.base, card.base_hash) == ("scratch", None, None)


def test_a_model_whose_training_had_ended_stays_as_it_is(prepared, monkeypatch):
    """Whether its files are there, DVC removed them, or they are of before origins were kept."""
    folder, run_dir = prepared.mode_checkpoint("cartoon", "FC-FT"), prepared.run_dir("cartoon", "FC-FT")

    def commit():
        return read_card(folder / "generator.safetensors")[1].provenance["commit"]

    set_param(prepared, "domains.cartoon.modes", ["FC-FT"])
    assert run(prepared, "finetune", "cartoon") == 0
    before, first = {path.name: path.read_bytes() for path in folder.iterdir()}, commit()
    monkeypatch.setattr("ui2i.provenance.code_commit", lambda: "later")
    set_param(prepared, "domains.cartoon.modes", ["FC-FT", "FT"])
    for lost in (run_dir / "origin.json", prepared.checkpoint("cartoon"), None):
        if lost is not None:
            shutil.rmtree(lost) if lost.is_dir() else lost.unlink(missing_ok=True)
        assert run(prepared, "finetune", "cartoon") == 0
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (run_dir / "origin.json").write_text("torn")
    assert run(prepared, "finetune", "cartoon") == 0
    assert commit() == first
    assert run(prepared, "finetune", "cartoon", "--restart") == 0
    assert commit() == "later", "trained anew"
    set_param(prepared, "finetune.total_kimg", 0.012)
    monkeypatch.setattr("ui2i.provenance.code_commit", lambda: "last")
    assert run(prepared, "finetune", "cartoon") == 0
    assert commit() == "last", "prolonged"


@pytest.fixture
def trained(project):
    """A project with a base that it trained itself."""
    set_param(project, "imported", {})
    set_param(project, "bases.face", {})
    write_images(project.raw("face"))
    assert run(project, "ingest", "face") == 0
    assert run(project, "pretrain", "face") == 0
    return project


def num_steps(project):
    return torch.load(project.run_dir("face", "scratch") / "state.pt", weights_only=True)["num_steps"]


def test_pretrain_writes_a_whole_model(trained):
    assert files_below(trained.checkpoint("face")) == {
        "generator.safetensors",
        "discriminator.safetensors",
        "domain_check.safetensors",
        "card.json",
        "training.parquet",
        "samples.png",
        "film-strip.png",
    }
    check = load_reference(trained.checkpoint("face") / "domain_check.safetensors")
    # 24 images are too few to tell others by, so the model's samples stand in.
    assert (check.features, check.origin) == ("discriminator", "samples")
    assert check.base_hash == sha256_file(trained.checkpoint("face") / "generator.safetensors")
    network, card = read_card(trained.checkpoint("face") / "generator.safetensors")
    assert (network.w_dim, card.mode, card.images_seen) == (8, "scratch", 8)


def test_a_finished_training_is_prolonged_shortened_and_restarted(trained, monkeypatch):
    def generator_weight():
        return load_generator(trained.checkpoint("face") / "generator.safetensors")[0].synthesis.b4.conv1.weight

    short = generator_weight()
    set_param(trained, "pretrain.total_kimg", 0.016)
    assert run(trained, "pretrain", "face") == 0
    assert num_steps(trained) == 4
    set_param(trained, "pretrain.total_kimg", 0.008)
    assert run(trained, "pretrain", "face") == 0
    assert num_steps(trained) == 2
    assert torch.equal(generator_weight(), short), "not what a short training gives"
    state = trained.run_dir("face", "scratch") / "state.pt"
    before = state.stat().st_mtime_ns
    assert run(trained, "pretrain", "face") == 0
    assert state.stat().st_mtime_ns == before
    assert run(trained, "pretrain", "face", "--restart") == 0
    assert state.stat().st_mtime_ns > before
    monkeypatch.setenv(stage_cli.RESTART_VARIABLE, "1")
    before = state.stat().st_mtime_ns
    assert run(trained, "pretrain", "face") == 0
    assert state.stat().st_mtime_ns > before


# Adding images (DVC itself is in test_dvc.py)


def test_what_a_stage_says_of_itself_is_found_and_a_stage_of_one_s_own_says_nothing(project):
    text = (project.root / "dvc.yaml").read_text()
    own = "".join(f"  own-{name}:\n    cmd: python -m {name}\n" for name in ("nowhere.at_all", "json.tool"))
    (project.root / "dvc.yaml").write_text(f"{text.rstrip()}\n{own}")
    defined = defined_stages(project)
    found = {stage: stage_cli.find_stage(defined, stage) for stage in ("finetune@cartoon", "swap@cartoon")}
    assert {stage: known.trains for stage, known in found.items()} == {"finetune@cartoon": True, "swap@cartoon": False}
    assert [stage_cli.find_stage(defined, f"own-{name}") for name in ("nowhere.at_all", "json.tool")] == [None, None]
