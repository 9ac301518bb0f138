"""Translation into a folder: which files there are, and what is in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from folder_translation import CONFIG, SOURCE, TARGETS
from folder_translation import images as images
from folder_translation import pictures as pictures
from folder_translation import run as run
from PIL import Image

import ui2i.translation.folder as folder_module
from ui2i.errors import ConfigError
from ui2i.files import sha256_bytes, sha256_file
from ui2i.images import to_tensor, to_uint8
from ui2i.inversion import invert
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.tables import TRANSLATION_SCHEMA, read_table
from ui2i.translation import LATENTS_SCHEMA, NamedImages, mix_styles, sample_style


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_is_translated(
    run: Callable, pictures: Path, images: np.ndarray, perceptual: Perceptual, tmp_path: Path
) -> None:
    rows = run(pictures)
    out = tmp_path / "out"
    stems = {"a.png": "a", "b.png": "b", "sub/a.JPG": "sub-a"}
    expected = {f"{stem}-{variant}.png" for stem in stems.values() for variant in ("reconstruction", *TARGETS)}
    tables = {"manifest.parquet", "latents.parquet", "rejects.parquet", "contact_sheet.png", "left-out.json"}
    assert {path.name for path in out.iterdir()} == expected | tables
    assert [row["output_file"] for row in rows[:4]] == [
        "a-reconstruction.png",
        "a-FC-FT.png",
        "a-ls8.png",
        "b-reconstruction.png",
    ]
    table = read_table(out / "manifest.parquet", TRANSLATION_SCHEMA)
    assert pq.ParquetFile(out / "manifest.parquet").read().to_pylist() == rows
    # Position 1 is the damaged file.
    assert table.groupby("input_path")["index"].first().to_dict() == {"a.png": 0, "b.png": 2, "sub/a.JPG": 3}
    assert table["input_sha256"].tolist() == [sha256_file(pictures / path) for path in table["input_path"]]
    assert set(table["checkpoint_hash"]) == {"0" * 64, "f" * 64, "8" * 64}
    constant = {
        "domain": "anime",
        "base_hash": "0" * 64,
        "method": "w",
        "steps": 2,
        "seed": 5,
        "backbone": perceptual.name,
    }
    assert (table[list(constant)] == list(constant.values())).all(axis=None)

    # The tables' numbers and the files' pixels are those of an inversion by itself.
    result = invert(to_tensor(images[:2]), SOURCE, perceptual, CONFIG)
    firsts = table[table["variant"] == "reconstruction"][:2]
    for column in ("ssim", "lpips", "loss"):
        np.testing.assert_allclose(firsts[column], getattr(result, column), rtol=1e-4, atol=1e-5)
    for variant, model in {"reconstruction": SOURCE, **TARGETS}.items():
        made = to_uint8(model.synthesis(result.ws)).astype(int)
        for stem, image in zip("ab", made, strict=True):
            assert np.abs(read_png(out / f"{stem}-{variant}.png") - image).max() <= 1


def test_latents_give_the_images_back(run: Callable, pictures: Path, tmp_path: Path) -> None:
    run(pictures)
    out = tmp_path / "out"
    latents = read_table(out / "latents.parquet", LATENTS_SCHEMA)
    assert latents["input_path"].tolist() == ["a.png", "b.png", "sub/a.JPG"]
    for row, stem in zip(latents.itertuples(), ("a", "b", "sub-a"), strict=True):
        ws = torch.tensor(row.ws).reshape(1, row.num_ws, row.w_dim)
        difference = to_uint8(TARGETS["ls8"].synthesis(ws))[0].astype(int) - read_png(out / f"{stem}-ls8.png")
        assert np.abs(difference).max() <= 1


def test_the_contact_sheet_shows_at_most_24(
    run: Callable, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}

    def note_down(rows: Any, labels: Any, **options: Any) -> np.ndarray:
        drawn.update(rows=rows, labels=labels, **options)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(folder_module, "contact_sheet", note_down)
    names = [f"{number:02d}" for number in range(26)]
    many = NamedImages(names=names, images=np.resize(images, (26, 32, 32, 3)))
    run(many, inversion=InversionConfig(method="w", num_steps=1, batch_size=16))
    assert [row.label for row in drawn["rows"]] == names[:24]
    assert drawn["labels"] == ["input", "reconstruction", "FC-FT", "ls8"]
    assert drawn["upscale"] == 4  # 32 px shown as 128
    shown = drawn["rows"][1].images
    assert np.array_equal(shown[0], images[1])
    for column, variant in enumerate(("reconstruction", "FC-FT", "ls8"), start=1):
        assert np.array_equal(shown[column], read_png(tmp_path / "out" / f"01-{variant}.png"))


def test_images_in_memory_and_lists_of_files_give_the_same(
    run: Callable, pictures: Path, images: np.ndarray, tmp_path: Path
) -> None:
    names = ["a.png", "b.png"]
    run([pictures / name for name in names], out_dir=tmp_path / "files")
    run(NamedImages(names=names, images=images[:2]), out_dir=tmp_path / "memory")
    for path in (tmp_path / "files").glob("*.png"):
        assert np.array_equal(read_png(path), read_png(tmp_path / "memory" / path.name)), path.name
    hashed = run(NamedImages(names=names[:1], images=images[:1], sha256s=["abc"]))
    assert [row["input_sha256"] for row in hashed] == ["abc"] * 3
    plain = read_table(tmp_path / "memory" / "manifest.parquet", TRANSLATION_SCHEMA)
    assert plain["input_sha256"][0] == sha256_bytes(images[0].tobytes())


def test_truncation_moves_translations_and_not_reconstructions(
    run: Callable, images: np.ndarray, tmp_path: Path
) -> None:
    run(NamedImages(names=["x"], images=images[:1]), truncation_psi=0.0)
    target = TARGETS["ls8"]
    mean = to_uint8(target.synthesis(target.broadcast(target.w_avg[None])))[0].astype(int)
    assert np.abs(read_png(tmp_path / "out" / "x-ls8.png") - mean).max() <= 1
    run(NamedImages(names=["x"], images=images[:1]), out_dir=tmp_path / "full")
    files = [tmp_path / name / "x-reconstruction.png" for name in ("out", "full")]
    assert np.array_equal(*map(read_png, files))
    assert not np.array_equal(*(read_png(path.with_name("x-ls8.png")) for path in files))


def test_styles_replace_the_last_layers(run: Callable, images: np.ndarray, tmp_path: Path) -> None:
    rows = run(NamedImages(names=["x", "y"], images=images[:2]), num_styles=2, num_style_layers=3)
    out = tmp_path / "out"
    assert [(row["variant"], row["seed"]) for row in rows[:7]] == [
        ("reconstruction", 5),
        ("FC-FT", 5),
        ("FC-FT-style1", 6),
        ("FC-FT-style2", 7),
        ("ls8", 5),
        ("ls8-style1", 6),
        ("ls8-style2", 7),
    ]
    latents = read_table(out / "latents.parquet", LATENTS_SCHEMA)
    target = TARGETS["ls8"]
    ws = torch.tensor(np.stack(latents["ws"].to_list())).reshape(2, 8, 8)
    ws[:, -3:] = target.mapping(torch.randn(1, 8, generator=torch.Generator().manual_seed(7)))
    for name, image in zip("xy", to_uint8(target.synthesis(ws)).astype(int), strict=True):
        assert np.abs(read_png(out / f"{name}-ls8-style2.png") - image).max() <= 1
    assert not np.array_equal(read_png(out / "x-ls8-style1.png"), read_png(out / "x-ls8-style2.png"))


def test_mix_styles_keeps_the_first_layers() -> None:
    ws, style = torch.randn(2, 8, 4), torch.randn(1, 4)
    mixed = mix_styles(ws, style, 3)
    assert torch.equal(mixed[:, :5], ws[:, :5])
    assert torch.equal(mixed[:, 5:], style.expand(2, 3, 4))
    assert torch.equal(mix_styles(ws, style, 0), ws)
    own = torch.randn(2, 4)  # a reference each
    assert torch.equal(mix_styles(ws, own, 8), own[:, None].expand(2, 8, 4))
    for number in (-1, 9):
        with pytest.raises(ConfigError, match=rf"num_style_layers is {number}, expected 0 to 8"):
            mix_styles(ws, style, number)


def test_a_style_depends_on_its_seed_alone() -> None:
    torch.manual_seed(0)
    style = sample_style(SOURCE, 3)
    torch.manual_seed(1)
    assert torch.equal(sample_style(SOURCE, 3), style)
    assert not torch.equal(sample_style(SOURCE, 4), style)
    torch.testing.assert_close(sample_style(SOURCE, 3, truncation_psi=0.0)[0], SOURCE.w_avg)


def test_progress_counts_images_times_steps(run: Callable, pictures: Path) -> None:
    calls: list[tuple[int, int]] = []
    run(pictures, progress=lambda done, total, _note="": calls.append((done, total)))
    # Two batches: a and b with the reject between them, then sub/a.JPG.
    assert calls == [(4, 8), (6, 8), (6, 8), (7, 8), (8, 8), (8, 8)]
