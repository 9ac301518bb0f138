"""Added images: only they are examined, the old ones keep their split, and the result is that of a fresh start."""

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from image_files import blobs, file_bytes, textured
from test_alignment import UPRIGHT, FixedDetector, moved

from ui2i.datasets import ingest as ingest_module
from ui2i.datasets.ingest import ingest
from ui2i.datasets.ingestion import examine as examine_module
from ui2i.datasets.manifest import Manifest
from ui2i.files import sha256_folder
from ui2i.images.decoding import NO_MEMORY, no_memory
from ui2i.settings import IngestConfig

CONFIG = IngestConfig(img_resolution=32, max_reject_share=0.9, test_share=0.3)
OLD = {
    **{f"old/{index:02d}.png": file_bytes(blobs(index), "PNG") for index in range(1, 15)},
    "bad.png": b"no image",
    "cut.jpg": file_bytes(textured(50), "JPEG")[:700],
    "small.png": file_bytes(blobs(51, 9, 9), "PNG"),
    "twins/one.png": file_bytes(textured(52), "PNG"),
    "twins/same.png": file_bytes(textured(52), "PNG"),
    "twins/similar.jpg": file_bytes(textured(52), "JPEG", quality=80),
}
NEW = {
    "before all.png": file_bytes(blobs(60), "PNG"),
    "old/07a.png": file_bytes(blobs(61), "PNG"),
    "zz.png": file_bytes(blobs(62), "PNG"),
    "zz-bad.png": b"no image either",
    "zz-copy.png": OLD["old/03.png"],
}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "SHARD_SIZE", 6)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the files that were decoded."""
    paths: list[str] = []
    decode = examine_module.decode

    def noting(data: bytes, *, name: str, background: str) -> object:
        paths.append(name)
        return decode(data, name=name, background=background)

    monkeypatch.setattr(examine_module, "decode", noting)
    return paths


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def run(root: Path, config: IngestConfig = CONFIG, **options: object) -> Manifest:
    return ingest(root / "raw", root / "out", config, name="set", **options)  # type: ignore[arg-type]


def is_as_if_fresh(root: Path, config: IngestConfig = CONFIG) -> bool:
    ingest(root / "raw", root / "fresh", config, name="set", reuse=False)
    return sha256_folder(root / "out") == sha256_folder(root / "fresh")


def splits(folder: Path) -> dict[str, str]:
    rows = [row for shard in sorted(folder.glob("images-*")) for row in pq.read_table(shard).to_pylist()]
    return {row["source_path"]: row["split"] for row in rows}


def test_only_added_images_are_examined(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    before = splits(tmp_path / "out")
    assert set(before.values()) == {"train", "test"}
    write(tmp_path / "raw", NEW)
    decoded.clear()
    run(tmp_path)
    assert sorted(decoded) == sorted(NEW)
    after = splits(tmp_path / "out")
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"before all.png", "old/07a.png", "zz.png"}
    assert is_as_if_fresh(tmp_path)


def test_nothing_new(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    first = run(tmp_path)
    decoded.clear()
    assert run(tmp_path) == first
    assert decoded == []
    assert is_as_if_fresh(tmp_path)


def test_an_image_that_memory_did_not_suffice_for_is_examined_again(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = examine_module.decode

    def short_of_memory(data: bytes, *, name: str, background: str) -> object:
        if "05" in name:
            raise no_memory(name)
        return noting(data, name=name, background=background)

    source = write(tmp_path / "raw", OLD)
    with monkeypatch.context() as patch:
        patch.setattr(examine_module, "decode", short_of_memory)
        assert ingest(source, tmp_path / "out", CONFIG, name="old").rejected_by_reason[NO_MEMORY] == 1
    decoded.clear()
    assert NO_MEMORY not in ingest(source, tmp_path / "out", CONFIG, name="old").rejected_by_reason
    assert decoded == ["old/05.png"]


def test_removed_and_changed_images(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    (tmp_path / "raw" / "old/02.png").unlink()
    write(tmp_path / "raw", {"old/05.png": NEW["zz.png"]})
    decoded.clear()
    run(tmp_path)
    assert decoded == ["old/05.png"]
    assert is_as_if_fresh(tmp_path)


def test_a_twin_whose_original_is_gone_is_taken_up(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    (tmp_path / "raw" / "twins/one.png").unlink()
    decoded.clear()
    run(tmp_path)
    assert decoded == ["twins/same.png"]
    assert "twins/same.png" in splits(tmp_path / "out")
    (tmp_path / "raw" / "twins/same.png").unlink()
    decoded.clear()
    run(tmp_path)
    assert decoded == ["twins/similar.jpg"]
    assert is_as_if_fresh(tmp_path)


def test_a_twin_that_comes_before_its_original_takes_its_place(tmp_path: Path) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    write(tmp_path / "raw", {"first of all.jpg": file_bytes(textured(52), "JPEG", quality=85)})
    run(tmp_path)
    assert "first of all.jpg" in splits(tmp_path / "out")
    assert "twins/one.png" not in splits(tmp_path / "out")
    assert is_as_if_fresh(tmp_path)


@pytest.mark.parametrize(
    ("change", "examined"),
    [
        ({"test_share": 0.5}, 0),
        ({"near_duplicate_bits": None}, 1),
        ({"near_duplicate_bits": 0}, 1),
        ({"max_images": 6}, 0),
        ({"max_reject_share": 0.95}, 0),
        ({"img_resolution": 16}, len(OLD)),
        ({"resampling": "box"}, len(OLD)),
        ({"background": "black"}, len(OLD)),
        ({"min_contrast": 5.0}, len(OLD)),
    ],
)
def test_settings_that_need_a_new_examination_and_others(
    tmp_path: Path, decoded: list[str], change: dict, examined: int
) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    config = dataclasses.replace(CONFIG, **change)
    decoded.clear()
    run(tmp_path, config)
    assert len(decoded) == examined
    assert is_as_if_fresh(tmp_path, config)


def test_after_an_upgrade_everything_is_examined(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    for name, value in (("EXAMINATION_VERSION", 99), ("pillow_version", "99.0")):
        decoded.clear()
        monkeypatch.setattr(examine_module, name, value)
        run(tmp_path)
        assert len(decoded) == len(OLD)


@pytest.mark.parametrize("name", ["images-00001.parquet", "details.parquet", "rejects.parquet", "manifest.json"])
def test_a_spoilt_dataset_is_not_taken_up(tmp_path: Path, decoded: list[str], name: str) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:-1])
    decoded.clear()
    run(tmp_path)
    if name != "manifest.json":  # of which the last byte is the end of a line
        assert len(decoded) == len(OLD)
    assert is_as_if_fresh(tmp_path)


def test_an_image_that_changed_on_the_disk_is_not_taken_over(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    path = tmp_path / "out" / "images-00001.parquet"
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 1
    path.write_bytes(data)
    decoded.clear()
    run(tmp_path)
    assert len(decoded) == len(OLD)
    assert is_as_if_fresh(tmp_path)


def test_a_fresh_start_may_be_asked_for(tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "raw", OLD)
    run(tmp_path)
    decoded.clear()
    run(tmp_path, reuse=False)
    assert len(decoded) == len(OLD)


def test_faces_are_taken_over_as_they_were(tmp_path: Path, decoded: list[str]) -> None:
    faces = tuple(moved(UPRIGHT, angle=angle, scale=1.5, shift=shift) for angle, shift in ((0.3, 60 + 0j), (-0.2, 90j)))
    config = dataclasses.replace(CONFIG, framing="face", max_faces=2)
    # The second image differs from the first in one of its two faces.
    first, second = textured(1, 260, 260), textured(1, 260, 260)
    second.paste(textured(2, 130, 260), (0, 0))
    write(tmp_path / "raw", {"a.png": file_bytes(first, "PNG"), "b.png": file_bytes(second, "PNG")})
    first_manifest = run(tmp_path, config, detector=FixedDetector(faces))
    assert first_manifest.num_images + first_manifest.num_rejected == 4
    write(tmp_path / "raw", {"c.png": file_bytes(textured(3, 260, 260), "PNG")})
    decoded.clear()
    run(tmp_path, config, detector=FixedDetector(faces))
    assert decoded == ["c.png"]
    ingest(tmp_path / "raw", tmp_path / "fresh", config, name="set", detector=FixedDetector(faces))
    assert sha256_folder(tmp_path / "out") == sha256_folder(tmp_path / "fresh")
    decoded.clear()
    run(tmp_path, config, detector=FixedDetector(faces, identity="another"))
    assert len(decoded) == 3
