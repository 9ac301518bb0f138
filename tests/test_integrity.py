"""Weights that changed on disk, values that are not finite: refused on every way in, whatever the format."""

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import CARD, native_header, rosinality_content, save_torch, set_value, tiny_checkpoint
from safetensors.torch import load_file, save_file

from tasks.running.warning_lines import warnings_as_lines
from ui2i.checkpoints import load_discriminator, load_generator, save_discriminator, save_generator
from ui2i.converters.formats import read_checkpoint, write_checkpoint
from ui2i.errors import CheckpointError
from ui2i.files import sha256_file
from ui2i.inversion import load_encoder, save_encoder
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.encoder_state import read_state, write_state
from ui2i.settings import EncoderConfig
from ui2i.tensor_files import UnrecordedDigestWarning, digest, is_finite

GENERATOR, DISCRIMINATOR = "generator.safetensors", "discriminator.safetensors"
REPOSITORY = Path(__file__).parents[1]
OLD_BASES = (("face", "f51f3553fa76b7fa"),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "model", tiny_checkpoint())
    return tmp_path / "model"


def refusal(read: Callable[[], Any]) -> str:
    with pytest.raises(CheckpointError) as caught:
        read()
    message = str(caught.value)
    assert message.isprintable() and "expected" in message and ";" in message
    return message


