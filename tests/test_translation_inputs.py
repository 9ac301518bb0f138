"""What can be translated besides a folder, what one image per input means, and what a strict run refuses."""

import dataclasses
import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import random_generator, random_ws

from cli.standard_input import given_path
from tasks.requests.translation_summary import read_summary
from ui2i.domain_check import DomainCheck, Extractor, fit_reference, reconstructions_of
from ui2i.errors import ConfigError, DataError
from ui2i.images import encode_png, to_uint8
from ui2i.images.folders import read_list
from ui2i.inversion import Inverter
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.tables import TRANSLATION_SCHEMA, read_rows
from ui2i.translation import NamedImages, TranslationConfig, translate_folder
from ui2i.translation.inputs import SourceImage, list_inputs

CONFIG = InversionConfig(method="w", num_steps=2, batch_size=2, optimize_noise=False)
SOURCE = random_generator(1)
TARGET = random_generator(2)
TARGET.mapping.load_state_dict(SOURCE.mapping.state_dict() | {"w_avg": TARGET.w_avg})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return to_uint8(SOURCE.synthesis(SOURCE.truncate(random_ws(SOURCE, 3), 0.4)))


@pytest.fixture
def run(perceptual: Perceptual, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def translate(inputs: Any, **changes: Any) -> list[dict[str, Any]]:
        options = {"domain": "anime", "source_domain": "face", "source_hash": "0" * 64} | changes
        options.setdefault("target_hashes", {"FC-FT": "f" * 64})
        targets = dict.fromkeys(options["target_hashes"], TARGET)
        return translate_folder(inputs, SOURCE, targets, perceptual, CONFIG, tmp_path / "out", **options)

    return translate


@pytest.fixture
def members(images: np.ndarray) -> dict[str, bytes]:
    """Three images, one of them in a folder, and files that are none."""
    pngs = [encode_png(image) for image in images]
    return {"a.png": pngs[0], "sub/b.png": pngs[1], "../c.png": pngs[2], "notes.txt": b"no image"}


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


# Sources


@pytest.mark.parametrize(("name", "write"), [("in.zip", write_zip), ("in.tar.gz", write_tar)])
def test_an_archive_is_translated_and_nothing_leaves_the_folder(
    run: Callable, members: dict[str, bytes], tmp_path: Path, name: str, write: Callable
) -> None:
    write(tmp_path / name, members)
    rows = run(tmp_path / name)
    assert [row["output_file"] for row in rows if row["variant"] == "FC-FT"] == ["a-FC-FT.png", "sub-b-FC-FT.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out"]  # nothing was unpacked beside it
    summary = read_summary(tmp_path / "out")
    assert (summary.num_translated, dict(summary.rejects)) == (2, {"unsafe_name": 1})
    ssims = {row["input_path"]: row["ssim"] for row in rows}
    worst = ", ".join(f"{path} {ssims[path]:.2f}" for path in sorted(ssims, key=lambda path: ssims[path]))
    assert summary.lines()[:2] == [
        "2 of 3 images translated to anime: FC-FT",
        "1 could not be used: 1 a name that leaves its archive; see rejects.parquet",
    ]
    assert f"reconstruction: SSIM {np.mean(list(ssims.values())):.2f} on average; worst: {worst}" in summary.lines()
    assert summary.lines()[-1].startswith("next: open contact_sheet.png")


def test_a_member_that_lies_about_its_size_is_cut_where_it_said(tmp_path: Path, images: np.ndarray) -> None:
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", encode_png(images[0]))
        archive.writestr("bomb.png", encode_png(images[1]) + bytes(8 << 20))
    data = path.read_bytes()
    for width in (b"PK\x01\x02", b"PK\x03\x04"):  # in the table of contents, and before the member
        place, offset = data.rindex(width), 24 if width == b"PK\x01\x02" else 22
        data = data[: place + offset] + (1000).to_bytes(4, "little") + data[place + offset + 4 :]
    path.write_bytes(data)
    with list_inputs(path, 32) as listing:
        found = {entry.path: entry for entry in listing.entries}
    assert isinstance(found["good.png"], SourceImage)
    assert getattr(found["bomb.png"], "reason", None) == "damaged"


@pytest.mark.parametrize("name", ["me.png", "me", "ME.JPG"])
def test_one_file_is_translated_whatever_its_suffix(
    run: Callable, images: np.ndarray, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(encode_png(images[0]))
    rows = run(tmp_path / name)
    assert [row["input_path"] for row in rows] == [name, name]


def test_a_list_is_read_from_its_own_folder(run: Callable, images: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for place, image in enumerate(images):
        (tmp_path / "in" / f"{place}.png").write_bytes(encode_png(image))
    (tmp_path / "list.txt").write_text("# mine\nin/2.png\n\nin/0.png\n")
    rows = run(tmp_path / "list.txt")
    assert [row["input_path"] for row in rows if row["variant"] == "FC-FT"] == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "contains no images"),
        (lambda path: None, "does not exist, expected a folder, a .zip"),
        (lambda path: write_zip(path, {"notes.txt": b"no image"}), "contains no images"),
        (lambda path: write_zip(path, {"../a.png": b""}), "contains no images"),
        (lambda path: path.write_bytes(b"neither"), "is neither an image nor an archive"),
    ],
    ids=["empty folder", "nothing", "empty zip", "unsafe zip", "no zip"],
)
def test_a_source_without_images_is_refused(
    run: Callable, tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / "in")
    with pytest.raises(DataError, match=message):
        run(tmp_path / "in")
    assert not (tmp_path / "out").exists()


