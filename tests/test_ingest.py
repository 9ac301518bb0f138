"""From a folder or zip of images, good and bad, to a prepared dataset."""

import dataclasses
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from image_files import bomb_png
from PIL import Image
from test_images import holds

from ui2i.datasets import ingest as ingest_module
from ui2i.datasets.ingest import ingest, split_of
from ui2i.datasets.ingestion import sheets
from ui2i.datasets.manifest import read_manifest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError
from ui2i.files import sha256_bytes, sha256_folder
from ui2i.images import decoding, load_image
from ui2i.settings import IngestConfig

CONFIG = IngestConfig(img_resolution=32, max_reject_share=0.9)


def image_bytes(seed: int, *, size: tuple[int, int] = (48, 40), file_format: str = "PNG") -> bytes:
    levels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC).save(buffer, format=file_format)
    return buffer.getvalue()


def many(count: int) -> dict[str, bytes]:
    return {f"{index:03d}.png": image_bytes(index) for index in range(count)}


def make_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def table(folder: Path, name: str = "images-00000.parquet") -> list[dict]:
    return pq.read_table(folder / name).to_pylist()


def reasons(folder: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in table(folder, "rejects.parquet")}


def test_rows_say_where_each_image_came_from(tmp_path: Path) -> None:
    files = {
        "b/two.JPG": image_bytes(1, size=(60, 40), file_format="JPEG"),
        "a.png": image_bytes(2, size=(32, 32)),
        "c.webp": image_bytes(3, size=(16, 40), file_format="WEBP"),
        "d.bmp": image_bytes(4, file_format="BMP"),
        "e.tiff": image_bytes(5, file_format="TIFF"),
        "f.gif": image_bytes(6, file_format="GIF"),
        "notes.txt": b"not looked at",
        ".hidden.png": b"not looked at",
    }
    manifest = ingest(make_folder(tmp_path / "raw", files), tmp_path / "out", CONFIG, name="mixed")
    rows = table(tmp_path / "out")
    assert [row["source_path"] for row in rows] == ["a.png", "b/two.JPG", "c.webp", "d.bmp", "e.tiff", "f.gif"]
    assert [row["id"] for row in rows] == list(range(6))
    assert all(row["sha256"] == sha256_bytes(files[row["source_path"]]) for row in rows)
    assert (rows[1]["width"], rows[1]["height"], rows[1]["crop"]) == (60, 40, [10, 0, 50, 40])
    assert rows[2]["crop"] == [0, 12, 16, 28]
    for row in rows:
        image = Image.open(io.BytesIO(row["png"]))
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(rows[0]["png"]))), np.asarray(Image.open(io.BytesIO(files["a.png"])))
    )
    assert manifest == read_manifest(tmp_path / "out")
    assert manifest.num_images == manifest.num_train + manifest.num_test == 6
    assert manifest.rejected_by_reason == {}
    assert load_image(tmp_path / "out" / "samples.png").width > 6 * 32


def test_every_reason_for_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = image_bytes(0)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="JPEG")
    files = {
        "a.png": good,
        "b-copy.png": good,
        "c-text.png": b"hello",
        "d-empty.png": b"",
        "e-cut.jpg": buffer.getvalue()[:1000],
        "f-small.png": image_bytes(1, size=(15, 45)),
        "g-just-large-enough.png": image_bytes(2, size=(16, 48)),
        "h-bomb.png": bomb_png(),
        "i-heavy.png": b"x" * 20_001,
    }
    folder = make_folder(tmp_path / "raw", files)
    (folder / "j-dangling.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(folder / "k-pipe.png")
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 20_000)
    manifest = ingest(folder, tmp_path / "out", CONFIG, name="dirty")
    assert reasons(tmp_path / "out") == {
        "b-copy.png": "duplicate",
        "c-text.png": "unreadable",
        "d-empty.png": "unreadable",
        "e-cut.jpg": "truncated",
        "f-small.png": "too_small",
        "h-bomb.png": "decompression_bomb",
        "i-heavy.png": "too_large",
        "j-dangling.png": "unreadable",
        "k-pipe.png": "unreadable",
    }
    assert manifest.num_images == 2 and manifest.num_rejected == 9
    assert manifest.rejected_by_reason["unreadable"] == 4
    cut = next(row for row in table(tmp_path / "out", "rejects.parquet") if row["path"] == "e-cut.jpg")
    assert cut["size_bytes"] == 1000 and cut["sha256"] == sha256_bytes(files["e-cut.jpg"])


def test_zip_members_with_dangerous_names(tmp_path: Path) -> None:
    dangerous = ["../up.png", "a/../../up.png", "/etc/up.png", "C:\\up.png", "..\\up.png", "\\\\host\\up.png"]
    names = [*dangerous, "a..b.png", "good.png", "__MACOSX/good.png"]
    source = make_zip(tmp_path / "raw.zip", {name: image_bytes(index) for index, name in enumerate(names)})
    ingest(source, tmp_path / "deep" / "out", CONFIG, name="zip")
    assert reasons(tmp_path / "deep" / "out") == dict.fromkeys(dangerous, "unsafe_name")
    assert [row["source_path"] for row in table(tmp_path / "deep" / "out")] == ["a..b.png", "good.png"]
    assert not list(tmp_path.rglob("up.png"))