def flip(path: Path, position: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


# -- the digest -------------------------------------------------------------------------------------------------------


def test_one_flipped_bit_of_one_weight_is_refused(folder: Path) -> None:
    """The top bit of an exponent's lower half: finite, plausible, and another image."""
    path = folder / GENERATOR
    flip(path, path.stat().st_size - 2, 6)
    assert "differs from what was written" in refusal(lambda: load_generator(path))
    assert "differs from what was written" in refusal(lambda: read_checkpoint(folder))
    assert "differs from what was written" in refusal(lambda: read_checkpoint(path))


def test_no_bit_of_a_file_can_change_unnoticed(folder: Path) -> None:
    """Every byte of the header, names, types, places, settings and card among them, and bytes of every tensor."""
    path = folder / DISCRIMINATOR
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    for position in [*range(size), *range(size, len(data), 211)]:
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        refusal(lambda: load_discriminator(path))
    path.write_bytes(data)
    load_discriminator(path)


def test_tensors_that_changed_places_are_refused(folder: Path) -> None:
    header, tensors = native_header(folder / GENERATOR), load_file(folder / GENERATOR)
    one, other = "synthesis.b16.conv0.weight", "synthesis.b16.conv1.weight"
    assert tensors[one].shape == tensors[other].shape
    tensors |= {one: tensors[other], other: tensors[one]}
    save_file(tensors, folder / GENERATOR, metadata={"ui2i": json.dumps(header)})
    assert "differs from what was written" in refusal(lambda: load_generator(folder / GENERATOR))


def test_settings_and_card_are_under_the_digest(folder: Path) -> None:
    header, tensors = native_header(folder / GENERATOR), load_file(folder / GENERATOR)
    for section, changed in (("network", {"conv_clamp": 0.5}), ("card", {"license": "CC0"})):
        values = header | {section: header[section] | changed}
        save_file(tensors, folder / GENERATOR, metadata={"ui2i": json.dumps(values)})
        assert "differs from what was written" in refusal(lambda: load_generator(folder / GENERATOR))


def test_the_order_and_spacing_of_a_header_mean_nothing(folder: Path) -> None:
    header, tensors = native_header(folder / GENERATOR), load_file(folder / GENERATOR)
    turned = dict(reversed(header.items()))
    save_file(dict(reversed(tensors.items())), folder / GENERATOR, metadata={"ui2i": json.dumps(turned, indent=1)})
    load_generator(folder / GENERATOR)


def test_a_card_with_other_keys_than_texts_is_read_again(tmp_path: Path) -> None:
    """JSON makes texts of numbers that are keys, and sorts them otherwise."""
    import dataclasses

    card = dataclasses.replace(CARD, provenance={"steps": {10: "a", 9: "b"}, "rate": 1e-7, "sizes": (1, 2)})
    save_generator(tmp_path / GENERATOR, tiny_checkpoint().generator, card)
    assert load_generator(tmp_path / GENERATOR)[1].provenance["steps"] == {"10": "a", "9": "b"}


def test_half_precision_is_under_the_digest_as_it_is_stored(tmp_path: Path) -> None:
    discriminator = tiny_checkpoint().discriminator
    assert discriminator is not None
    save_discriminator(tmp_path / DISCRIMINATOR, discriminator, CARD, half=True)
    load_discriminator(tmp_path / DISCRIMINATOR)
    flip(tmp_path / DISCRIMINATOR, (tmp_path / DISCRIMINATOR).stat().st_size - 2, 0)
    assert "differs from what was written" in refusal(lambda: load_discriminator(tmp_path / DISCRIMINATOR))


def test_the_digest_does_not_depend_on_threads() -> None:
    tensors = {name: torch.randn(5, index) for index, name in enumerate("abc")} | {"d": torch.tensor(1.0)}
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.add(digest({"a": 1}, tensors))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
    assert digest({"a": 2}, tensors) not in found and digest({"a": 1}, tensors | {"c": tensors["c"] + 1}) not in found


def test_files_of_before_there_were_digests_are_read_with_a_note(folder: Path) -> None:
    for name in (GENERATOR, DISCRIMINATOR):
        set_value(folder / name, next(iter(load_file(folder / name))), 0.5, keep_digest=False)
    with pytest.warns(UnrecordedDigestWarning, match="generator.safetensors records no digest"):
        load_generator(folder / GENERATOR)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_checkpoint(folder).remarks == (
            "records no digest, so whether it changed since it was written cannot be told",
        )


def test_a_command_notes_in_one_line_that_there_is_no_digest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_value(folder / GENERATOR, next(iter(load_file(folder / GENERATOR))), 0.5, keep_digest=False)
    with warnings_as_lines():
        warnings.simplefilter("always")
        load_generator(folder / GENERATOR)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {folder / GENERATOR} records no digest")


def test_a_base_that_is_new_records_its_digests() -> None:
    """Those of older releases keep their bytes: with other ones every project would train its domains again."""
    base = REPOSITORY / "data" / "base" / "avatar"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_generator(base / GENERATOR)
        load_discriminator(base / DISCRIMINATOR)
    assert read_checkpoint(base).remarks == ()
    assert json.loads((base / "card.json").read_text())["generator_sha256"] == sha256_file(base / GENERATOR)


@pytest.mark.parametrize(("name", "start"), OLD_BASES)
def test_a_base_of_an_older_release_keeps_its_bytes(name: str, start: str) -> None:
    assert sha256_file(REPOSITORY / "data" / "base" / name / GENERATOR).startswith(start)


def test_encoders_are_under_a_digest_too(tmp_path: Path) -> None:
    encoder = Encoder(tiny_checkpoint().generator.config, EncoderConfig(), base_hash="a" * 64)
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, encoder)
    load_encoder(path)
    flip(path, path.stat().st_size - 2, 6)
    assert "differs from what was written" in refusal(lambda: load_encoder(path))
    name = next(iter(load_file(path)))
    save_encoder(path, encoder)
    assert "not finite" in refusal(lambda: load_encoder(set_value(path, name, math.nan, keep_digest=False)))


@pytest.mark.parametrize("name", ["model.pkl", "old.pt", "model.pt"])
def test_files_for_other_tools_are_under_a_digest(tmp_path: Path, name: str) -> None:
    write_checkpoint(tmp_path / "model.pkl", tiny_checkpoint())
    write_checkpoint(tmp_path / "model.pt", tiny_checkpoint())
    save_torch(tmp_path / "old.pt", rosinality_content(tmp_path / "model.pt"), old_format=True)
    weights = tiny_checkpoint().generator.synthesis.b8.conv0.weight.numpy().tobytes()
    place = (tmp_path / name).read_bytes().rfind(weights)
    assert place > 0 and read_checkpoint(tmp_path / name).has_digest
    flip(tmp_path / name, place + 2, 6)
    refused = refusal(lambda: read_checkpoint(tmp_path / name))
    assert (
        "its checksum is another" in refused if name == "model.pt" else "another generator than was written" in refused
    )


