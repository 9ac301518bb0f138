"""The perceptual hash, and the search for near ones."""

import io
import math
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import file_bytes, noise, textured
from PIL import Image, ImageDraw, ImageEnhance
from tiny_project import REPOSITORY

from ui2i.datasets.ingestion import duplicates
from ui2i.datasets.ingestion.duplicates import (
    HASH_BITS,
    MAX_CELL_DIFFERENCE,
    THUMBNAIL_BYTES,
    NearDuplicates,
    cell_difference,
    hash_bytes,
    perceptual_hash,
    thumbnail,
)
from ui2i.images import load_image

GREY = bytes(THUMBNAIL_BYTES)
AVATARS = REPOSITORY / "data/avatars/micah-held-out.zip"


def distance(one: Image.Image, other: Image.Image) -> int:
    return (perceptual_hash(one) ^ perceptual_hash(other)).bit_count()


def look_the_same(one: Image.Image, other: Image.Image) -> bool:
    search = NearDuplicates(16)
    search.add(perceptual_hash(one), thumbnail(one))
    return search.find(perceptual_hash(other), thumbnail(other)) is not None


def avatars(count: int) -> list[Image.Image]:
    with zipfile.ZipFile(AVATARS) as file:
        return [load_image(file.read(name)) for name in sorted(file.namelist())[:count]]


def flat(face: str, mouth: str) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 56, 56), fill=face)
    pen.ellipse((16, 4, 60, 24), fill="#402010")
    pen.line((28, 44, 36, 44), fill=mouth, width=1)
    return image


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(file_bytes(image, "JPEG", quality=quality)))


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_near_and_others_far(seed: int) -> None:
    image = textured(seed, 96, 96)
    copies = [
        recompressed(image, 90),
        recompressed(image, 60),
        image.resize((48, 48), Image.Resampling.LANCZOS),
        image.resize((200, 200), Image.Resampling.BICUBIC),
        ImageEnhance.Brightness(image).enhance(0.85),
        ImageEnhance.Contrast(image).enhance(0.85),
        image.convert("L").convert("RGB"),
    ]
    assert max(distance(image, copy) for copy in copies) <= 16
    assert all(look_the_same(image, copy) for copy in copies[:-1])
    others = [textured(seed + 100, 96, 96), image.rotate(90), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    assert min(distance(image, other) for other in others) > 64


@pytest.mark.parametrize("other", [flat("#5f9a3f", "black"), flat("#c86450", "#c86450")], ids=["colour", "thin line"])
def test_what_the_hash_does_not_see(other: Image.Image) -> None:
    image = flat("#c86450", "black")
    assert distance(image, other) <= 16
    assert not look_the_same(image, other)


def test_different_avatars_are_kept_and_copies_of_them_found() -> None:
    search, images = NearDuplicates(16), avatars(200)
    hashes = [perceptual_hash(image) for image in images]
    for image, phash in zip(images, hashes, strict=True):
        assert search.find(phash, thumbnail(image)) is None
        search.add(phash, thumbnail(image))
    near = [
        number
        for number, phash in enumerate(hashes)
        if any((phash ^ earlier).bit_count() <= 16 for earlier in hashes[:number])
    ]
    assert len(near) > 10  # these the hash alone would drop
    for number in range(0, 200, 20):
        for copy in (recompressed(images[number], 90), images[number].resize((48, 48), Image.Resampling.LANCZOS)):
            assert search.find(perceptual_hash(copy), thumbnail(copy)) == number


def test_brightness_and_contrast_are_no_difference_and_a_shifted_colour_is() -> None:
    image = textured(4, 96, 96)
    assert cell_difference(thumbnail(image), thumbnail(ImageEnhance.Contrast(image).enhance(0.85))) < 3
    warmer = Image.merge("RGB", [band.point(lambda v, i=i: v // (1 + i)) for i, band in enumerate(image.split())])
    assert cell_difference(thumbnail(image), thumbnail(warmer)) > MAX_CELL_DIFFERENCE


@pytest.mark.parametrize(("one", "other", "expected"), [(60, 45, 0), (45, 60, 0), (60, 30, 60 - 40), (30, 60, 45 - 30)])
def test_a_third_more_contrast_is_made_equal_and_no_more(one: int, other: int, expected: int) -> None:
    signs = np.where(np.indices((16, 16)).sum(axis=0) % 2, 1, -1)[..., None].repeat(3, axis=2)
    levels = [(128 + signs * amplitude).astype(np.uint8).tobytes() for amplitude in (one, other)]
    assert cell_difference(*levels) == pytest.approx(expected)


def test_the_hash_is_that_of_a_literal_transform() -> None:
    image = textured(9, 32, 32)
    levels = np.asarray(image.convert("L")).astype(int)
    cosines = [[round(4096 * math.cos(math.pi * k * (2 * n + 1) / 64)) for n in range(32)] for k in range(16)]
    spectrum = [
        sum(cosines[row][y] * cosines[column][x] * int(levels[y, x]) for y in range(32) for x in range(32))
        for row in range(16)
        for column in range(16)
    ]
    median = sorted(spectrum[1:])[127]
    expected = int("".join("1" if value > median else "0" for value in spectrum), 2)
    assert perceptual_hash(image) == expected


def test_the_hash_is_pinned() -> None:
    # Datasets compare hashes that earlier versions wrote.
    assert hash_bytes(perceptual_hash(textured(0, 96, 96))).hex()[:32] == "cc5ad88a3e2d0ee0495b5e2d448ea8d2"
    assert len(hash_bytes(perceptual_hash(noise()))) * 8 == HASH_BITS


def test_a_symmetric_image_has_the_same_hash_as_its_mirror_image() -> None:
    # In floating point, the signs of its odd frequencies would be those of rounding errors.
    half = textured(3, 32, 64)
    symmetric = Image.new("RGB", (64, 64))
    symmetric.paste(half, (0, 0))
    symmetric.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (32, 0))
    assert distance(symmetric, symmetric.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


@st.composite
def families(draw: st.DrawFn) -> list[int]:
    """Hashes of which some differ from others in a few bits."""
    hashes = draw(st.lists(st.integers(0, 2**HASH_BITS - 1), min_size=1, max_size=8))
    for _ in range(draw(st.integers(0, 12))):
        flips = draw(st.lists(st.integers(0, HASH_BITS - 1), max_size=24))
        relative = draw(st.sampled_from(hashes))
        for bit in flips:
            relative ^= 1 << bit
        hashes.append(relative)
    return hashes


@given(families(), st.integers(0, 32))
def test_the_search_finds_what_comparing_all_finds(hashes: list[int], max_distance: int) -> None:
    search = NearDuplicates(max_distance)
    for count, phash in enumerate(hashes):
        distances = [(phash ^ other).bit_count() for other in hashes[:count]]
        nearest = min(distances, default=HASH_BITS)
        expected = distances.index(nearest) if nearest <= max_distance else None
        assert search.find(phash, GREY) == expected
        search.add(phash, GREY)


def test_few_images_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    with_value = duplicates._Chains.with_value

    def counting(chains: duplicates._Chains, value: int) -> list[int]:
        nonlocal compared
        found = with_value(chains, value)
        compared += len(found)
        return found

    monkeypatch.setattr(duplicates._Chains, "with_value", counting)
    random, search, total = np.random.default_rng(0), NearDuplicates(16), 5000
    for _ in range(total):
        phash = int.from_bytes(random.bytes(32), "big")
        search.find(phash, GREY)
        search.add(phash, GREY)
    assert compared < total * (total - 1) / 2 / 500
