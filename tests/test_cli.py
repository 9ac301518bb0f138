"""The `ui2i` command: what it prints and writes, and what it hands to flows."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys

import pytest
from tiny_project import distance_row, files_below, set_param, write_images
from typed_commands import ReachedFlowError
from typed_commands import images as images
from typed_commands import session as session
from typed_commands import ui2i as ui2i
from typer.main import get_command

from cli import app
from cli.report import print_runs
from tasks.project.params import load_params
from tasks.requests.translation_request import TranslationRequest
from tasks.running.locks import hold_lease, new_holder
from ui2i.tables import DISTANCE_SCHEMA, append_rows

COMMANDS = [
    ["init"],
    ["pretrain"],
    ["new-domain"],
    ["re-evaluate"],
    ["translate"],
    ["generate"],
    ["train-encoder"],
    ["distill"],
    ["export-onnx"],
    ["web"],
    ["serve"],
    ["compare-inversions"],
    ["style-layers"],
    ["distances"],
    ["demo"],
    ["mark-crashed"],
    ["up"],
    ["down"],
    ["status"],
    ["trigger"],
    ["gc"],
    ["upgrade"],
    ["data", "draw"],
    ["data", "show"],
    ["data", "export"],
    ["checkpoint", "show"],
    ["checkpoint", "convert"],
    ["checkpoint", "verify"],
    ["base", "add"],
    ["base", "check"],
    ["base", "pack"],
    ["measure"],
    ["evaluate"],
    ["table"],
    ["choose-swap"],
    ["report"],
    ["reproduce"],
    ["tables", "list"],
    ["tables", "show"],
    ["tables", "columns"],
    ["tables", "diff"],
]


@pytest.fixture
def added(monkeypatch):
    """What was handed to `dvc add`, which is not run: it takes seconds."""
    paths = []
    monkeypatch.setattr("tasks.requests.raw_images.ensure_dvc", lambda root: None)
    monkeypatch.setattr("tasks.requests.raw_images.run_dvc", lambda root, *arguments: paths.append(arguments[-1]))
    return paths


# Help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_examples_of_the_command(ui2i, command):
    status, out, err = ui2i(*command, "--help")
    assert (status, err) == (0, "")
    examples = out.split("Examples:\n")[1].splitlines()
    assert examples
    assert all(line.startswith("  ") and len(line) <= 80 for line in examples)
    assert examples[0].startswith(f"    ui2i {' '.join(command)}")
    assert ui2i(*command, "-h") == (0, out, "")
    assert not re.search(r"(?m)^  [A-Z]+ <", out), "a Python type behind the name of an argument"
    assert not re.search(r"\[\[|\.\.\.[\]}]", out.splitlines()[0]), "brackets or dots twice"


def test_every_command_is_tested_for_its_help():
    assert set(leaves(get_command(app.app))) == {tuple(command) for command in COMMANDS}


def leaves(command, *words):
    """The words of every command below one."""
    below = getattr(command, "commands", {}).items()
    return [leaf for name, one in below for leaf in leaves(one, *words, name)] if below else [words]


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from cli.app import run; status = run(['new-domain', '--help']);"
        "print(status, {'torch', 'prefect', 'pandas', 'pyarrow', 'numpy', 'PIL', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"


# Mistakes: one line, status 2, nothing changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("distances cartoo", "no domains.cartoo, expected one of: cartoon; did you mean 'cartoon'?"),
        (
            "distances cartoon",
            "cartoon has not been trained yet, expected its distances in data/tables/distance/cartoon",
        ),
        ("distances cartoon", "run `dvc repro distance@cartoon`"),
        ("distances", "no domain has been measured"),
        ("re-evaluate cartoon carton", "did you mean 'cartoon'?"),
        ("translate {images} --domain face --out out", "no domains.face"),
        ("translate nowhere --domain cartoon --out out", "nowhere does not exist"),
        ("translate data --domain cartoon --out out", "data contains no images"),
        ("new-domain cat --images {images} --base fac", "did you mean 'face'?"),
        ("new-domain cat --images nowhere --base face", "nowhere does not exist"),
        (
            "new-domain cat --images {images} --base face --mode FCFT",
            "FC-FT, FT, FreezeD, FreezeG, scratch",
        ),
        ("new-domain Cat --images {images} --base face", "has the name 'Cat'"),
        ("pretrain cat --images nowhere", "nowhere does not exist"),
        ("data draw cartoo --num 3 --out out", "style 'cartoo' is unknown"),
        ("--project / distances", "/ is in no project"),
    ],
)
def test_a_mistake_is_one_line(ui2i, project, images, session, arguments, message):
    before, entries = files_below(project.root), project.params_path.read_bytes()
    status, _, err = ui2i(*arguments.format(images=images).split())
    assert status == 2
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert message in err
    assert project.params_path.read_bytes() == entries
    assert files_below(project.root) == before


@pytest.mark.parametrize("arguments", ["distances", "re-evaluate", "demo", "new-domain cat --images . --base face"])
def test_an_unknown_key_in_params_is_one_line(ui2i, project, session, arguments):
    set_param(project, "finetune.total_kim", 3)
    status, _, err = ui2i(*arguments.split())
    assert status == 2
    assert err == (
        "error: finetune has the unknown key 'total_kim', expected one of 28 settings; did you mean 'total_kimg'?\n"
    )


def test_a_missing_option_is_usage(ui2i):
    status, _, err = ui2i("new-domain", "cat")
    assert status == 2
    assert "Missing option '--images'" in err


# Registering


def test_new_domain_registers_and_starts_the_flow(ui2i, project, images, session, added):
    line = ["new-domain", "cat", "--images", images, "--base", "face", "--mode", "FT", "--mode", "FC-FT"]
    with pytest.raises(ReachedFlowError):
        ui2i(*line, "--kimg", "24")
    params = load_params(project)
    assert params.datasets["cat"].images == "data/raw/cat"
    domain = params.domains["cat"]
    assert (domain.base, domain.modes, domain.finetune) == ("face", ("FT", "FC-FT"), {"total_kimg": 24.0})
    assert {"00.png", "01.png", "02.png"} <= files_below(project.raw("cat"))
    assert added == ["data/raw/cat"]

    # Once more changes nothing; other settings are refused unless they are to replace those.
    written = project.params_path.read_bytes()
    with pytest.raises(ReachedFlowError):
        ui2i(*line, "--kimg", "24")
    status, _, err = ui2i(*line, "--kimg", "25")
    assert (status, "domains.cat with other settings" in err) == (2, True)
    assert project.params_path.read_bytes() == written
    with pytest.raises(ReachedFlowError):
        ui2i(*line, "--kimg", "25", "--replace")
    assert load_params(project).domains["cat"].finetune == {"total_kimg": 25.0}


def test_pretrain_registers_and_starts_the_flow(ui2i, project, images, session, added):
    with pytest.raises(ReachedFlowError):
        ui2i("pretrain", "cat", "--images", images, "--kimg", "0.5")
    params = load_params(project)
    assert params.datasets["cat"].images == "data/raw/cat"
    assert params.bases["cat"].pretrain == {"total_kimg": 0.5}


def test_what_another_run_makes_keeps_its_images_and_settings(ui2i, project, images, session, added):
    lines = {
        "cat": ["new-domain", "cat", "--images", images, "--base", "face"],
        "dog": ["pretrain", "dog", "--images", images],
        "cartoon": ["distill", "cartoon"],
    }
    for line in lines.values():
        with pytest.raises(ReachedFlowError):
            ui2i(*line)
    written, before = project.params_path.read_bytes(), files_below(project.data_dir)
    write_images(images, count=5)
    for name, line in lines.items():
        with hold_lease(project, f"model-{name}", new_holder("the other", "1")):
            status, _, err = ui2i(*line, "--kimg", "9", "--replace")
        assert (status, err.startswith(f"error: {name} is being made by the run 'the other'")) == (2, True)
    assert (project.params_path.read_bytes(), files_below(project.data_dir)) == (written, before)


# Printing


def test_distill_registers_and_starts_the_flow(ui2i, project, session):
    with pytest.raises(ReachedFlowError):
        ui2i("distill", "cartoon", "--kimg", "2", "--variant", "FC-FT-LS8")
    translator = load_params(project).translators["cartoon"]
    assert (translator.base, translator.variant, translator.total_kimg) == ("face", "FC-FT-LS8", 2.0)
    with pytest.raises(ReachedFlowError):
        ui2i("distill", "cartoon")
    written = project.params_path.read_bytes()
    status, _, err = ui2i("distill", "cartoon", "--kimg", "3")
    assert (status, "translators.cartoon with other settings" in err) == (2, True)
    status, _, err = ui2i("distill", "moon")
    assert (status, "no domains.moon" in err) == (2, True)
    assert project.params_path.read_bytes() == written


def test_distances_prints_the_last_measurement_largest_first(ui2i, project):
    path = project.distance_table("cartoon")
    append_rows(path, [distance_row("old", "cartoon/FT", 0.9999)], DISTANCE_SCHEMA)
    rows = [distance_row("new", f"cartoon/{mode}", mean) for mode, mean in (("FC-FT-LS8", 0.2), ("FT", 0.4321))]
    rows.append(distance_row("new", "cartoon/FT", 0.8, source="cartoon/FC-FT-LS8"))
    append_rows(path, rows, DISTANCE_SCHEMA)
    for arguments in (["distances"], ["distances", "cartoon"]):
        status, out, err = ui2i(*arguments)
        assert (status, err) == (0, "")
        assert "0.9999" not in out
        title, *lines = out.splitlines()
        assert "cartoon" in title
        assert "tiny-backbone" in title
        assert [re.split(r"\s{2,}", line.strip()) for line in lines if "cartoon/" in line] == [
            ["face", "cartoon/FT", "0.4321", "0.4121 to 0.4521", "2,000"],
            ["face", "cartoon/FC-FT-LS8", "0.2000", "0.1800 to 0.2200", "2,000"],
            ["cartoon/FC-FT-LS8", "cartoon/FT", "0.8000", "0.7800 to 0.8200", "2,000"],
        ]


def test_data_draw(ui2i, tmp_path):
    out_dir = tmp_path / "synthetic"
    status, out, _ = ui2i("data", "draw", "face", "--num", 2, "--out", out_dir, "--resolution", 32)
    assert status == 0
    assert {"000000.png", "000001.png"} < files_below(out_dir)
    assert str(out_dir) in out


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [("--strength", "nan", "strengths"), ("--strength", "inf", "strengths"), ("--psi", "nan", "psi")],
)
def test_numbers_that_are_none_are_refused(ui2i, images, option, value, name):
    status, _, err = ui2i("translate", images, "--domain", "cartoon", "--out", "out", "--direction", 1, option, value)
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith(f"error: {name}") and value in err


def test_a_port_that_no_machine_has_is_refused(ui2i):
    status, _, err = ui2i("up", "--port", 70000)
    assert status == 2 and "'--port'" in err and "less than or equal to 65535" in err


def test_a_site_in_a_folder_that_is_no_text(ui2i, monkeypatch):
    monkeypatch.setattr("tasks.requests.web_site.write_project_site", lambda *_, **__: (1e6, []))
    status, out, _ = ui2i("web", "--out", os.fsdecode(b"caf\xe9"))
    assert status == 0 and out.count("caf\\udce9") == 2


def test_no_run_is_a_sentence(capsys):
    print_runs([])
    assert capsys.readouterr().out == "nothing is running\n"


# The whole, as a person starts it: a temporary server, Prefect, DVC, the stages


def test_every_option_of_translate_is_in_the_request(ui2i, images, tmp_path, monkeypatch):
    seen = []

    def capture(request, project):
        seen.append(request)
        raise ReachedFlowError

    monkeypatch.setattr("cli.translation.session", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("flows.pipeline.translate", capture)
    expected = TranslationRequest(
        images=images,
        domain="cartoon",
        out=tmp_path / "out",
        source="face",
        variants=("FT", "FC-FT"),
        swap_resolutions=(8, 16),
        swap_mode="blend",
        psi=0.5,
        styles=2,
        seed=7,
        references=(images / "0.png",),
        style_layers=3,
        directions=(1, 2),
        strengths=(-1.5, 2.0),
        method="w_plus",
        steps=11,
        start="encoder",
        framing="fit",
        strict=True,
        force=True,
    )
    with pytest.raises(ReachedFlowError):
        ui2i(
            "translate", images, "--domain", "cartoon", "--out", tmp_path / "out", "--from", "face", "--variant", "FT",
            "--variant", "FC-FT", "--swap-resolution", 8, "--swap-resolution", 16, "--swap-mode", "blend", "--psi", 0.5,
            "--styles", 2, "--seed", 7, "--reference", images / "0.png", "--style-layers", 3, "--direction", 1,
            "--direction", 2, "--strength=-1.5", "--strength", 2, "--method", "w_plus", "--steps", 11, "--start",
            "encoder", "--framing", "fit", "--strict", "--force",
        )  # fmt: skip
    assert seen == [expected]
    with pytest.raises(ReachedFlowError):
        ui2i("translate", images, "--domain", "cartoon", "--out", tmp_path / "out", "--only", "best")
    assert seen[1].only == "best"  # there is one variant then
    left_out = [field.name for field in dataclasses.fields(expected) if getattr(expected, field.name) == field.default]
    assert left_out == ["only"], "an option that this test does not set"
