"""Images unlike those of a model are told from them: the distance, its file, and what a translation makes of it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from tiny_project import REPOSITORY

from experiments.synthetic.procedural import draw, sample_attributes
from ui2i.checkpoints import load_discriminator
from ui2i.domain_check import (
    DomainCheck,
    DomainReference,
    Extractor,
    Reconstructions,
    discriminator_extractor,
    fit_reference,
    inverted_with,
    load_reference,
    reconstructions_of,
    save_reference,
    thumbnail_extractor,
)
from ui2i.errors import CheckpointError
from ui2i.files import sha256_file
from ui2i.networks.discriminator import Discriminator
from ui2i.settings import NetworkConfig
from ui2i.translation.inputs import list_inputs, readable_batches

VALUES: dict[str, Any] = {
    "features": "thumbnail",
    "features_hash": "f" * 64,
    "base_hash": "b" * 64,
    "dataset_hash": None,
    "origin": "images",
}
COLUMNS = {"base_hash": "b" * 64, "method": "w", "settings": "{}"}


def fitted(num_features: int = 6, **changes: Any) -> DomainReference:
    random = np.random.default_rng(0)
    spread = random.normal(size=(num_features, num_features))
    own, held_out = (random.normal(size=(count, num_features)) @ spread + 3 for count in (400, 200))
    return fit_reference(own, held_out, **VALUES | changes)


def blobs(count: int, seed: int, colour: int) -> np.ndarray:
    """Images of 32 px whose colours vary around one."""
    random = np.random.default_rng(seed)
    levels = random.normal(colour, 20, (count, 4, 4, 3)).clip(0, 255).astype(np.uint8)
    return levels.repeat(8, axis=1).repeat(8, axis=2)


def test_one_in_a_hundred_images_of_the_domain_is_unlike_it() -> None:
    random = np.random.default_rng(1)
    own, held_out, others = (random.normal(size=(count, 5)) for count in (5000, 5000, 5000))
    reference = fit_reference(own, held_out, **VALUES)
    assert (reference.distances(held_out) > 1).mean() == pytest.approx(0.01, abs=1e-3)
    assert (reference.distances(others) > 1).mean() == pytest.approx(0.01, abs=0.006)
    assert (reference.distances(others + 4) > 1).mean() > 0.9


def test_the_distance_is_literally_that_of_probabilistic_pca() -> None:
    """10 directions, a quarter as many as images, and one variance along the other two."""
    random = np.random.default_rng(6)
    own, held_out, others = (random.normal(size=(count, 12)) * np.geomspace(1, 9, 12) for count in (40, 90, 5))
    scaled = (own - own.mean(axis=0)) / own.std(axis=0)
    values, vectors = np.linalg.eigh(np.cov(scaled.T))
    values[:2] = values[:2].mean()
    inverse = vectors / values @ vectors.T
    far, at_end = ((images - own.mean(axis=0)) / own.std(axis=0) for images in (others, held_out))
    expected, ends = (np.sqrt(np.einsum("ni,ij,nj->n", z, inverse, z)) for z in (far, at_end))
    found = fit_reference(own, held_out, **VALUES).distances(others)
    np.testing.assert_allclose(found, expected / np.quantile(ends, 0.99), rtol=2e-3)


def test_a_feature_that_never_varies_makes_no_image_infinitely_far() -> None:
    random = np.random.default_rng(3)
    own, held_out = (np.pad(random.normal(size=(100, 3)), ((0, 0), (0, 1))) for _ in range(2))
    reference = fit_reference(own, held_out, **VALUES)
    assert np.isfinite(reference.distances(held_out)).all()


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    measured = Reconstructions(inverted_with="{}", num_images=12, ssim=0.8, ssim_low=0.6)
    reference = fitted(num_features=200, dataset_hash="d" * 64, reconstructions=(measured,))
    save_reference(tmp_path / "check.safetensors", reference)
    read = load_reference(tmp_path / "check.safetensors")
    # Bit for bit: a stage that is killed and goes on reads what it had made, and ends with the same rows.
    for other in np.random.default_rng(4).normal(size=(20, 1, 200)):
        np.testing.assert_array_equal(read.distances(other), reference.distances(other))
    arrays = ("mean", "scale", "directions", "variances")
    kept = [field.name for field in dataclasses.fields(reference) if field.name not in arrays]
    assert [getattr(read, name) for name in kept] == [getattr(reference, name) for name in kept]


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "other"])
def test_a_file_that_is_no_reference_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "check.safetensors"
    save_reference(path, fitted())
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-9])
    elif damage == "flipped":
        data[-3] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(b"no file")
    with pytest.raises(CheckpointError):
        load_reference(path)


@pytest.fixture(scope="module")
def extractors() -> dict[str, Extractor]:
    torch.manual_seed(0)
    config = NetworkConfig(img_resolution=32, channel_base=128, channel_max=8)
    discriminator = randomize(Discriminator(config)).eval().requires_grad_(False)
    return {"discriminator": discriminator_extractor(discriminator), "thumbnail": thumbnail_extractor()}


@pytest.mark.parametrize("kind", ["discriminator", "thumbnail"])
def test_features_tell_images_apart_and_depend_on_no_neighbour(extractors: dict[str, Extractor], kind: str) -> None:
    extractor = extractors[kind]
    own, held_out, others = blobs(120, 0, 90), blobs(60, 1, 90), blobs(30, 2, 190)
    reference = fit_reference(extractor(own), extractor(held_out), **VALUES)
    assert (reference.distances(extractor(held_out)) <= 1).mean() > 0.95
    assert (reference.distances(extractor(others)) > 1).mean() > 0.95
    alone = np.concatenate([extractor(held_out[place : place + 1]) for place in range(3)])
    np.testing.assert_allclose(extractor(held_out)[:3], alone, rtol=1e-4, atol=1e-5)


def test_a_discriminator_in_half_precision_is_the_same_one() -> None:
    torch.manual_seed(0)
    discriminator = randomize(Discriminator(NetworkConfig(img_resolution=32, channel_base=128, channel_max=8)))
    before = discriminator_extractor(discriminator).hash
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.copy_(parameter.half())
    assert discriminator_extractor(discriminator).hash == before
    state = discriminator.state_dict()
    for name in (min(state), max(state)):
        state[name].view(-1)[-1] += 1
        assert discriminator_extractor(discriminator).hash != before
        state[name].view(-1)[-1] -= 1


def test_reconstructions_are_judged_by_those_of_the_same_inversion() -> None:
    random = np.random.default_rng(5)
    ssims = random.normal(0.8, 0.05, 400).tolist()
    measured = reconstructions_of(ssims[:12], COLUMNS)
    assert measured is not None
    assert (measured.num_images, measured.inverted_with) == (12, inverted_with(COLUMNS))
    assert np.mean(np.array(ssims) < measured.ssim_low) < 0.03
    assert measured.ssim_low > 0.5
    assert reconstructions_of(ssims[:7], COLUMNS) is None
    assert inverted_with(COLUMNS | {"base_hash": "c" * 64}) == measured.inverted_with, "the reference has it itself"
    tailed = reconstructions_of([0.8, 0.81] * 12 + [0.6], COLUMNS)  # one image is far harder than the rest
    assert tailed is not None and tailed.ssim_low == 0.6

    extractor = Extractor(kind="thumbnail", hash="f" * 64, read=lambda x: x)
    check = DomainCheck(fitted(reconstructions=(measured,)), extractor, source="face")
    found = check.verdicts([0.5, 0.5, 1.5], [0.8, 0.2, 0.8], COLUMNS)
    assert [(verdict.looks_like_source, verdict.reconstructs_as_source) for verdict in found] == [
        (True, True),
        (True, False),
        (False, True),
    ]
    assert [verdict.is_marked for verdict in found] == [False, True, True]
    (other,) = check.verdicts([0.5], [0.2], COLUMNS | {"method": "w_plus"})
    assert other.reconstructs_as_source is None
    assert not other.is_marked


def test_the_limit_of_a_reconstruction_is_that_of_one_more_image() -> None:
    """Student's t of 11 degrees of freedom, at 99%, is 2.718079 (any table)."""
    measured = reconstructions_of([0.7, 0.9] * 6, COLUMNS)
    assert measured is not None
    deviation = 0.1 * math.sqrt(12 / 11)
    assert measured.ssim_low == pytest.approx(0.8 - 2.718079 * deviation * math.sqrt(1 + 1 / 12), abs=1e-6)