def test_damaged_and_encrypted_zip_members(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "raw.zip", many(3))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first, second, _ = archive.infolist()
    data[first.header_offset + 60] ^= 0xFF  # inside the compressed bytes
    central = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second.header_offset + 6] |= 1  # the encryption flag, in both of its headers
    data[central + 8] |= 1
    path.write_bytes(data)
    ingest(path, tmp_path / "out", CONFIG, name="zip")
    assert reasons(tmp_path / "out") == {"000.png": "damaged", "001.png": "unreadable"}


def test_same_bytes_from_any_number_of_workers_and_from_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "SHARD_SIZE", 20)
    files = many(50) | {"bad.png": b"bad", "twin.png": image_bytes(7)}
    folder = make_folder(tmp_path / "raw", files)
    backwards = make_zip(tmp_path / "raw.zip", dict(reversed(files.items())))
    for name, source, workers in (("one", folder, 1), ("two", folder, 2), ("zip", backwards, 3)):
        ingest(source, tmp_path / name, CONFIG, name="same", num_workers=workers)
    assert sha256_folder(tmp_path / "one") == sha256_folder(tmp_path / "two") == sha256_folder(tmp_path / "zip")
    manifest = read_manifest(tmp_path / "one")
    assert [shard.num_images for shard in manifest.shards] == [20, 20, 10]
    ids = [row["id"] for shard in manifest.shards for row in table(tmp_path / "one", shard.name)]
    assert ids == list(range(50))


def test_samples_are_drawn_from_all_shards_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "SHARD_SIZE", 6)
    monkeypatch.setattr(sheets, "NUM_SAMPLES", 4)
    manifest = ingest(make_folder(tmp_path / "raw", many(16)), tmp_path / "out", CONFIG, name="set")
    sheet = np.asarray(load_image(tmp_path / "out" / "samples.png"))
    rows = [row for shard in manifest.shards for row in table(tmp_path / "out", shard.name)]
    rows.sort(key=lambda row: row["sha256"])
    enlarged = [np.asarray(load_image(row["png"])).repeat(4, axis=0).repeat(4, axis=1) for row in rows]
    assert [holds(sheet, image) for image in enlarged] == [True] * 4 + [False] * 12


def test_split_does_not_change_when_images_are_added(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, test_share=0.3)
    ingest(make_folder(tmp_path / "few", many(12)), tmp_path / "a", config, name="a")
    ingest(make_folder(tmp_path / "more", many(40)), tmp_path / "b", config, name="b")
    before, after = ({row["sha256"]: row["split"] for row in table(tmp_path / name)} for name in "ab")
    assert set(before.values()) == {"train", "test"}
    assert before.items() <= after.items()


