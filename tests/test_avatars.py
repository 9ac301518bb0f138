"""What translations of avatars keep: read from renders with known attributes, between the two ends of the scale."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from table_rows import row

from experiments.avatars.__main__ import main
from experiments.avatars.people import read_people, read_renders
from ui2i.distillation.folder import FAST_TRANSLATION_SCHEMA
from ui2i.errors import DataError
from ui2i.images import save_png
from ui2i.tables import KEPT_SCHEMA, TRANSLATION_SCHEMA, read_table, write_table

SKINS = ["ffdbb4", "694d3d"]
NUM = 64


def render(style: str, skin: str, glasses: bool) -> np.ndarray:
    """A square of skin, at another place in each style, and dark glasses on it."""
    image = np.full((32, 32, 3), 255, np.uint8)
    top = {"ink": 12, "paint": 4}[style]
    image[top : top + 16, 8:24] = list(bytes.fromhex(skin))
    if glasses:
        image[top + 4 : top + 8, 8:24] = 0
    return image


@pytest.fixture
def renders(tmp_path: Path) -> Path:
    """A folder as the recipe writes it, of which the first half is also translated."""
    random = np.random.default_rng(0)
    lines = []
    for place in range(NUM):
        skin, glasses = SKINS[random.integers(2)], bool(random.integers(2))
        same = {"hair": "000000", "clothes": "000000", "long": True, "beard": False, "happy": True}
        lines.append(json.dumps({"seed": f"7-{place}", "skin": skin, "glasses": glasses} | same))
        for style in ("ink", "paint"):
            save_png(tmp_path / "renders" / style / f"{place:05d}.png", render(style, skin, glasses))
    (tmp_path / "renders" / "attributes.jsonl").write_text("\n".join(lines))
    return tmp_path / "renders"


def translate(renders: Path, folder: Path, names: list[str], schema: pa.Schema = TRANSLATION_SCHEMA) -> Path:
    """Write translations: `exact` has everything, `pale` has the glasses on light skin, `blank` nothing."""
    rows = []
    for place, (name, person) in enumerate(zip(names, read_people(renders), strict=False)):
        images = {
            "exact": render("ink", person.skin, person.glasses),
            "pale": render("ink", SKINS[0], person.glasses),
            "blank": np.full((32, 32, 3), 255, np.uint8),
        }
        for variant, image in images.items():
            file = f"{variant}-{place}.png"
            save_png(folder / file, image)
            rows.append(row(schema, place, input_path=name, output_file=file, variant=variant))
    write_table(folder / "manifest.parquet", rows, schema)
    return folder


def arguments(renders: Path, folder: Path, out: Path) -> list[str]:
    where = ["--renders", str(renders), "--people", str(renders), "--translations", f"search={folder}"]
    return ["--style", "ink", "--source", "paint", *where, "--held-out", "16", "--epochs", "40", "--out", str(out)]


def test_what_is_there_is_kept_and_what_is_not_is_lost(renders: Path, tmp_path: Path) -> None:
    names = [f"{place:05d}.png" for place in range(40)]
    fast = translate(renders, tmp_path / "fast", names, FAST_TRANSLATION_SCHEMA)
    assert main(arguments(renders, fast, tmp_path / "kept.parquet")) == 0
    folder = translate(renders, tmp_path / "out", names)
    for _ in range(2):  # the reader is at hand
        assert main(arguments(renders, folder, tmp_path / "kept.parquet")) == 0
        assert len(list(tmp_path.glob("reader-ink-*"))) == 1
    table = read_table(tmp_path / "kept.parquet", KEPT_SCHEMA)
    kept = {(row.variant, row.attribute): row.kept for row in table.itertuples()}
    assert {attribute for _, attribute in kept} == {"skin", "glasses"}, "the others are the same for everybody"
    assert kept["search: exact", "skin"] == kept["search: exact", "glasses"] == 1
    assert kept["search: pale", "glasses"] == 1
    assert abs(kept["search: pale", "skin"]) < 0.1
    assert all(abs(kept["search: blank", attribute]) < 0.1 for attribute in ("skin", "glasses"))
    assert all(kept["search: somebody else", attribute] < 0.7 for attribute in ("skin", "glasses"))
    assert all(kept["search: the input itself", attribute] < 0.7 for attribute in ("skin", "glasses"))


def test_a_reader_of_other_settings_is_not_used_again(renders: Path, tmp_path: Path) -> None:
    folder = translate(renders, tmp_path / "out", [f"{place:05d}.png" for place in range(4)])
    for epochs in ("1", "2"):
        assert main([*arguments(renders, folder, tmp_path / "kept.parquet"), "--epochs", epochs]) == 0
    assert len(list(tmp_path.glob("reader-ink-*"))) == 2


def test_translations_without_a_label_are_refused(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("out", "=out", "search="):
        assert main([*arguments(renders, tmp_path, tmp_path / "kept.parquet"), "--translations", wrong]) == 2
        assert f"--translations is {wrong}, expected LABEL=DIR" in capsys.readouterr().err


def test_what_is_no_render_of_a_person_is_refused(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = translate(renders, tmp_path / "out", ["anna.png"])
    assert main(arguments(renders, folder, tmp_path / "kept.parquet")) == 2
    assert "anna.png was translated, expected a person's number" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"00000.png has 32 x 32 pixels, expected 64 x 64; render all with the same"):
        read_renders(renders / "ink", [0], 64)
    with pytest.raises(DataError, match=r"00064.png is missing"):
        read_renders(renders / "ink", [NUM])
    (renders / "attributes.jsonl").write_text('{"skin": "ffdbb4"}')
    with pytest.raises(DataError, match=r"attributes.jsonl cannot be read .*render the images again"):
        read_people(renders)
