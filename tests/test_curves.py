"""Training curves: a line a run, panels for what was measured, nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ui2i.curves import NUM_COLUMNS, PANEL_INCHES, save_curves


def rows(**columns: list[float]) -> list[dict[str, float]]:
    length = len(next(iter(columns.values())))
    return [{"kimg": 1.0 + i} | {name: values[i] for name, values in columns.items()} for i in range(length)]


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("num_panels", "num_rows"), [(1, 1), (3, 1), (4, 2)])
def test_panels_of_what_was_measured(tmp_path: Path, num_panels: int, num_rows: int) -> None:
    names = ["fd", "kd", "r1", "loss_generator"][:num_panels]
    log = rows(**{name: [3.0, 2.0, 1.0] for name in names}, r_unknown=[0.0, 0.0, 0.0])
    save_curves(tmp_path / "curves.png", {"FT": log})
    image = read(tmp_path / "curves.png")
    assert image.shape == (round(PANEL_INCHES[1] * num_rows * 100), round(PANEL_INCHES[0] * NUM_COLUMNS * 100), 3)


def test_a_line_for_each_run(tmp_path: Path) -> None:
    log = rows(fd=[3.0, 2.0, 1.0])
    images = []
    for logs in ({"FT": log}, {"FT": log, "FC-FT": rows(fd=[4.0, float("nan"), 2.0])}):
        save_curves(tmp_path / "curves.png", logs)
        images.append(read(tmp_path / "curves.png"))
    second_colour = np.array([255, 127, 14])  # matplotlib's
    assert [(np.abs(image - second_colour.astype(int)).sum(axis=2) < 12).any() for image in images] == [
        False,
        True,
    ]


def test_the_same_image_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_curves(tmp_path / name, {"FT": rows(fd=[1.0, 2.0])})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
