"""Stages as a person starts them: `python -m tasks.stages.<stage>`, without DVC."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import zipfile

import pytest
import torch
from tiny_project import (
    files_below,
    make_project,
    run_stage_module,
    set_param,
    stage_module,
    write_base,
    write_images,
)

from tasks.models.model_folder import DOMAIN_CHECK_FILE, read_model
from tasks.requests.raw_images import add_raw, not_copied
from tasks.running import stage_cli
from tasks.running.dvc_stages import defined_stages
from tasks.running.progress import PREFIX, parse_progress, part_of, report_progress
from ui2i.checkpoints import load_generator, read_card
from ui2i.datasets.manifest import read_manifest
from ui2i.domain_check import load_reference
from ui2i.errors import ConfigError, DataError, TrainingError
from ui2i.files import sha256_file
from ui2i.tables import DISTANCE_SCHEMA, TRAINING_SCHEMA, TRANSLATION_SCHEMA, read_table

OPTIONS = {
    "draw": "--dataset",
    "ingest": "--dataset",
    "pretrain": "--base",
    "import_base": "--base",
    "finetune": "--domain",
    "swap": "--domain",
    "distance": "--domain",
    "translate": "--domain",
    "truth": "--domain",
}


def run(project, module, name, *more):
    """Run a stage in this process, which has torch already."""
    arguments = [OPTIONS[module], name, "--project", str(project.root), *more]
    return stage_cli.main(importlib.import_module(stage_module(module)).STAGE, arguments)


@pytest.fixture(autouse=True)
def _stay_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # stages change the folder; this restores it


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project")


@pytest.fixture
def prepared(project):
    """A project with a base and prepared images of it and of the domain."""
    write_base(project)
    for seed, name in enumerate(("face", "cartoon")):
        write_images(project.raw(name), seed=seed)
        assert run(project, "ingest", name) == 0
    assert run(project, "import_base", "face") == 0
    return project


@pytest.fixture
def failure(project, capsys):
    """A function that runs a stage which must fail as a user's mistake, and returns its one line."""

    def run_and_fail(module, name):
        capsys.readouterr()
        before = files_below(project.root)
        assert run(project, module, name) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert files_below(project.root) == before, "something half-written stayed behind"
        return lines[0]

    return run_and_fail


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


# What a user can get wrong


@pytest.mark.parametrize("module", OPTIONS)
def test_an_unknown_name(failure, module):
    assert "nobody" in failure(module, "nobody")


@pytest.mark.parametrize("name", ["/tmp", "../x", "a/b", "Face", ""])
def test_what_is_no_name(failure, name):
    assert "expected lower-case letters" in failure("ingest", name)


@pytest.mark.parametrize("module", OPTIONS)
def test_help_has_an_example(module, capsys):
    with pytest.raises(SystemExit) as exit_status:
        stage_cli.main(importlib.import_module(stage_module(module)).STAGE, ["--help"])
    assert exit_status.value.code == 0
    assert f"python -m {stage_module(module)} {OPTIONS[module]}" in capsys.readouterr().out


def test_no_project(tmp_path, capsys):
    stage = importlib.import_module("tasks.stages.ingest").STAGE
    assert stage_cli.main(stage, ["--dataset", "face", "--project", str(tmp_path)]) == 2
    assert "is in no project" in capsys.readouterr().err


def test_an_unknown_key_in_params(project, failure):
    set_param(project, "finetune.total_image", 3)
    assert "total_image" in failure("finetune", "cartoon")


def test_missing_images(failure):
    assert "data/raw/face does not exist" in failure("ingest", "face")


def test_an_empty_folder(project, failure):
    project.raw("face").mkdir(parents=True)
    assert "contains no images" in failure("ingest", "face")


def test_only_damaged_images(project, failure):
    project.raw("face").mkdir(parents=True)
    for index in range(3):
        (project.raw("face") / f"{index}.png").write_bytes(b"no image %d" % index)
    assert "3 of 3 images" in failure("ingest", "face")


def test_an_unknown_style(project, failure):
    set_param(project, "synthetic.face.style", "etching")
    assert "etching" in failure("draw", "face")


def test_a_missing_checkpoint(failure):
    assert "does not exist" in failure("import_base", "face")


def test_a_damaged_checkpoint(project, failure):
    (write_base(project) / "generator.safetensors").write_bytes(b"x" * 100)
    assert "not a readable checkpoint" in failure("import_base", "face")


def test_a_checkpoint_of_another_resolution(project, failure):
    write_base(project, img_resolution=64)
    assert "64 px, expected 32 px" in failure("import_base", "face")


