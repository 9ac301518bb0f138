"""Random images obey the rules, and spoilt archives and files raise nothing but the project's own errors."""

import gzip
import io
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import blobs, file_bytes, textured
from PIL import Image
from test_ingest_sources import tar_bytes, zip_bytes

from ui2i.datasets.ingest import ingest, split_of
from ui2i.datasets.ingestion.examine import Examiner, Unread
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import UI2IError
from ui2i.files import sha256_bytes
from ui2i.images import fit_square
from ui2i.images.decoding import load_image
from ui2i.images.framing import RESAMPLING
from ui2i.images.left_out import REASONS
from ui2i.settings import IngestConfig

NUM_SPOILT = 40  # of each kind

FORMATS_OF_MODES = {
    "RGB": ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"],
    "L": ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"],
    "RGBA": ["PNG", "WEBP", "TIFF"],
    "LA": ["PNG", "TIFF"],
    "P": ["PNG", "GIF", "BMP", "TIFF"],
    "1": ["PNG", "BMP", "TIFF"],
    "CMYK": ["JPEG", "TIFF"],
    "I;16": ["PNG", "TIFF"],
}


@st.composite
def image_files(draw: st.DrawFn) -> bytes:
    """The file of a random image."""
    mode = draw(st.sampled_from(sorted(FORMATS_OF_MODES)))
    width, height = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    seed = draw(st.integers(0, 10**6))
    make = draw(st.sampled_from([blobs, textured]))
    image = make(seed, width, height)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(blobs(seed + 1, width, height).convert("L"))
    elif draw(st.integers(0, 9)) == 0:
        image = Image.new(mode, (width, height))
    else:
        image = image.convert(mode)
    options = {}
    if mode != "I;16" and draw(st.booleans()):
        exif = Image.Exif()
        exif[0x0112] = draw(st.integers(0, 9))
        options["exif"] = exif
    file_format = draw(st.sampled_from(FORMATS_OF_MODES[mode]))
    return file_bytes(image, file_format, **({} if file_format in ("BMP", "GIF") else options))


CONFIGS = st.builds(
    IngestConfig,
    img_resolution=st.sampled_from([8, 16, 32]),
    framing=st.sampled_from(["center", "fit"]),
    resampling=st.sampled_from(["lanczos", "bicubic", "box"]),
    background=st.sampled_from(["white", "black", "#123456"]),
    max_upscale=st.sampled_from([1.0, 2.0, 8.0]),
    max_aspect=st.sampled_from([1.0, 2.0, 10.0]),
    min_contrast=st.sampled_from([0.0, 2.0, 30.0]),
    near_duplicate_bits=st.sampled_from([None, 0, 16]),
    test_share=st.sampled_from([0.0, 0.3]),
    max_reject_share=st.just(1.0),
)


