"""Files that arrive in a folder are handed over once, and only when they are complete."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ui2i.errors import DataError
from ui2i.files import sha256_file
from ui2i.images import encode_png
from ui2i.images.arrivals import PATIENCE, Arrivals

PNG = encode_png(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_file_is_handed_over_once_at_the_second_look(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    assert arrivals.look() == []
    (tmp_path / "b.png").write_bytes(PNG)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(PNG)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".c.png.part").write_bytes(PNG)
    assert arrivals.look() == []
    assert names(arrivals.look()) == ["b.png", "a.png"]
    assert arrivals.look() == []


def test_a_file_that_grows_is_waited_for(tmp_path: Path) -> None:
    arrivals, path = Arrivals(tmp_path), tmp_path / "a.png"
    for end in (0, 40, 200, len(PNG) - 1):
        path.write_bytes(PNG[:end])
        # Its writer pauses: the file looks the same twice, and is still no whole image.
        assert [arrivals.look() for _ in range(3)] == [[], [], []]
    path.write_bytes(PNG)
    assert arrivals.look() == []
    assert arrivals.look() == [path]


def test_a_file_that_stays_cut_short_is_handed_over_to_be_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG[:-10])
    arrivals = Arrivals(tmp_path)
    looks = [names(arrivals.look()) for _ in range(PATIENCE + 3)]
    assert looks.count(["a.png"]) == 1
    assert looks.index(["a.png"]) == PATIENCE


def test_a_replaced_file_is_a_new_one_and_a_known_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    known = Arrivals(tmp_path, done={sha256_file(path)})
    assert [known.look() for _ in range(3)] == [[], [], []]
    Image.new("RGB", (40, 40), "red").save(path)
    os.utime(path, ns=(1, 1))  # a copy keeps its time, which may be older
    assert [known.look() for _ in range(3)] == [[], [path], []]
    path.unlink()
    assert known.look() == []
    Image.new("RGB", (40, 40), "red").save(path)
    assert [known.look() for _ in range(2)] == [[], [path]]


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "gone")
    with pytest.raises(DataError, match="is not a folder"):
        arrivals.look()