def test_a_torch_file_of_others_is_checked_as_far_as_it_says(tmp_path: Path) -> None:
    """torch writes checksums and does not look at them."""
    write_checkpoint(tmp_path / "own.pt", tiny_checkpoint())
    content = rosinality_content(tmp_path / "own.pt")
    del content["ui2i"]
    path = save_torch(tmp_path / "theirs.pt", content)
    place = path.read_bytes().rfind(content["g_ema"]["convs.0.conv.weight"].numpy().tobytes())
    flip(path, place + 2, 6)
    torch.load(path, weights_only=True)
    assert "its checksum is another" in refusal(lambda: read_checkpoint(path))
    try:
        torch.serialization.set_crc32_options(False)
        assert not read_checkpoint(save_torch(path, content)).has_digest
    finally:
        torch.serialization.set_crc32_options(True)


def test_a_state_of_training_that_changed_on_disk_is_none(tmp_path: Path) -> None:
    path, state = tmp_path / "state.pt", {"settings": {"a": 1}, "precision": "fp32", "weights": torch.randn(1000)}
    write_state(path, state)
    assert read_state(path, {"a": 1, "precision": "fp32"}) is not None
    flip(path, path.read_bytes().find(state["weights"].numpy().tobytes()) + 1002, 6)
    assert read_state(path, {"a": 1, "precision": "fp32"}) is None


# -- finite values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("keep_digest", [True, False])
def test_what_is_not_finite_is_refused_on_every_way_in(folder: Path, value: float, keep_digest: bool) -> None:
    set_value(folder / GENERATOR, "synthesis.b8.conv0.weight", value, keep_digest=keep_digest)
    set_value(folder / DISCRIMINATOR, "b8.conv0.weight", value, keep_digest=keep_digest)
    expected = "differs from what was written" if keep_digest else "b8.conv0.weight that are not finite"
    for read in (
        lambda: load_generator(folder / GENERATOR),
        lambda: load_discriminator(folder / DISCRIMINATOR),
        lambda: read_checkpoint(folder),
        lambda: read_checkpoint(folder / GENERATOR),
    ):
        assert expected in refusal(read)


@pytest.mark.parametrize("name", ["model", "model.safetensors", "model.pt", "model.pkl"])
def test_what_is_not_finite_is_never_written(tmp_path: Path, name: str) -> None:
    broken = tiny_checkpoint()
    broken.generator.w_avg[0] = math.nan
    assert "not finite" in refusal(lambda: write_checkpoint(tmp_path / name, broken))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_in_one_pass(dtype: torch.dtype) -> None:
    values = torch.randn(7, 3).to(dtype)
    assert is_finite(values) and is_finite(values[:0]) and is_finite(torch.tensor([1, 2]))
    for special in (math.nan, math.inf, -math.inf):
        values[6, 2] = special
        assert not is_finite(values)


# -- what is no file, and what is no usual one ------------------------------------------------------------------------


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    command = [sys.executable, "-m", "cli.app", "checkpoint", "show", str(tmp_path / "pipe.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "is a pipe, socket or device, expected a checkpoint in a file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_pipes_in_the_place_of_native_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / GENERATOR)
    assert "is a pipe" in refusal(lambda: load_generator(tmp_path / GENERATOR))
    assert "is a pipe" in refusal(lambda: read_checkpoint(tmp_path))
    assert "is a pipe" in refusal(lambda: load_encoder(tmp_path / GENERATOR))


def test_values_of_a_header_cannot_steer_the_terminal(folder: Path) -> None:
    tensors, header = load_file(folder / GENERATOR), native_header(folder / GENERATOR)
    evil = "\x1b]0;evil\x07" + "x" * 100_000
    for changed in (
        {"kind": evil},
        {"format_version": evil},
        {evil: 1},
        {"network": {evil: 1}},
        {"network": header["network"] | {"img_resolution": evil}},
        {"card": {evil: 1}},
        {"card": header["card"] | {"swap_resolution": evil}},
    ):
        save_file(tensors, folder / GENERATOR, metadata={"ui2i": json.dumps(header | changed)})
        assert len(refusal(lambda: load_generator(folder / GENERATOR))) < 1000