# Standard input


class Piped(io.TextIOWrapper):
    """Standard input that is a pipe."""


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(io.BytesIO(data)))


def test_files_keep_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("z.png", "a.png", "b/z.png")]
    for level, place in enumerate(places):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(encode_png(np.full((32, 32, 3), 50 * level, np.uint8)))
    found = [entry for entry in list_inputs(places, 32).entries if isinstance(entry, SourceImage)]
    assert [entry.path for entry in found] == ["z.png", "a.png", "z.png"]
    assert [int(entry.image.max()) for entry in found] == [0, 50, 100], "as references are numbered"


def test_standard_input_holds_an_image(monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> None:
    data = encode_png(images[0])
    pipe(monkeypatch, data)
    with given_path(Path("-")) as path:
        assert (path.name, path.read_bytes()) == ("stdin.png", data)
    assert not path.exists()


def test_standard_input_holds_a_list_of_paths_from_here(
    monkeypatch: pytest.MonkeyPatch, images: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "a b.png").write_bytes(encode_png(images[0]))
    monkeypatch.chdir(tmp_path)
    pipe(monkeypatch, b"a b.png\n# none\n\n")
    with given_path(Path("-")) as path, list_inputs(path, 32) as listing:
        assert [entry.path for entry in listing.entries] == ["a b.png"]


@pytest.mark.parametrize("name", ["BMW.png", "GIF89a.png", "a\N{LINE SEPARATOR}b.png", "a\vb.png", "a\rb.png"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
def test_a_list_means_the_same_on_standard_input_and_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, mark: str
) -> None:
    data = f"{mark}{name}\n# none\nlast.png\r\n".encode()
    (tmp_path / "list.txt").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    pipe(monkeypatch, data)
    with given_path(Path("-")) as path:
        assert read_list(path) == read_list(tmp_path / "list.txt") == [tmp_path / name, tmp_path / "last.png"]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "WEBP", "JPEG"])
def test_standard_input_that_is_an_image_is_no_list(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(buffer, kind)
    pipe(monkeypatch, buffer.getvalue())
    with given_path(Path("-")) as path:
        assert path.name == f"stdin.{kind.lower()}"


@pytest.mark.parametrize(("data", "message"), [(b"", "holds nothing"), (b"PK\x03\x04\xff\xfe", "neither an image nor")])
def test_standard_input_that_holds_neither_is_refused(
    monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    pipe(monkeypatch, data)
    with pytest.raises(DataError, match=message), given_path(Path("-")):
        pass


def test_another_path_is_itself(tmp_path: Path) -> None:
    with given_path(tmp_path) as path:
        assert path == tmp_path


# One image per input


def test_one_image_per_input_is_called_as_it_is(run: Callable, images: np.ndarray, tmp_path: Path) -> None:
    inputs = NamedImages(names=["a.jpg", "contact_sheet.png", "a.png"], images=images)
    plain = run(inputs)
    expected = {row["input_path"]: row["output_file"] for row in plain if row["variant"] == "FC-FT"}
    before = {path: (tmp_path / "out" / name).read_bytes() for path, name in expected.items()}
    rows = run(inputs, config=TranslationConfig(is_single=True))
    assert {row["input_path"]: row["output_file"] for row in rows} == {
        "a.jpg": "a.png",
        "contact_sheet.png": "contact_sheet-2.png",
        "a.png": "a-2.png",
    }
    assert {row["input_path"]: (tmp_path / "out" / row["output_file"]).read_bytes() for row in rows} == before
    assert [row["variant"] for row in read_rows(tmp_path / "out" / "manifest.parquet", TRANSLATION_SCHEMA)] == [
        "FC-FT"
    ] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"config": TranslationConfig(is_single=True, num_styles=1)},
        {"config": TranslationConfig(is_single=True, directions=(1,))},
        {"config": TranslationConfig(is_single=True), "target_hashes": {"FC-FT": "f" * 64, "FT": "0" * 64}},
    ],
    ids=["styles", "directions", "variants"],
)
def test_one_image_per_input_excludes_other_versions(run: Callable, images: np.ndarray, changes: Any) -> None:
    with pytest.raises(ConfigError, match="one image per input"):
        run(NamedImages(names=["a", "b", "c"], images=images), **changes)


