"""`ui2i checkpoint`: what it shows, converts and verifies."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign_files import save_torch, set_value, tiny_checkpoint, write_tiny
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_project import files_below, make_project, write_base
from typed_commands import ui2i as ui2i

from tasks.project.paths import Project
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.converters.formats import read_checkpoint, write_checkpoint
from ui2i.files import sha256_file

Ui2i = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["ada-auto-64.pkl", "rosinality-source-32.pt"])
def test_show(ui2i: Ui2i, golden: Path, name: str) -> None:
    status, out, err = ui2i("checkpoint", "show", golden / name)
    assert (status, err) == (0, "")
    expected = {"ada": ["64 px", "256", "16 at 64"], "rosinality": ["32 px", "8, learning rate x 0.01"]}[
        name.split("-")[0]
    ]
    for word in (*expected, "left out", sha256_file(golden / name), f"{(golden / name).stat().st_size:,} bytes"):
        assert word in out


def test_show_a_folder(project: Project, ui2i: Ui2i) -> None:
    status, out, _ = ui2i("checkpoint", "show", write_base(project))
    assert status == 0 and "scratch" in out and "ui2i" in out


def test_what_a_file_says_cannot_steer_the_terminal(ui2i: Ui2i, tmp_path: Path) -> None:
    content = torch.load(write_tiny(tmp_path / "m.pt"), weights_only=True)
    content["ui2i"]["card"]["domain"] = "\x1b[31m[bold]red[/bold]\n"
    status, out, _ = ui2i("checkpoint", "show", save_torch(tmp_path / "m.pt", content))
    assert status == 0 and "\x1b" not in out and "\\x1b[31m[bold]red[/bold]\\n" in out


@pytest.mark.parametrize("field", ["kind", "format_version", "domain", "license"])
def test_what_a_native_header_says_cannot_steer_the_terminal(ui2i: Ui2i, tmp_path: Path, field: str) -> None:
    generator = tiny_checkpoint().generator
    save_generator(tmp_path / "g.safetensors", generator, ModelCard(domain="x", mode="scratch"))
    evil = "\x1b]0;title\x07\u202e[red]\n" + "x" * 500_000
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["ui2i"])
        del header["digest"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    (header["card"] if field in header["card"] else header)[field] = evil
    save_file(tensors, tmp_path / "g.safetensors", metadata={"ui2i": json.dumps(header)})
    status, out, err = ui2i("checkpoint", "show", tmp_path / "g.safetensors")
    assert status == (0 if field in header["card"] else 2)
    printed = out + err
    assert "\\x1b]0;title" in printed
    assert all(line.isprintable() for line in printed.splitlines())
    assert len(printed) < 50_000


def test_convert_and_verify(ui2i: Ui2i, tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "m.pt")
    for name in ("m.pkl", "folder", "g.safetensors"):
        status, out, err = ui2i("checkpoint", "convert", source, tmp_path / name, "--name", "cats", "--license", "CC0")
        assert (status, err) == (0, "") and "verified: read again and equal, bit for bit" in out
        read = read_checkpoint(tmp_path / name)
        assert (read.card.domain, read.card.license) == ("cats", "CC0")
    status, out, err = ui2i(
        "checkpoint", "verify", tmp_path / "m.pkl", "--against", source, "--sha256", sha256_file(tmp_path / "m.pkl")
    )
    assert (status, err) == (0, "")
    for word in ("all finite", "standard deviations", "images", "logits", "every bit"):
        assert word in out


def test_convert_replaces_nothing_but_a_checkpoint(ui2i: Ui2i, tmp_path: Path) -> None:
    source, folder, thesis = write_tiny(tmp_path / "m.pt"), tmp_path / "folder", tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("all of it")
    status, _, err = ui2i("checkpoint", "convert", source, thesis, "--replace")
    assert status == 2 and "exists and is no checkpoint folder" in err
    assert (thesis / "chapter.txt").read_text() == "all of it"
    for _ in range(2):
        assert ui2i("checkpoint", "convert", source, folder, "--replace")[0] == 0
    (folder / "notes.txt").write_text("mine")
    status, _, err = ui2i("checkpoint", "convert", source, folder, "--replace")
    assert status == 2 and "also holds notes.txt, expected nothing but the checkpoint folder" in err
    before = files_below(folder)
    status, _, err = ui2i("checkpoint", "convert", folder, folder, "--replace")
    assert status == 2 and "which would be replaced" in err and files_below(folder) == before


def test_verify_says_what_differs(ui2i: Ui2i, tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "m.pt")
    write_checkpoint(tmp_path / "other.pt", tiny_checkpoint(1))
    status, _, err = ui2i("checkpoint", "verify", source, "--against", tmp_path / "other.pt")
    assert status == 2 and "differs from" in err and "generator mapping.w_avg" in err
    status, _, err = ui2i("checkpoint", "verify", source, "--sha256", "ab" * 32)
    assert status == 2 and "has the SHA-256" in err


def test_verify_finds_dead_networks(ui2i: Ui2i, tmp_path: Path) -> None:
    dead = tiny_checkpoint()
    for size in (4, 8, 16, 32):
        torgb = dead.generator.synthesis.block(size).torgb
        torgb.weight.zero_()
        torgb.bias.zero_()
    write_checkpoint(tmp_path / "dead", dead)
    status, _, err = ui2i("checkpoint", "verify", tmp_path / "dead")
    assert status == 2 and "makes no images" in err
    write_checkpoint(tmp_path / "broken", tiny_checkpoint())
    set_value(tmp_path / "broken" / "generator.safetensors", "mapping.w_avg", math.inf, keep_digest=False)
    status, _, err = ui2i("checkpoint", "verify", tmp_path / "broken")
    assert status == 2 and "values in mapping.w_avg that are not finite" in err


def test_verify_doubts_a_mean_of_another_network(ui2i: Ui2i, tmp_path: Path) -> None:
    model = tiny_checkpoint()
    model.generator.w_avg.add_(100)
    write_checkpoint(tmp_path / "m", model)
    status, out, _ = ui2i("checkpoint", "verify", tmp_path / "m")
    assert status == 0 and "truncation pulls to another place" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "{file}", "{file}"], "already exists, expected a new name"),
        (["convert", "{file}", "new.onnx"], "ends in .onnx, expected .pkl"),
        (["convert", "nowhere.pt", "new.pkl"], "nowhere.pt cannot be read"),
        (["show", "nowhere.pt"], "nowhere.pt cannot be read"),
        (["verify", "nowhere.pt"], "nowhere.pt cannot be read"),
    ],
)
def test_mistakes_of_checkpoint_are_one_line(ui2i: Ui2i, file: Path, arguments: list[str], message: str) -> None:
    status, _, err = ui2i("checkpoint", *(argument.format(file=file) for argument in arguments))
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1 and message in err
