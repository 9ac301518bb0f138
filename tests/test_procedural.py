"""Synthetic datasets: every style in the registry, the same bytes however drawn, folders that are whole or absent.

What is particular to people and animals is tested in `test_people` and `test_animals`.
"""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from experiments.synthetic import procedural
from experiments.synthetic.procedural import FaceAttributes, draw, draw_dataset, sample_attributes, style_names
from ui2i.errors import ConfigError, DataError


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("style", style_names())
def test_every_style_gives_full_range_images(style: str, resolution: int) -> None:
    images = np.stack([draw(sample_attributes(0, index, style), style, resolution) for index in range(8)])
    assert images.dtype == np.uint8
    assert images.shape == (8, resolution, resolution, 3)
    assert images.min() < 25
    assert images.max() > 230
    assert all(image.std() > 20 for image in images)


@pytest.mark.parametrize("style", style_names())
def test_no_two_of_100_images_are_identical(style: str) -> None:
    assert len({draw(sample_attributes(0, index, style), style, 32).tobytes() for index in range(100)}) == 100


@pytest.mark.parametrize("style", style_names())
def test_drawing_twice_gives_the_same_bytes(style: str) -> None:
    attributes = sample_attributes(5, 7, style)
    assert np.array_equal(draw(attributes, style), draw(attributes, style))


def test_an_image_depends_on_its_seed_and_index_only() -> None:
    assert sample_attributes(3, 4) == sample_attributes(3, 4)
    assert sample_attributes(3, 4) != sample_attributes(4, 3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset("face", 6, 9, tmp_path_factory.mktemp("synthetic") / "face", resolution=32)


def test_workers_do_not_change_a_byte(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedural, "CHUNK", 2)
    other = draw_dataset("face", 6, 9, tmp_path / "new" / "face", resolution=32, num_workers=2)
    assert _bytes_of(other) == _bytes_of(dataset)


def test_the_folder_holds_images_and_their_attributes(dataset: Path) -> None:
    rows = pq.read_table(dataset / "attributes.parquet").to_pylist()
    assert sorted(path.name for path in dataset.iterdir()) == [f"{i:06d}.png" for i in range(6)] + [
        "attributes.parquet"
    ]
    assert list(rows[0]) == ["file", "style", "seed", "index", *(field.name for field in fields(FaceAttributes))]
    for index in (0, 5):
        attributes = sample_attributes(9, index)
        expected = {"file": f"{index:06d}.png", "style": "face", "seed": 9, "index": index, **asdict(attributes)}
        assert rows[index] == expected
        with Image.open(dataset / expected["file"]) as image:
            assert np.array_equal(np.asarray(image), draw(attributes, "face", 32))


def test_two_styles_of_a_seed_are_pairs(dataset: Path, tmp_path: Path) -> None:
    cartoon = draw_dataset("cartoon", 6, 9, tmp_path / "cartoon", resolution=32)
    tables = [pq.read_table(folder / "attributes.parquet").drop_columns(["style"]) for folder in (dataset, cartoon)]
    assert tables[0].equals(tables[1])
    assert (dataset / "000000.png").read_bytes() != (cartoon / "000000.png").read_bytes()


def test_a_shorter_dataset_is_the_beginning_of_a_longer_one(dataset: Path, tmp_path: Path) -> None:
    short = draw_dataset("face", 3, 9, tmp_path / "short", resolution=32)
    assert all((short / f"{i:06d}.png").read_bytes() == (dataset / f"{i:06d}.png").read_bytes() for i in range(3))


def test_progress_counts_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedural, "CHUNK", 2)
    seen: list[tuple[int, int]] = []
    draw_dataset(
        "face", 3, 0, tmp_path / "out", resolution=32, progress=lambda done, total, note="": seen.append((done, total))
    )
    assert seen == [(2, 3), (3, 3)]


def test_a_drawn_dataset_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    draw_dataset("face", 3, 0, tmp_path / "out", resolution=32)
    draw_dataset("face", 2, 0, tmp_path / "out", resolution=32)
    assert sorted(_bytes_of(tmp_path / "out")) == ["000000.png", "000001.png", "attributes.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_dataset(tmp_path: Path) -> None:
    before = _bytes_of(draw_dataset("face", 2, 0, tmp_path / "out", resolution=32))

    def stop(done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset("face", 3, 1, tmp_path / "out", resolution=32, progress=stop)
    assert _bytes_of(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("names", [["letter.txt"], ["000000.png"], ["000000.png", "attributes.parquet"]])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(DataError, match="expected an empty folder or a synthetic dataset; choose another"):
        draw_dataset("face", 2, 0, tmp_path, resolution=32)
    assert all((tmp_path / name).read_bytes() == b"precious" for name in names)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(DataError, match="is a file, expected a folder"):
        draw_dataset("face", 2, 0, tmp_path / "out")


def test_an_unknown_style_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'cubist' is unknown, expected one of .*cartoon.*face"):
        draw(sample_attributes(0, 0), "cubist")
    with pytest.raises(ConfigError, match="'cubist' is unknown"):
        draw_dataset("cubist", 2, 0, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_images": 0}, "num_images is 0, expected at least 1"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
        ({"num_workers": 0}, "num_workers is 0, expected at least 1"),
        ({"resolution": 16}, "resolution is 16, expected at least 32"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"num_images": 2, "seed": 0, "resolution": 32, "num_workers": 1} | change
    with pytest.raises(ConfigError, match=message):
        draw_dataset("face", out_dir=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
