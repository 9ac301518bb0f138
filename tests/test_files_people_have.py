"""Checkpoints as people have them: the same tensors under other names and in archives; and what is no checkpoint."""

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import (
    ada_content,
    all_modules,
    module_state,
    rosinality_content,
    save_torch,
    tiny_checkpoint,
    write_ada_content,
)
from safetensors.torch import save_file

from ui2i.converters.formats import Checkpoint, differences, read_checkpoint, write_checkpoint
from ui2i.errors import CheckpointError

Content = dict[str, Any]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """A rosinality file of somebody else: without this project's note."""
    (tmp_path / "own").mkdir()
    write_checkpoint(tmp_path / "own" / "m.pt", tiny_checkpoint())
    loaded = rosinality_content(tmp_path / "own" / "m.pt")
    del loaded["ui2i"]
    return loaded


def is_same(read: Checkpoint, *, discriminator: bool = False, but: str = "architectures") -> bool:
    expected = tiny_checkpoint(discriminator=discriminator)
    return [found for found in differences(expected, read) if "architectures" not in found and but not in found] == []


def refuse(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.isprintable() and "expected" in message and ";" in message
    return message


def prefixed(state: Content, prefix: str) -> Content:
    return {prefix + name: value for name, value in state.items()}


# -- the same tensors under other names -------------------------------------------------------------------------------

NESTED: dict[str, Callable[[Content], Content]] = {
    "g alone": lambda c: {"g": c["g"]},
    "g, d, optim": lambda c: {"g": c["g"], "d": c["d"], "optim": c["g_optim"]},
    "bare": lambda c: c["g_ema"],
    "bare, module.": lambda c: prefixed(c["g_ema"], "module."),
    "bare, _orig_mod.": lambda c: prefixed(c["g_ema"], "_orig_mod."),
    "bare, both": lambda c: prefixed(c["g_ema"], "_orig_mod.module."),
    "bare, generator.": lambda c: prefixed(c["g_ema"], "generator."),
    "bare, with a step": lambda c: c["g_ema"] | {"step": 7, "args": {"size": 32}},
    "g_ema, module.": lambda c: {"g_ema": prefixed(c["g_ema"], "module.")},
    "g_ema, _orig_mod.": lambda c: {"g_ema": prefixed(c["g_ema"], "_orig_mod.")},
    "g_ema among g": lambda c: {"g": prefixed(c["g"], "module."), "g_ema": c["g_ema"]},
    "generator": lambda c: {"generator": c["g_ema"], "epoch": 3},
    "state_dict": lambda c: {"state_dict": c["g_ema"]},
    "params_ema": lambda c: {"params_ema": c["g_ema"]},
    "model.g_ema": lambda c: {"model": {"g_ema": c["g_ema"], "g": c["g"]}},
    "pSp": lambda c: {"state_dict": prefixed(c["g_ema"], "decoder.") | {"encoder.x": torch.zeros(1)}},
    "pSp, module.": lambda c: {"state_dict": prefixed(c["g_ema"], "module.decoder.")},
    "pSp, inside": lambda c: {"state_dict": prefixed(c["g_ema"], "decoder.module.")},
    "pSp, bare": lambda c: prefixed(c["g_ema"], "decoder.") | {"encoder.x": torch.zeros(1)},
    "Lightning": lambda c: {"state_dict": prefixed(c["g_ema"], "net.generator_ema.") | prefixed(c["g"], "net.g.")},
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("mean", ["outside", "inside", "array"])
def test_the_generator_is_found(tmp_path: Path, content: Content, name: str, mean: str) -> None:
    tree, w_avg = NESTED[name](content), content["latent_avg"]
    if mean == "inside":
        inner = next(value for value in [*tree.values(), tree] if isinstance(value, dict) and value)
        inner["latent_avg"] = w_avg
    else:
        tree["latent_avg"] = w_avg if mean == "outside" else w_avg.numpy()
    read = read_checkpoint(save_torch(tmp_path / "m.pt", tree))
    assert is_same(read, discriminator="d" in tree)
    assert not any("mean of w was taken" in remark for remark in read.remarks)


def test_what_was_taken_and_left_is_said(tmp_path: Path, content: Content) -> None:
    read = read_checkpoint(
        save_torch(tmp_path / "m.pt", {**NESTED["g, d, optim"](content), "latent_avg": content["latent_avg"]})
    )
    assert read.remarks == ("has no averaged generator (g_ema): the one in training, g, was taken", "left out: optim")
    read = read_checkpoint(save_torch(tmp_path / "m.pt", NESTED["bare, with a step"](content)))
    assert read.remarks[-1] == "left out: step, args"


def test_two_generators_of_equal_right_are_refused(tmp_path: Path, content: Content) -> None:
    path = save_torch(tmp_path / "m.pt", {"cat": content["g_ema"], "dog": content["g_ema"]})
    assert "has generators under ['cat', 'dog'], expected one, or one named g_ema" in refuse(path)


@pytest.mark.parametrize("shape", [(8,), (1, 8), (8, 8)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mean_that_is_an_array_of_numpy(tmp_path: Path, content: Content, shape: tuple[int, ...], order: str) -> None:
    array = content["latent_avg"].expand(shape).contiguous().numpy().copy(order)
    assert is_same(read_checkpoint(save_torch(tmp_path / "m.pt", content | {"latent_avg": array})), discriminator=True)
    old = read_checkpoint(save_torch(tmp_path / "o.pt", content | {"latent_avg": array.astype("f8")}, old_format=True))
    assert is_same(old, discriminator=True)


def test_an_array_of_numpy_that_is_longer_than_a_text(tmp_path: Path, content: Content) -> None:
    rows = content["latent_avg"].expand(3000, 8).contiguous().numpy()
    assert is_same(read_checkpoint(save_torch(tmp_path / "m.pt", content | {"latent_avg": rows})), discriminator=True)


def test_one_noise_map_is_missing(tmp_path: Path, content: Content) -> None:
    content["g_ema"] = {name: value for name, value in content["g_ema"].items() if name != "noises.noise_2"}
    read = read_checkpoint(save_torch(tmp_path / "m.pt", content))
    assert is_same(read, discriminator=True, but="synthesis.b8.conv1.noise_const")
    assert "lacks the noise maps of synthesis.b8.conv1: fixed random ones were taken" in read.remarks


@pytest.mark.parametrize("name", ["bare", "bare, module.", "bare, generator.", "pSp, bare"])
def test_the_same_in_safetensors(tmp_path: Path, content: Content, name: str) -> None:
    state = {key: value.clone() for key, value in NESTED[name](content).items()}
    save_file(state | {"latent_avg": content["latent_avg"].clone()}, tmp_path / "m.safetensors", {"format": "pt"})
    read = read_checkpoint(tmp_path / "m.safetensors")
    assert is_same(read) and read.format == "rosinality"


def test_safetensors_with_both_networks_in_half_precision(tmp_path: Path, content: Content) -> None:
    state = prefixed(content["g_ema"], "g_ema.") | prefixed(content["d"], "d.")
    save_file({name: value.clone().half() for name, value in state.items()}, tmp_path / "m.safetensors")
    read = read_checkpoint(tmp_path / "m.safetensors")
    expected = tiny_checkpoint()
    assert read.discriminator is not None and expected.discriminator is not None
    assert torch.equal(read.discriminator.b8.conv0.weight, expected.discriminator.b8.conv0.weight.half().float())


def test_safetensors_of_other_models(tmp_path: Path) -> None:
    save_file({"unet.weight": torch.zeros(3)}, tmp_path / "m.safetensors")
    assert "contains ['unet.weight'], expected G_ema (stylegan2-ada-pytorch) or g_ema (rosinality)" in refuse(
        tmp_path / "m.safetensors"
    )
    data = json.dumps({"style.1.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(data).to_bytes(8, "little") + data + b"\0")
    assert "is not a readable checkpoint" in refuse(tmp_path / "m.safetensors")


def test_a_pkl_with_the_generator_in_training_alone(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())
    read = read_checkpoint(write_ada_content(tmp_path / "m.pkl", {"G": content["G"], "D": content["D"]}))
    assert is_same(read, discriminator=True)
    assert read.remarks == ("has no averaged generator (G_ema): the one in training, G, was taken",)


# -- archives ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["m.pt", "m.pkl", "m.safetensors"])
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    write_checkpoint(tmp_path / request.param, tiny_checkpoint(discriminator=False))
    return tmp_path / request.param


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_inside_a_zip(tmp_path: Path, file: Path, compression: int) -> None:
    members = {
        f"models/{file.name}": file.read_bytes(),
        "README.txt": b"hello",
        "__MACOSX/._m.pt": b"x",
        "models/": b"",
    }
    read = read_checkpoint(zipped(tmp_path / "m.zip", members, compression))
    assert is_same(read) and read.card.domain == "tiny"


def test_inside_a_gz_and_a_gz_inside_a_zip(tmp_path: Path, file: Path) -> None:
    packed = gzip.compress(file.read_bytes())
    (tmp_path / "m.gz").write_bytes(packed)
    assert is_same(read_checkpoint(tmp_path / "m.gz"))
    (tmp_path / "m.gz").write_bytes(packed + gzip.compress(b""))
    assert is_same(read_checkpoint(tmp_path / "m.gz"))
    assert is_same(read_checkpoint(zipped(tmp_path / "m.zip", {"a.pt.gz": packed})))


def test_what_was_imported_is_the_archive(tmp_path: Path, content: Content) -> None:
    save_torch(tmp_path / "m.pt", content)
    path = zipped(tmp_path / "cats.zip", {"m.pt": (tmp_path / "m.pt").read_bytes()})
    assert read_checkpoint(path).card.provenance["imported"]["file"] == "cats.zip"


def test_archives_that_are_refused(tmp_path: Path, file: Path) -> None:
    data = file.read_bytes()
    assert "expected one; unpack it" in refuse(zipped(tmp_path / "m.zip", {"a.pt": data, "b.pt": data}))
    assert "expected one; unpack it" in refuse(zipped(tmp_path / "m.zip", {"a.txt": b"1", "b.txt": b"2"}))
    twice = gzip.compress(gzip.compress(data))
    assert "begins with" in refuse(zipped(tmp_path / "m.zip", {"a.gz": twice}))
    for cut in (gzip.compress(data)[:-9], gzip.compress(data)[:-1] + b"\1"):
        (tmp_path / "m.gz").write_bytes(cut)
        assert "is a damaged archive" in refuse(tmp_path / "m.gz")
    damaged = bytearray(zipped(tmp_path / "m.zip", {"a.pt": data}, zipfile.ZIP_STORED).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "m.zip").write_bytes(damaged)
    assert "of another size or checksum" in refuse(tmp_path / "m.zip")


def test_errors_inside_an_archive_name_the_archive(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m.safetensors", tiny_checkpoint(discriminator=False))
    data = bytearray((tmp_path / "m.safetensors").read_bytes())
    data[-2] ^= 64
    assert "differs from what was written" in refuse(zipped(tmp_path / "m.zip", {"m.safetensors": bytes(data)}))


# -- what is no checkpoint --------------------------------------------------------------------------------------------


def a_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pt"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n", "is a Git LFS pointer"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "is a web page"),
        (b"\r\n  <!-- saved from url=(0014)about:internet -->\n<html>", "is a web page"),
        (b"<head><title>Google Drive - Virus scan warning</title>", "is a web page"),
        (b"From: <Saved by Blink>\r\nSnapshot-Content-Location: https://x\r\n", "is a web page"),
        (b'{"error": "Invalid username or password."}', "is an answer of a server"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "is a 7z archive"),
        (b"Rar!\x1a\x07\x00" + bytes(30), "is a rar archive"),
        (lzma.compress(b"x"), "is packed with xz"),
        (a_tar(), "is a tar archive, expected a checkpoint; unpack it"),
        (gzip.compress(a_tar(), mtime=0), "is a tar archive, expected a checkpoint; unpack it"),
    ],
)
def test_files_that_people_take_for_checkpoints(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "model.pt").write_bytes(data)
    assert message in refuse(tmp_path / "model.pt")


# -- what a conversion changes ----------------------------------------------------------------------------------------


def test_a_clamp_that_acts_is_measured(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(conv_clamp=0.5)
    remarks = write_checkpoint(tmp_path / "m.pt", checkpoint)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clamped, free = checkpoint.generator(z), tiny_checkpoint().generator(z)
    assert (clamped - free).abs().max() > 0.1
    assert "activations are clamped at 0.5 here and not there" in remarks
    found = f"images differ there by up to {float((clamped - free).abs().max()):.2g} in 4 images sampled (psi 1"
    assert remarks[-1].startswith(found) and remarks[-1].endswith("although the tensors are the same")


def test_noise_that_is_switched_off_is_measured(tmp_path: Path) -> None:
    remarks = write_checkpoint(tmp_path / "m.pt", tiny_checkpoint(use_noise=False))
    assert remarks[-2] == "noise inputs are switched off here and not there"
    assert remarks[-1].startswith("images differ there by up to")


def test_half_precision_that_is_lost_is_said(tmp_path: Path) -> None:
    content = ada_content(tiny_checkpoint())
    for size in (16, 32):
        module_state(content["G_ema"], f"synthesis.b{size}")["use_fp16"] = True
    module_state(content["D"], "b32")["use_fp16"] = True
    assert sum(module_state(module).get("use_fp16") is True for module in all_modules(content["G_ema"])) == 2
    read = read_checkpoint(write_ada_content(tmp_path / "m.pkl", content))
    assert "computes G_ema at 16, 32 px and D at 32 px in float16 there (use_fp16, num_fp16_res)" in read.remarks[0]
