"""Reading prepared datasets, the order of batches, and files that are complete or absent."""

import errno
import io
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_ingest import make_folder, many

from ui2i.datasets import ingest as ingest_module
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import BatchSampler, PreparedDataset, Split
from ui2i.errors import ConfigError, DataError
from ui2i.files import atomic_file, atomic_folder, sha256_bytes, sha256_file, sha256_folder, sha256_listing, write_bytes
from ui2i.settings import IngestConfig


@pytest.fixture(scope="module")
def shared_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images of 16 px in three shards."""
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "SHARD_SIZE", 18)
        config = IngestConfig(img_resolution=16, test_share=0.25)
        ingest(make_folder(root / "raw", many(40)), root / "out", config, name="forty")
    return root / "out"


@pytest.fixture
def dataset_path(shared_dataset: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return make_folder(tmp_path / "copy", {path.name: path.read_bytes() for path in shared_dataset.iterdir()})


def expected_images(path: Path, split: str | None) -> tuple[list[int], np.ndarray]:
    rows = [row for shard in sorted(path.glob("images-*.parquet")) for row in pq.read_table(shard).to_pylist()]
    rows = [row for row in rows if split in (None, row["split"])]
    return [row["id"] for row in rows], np.stack([np.asarray(Image.open(io.BytesIO(row["png"]))) for row in rows])


def test_columns_are_those_of_the_split_in_its_order(shared_dataset: Path) -> None:
    both = PreparedDataset(shared_dataset, split=None)
    by_id = dict(zip(both.columns("id")["id"].to_pylist(), both.columns("sha256")["sha256"].to_pylist(), strict=True))
    for split in ("train", "test"):
        dataset = PreparedDataset(shared_dataset, split)
        columns = dataset.columns("sha256", "split")
        assert columns.column_names == ["sha256", "split"]
        assert set(columns["split"].to_pylist()) == {split}
        assert columns["sha256"].to_pylist() == [by_id[number] for number in dataset.ids.tolist()]


@pytest.mark.parametrize("split", ["train", "test", None])
@pytest.mark.parametrize("budget", [1 << 30, 0])
def test_images_of_a_split(shared_dataset: Path, split: Split | None, budget: int) -> None:
    dataset = PreparedDataset(shared_dataset, split, memory_budget_bytes=budget)
    ids, images = expected_images(shared_dataset, split)
    assert dataset.ids.tolist() == ids and len(dataset) == len(ids)
    order = np.random.default_rng(0).integers(0, len(ids), 3 * len(ids))  # any order, with repetitions
    chosen = dataset.images(order)
    assert chosen.dtype == np.uint8 and np.array_equal(chosen, images[order])
    assert np.array_equal(dataset.images(slice(2, 5)), images[2:5])
    assert np.array_equal(dataset.images([1, 0]), images[[1, 0]])
    assert dataset.images([]).shape == (0, 16, 16, 3)


def test_splits_are_disjoint_and_complete(shared_dataset: Path) -> None:
    train, test = PreparedDataset(shared_dataset, "train"), PreparedDataset(shared_dataset, "test")
    assert sorted([*train.ids, *test.ids]) == list(range(40))
    assert (len(train), len(test)) == (train.manifest.num_train, train.manifest.num_test)


def test_summary(shared_dataset: Path) -> None:
    dataset = PreparedDataset(shared_dataset)
    manifest = json.loads((shared_dataset / "manifest.json").read_text())
    assert (dataset.name, dataset.resolution, dataset.hash) == ("forty", 16, manifest["dataset_sha256"])


def test_what_images_returns_is_the_callers_own(shared_dataset: Path) -> None:
    dataset = PreparedDataset(shared_dataset)
    before = dataset.images([0])
    dataset.images(slice(0, 1))[:] = 0
    dataset.images([0])[:] = 0
    assert np.array_equal(dataset.images([0]), before)


@pytest.mark.parametrize("indices", [[-1], [1000], [[0, 1]]])
def test_indices_out_of_range(shared_dataset: Path, indices: list) -> None:
    with pytest.raises(DataError, match="expected a list of numbers from 0 to"):
        PreparedDataset(shared_dataset).images(indices)


def test_no_dataset(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="make it with the ingest stage"):
            PreparedDataset(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:50], "corrupt"),
        (lambda text: "[]", "schema version None"),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 99'), "schema version 99"),
        (lambda text: text.replace('"num_train"', '"num_trains"'), "corrupt"),
        (lambda text: text.replace('"num_images": 40', '"num_images": 41'), "do not match"),
        (lambda text: text.replace('"dataset_sha256": "', '"dataset_sha256": "0'), "do not match"),
        (lambda text: text.replace('"img_resolution": 16', '"img_resolution": "32"'), "img_resolution"),
        (lambda text: text.replace('"img_resolution": 16', '"img_resolution": 3.5'), "img_resolution"),
        (lambda text: text.replace('"img_resolution": 16', '"img_resolution": -5'), "img_resolution"),
        (lambda text: re.sub(r'"facing_share": [^,\n]*', '"facing_share": "a"', text), "facing_share"),
        (lambda text: json.dumps(json.loads(text) | {"statistics": None}), "corrupt"),
        (lambda text: json.dumps(json.loads(text) | {"settings": [1]}), "corrupt"),
    ],
)
def test_spoiled_manifest(dataset_path: Path, spoil: Callable[[str], str], message: str) -> None:
    manifest = dataset_path / "manifest.json"
    text = manifest.read_text()
    assert spoil(text) != text
    manifest.write_text(spoil(text))
    with pytest.raises(DataError, match=message):
        PreparedDataset(dataset_path)


def test_spoiled_shard(dataset_path: Path) -> None:
    shard = dataset_path / "images-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"images-00001\.parquet has changed"):
        PreparedDataset(dataset_path)
    shard.write_bytes(b"")
    with pytest.raises(DataError, match=r"images-00001\.parquet cannot be read"):
        PreparedDataset(dataset_path, verify=False)
    shard.unlink()
    with pytest.raises(DataError, match=r"images-00001\.parquet is missing"):
        PreparedDataset(dataset_path)


def test_empty_split(tmp_path: Path) -> None:
    config = IngestConfig(img_resolution=16, test_share=0.0)
    ingest(make_folder(tmp_path / "raw", many(3)), tmp_path / "out", config, name="train-only")
    with pytest.raises(DataError, match="no images in its test split"):
        PreparedDataset(tmp_path / "out", "test")


@given(
    num_items=st.integers(1, 30),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**40),
    steps=st.permutations(range(12)),
)
def test_batches_depend_on_the_step_alone(num_items: int, batch_size: int, seed: int, steps: list[int]) -> None:
    straight = BatchSampler(num_items, batch_size, seed)
    expected = [straight.indices(step) for step in range(12)]
    for step in steps:  # any order, with a sampler of its own for each
        resumed = BatchSampler(num_items, batch_size, seed)
        assert np.array_equal(resumed.indices(step), expected[step])
        assert np.array_equal(straight.indices(step), expected[step])
        assert np.array_equal(resumed.mirror_flags(step), straight.mirror_flags(step))
    order = np.concatenate(expected)
    assert len(order) == 12 * batch_size
    for start in range(0, len(order) - num_items + 1, num_items):
        assert sorted(order[start : start + num_items]) == list(range(num_items))


def test_epochs_and_seeds_differ() -> None:
    sampler = BatchSampler(100, 100, seed=3)
    assert not np.array_equal(sampler.indices(0), sampler.indices(1))
    assert not np.array_equal(sampler.indices(0), BatchSampler(100, 100, seed=4).indices(0))


def test_order_is_pinned() -> None:
    # A run that is resumed after an upgrade of NumPy must not change its order unnoticed.
    assert BatchSampler(10, 10, seed=0).indices(0).tolist() == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]


def test_half_of_the_images_are_mirrored() -> None:
    sampler = BatchSampler(10, 64, seed=0)
    flags = np.concatenate([sampler.mirror_flags(step) for step in range(100)])
    assert flags.dtype == bool and abs(flags.mean() - 0.5) < 0.02  # three standard errors
    assert not np.array_equal(sampler.mirror_flags(0), sampler.mirror_flags(1))


@pytest.mark.parametrize("arguments", [(0, 4, 0), (4, 0, 0), (4, 4, -1)])
def test_bad_sampler(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="expected 1 or more"):
        BatchSampler(*arguments)


def test_failed_writes_leave_the_old_version(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "inside").write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "file") as path:
        path.write_bytes(b"half")
        raise RuntimeError
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "folder") as folder:
        (folder / "inside").write_bytes(b"half")
        raise RuntimeError
    assert (tmp_path / "file").read_bytes() == (tmp_path / "folder" / "inside").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_was_written_is_on_disk_before_it_takes_its_place_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[object] = []  # inodes that were flushed, and renames
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append(os.fstat(descriptor).st_ino), flush(descriptor)))
    monkeypatch.setattr(os, "replace", lambda source, target: (steps.append("rename"), rename(source, target)))
    write_bytes(tmp_path / "file", b"new")
    assert steps == [(tmp_path / "file").stat().st_ino, "rename", tmp_path.stat().st_ino]
    steps.clear()
    with atomic_folder(tmp_path / "folder") as folder:
        make_folder(folder / "inner", {"a": b"1"})
    inside = {path.stat().st_ino for path in (tmp_path / "folder").rglob("*")}
    assert len(inside) == 2 and set(steps[:2]) == inside
    assert steps[2:] == [(tmp_path / "folder").stat().st_ino, "rename", tmp_path.stat().st_ino]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "folder", {"old": b"1"})
    rename = os.replace

    def refuse_new(source: Path, target: Path) -> None:
        if (source / "new").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse_new)
    with pytest.raises(OSError, match="Input/output error"), atomic_folder(tmp_path / "folder") as folder:
        (folder / "new").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["folder", "folder/old"]


def test_what_is_kept_comes_back_where_the_new_folder_cannot_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "site", {"CNAME": b"host", ".git/HEAD": b"ref", "old.html": b"1"})
    rename = Path.rename

    def refuse_git(source: Path, target: Path) -> Path:
        if target == tmp_path / "site" / ".git":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse_git)
    kept = [Path("CNAME"), Path(".git")]
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "site", kept=lambda *_: kept) as folder:
        (folder / "new.html").touch()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"site/CNAME", "site/.git/HEAD", "site/old.html"}


def test_a_file_system_that_flushes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flush(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        if refused:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", flush)
    refused = False
    write_bytes(tmp_path / "file", b"new")
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "below").mkdir()
    assert (tmp_path / "file").read_bytes() == b"new" and (tmp_path / "folder" / "below").is_dir()
    refused = True
    with pytest.raises(OSError, match="Input/output error"):
        write_bytes(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_folder_is_replaced_as_a_whole_even_through_a_link(tmp_path: Path) -> None:
    make_folder(tmp_path / "folder", {"old/a": b"1", "b": b"2"})
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "new").write_bytes(b"3")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]


@pytest.mark.parametrize("place", [".", "..", "/", "a/.."])
def test_a_path_without_a_name_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="ends in no name"):
        write_bytes(place, b"")
    if place == "/":
        with pytest.raises(ConfigError, match="ends in no name"), atomic_folder(place):
            pass
    assert list(tmp_path.iterdir()) == []


def test_hashes(tmp_path: Path) -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    write_bytes(tmp_path / "a", b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "a") == abc
    one = sha256_folder(make_folder(tmp_path / "one", {"x": b"1", "y/z": b"2"}))
    assert one == sha256_folder(make_folder(tmp_path / "two", {"y/z": b"2", "x": b"1"}))
    assert one != sha256_folder(make_folder(tmp_path / "three", {"x": b"1", "yz": b"2"}))
    assert one != sha256_folder(make_folder(tmp_path / "four", {"x": b"2", "y/z": b"1"}))


def test_a_file_s_hash_is_of_all_of_it(tmp_path: Path) -> None:
    content = bytes(3 << 20) + b"1"
    write_bytes(tmp_path / "long", content)
    assert sha256_file(tmp_path / "long") == sha256_bytes(content)


def test_no_two_listings_read_alike() -> None:
    """Each name and each content ends in a zero byte; what the file system calls a name need not be UTF-8."""
    assert sha256_listing(iter([("a", "b"), ("c\udcff", "d")])) == sha256_bytes(b"a\0b\0c\xff\0d\0")
    assert sha256_listing(iter([("b", "1"), ("a", "2")])) == sha256_bytes(b"b\x001\0a\x002\0"), "in the given order"