# The domain check


@pytest.fixture
def check() -> DomainCheck:
    """One that takes dark images for the source's."""
    extractor = Extractor(kind="thumbnail", hash="f" * 64, read=lambda x: x.mean(dim=(2, 3)))
    random = np.random.default_rng(0)
    own, held_out = (random.normal(-0.8, 0.1, (count, 3)) for count in (200, 100))
    values = {"features_hash": "f" * 64, "base_hash": "0" * 64, "dataset_hash": None, "origin": "images"}
    return DomainCheck(fit_reference(own, held_out, features="thumbnail", **values), extractor, source="face")


@pytest.fixture
def mixed() -> NamedImages:
    """Two dark images and a bright one."""
    random = np.random.default_rng(1)
    levels = np.array([25, 230, 30])[:, None, None, None] + random.integers(-20, 20, (3, 32, 32, 3))
    return NamedImages(names=["dark.png", "bright.png", "dim.png"], images=levels.clip(0, 255).astype(np.uint8))


def test_the_manifest_and_the_sheet_tell_which_images_are_unlike(
    run: Callable, check: DomainCheck, mixed: NamedImages, tmp_path: Path
) -> None:
    rows = {row["input_path"]: row for row in run(mixed, check=check)}
    assert {path: row["looks_like_source"] for path, row in rows.items()} == {
        "dark.png": True,
        "bright.png": False,
        "dim.png": True,
    }
    assert rows["bright.png"]["domain_distance"] > 1 >= rows["dark.png"]["domain_distance"]
    summary = read_summary(tmp_path / "out")
    assert (summary.num_unlike, summary.num_checked) == (1, 3)
    assert {row["domain_reference"] for row in rows.values()} == {"images"}
    by_samples = dataclasses.replace(summary, is_by_samples=True).warnings()[0]
    assert "trained on (told from samples: images of face are not here); expect poor" in by_samples
    expected = "1 of 3 images do not look like what face was trained on; expect poor results; see docs/domain_check.md"
    assert expected in summary.lines()
    assert expected in summary.markdown()
    with Image.open(tmp_path / "out" / "contact_sheet.png") as marked:
        with_marks = np.asarray(marked.convert("RGB"))
    run(mixed)
    with Image.open(tmp_path / "out" / "contact_sheet.png") as plain:
        without = np.asarray(plain.convert("RGB"))
    red = (np.array([200, 30, 30]) == with_marks).all(axis=-1)
    assert red.any()
    assert not (np.array([200, 30, 30]) == without).all(axis=-1).any()
    assert read_summary(tmp_path / "out").warnings() == []


def test_a_strict_run_is_refused_before_anything_is_inverted_or_written(
    run: Callable, check: DomainCheck, mixed: NamedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inverted: list[int] = []
    monkeypatch.setattr(Inverter, "find", lambda *_, **__: inverted.append(1))
    with pytest.raises(DataError, match=r"1 of 3 images do not look like what face was trained on \(bright.png\)"):
        run(mixed, check=check, is_strict=True)
    assert not inverted
    assert list(tmp_path.iterdir()) == []


def test_a_strict_run_of_images_of_the_domain_goes_through(
    run: Callable, check: DomainCheck, mixed: NamedImages
) -> None:
    dark = NamedImages(names=["dark.png", "dim.png"], images=mixed.images[[0, 2]])
    assert [row["looks_like_source"] for row in run(dark, check=check, is_strict=True)] == [True] * 4


def test_a_strict_run_is_refused_for_a_poor_reconstruction_too(
    run: Callable, check: DomainCheck, mixed: NamedImages, perceptual: Perceptual, tmp_path: Path
) -> None:
    columns = Inverter(SOURCE, perceptual, CONFIG, base_hash="0" * 64).columns
    better = reconstructions_of([0.99 + place / 1000 for place in range(9)], columns)
    extractor = check._extractor
    stern = DomainCheck(check._reference, extractor, source="face", reconstructions=better)
    dark = NamedImages(names=["dark.png", "dim.png"], images=mixed.images[[0, 2]])
    assert {row["reconstructs_as_source"] for row in run(dark, check=stern)} == {False}
    assert any("reconstructed worse than face's own" in line for line in read_summary(tmp_path / "out").lines())
    before = sorted((tmp_path / "out").iterdir())
    with pytest.raises(DataError, match="2 of 2 images are reconstructed worse than its own"):
        run(dark, check=stern, is_strict=True)
    assert sorted((tmp_path / "out").iterdir()) == before
