"""Translation into a folder: which files, what is in them, and what an error leaves behind."""

import copy
import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tiny_models import random_generator, random_ws

import ui2i.translation.folder as folder_module
from ui2i.errors import CheckpointError, ConfigError, DataError
from ui2i.files import sha256_bytes, sha256_file, sha256_folder
from ui2i.images import to_tensor, to_uint8
from ui2i.images.left_out import read_left_out
from ui2i.inversion import invert
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.tables import TRANSLATION_SCHEMA, read_table
from ui2i.translation import (
    LATENTS_SCHEMA,
    NamedImages,
    TranslationConfig,
    mix_styles,
    sample_style,
    translate_folder,
)
from ui2i.translation.inputs import StemNamer

CONFIG = InversionConfig(method="w", num_steps=2, batch_size=2, seed=5, optimize_noise=False)
SOURCE = random_generator(1)
TARGETS = {"FC-FT": random_generator(2), "ls8": random_generator(3)}
for target in TARGETS.values():  # a family: fine-tuned with the mapping network frozen
    target.mapping.load_state_dict(SOURCE.mapping.state_dict() | {"w_avg": target.w_avg})
HASHES = {"FC-FT": "f" * 64, "ls8": "8" * 64}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three images of the source model."""
    return to_uint8(SOURCE.synthesis(SOURCE.truncate(random_ws(SOURCE, 3), 0.4)))


@pytest.fixture
def pictures(tmp_path: Path, images: np.ndarray) -> Path:
    """A folder of three images, one damaged file, and things that are no images."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    Image.fromarray(images[0]).save(root / "a.png")
    Image.fromarray(np.pad(images[1], ((0, 0), (8, 8), (0, 0)))).save(root / "b.png")  # cropped to its square
    Image.fromarray(images[2]).resize((64, 64)).save(root / "sub" / "a.JPG")
    (root / "aa.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("no image either")
    (root / ".hidden.png").write_bytes(b"")
    return root


@pytest.fixture
def run(perceptual: Perceptual, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def translate(inputs: Any, **changes: Any) -> list[dict[str, Any]]:
        made = {field.name for field in dataclasses.fields(TranslationConfig)} & changes.keys()
        translation = TranslationConfig(**{name: changes.pop(name) for name in made})
        options = {"domain": "anime", "source_hash": "0" * 64, "target_hashes": HASHES, "config": translation} | changes
        source, targets = options.pop("source", SOURCE), options.pop("targets", TARGETS)
        inversion, out_dir = options.pop("inversion", CONFIG), options.pop("out_dir", tmp_path / "out")
        return translate_folder(inputs, source, targets, perceptual, inversion, out_dir, **options)

    return translate


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


def test_unreadable_files_are_listed(run: Callable, pictures: Path, tmp_path: Path) -> None:
    run(pictures)
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    digest = sha256_bytes(b"no image")
    assert rejects == [{"path": "aa.png", "reason": "unreadable", "size_bytes": 8, "sha256": digest}]


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


def test_output_names_never_collide() -> None:
    namer = StemNamer(["-reconstruction.png", "-x.png", "-y-x.png"])
    paths = ["a.png", "a.jpg", "A.webp", "s/a.png", "s-a.png", "a-y.png", "../é ü.png", "no.suffix", "/"]
    stems = [namer.name(path) for path in paths]
    # a-y would write a-y-x.png, which is image a's variant y-x.
    assert stems == ["a", "a-2", "A-3", "s-a", "s-a-2", "a-y-2", "é ü", "no.suffix", "image"]


def test_progress_counts_images_times_steps(run: Callable, pictures: Path) -> None:
    calls: list[tuple[int, int]] = []
    run(pictures, progress=lambda done, total, _note="": calls.append((done, total)))
    # Two batches: a and b with the reject between them, then sub/a.JPG.
    assert calls == [(4, 8), (6, 8), (6, 8), (7, 8), (8, 8), (8, 8)]


def test_an_earlier_translation_is_replaced_as_a_whole(run: Callable, pictures: Path, tmp_path: Path) -> None:
    run(pictures)
    (pictures / "b.png").unlink()
    run(pictures)
    assert not (tmp_path / "out" / "b-ls8.png").exists()
    assert (tmp_path / "out" / "a-ls8.png").exists()


def test_an_error_leaves_the_earlier_translation_and_nothing_else(
    run: Callable, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pictures)
    before = sha256_folder(tmp_path)
    broken = copy.deepcopy(TARGETS["FC-FT"])
    broken.synthesis.forward = lambda *_args, **_kwargs: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        run(pictures, targets={"FC-FT": broken})
    monkeypatch.setattr(folder_module, "contact_sheet", lambda *_args, **_kwargs: 1 / 0)  # the very last thing
    with pytest.raises(ZeroDivisionError):
        run(pictures)
    with pytest.raises(ZeroDivisionError):
        run(pictures, out_dir=tmp_path / "new")
    assert sha256_folder(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_no_images_no_translation(run: Callable, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("text")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"empty contains no images \(1 file left out: 1 of \.txt\), expected files ending"
    ):
        run(tmp_path / "empty")
    with pytest.raises(DataError, match="absent does not exist"):
        run(tmp_path / "absent")
    with pytest.raises(DataError, match="the list contains no images"):
        run([])
    with pytest.raises(DataError, match=r"none of the 1 images can be used \(the first, x.png: unreadable\)"):
        run(tmp_path / "bad")
    with pytest.raises(DataError, match=r"none of the 1 images .*gone.png: unreadable"):
        run([tmp_path / "gone.png"])
    assert not (tmp_path / "out").exists()


def test_images_in_memory_must_fit(run: Callable, images: np.ndarray) -> None:
    for spoiled in (images[:, :16], images.astype(np.float32), images[0], images[:0]):
        with pytest.raises(DataError, match=r"expected uint8 \[N, 32, 32, 3\] with N at least 1"):
            run(NamedImages(names=["a", "b", "c"], images=spoiled))
    with pytest.raises(DataError, match="2 names and 2 hashes came with 3 images"):
        run(NamedImages(names=["a", "b"], images=images))
    with pytest.raises(DataError, match="3 names and 1 hashes"):
        run(NamedImages(names=["a", "b", "c"], images=images, sha256s=["x"]))


def test_folders_of_other_things_are_never_replaced(run: Callable, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    before = sha256_folder(tmp_path)
    for place in (pictures, pictures / "out", tmp_path):
        with pytest.raises(DataError, match="expected a place outside the images"):
            run(pictures, out_dir=place)
    with pytest.raises(DataError, match="expected a place outside the images"):
        run([pictures / "a.png"], out_dir=pictures)
    with pytest.raises(DataError, match=r"is no translation \(it has no manifest.parquet\)"):
        run(pictures / "sub", out_dir=pictures.parent / "other")
    with pytest.raises(DataError, match="is no translation"):
        run(pictures / "sub", out_dir=pictures / "b.png")
    assert sha256_folder(tmp_path) == before
    (tmp_path / "out").mkdir()  # an empty one is fine
    run(pictures)


def test_models_and_variants_must_fit(run: Callable, pictures: Path, tmp_path: Path) -> None:
    wider = random_generator(w_dim=6)
    with pytest.raises(CheckpointError, match="ls8 has another mapping network than the source"):
        run(pictures, targets={"ls8": random_generator(3)})
    assert not (tmp_path / "out").exists()
    with pytest.raises(CheckpointError, match="ls8 takes latent codes of 8 x 6, expected the source's 8 x 8"):
        run(pictures, targets={"ls8": wider})
    with pytest.raises(ConfigError, match="there are no targets"):
        run(pictures, targets={})
    with pytest.raises(ConfigError, match="target_hashes lacks other"):
        run(pictures, targets={"other": SOURCE})
    for name in ("a/b", "", "-x", "reconstruction"):
        with pytest.raises(ConfigError, match="becomes part of file names"):
            run(pictures, targets={name: SOURCE}, target_hashes={name: "0"})
    with pytest.raises(ConfigError, match="num_style_layers is 9"):
        run(pictures, num_styles=1, num_style_layers=9)


def test_two_variants_do_not_write_one_file(run: Callable, images: np.ndarray) -> None:
    inputs = NamedImages(names=["a"], images=images[:1])
    for first, second in (("x", "x-style1"), ("ls8", "LS8")):
        targets = {first: TARGETS["ls8"], second: TARGETS["FC-FT"]}
        with pytest.raises(ConfigError, match=f"{second} would be written twice"):
            run(inputs, targets=targets, target_hashes=dict.fromkeys(targets, "0"), num_styles=1)


# Names and files that a folder may hold


def test_no_name_of_a_file_loses_a_translation(run: Callable, pictures: Path, tmp_path: Path) -> None:
    picture = (pictures / "a.png").read_bytes()
    for name in (
        b"caf\xe9.png",
        b"x" * 230 + b".png",
        b"y" * 251 + b".png",
        b"\x1b[31mred\n.png",
        b"\xb6" * 60 + b".png",
    ):
        place = os.fsencode(pictures) + b"/" + name
        with open(place, "wb") as file:  # noqa: PTH123 -- a Path takes no bytes
            file.write(picture)
    os.mkfifo(pictures / "pipe.png")
    rows = run(pictures)
    paths = {row["input_path"] for row in rows}
    assert {"a.png", "b.png", "caf\\udce9.png", "\\x1b[31mred\\n.png"} < paths
    assert len(paths) == 8
    for row in rows:
        assert row["input_path"].isprintable() and row["output_file"].isprintable()
        assert (tmp_path / "out" / row["output_file"]).stat().st_size > 0
        assert len(row["output_file"].encode()) <= 240
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert {row["path"]: row["reason"] for row in rejects} == {"aa.png": "unreadable", "pipe.png": "unreadable"}
    assert read_left_out(tmp_path / "out" / "left-out.json").passed_over == {".txt": 1}


def test_a_list_and_images_in_memory_have_printable_names(run: Callable, pictures: Path, images: np.ndarray) -> None:
    place = os.fsdecode(os.fsencode(pictures) + b"/caf\xe9.png")
    shutil.copyfile(pictures / "a.png", place)
    assert {row["input_path"] for row in run([place])} == {"caf\\udce9.png"}
    named = NamedImages(names=["caf\udce9\x1b.png"], images=images[:1])
    assert {row["output_file"] for row in run(named)} >= {"caf-udce9-x1b-ls8.png"}


def test_a_file_beyond_the_limit_is_not_read(run: Callable, pictures: Path, tmp_path: Path) -> None:
    with (pictures / "large.png").open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    run(pictures)
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert {row["path"]: row["reason"] for row in rejects} == {"aa.png": "unreadable", "large.png": "too_large"}


def test_stems_leave_room_for_what_is_added_to_them() -> None:
    namer = StemNamer(["-reconstruction.png", "-FC-FT-LS8-direction3+2.png"])
    stems = [namer.name(f"{'x' * 300}{letter}.png") for letter in "aab"]
    assert len(set(stems)) == 3
    assert all(len(f".{stem}-FC-FT-LS8-direction3+2.png.01234567.tmp") <= 255 for stem in stems)