def test_a_discriminator_of_another_architecture(project, failure):
    folder = write_base(project)
    kept = (folder / "discriminator.safetensors").read_bytes()
    write_base(project, w_dim=9, channel_max=9)
    (folder / "discriminator.safetensors").write_bytes(kept)
    assert "channel_max" in failure("import_base", "face")


def test_a_missing_base(prepared, failure):
    for path in prepared.checkpoint("face").iterdir():
        path.unlink()
    for module in ("finetune", "swap", "distance", "translate"):
        assert "checkpoints/face/generator.safetensors does not exist" in failure(module, "cartoon")


def test_a_base_of_another_resolution_than_the_images(prepared, failure):
    write_base(prepared, img_resolution=64)
    set_param(prepared, "ingest.img_resolution", 64)
    assert run(prepared, "import_base", "face") == 0
    assert "has 32 px, expected the network's 64 px" in failure("finetune", "cartoon")


def test_a_swap_at_a_resolution_that_the_model_lacks(prepared, failure):
    assert run(prepared, "finetune", "cartoon") == 0
    set_param(prepared, "swap.resolutions", [8, 64])
    assert "swap.resolutions has 64, expected some of 4, 8, 16, 32" in failure("swap", "cartoon")


def test_a_training_that_diverges_keeps_the_old_model(prepared, monkeypatch, failure):
    def fail(*arguments, **settings):
        raise TrainingError("a loss is not finite,\nexpected a finite one")

    assert run(prepared, "finetune", "cartoon") == 0
    monkeypatch.setattr("ui2i.training.loop.train", fail)
    assert failure("finetune", "cartoon") == "error: a loss is not finite, expected a finite one"


def test_a_bug_is_not_taken_for_a_user_s_mistake(project, monkeypatch):
    monkeypatch.setattr("experiments.synthetic.procedural.draw_dataset", lambda *arguments, **settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(project, "draw", "face")


def test_started_as_a_program_it_says_one_line_and_exits_with_2(project):
    done = run_stage_module(project, "ingest", "--dataset", "face")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


# Two at once, and stopping

HOLDER = """
import sys, time
from tasks.project.paths import find_project
from tasks.running.locks import hold_output
project = find_project()
with hold_output(project, project.raw("face")):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def started(project, *command, **environment):
    """A process in the project, of which the first line has come; it does not outlive the block."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=project.root, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        process.first_line = process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_a_second_one_refuses_and_names_the_first(project, capsys):
    with started(project, "-c", HOLDER) as holder:
        assert holder.first_line == "held\n"
        assert run(project, "draw", "face") == 2
        assert f"data/raw/face is being written by process {holder.pid} on " in capsys.readouterr().err
        assert run(project, "draw", "cartoon") == 0
    assert run(project, "draw", "face") == 0, "the lock outlived its holder"


def test_what_a_killed_one_left_is_removed(project):
    left, other = (project.raw("x").with_name(f".{name}.0123abcd.tmp") for name in ("face", "face-2"))
    for folder in (left, other):
        write_images(folder, count=1)
    assert run(project, "draw", "face") == 0
    assert not left.exists()
    assert other.exists()


def test_asked_to_stop_it_leaves_nothing_half_written(project):
    set_param(project, "synthetic.face.num_images", 100_000)
    with started(project, "-m", "experiments.synthetic.draw", "--dataset", "face") as process:
        assert process.first_line.startswith(PREFIX)
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert files_below(project.data_dir) == set()


def test_under_dvc_it_ends_with_its_parent(project):
    set_param(project, "synthetic.face.num_images", 100_000)
    wrapper = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    with started(
        project, "-c", wrapper, "-m", "experiments.synthetic.draw", "--dataset", "face", DVC_STAGE="draw@face"
    ) as parent:
        assert parent.first_line.startswith(PREFIX)
        parent.kill()
        parent.communicate(timeout=60)  # ends when the stage has closed the pipe too
    assert files_below(project.data_dir) == set()


# Progress


def test_progress_lines_are_few_and_the_last_is_never_lost(capsys):
    with report_progress("draw@face") as progress:
        for done in range(1000):
            progress(done + 1, 1000, f"image {done}")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 10
    assert [parse_progress(line) for line in (lines[0], lines[-1])] == [
        (1, 1000, "image 0"),
        (1000, 1000, "image 999"),
    ]
    assert json.loads(lines[0].removeprefix(PREFIX))["stage"] == "draw@face"


def test_the_last_progress_is_printed_even_when_the_work_fails(capsys):
    def fail():
        with report_progress("x") as progress:
            progress(1, 3)
            progress(2, 3)
            raise DataError("no")

    with pytest.raises(DataError):
        fail()
    assert parse_progress(capsys.readouterr().out.splitlines()[-1]) == (2, 3, "")


@pytest.mark.parametrize("line", ["", "done 3", PREFIX, PREFIX + "{}", PREFIX + "[1]", PREFIX + '{"done": 1}'])
def test_other_lines_are_no_progress(line):
    assert parse_progress(line) is None


def test_parts_fill_the_whole_once():
    seen = []

    def progress(done, total, note=""):
        seen.append((done, total, note))

    for index, label in enumerate(("FC-FT", "FT")):
        report = part_of(progress, index, 2, label)
        report(0, 10)
        report(10, 10, "loss 1")
    assert seen == [(0, 20, "FC-FT"), (10, 20, "FC-FT loss 1"), (10, 20, "FT"), (20, 20, "FT loss 1")]


# Adding images (DVC itself is in test_dvc.py)


@pytest.fixture
def added(monkeypatch):
    """What DVC was told to track."""
    calls = []
    monkeypatch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: calls.append(arguments[-1]))
    return calls