def test_split_follows_its_share() -> None:
    hashes = [sha256_bytes(bytes([index % 256, index // 256])) for index in range(4000)]
    share = sum(split_of(sha256, 0.1) == "test" for sha256 in hashes) / len(hashes)
    assert abs(share - 0.1) < 0.015  # three standard errors
    assert {split_of(sha256, 0.0) for sha256 in hashes} == {"train"}


def test_too_many_rejects_stop_and_leave_the_old_dataset(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "raw", many(8))
    out = tmp_path / "data" / "out"
    config = dataclasses.replace(CONFIG, max_reject_share=0.2)
    ingest(folder, out, config, name="set")
    before = sha256_folder(out)
    make_folder(folder, {"x.png": b"x", "y.png": b"y", "z.png": image_bytes(0)})
    with pytest.raises(DataError, match=r"3 of 11 images .*\(1 duplicate, 2 unreadable\).*0\.2"):
        ingest(folder, out, config, name="set")
    assert sha256_folder(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_nothing_is_left_behind_by_an_interruption(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(make_zip(tmp_path / "raw.zip", many(8)), tmp_path / "out", CONFIG, name="set", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["raw.zip"]


def test_a_prepared_dataset_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    folder = make_folder(tmp_path / "raw", many(3))
    ingest(folder, out, CONFIG, name="first")
    ingest(folder, out, CONFIG, name="second")
    assert read_manifest(out).name == "second"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="no prepared dataset"):
        ingest(folder, tmp_path / "home", CONFIG, name="third")
    for inside in (folder / "out", folder, tmp_path):
        with pytest.raises(DataError, match="overlap"):
            ingest(folder, inside, CONFIG, name="third")
    assert len(list(folder.iterdir())) == 3
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"also holds notes\.txt, expected nothing but the prepared dataset"):
        ingest(folder, out, CONFIG, name="third")
    assert (out / "notes.txt").read_text() == "mine"


def test_max_images_takes_the_first_good_ones(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "raw", many(30) | {"000.png": b"bad"})
    manifest = ingest(folder, tmp_path / "out", dataclasses.replace(CONFIG, max_images=4), name="few")
    assert [row["source_path"] for row in table(tmp_path / "out")] == ["001.png", "002.png", "003.png", "004.png"]
    assert manifest.num_rejected == 1


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    ingest(
        make_folder(tmp_path / "raw", many(5)),
        tmp_path / "out",
        CONFIG,
        name="set",
        progress=lambda done, total, note="": calls.append((done, total)),
    )
    assert calls == [(done, 5) for done in range(1, 6)]


def test_nothing_to_ingest(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "fake.zip").write_bytes(b"PK, perhaps")
    make_zip(tmp_path / "text.zip", {"readme.txt": b"no images"})
    all_bad = make_folder(tmp_path / "bad", {"a.png": b"bad"})
    for source, message in (
        (empty, "contains no images"),
        (tmp_path / "text.zip", "contains no images"),
        (tmp_path / "fake.zip", "cannot be read as a zip"),
        (tmp_path / "nowhere", "does not exist"),
        (all_bad, "1 of 1 images"),
    ):
        with pytest.raises(DataError, match=message):
            ingest(source, tmp_path / "out", dataclasses.replace(CONFIG, max_reject_share=1.0), name="none")
    assert not (tmp_path / "out").exists()


def test_statistics_of_files_and_images(tmp_path: Path) -> None:
    sizes = {"a.png": (40, 50), "b.png": (60, 40), "c.png": (44, 48)}
    files = {name: image_bytes(index, size=size) for index, (name, size) in enumerate(sizes.items())}
    manifest = ingest(make_folder(tmp_path / "raw", files | {"bad.png": b"bad"}), tmp_path / "out", CONFIG, name="set")
    statistics = manifest.statistics
    assert (statistics["formats"], statistics["modes"]) == ({"PNG": 3}, {"RGB": 3})
    assert statistics["width"] == {"min": 40, "median": 44, "max": 60}
    assert statistics["height"] == {"min": 40, "median": 48, "max": 50}
    lengths = sorted(len(data) for data in files.values())
    assert statistics["size_bytes"] == {"min": lengths[0], "median": lengths[1], "max": lengths[2]}
    pixels = np.stack([np.asarray(load_image(row["png"])) for row in table(tmp_path / "out")]).reshape(-1, 3)
    assert np.allclose(statistics["channel_mean"], pixels.mean(axis=0), atol=1e-3)
    assert np.allclose(statistics["channel_std"], pixels.astype(float).std(axis=0), atol=1e-3)


def test_a_dataset_of_schema_version_1_is_read_and_replaced(tmp_path: Path) -> None:
    folder, out = make_folder(tmp_path / "raw", many(4)), tmp_path / "out"
    new = ingest(folder, out, CONFIG, name="set")
    values = json.loads((out / "manifest.json").read_text()) | {"schema_version": 1}
    for key in ("passed_over", "statistics", "settings", "processing", "tables_sha256"):
        del values[key]
    (out / "manifest.json").write_text(json.dumps(values))
    (out / "details.parquet").unlink()
    assert read_manifest(out).statistics == {}
    assert len(PreparedDataset(out, None)) == 4
    assert ingest(folder, out, CONFIG, name="set") == new


def test_the_sheet_of_rejects_shows_them(tmp_path: Path) -> None:
    ingest(make_folder(tmp_path / "raw", many(3)), tmp_path / "good", CONFIG, name="good")
    assert not (tmp_path / "good" / "rejects.png").exists()
    small = image_bytes(9, size=(12, 12))
    ingest(make_folder(tmp_path / "raw", {"small.png": small, "bad.png": b"bad"}), tmp_path / "out", CONFIG, name="set")
    sheet = np.asarray(load_image(tmp_path / "out" / "rejects.png"))
    enlarged = np.asarray(load_image(small)).repeat(8, axis=0).repeat(8, axis=1)
    assert holds(sheet, enlarged[1:-1, 1:-1])  # without the line around it
    assert not holds(sheet, np.asarray(load_image(image_bytes(1))))


def test_near_duplicates_are_shown_with_what_was_kept() -> None:
    images = [image_bytes(seed, size=(96, 96)) for seed in (1, 2, 3)]
    sheet = sheets.rejects_sheet(
        {"near_duplicate": images[:2], "damaged": [None]},
        {"near_duplicate": images[2:]},
        {"near_duplicate": 2, "damaged": 1},
        "title",
    )
    inner = [np.asarray(load_image(data))[1:-1, 1:-1] for data in images]
    assert [holds(sheet, image) for image in inner] == [True, True, True]


def test_manifest_has_no_trace_of_time_or_place(tmp_path: Path) -> None:
    ingest(make_folder(tmp_path / "raw", many(3)), tmp_path / "out", CONFIG, name="set")
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert set(json.loads(text)) >= {"schema_version", "library_version", "source_sha256", "dataset_sha256"}


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "raw", many(2))
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(image_bytes(9))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    ingest(folder, tmp_path / "out", CONFIG, name="set")
    assert table(tmp_path / "out")[-1]["source_path"] == "caf\\udce9.png"