@given(image_files(), CONFIGS)
@settings(max_examples=150)
def test_one_image_gives_a_square_or_a_reason(data: bytes, config: IngestConfig) -> None:
    examined = Examiner(config)(Unread("a", len(data), data, None))
    upright = load_image(data, background=config.background)
    width, height = upright.size
    assert (examined.width, examined.height, examined.sha256) == (width, height, sha256_bytes(data))
    side = max(width, height) if config.framing == "fit" else min(width, height)
    if side * config.max_upscale < config.img_resolution:
        assert examined.reason == "too_small"
    elif max(width, height) > config.max_aspect * min(width, height):
        assert examined.reason == "extreme_aspect"
    elif examined.reason is not None:
        assert examined.reason == "near_uniform"
    else:
        (image,) = examined.images
        assert image.png is not None
        pixels = np.asarray(Image.open(io.BytesIO(image.png)))
        assert pixels.shape == (config.img_resolution, config.img_resolution, 3)
        content = pixels
        if config.framing == "fit":
            sides = [max(1, round(side * config.img_resolution / max(width, height))) for side in (width, height)]
            x, y = ((config.img_resolution - side) // 2 for side in sides)
            content = pixels[y : y + sides[1], x : x + sides[0]]
        deviation = content.reshape(-1, 3).astype(float).std(axis=0).max()
        assert deviation >= config.min_contrast - 1e-6
        assert np.array_equal(image.level_sums, pixels.sum(axis=(0, 1)))
        left, top, right, bottom = image.crop
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        if config.framing == "fit":
            assert image.crop == (0, 0, width, height)
            check_padding(pixels, width / height, config.background)
        else:
            expected = fit_square(upright, config.img_resolution, RESAMPLING[config.resampling])
            assert np.array_equal(pixels, np.asarray(expected))
            assert right - left == bottom - top == side
            assert abs((left + right) - width) <= 1 and abs((top + bottom) - height) <= 1


def check_padding(pixels: np.ndarray, aspect: float, background: str) -> None:
    """What lies beside the image has the background's colour."""
    resolution = len(pixels)
    ground = np.asarray(Image.new("RGB", (1, 1), background))[0, 0]
    if aspect > 1:
        pixels, aspect = pixels.swapaxes(0, 1), 1 / aspect
    border = (resolution - max(1, round(aspect * resolution))) // 2
    assert (pixels[:, :border] == ground).all()
    assert (pixels[:, resolution - border :] == ground).all()


@given(st.lists(image_files(), min_size=1, max_size=8), CONFIGS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_file_is_in_the_dataset_or_among_the_rejects(files: list[bytes], config: IngestConfig) -> None:
    with tempfile.TemporaryDirectory() as place:
        root, out = Path(place, "raw"), Path(place, "out")
        root.mkdir()
        for index, data in enumerate(files):
            (root / f"{index}.png").write_bytes(data)
        try:
            manifest = ingest(root, out, config, name="set")
        except UI2IError as error:
            assert f"{len(files)} of {len(files)} images" in str(error)  # noqa: PT017 -- not raised each time
            return
        kept = pq.read_table(out / "images-00000.parquet").to_pylist()
        rejects = pq.read_table(out / "rejects.parquet").to_pylist()
        assert sorted([row["source_path"] for row in kept] + [row["path"] for row in rejects]) == [
            f"{index}.png" for index in range(len(files))
        ]
        assert {row["reason"] for row in rejects} <= set(REASONS)
        assert all(row["split"] == split_of(row["sha256"], config.test_share) for row in kept)
        assert len({row["sha256"] for row in kept}) == len(kept) == manifest.num_images
        images = PreparedDataset(out, None).images(slice(None)).reshape(-1, 3).astype(float)
        assert np.allclose(images.mean(axis=0), manifest.statistics["channel_mean"], atol=1e-3)
        assert np.allclose(images.std(axis=0), manifest.statistics["channel_std"], atol=1e-3)


# Spoilt files


def spoil(data: bytes, rng: random.Random) -> bytes:
    """Change, cut, repeat or insert some bytes."""
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        place = rng.randrange(len(spoilt) + 1)
        length = rng.choice([1, 1, 2, 4, 16, 300])
        kind = rng.randrange(5)
        if kind == 0:
            spoilt[place : place + length] = rng.randbytes(len(spoilt[place : place + length]))
        elif kind == 1:
            spoilt[place : place + length] = bytes([rng.choice([0, 255])]) * len(spoilt[place : place + length])
        elif kind == 2:
            del spoilt[place : place + length]
        elif kind == 3:
            spoilt[place:place] = spoilt[max(0, place - length) : place]
        else:
            spoilt = spoilt[: max(1, place)]
    return bytes(spoilt)


def archive(kind: str) -> bytes:
    files = {f"{index}.png": file_bytes(blobs(index, 20, 20), "PNG") for index in range(4)}
    files["a/5.jpg"] = file_bytes(blobs(5, 20, 20), "JPEG")
    if kind == "zip":
        return zip_bytes(files)
    if kind == "tar":
        return tar_bytes(files)
    if kind == "tar.gz":
        return gzip.compress(tar_bytes(files))
    column = [{"bytes": data, "path": name} for name, data in files.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": column}), buffer, row_group_size=2)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "parquet"])
def test_spoilt_archives_raise_the_projects_own_errors(tmp_path: Path, kind: str) -> None:
    config = IngestConfig(img_resolution=16, max_reject_share=1.0)
    data, rng, outcomes = archive(kind), random.Random(kind), {True: 0, False: 0}
    for _ in range(NUM_SPOILT):
        (tmp_path / f"raw.{kind}").write_bytes(spoil(data, rng))
        try:
            ingest(tmp_path / f"raw.{kind}", tmp_path / "out", config, name="set", reuse=False)
            outcomes[True] += 1
        except UI2IError:
            outcomes[False] += 1
        assert {path.name for path in tmp_path.iterdir()} <= {f"raw.{kind}", "out"}
    assert outcomes[False] > 0
    assert outcomes[True] > 0 or kind == "tar.gz"  # whose one checksum covers all of it


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_spoilt_images_give_a_reason(file_format: str) -> None:
    examiner = Examiner(IngestConfig(img_resolution=16))
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if file_format in ("BMP", "GIF") else {"exif": exif}
    data, rng = file_bytes(textured(1, 40, 30), file_format, **options), random.Random(file_format)
    for _ in range(2 * NUM_SPOILT):
        examined = examiner(Unread("a", 0, spoil(data, rng), None))
        assert examined.reason is None or examined.reason in REASONS
        assert " at 0x" not in examined.detail
