"""Native checkpoints: exact, atomic, and clear about what is wrong with a file."""

import dataclasses
import errno
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ui2i import files
from ui2i.checkpoints import (
    ModelCard,
    load_discriminator,
    load_generator,
    read_card,
    save_discriminator,
    save_generator,
)
from ui2i.errors import CheckpointError
from ui2i.files import sha256_file
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

CARD = ModelCard(
    domain="cartoon",
    mode="FC-FT-LS16",
    base="face",
    base_hash="ab" * 32,
    dataset_hash="cd" * 32,
    images_seen=192_000,
    swap_resolution=16,
    swap_mode="weights",
    provenance={"commit": "1234", "versions": {"torch": "2"}, "num_threads": 2},
)


@pytest.fixture
def saved(generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "new" / "generator.safetensors"
    save_generator(path, generator, CARD)
    return path


def header_of(path: Path) -> dict[str, Any]:
    size = int.from_bytes(path.read_bytes()[:8], "little")
    return json.loads(json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["ui2i"])


def rewrite(path: Path, header: Any) -> None:
    """Give a checkpoint another ui2i header."""
    save_file(load_file(path), path, metadata={"ui2i": header if isinstance(header, str) else json.dumps(header)})


def refuse(load: Callable[[Path], Any], path: Path) -> str:
    """Return the message, which must be one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and "expected" in message
    return message


def test_generator_round_trip(generator: Generator, saved: Path) -> None:
    loaded, card = load_generator(saved)
    assert card == CARD and loaded.config == generator.config
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    before, after = generator.state_dict(), loaded.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    assert read_card(saved) == (generator.config, CARD)


def test_discriminator_round_trip(discriminator: Discriminator, tmp_path: Path) -> None:
    path = tmp_path / "discriminator.safetensors"
    save_discriminator(path, discriminator, CARD)
    loaded, card = load_discriminator(path)
    assert card == CARD and loaded.config == discriminator.config
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in discriminator.state_dict().items())


def test_special_values_survive(generator: Generator, tmp_path: Path) -> None:
    special = torch.tensor([-0.0, 1e-45, 3.4e38, -3.4e38, 1e-38, 1 / 3, 0.0, 1.0, 2.0])
    with torch.no_grad():
        generator.w_avg.copy_(special)
    save_generator(tmp_path / "g.safetensors", generator, CARD)
    loaded, _ = load_generator(tmp_path / "g.safetensors")
    assert loaded.w_avg.numpy().tobytes() == special.numpy().tobytes()


def test_hash_is_the_contents(generator: Generator, saved: Path, tmp_path: Path) -> None:
    assert sha256_file(saved) == hashlib.sha256(saved.read_bytes()).hexdigest()
    again, other_card, other_weights = (tmp_path / name for name in "abc")
    save_generator(again, generator, CARD)
    assert sha256_file(again) == sha256_file(saved)
    save_generator(other_card, generator, dataclasses.replace(CARD, domain="anime"))
    with torch.no_grad():
        generator.synthesis.block(4).const[0, 0, 0] += 1e-6
    save_generator(other_weights, generator, CARD)
    assert len({sha256_file(path) for path in (saved, other_card, other_weights)}) == 3


def test_permissions_are_those_of_any_new_file(saved: Path) -> None:
    other = saved.with_name("other")
    other.touch()
    assert saved.stat().st_mode == other.stat().st_mode


def test_a_drive_that_keeps_no_permissions(saved: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    again = saved.with_name("again.safetensors")
    save_generator(again, generator, CARD)
    assert sha256_file(again) == sha256_file(saved)


def test_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        assert "does not exist" in refuse(load_generator, path)


def test_wrong_kind(discriminator: Discriminator, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "discriminator.safetensors"
    save_discriminator(path, discriminator, CARD)
    assert "holds a discriminator, expected a generator" in refuse(load_generator, path)
    assert "holds a generator, expected a discriminator" in refuse(load_discriminator, saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_truncated(saved: Path, share: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * share)])
    refuse(load_generator, saved)
    refuse(read_card, saved)


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(60), b"\xff" * 64, pickle.dumps({"g_ema": 1}), b"hello"],
)
def test_foreign_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    assert "is not a readable checkpoint" in refuse(load_generator, path)


def test_pickle_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return os.mkdir, (str(trap),)

    path = tmp_path / "model.pt"
    torch.save({"g_ema": Bomb()}, path)
    refuse(load_generator, path)
    assert not trap.exists()


def test_safetensors_of_others(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "has no ui2i header" in refuse(load_generator, path)
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    assert "has no ui2i header" in refuse(load_generator, path)


@pytest.mark.parametrize("header", ["", "{", "[]", "null", "7", '"generator"', "{}"])
def test_headers_that_are_none(saved: Path, header: str) -> None:
    rewrite(saved, header)
    refuse(load_generator, saved)
    refuse(read_card, saved)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("network", None),
        ("network", []),
        ("network", {"img_resolution": 48}),
        ("network", {"img_resolution": "32"}),
        ("network", {"resolution": 32}),
        ("card", None),
        ("card", []),
        ("card", {}),
        ("card", "face"),
        ("card", {"domain": "face", "mode": "FT", "provenance": "unknown"}),
        ("card", {"domain": "face", "mode": "FT", "colour": "red"}),
    ],
)
def test_headers_with_other_contents(saved: Path, section: str, value: Any) -> None:
    header = header_of(saved)
    rewrite(saved, header | {section: value})
    refuse(load_generator, saved)
    del header[section]
    rewrite(saved, header)
    refuse(load_generator, saved)


def test_format_of_the_future(saved: Path) -> None:
    rewrite(saved, header_of(saved) | {"format_version": 2})
    assert "has format version 2, expected 1; update ui2i" in refuse(load_generator, saved)


def test_tensors_that_contradict_the_header(saved: Path) -> None:
    header, tensors = header_of(saved), load_file(saved)

    def write(changed: dict[str, torch.Tensor]) -> None:
        save_file(changed, saved, metadata={"ui2i": json.dumps(header)})

    write({name: value for name, value in tensors.items() if name != "mapping.fc0.bias"})
    assert "mapping.fc0.bias" in refuse(load_generator, saved)
    write(tensors | {"extra": torch.zeros(1)})
    assert "extra" in refuse(load_generator, saved)
    write(tensors | {"mapping.fc0.bias": torch.zeros(10)})
    assert "mapping.fc0.bias" in refuse(load_generator, saved)
    write(tensors)
    load_generator(saved)


def test_damaged_header_bytes(saved: Path) -> None:
    """Whatever a flipped bit makes of the header, the file loads or is refused: no other error escapes."""
    data = saved.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for position in [*range(8), *range(8, size, 29)]:
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 7
        saved.write_bytes(damaged)
        try:
            load_generator(saved)
        except CheckpointError:
            refused += 1
    assert refused > 50


def test_interrupted_save_leaves_the_old_file(
    generator: Generator, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with torch.no_grad():
        generator.w_avg.add_(1)
    for place, name in ((files.os, "replace"), (files, "_fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fail)
            with pytest.raises(OSError, match="disk full"):
                save_generator(saved, generator, CARD)
        assert saved.read_bytes() == before
        assert list(saved.parent.iterdir()) == [saved]
    save_generator(saved, generator, CARD)
    assert saved.read_bytes() != before
