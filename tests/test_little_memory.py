"""A lack of memory says nothing about what was being read: no state is set aside, and no image called damaged."""

import errno
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from image_files import file_bytes, gradient
from PIL import ImageFile
from training_run import CONFIG

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import is_out_of_memory
from ui2i.images import decoding
from ui2i.images.decoding import ImageError, load_image
from ui2i.inversion.encoder_state import read_state, write_state
from ui2i.settings import NetworkConfig
from ui2i.training.loop import train


def no_memory_left(*_args: Any, **_options: Any) -> None:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not fit")) and not is_out_of_memory(OSError(errno.ENOENT, ""))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(OSError(errno.ENOMEM, ""))


def test_no_state_of_a_training_is_set_aside(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_dataset, tmp_path, network_config, CONFIG)
    before = {path.name for path in tmp_path.iterdir()}

    monkeypatch.setattr(torch, "load", no_memory_left)
    with pytest.raises(RuntimeError, match="allocate 9 bytes"):
        train(tiny_dataset, tmp_path, network_config, CONFIG)
    assert {path.name for path in tmp_path.iterdir()} == before, "nothing is set aside or lost"


def test_no_state_of_an_encoder_passes_for_another_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(tmp_path / "state.pt", {"settings": {}, "step": 7})

    monkeypatch.setattr(torch, "load", no_memory_left)
    with pytest.raises(RuntimeError, match="allocate 9 bytes"):
        read_state(tmp_path / "state.pt", {})


def test_a_lack_of_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_image: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    with pytest.raises(ImageError, match=r"for want of memory, expected more of it; end other programs") as caught:
        load_image(file_bytes(gradient(), "PNG"))
    assert caught.value.fault == decoding.NO_MEMORY


def test_reading_a_file_allocates_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    path.write_bytes(file_bytes(gradient(), "PNG"))
    read = {
        "a path": lambda: decoding.read_image_file(path),
        "a stream": lambda: load_image(io.BytesIO(path.read_bytes())),
    }
    for name, reads in read.items():
        reads()
        tracemalloc.start()
        reads()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20, f"{name}, of which up to 256 MiB would be read"
