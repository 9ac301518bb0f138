"""Translation into a folder: what may be in the way, what an error leaves behind, and names of files."""

import copy
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from folder_translation import SOURCE, TARGETS
from folder_translation import images as images
from folder_translation import pictures as pictures
from folder_translation import run as run
from tiny_models import random_generator

import ui2i.translation.folder as folder_module
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.folder import translate_folder_fast
from ui2i.errors import CheckpointError, ConfigError, DataError
from ui2i.files import sha256_bytes, sha256_folder
from ui2i.images.left_out import read_left_out
from ui2i.translation import NamedImages
from ui2i.translation.inputs import StemNamer


def test_unreadable_files_are_listed(run: Callable, pictures: Path, tmp_path: Path) -> None:
    run(pictures)
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    digest = sha256_bytes(b"no image")
    assert rejects == [{"path": "aa.png", "reason": "unreadable", "size_bytes": 8, "sha256": digest}]


def test_output_names_never_collide() -> None:
    namer = StemNamer(["-reconstruction.png", "-x.png", "-y-x.png"])
    paths = ["a.png", "a.jpg", "A.webp", "s/a.png", "s-a.png", "a-y.png", "../é ü.png", "no.suffix", "/"]
    stems = [namer.name(path) for path in paths]
    # a-y would write a-y-x.png, which is image a's variant y-x.
    assert stems == ["a", "a-2", "A-3", "s-a", "s-a-2", "a-y-2", "é ü", "no.suffix", "image"]


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


def test_what_lies_among_translations_is_never_deleted(run: Callable, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(pictures, num_styles=1)
    (out / ".DS_Store").touch()  # of a file manager: nobody misses it
    run(pictures)
    mine = [".git", "a-retouched.png", *(f"notes-{number}.txt" for number in range(5))]
    for name in mine:
        (out / name).write_text("mine")
    before = sha256_folder(out)
    with pytest.raises(DataError, match=r"also holds \.git, a-retouched\.png, .*notes-2\.txt and 2 more, expected"):
        run(pictures)
    assert sha256_folder(out) == before
    for name in mine:
        (out / name).unlink()
    (out / "manifest.parquet").write_bytes(b"damaged")  # nobody knows any more who made which image
    with pytest.raises(DataError, match=r"also holds a-FC-FT\.png"):
        run(pictures)


def test_what_lies_among_fast_translations_is_never_deleted(pictures: Path, tmp_path: Path) -> None:
    card = TranslatorCard(
        source="face", domain="anime", variant="FC-FT", source_hash="0", target_hash="0", img_resolution=32
    )

    def translate() -> None:
        translate_folder_fast(pictures, np.flip, card, tmp_path / "out", engine="torch", translator_hash="0")

    translate()
    translate()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"also holds notes\.txt, expected nothing but the translation"):
        translate()
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


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