def test_add_raw_takes_the_images_of_a_folder(project, tmp_path, added):
    source = tmp_path / "source"
    write_images(source / "inner", count=2)
    write_images(source / ".hidden", count=1)
    (source / "notes.txt").write_text("notes")
    assert add_raw(project, "anime", source) == project.raw("anime")
    assert files_below(project.raw("anime")) == {"inner/00.png", "inner/01.png", ".left-out.json"}
    assert not_copied(project.raw("anime")) == "1 file left out: 1 of .txt"
    assert added == ["data/raw/anime"]


def test_add_raw_of_equal_images_copies_nothing(project, tmp_path, added):
    write_images(tmp_path / "source", count=2)
    place = add_raw(project, "anime", tmp_path / "source")
    before = {path: path.stat().st_ino for path in place.iterdir()}
    assert add_raw(project, "anime", tmp_path / "source") == place
    assert add_raw(project, "anime", place) == place
    assert {path: path.stat().st_ino for path in place.iterdir()} == before


def test_add_raw_of_a_zip(project, tmp_path, added):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a.png", b"1")
    place = add_raw(project, "anime", tmp_path / "images.zip")
    assert place == project.root / "data/raw/anime.zip"
    assert place.read_bytes() == (tmp_path / "images.zip").read_bytes()
    assert added == ["data/raw/anime.zip"]


def test_add_raw_refuses_other_images_unless_told_to_replace(project, tmp_path, added):
    write_images(tmp_path / "one", count=2, seed=1)
    write_images(tmp_path / "two", count=1, seed=2)
    place = add_raw(project, "anime", tmp_path / "one")
    with pytest.raises(DataError, match="data/raw/anime has other images"):
        add_raw(project, "anime", tmp_path / "two")
    assert len(list(place.iterdir())) == 2
    add_raw(project, "anime", tmp_path / "two", replace=True)
    assert [path.name for path in place.iterdir()] == ["00.png"]


def test_add_raw_refuses_the_name_of_drawn_images(project, tmp_path, added):
    write_images(tmp_path / "source", count=1)
    with pytest.raises(ConfigError, match="the stage draw@face makes the images of face"):
        add_raw(project, "face", tmp_path / "source", replace=True)
    assert files_below(project.data_dir) == set()


@pytest.mark.parametrize("kind", ["missing", "empty folder", "no zip"])
def test_add_raw_refuses_what_holds_no_images(project, tmp_path, added, kind):
    source = tmp_path / "source"
    if kind == "empty folder":
        source.mkdir()
    elif kind == "no zip":
        source.write_text("text")
    with pytest.raises(DataError):
        add_raw(project, "anime", source)
    assert files_below(project.data_dir) == set()
    assert added == []


def test_what_a_stage_says_of_itself_is_found_and_a_stage_of_one_s_own_says_nothing(project):
    text = (project.root / "dvc.yaml").read_text()
    own = "".join(f"  own-{name}:\n    cmd: python -m {name}\n" for name in ("nowhere.at_all", "json.tool"))
    (project.root / "dvc.yaml").write_text(f"{text.rstrip()}\n{own}")
    defined = defined_stages(project)
    found = {stage: stage_cli.find_stage(defined, stage) for stage in ("finetune@cartoon", "swap@cartoon")}
    assert {stage: known.trains for stage, known in found.items()} == {"finetune@cartoon": True, "swap@cartoon": False}
    assert [stage_cli.find_stage(defined, f"own-{name}") for name in ("nowhere.at_all", "json.tool")] == [None, None]