@pytest.mark.parametrize("base", ["avatar", "face"])
def test_a_shipped_base_has_its_check(base: str) -> None:
    """Of this very model, apart from what DVC compares, and able to tell its own kind of images from another."""
    folder = REPOSITORY / "data/base" / base
    reference = load_reference(folder / "domain_check.safetensors")
    assert reference.base_hash == sha256_file(folder / "generator.safetensors")
    assert reference.origin == "images"
    assert f"/data/base/{base}/domain_check.safetensors" in (REPOSITORY / ".dvcignore").read_text().splitlines()
    discriminator, card = load_discriminator(folder / "discriminator.safetensors")
    extractor = discriminator_extractor(discriminator)
    assert (extractor.hash, card.dataset_hash) == (reference.features_hash, reference.dataset_hash)
    images = {
        style: np.stack([draw(sample_attributes(21, index, style), style) for index in range(12)])
        for style in ("cat", "face")
    }
    with list_inputs(REPOSITORY / "data/avatars/micah-held-out.zip", 64) as listing:
        images["avatar"] = np.stack([image.image for image in next(iter(readable_batches(listing, 12)))])
    unlike = {style: int((reference.distances(extractor(drawn)) > 1).sum()) for style, drawn in images.items()}
    assert unlike.pop(base) <= 2
    assert set(unlike.values()) == {12}
