"""Whether a set's images look one way, and what follows from it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_project import REPOSITORY
from training_run import CONFIG, differences, snapshot

from tasks.requests.raw_images import sample_facing
from ui2i.datasets.facing import MIN_IMAGES, describe_mirroring, facing_share, is_one_sided
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.images import save_png
from ui2i.settings import IngestConfig, NetworkConfig
from ui2i.training.loop import train

INGEST = IngestConfig(img_resolution=32, test_share=0.1)


def profiles(count: int, *, both_ways: bool) -> list[np.ndarray]:
    """Noise with a bright spot on the right, in every second image on the left if `both_ways`."""
    random = np.random.default_rng(0)
    images = random.integers(0, 128, (count, 32, 32, 3), dtype=np.uint8)
    images[:, 10:22, 20:28] += 100
    if both_ways:
        images[::3] = images[::3, :, ::-1]
        images[1::6] = images[1::6, :, ::-1]
    return list(images)


@pytest.fixture(scope="module")
def one_sided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared dataset."""
    root = tmp_path_factory.mktemp("one-sided")
    for index, image in enumerate(profiles(40, both_ways=False)):
        save_png(root / "raw" / f"{index:02}.png", image)
    ingest(root / "raw", root / "prepared", INGEST, name="profiles")
    return root / "prepared"


def test_the_share_tells_sets_that_look_one_way_from_others() -> None:
    assert facing_share(profiles(60, both_ways=False)) == 1
    assert 0.5 <= (facing_share(profiles(60, both_ways=True)) or 0) < 0.7
    assert facing_share(profiles(MIN_IMAGES - 1, both_ways=False)) is None
    assert facing_share(profiles(MIN_IMAGES, both_ways=False)) == 1


@pytest.mark.parametrize(("step", "share"), [(2, 0.5), (8, 0.875)])
def test_each_half_of_a_set_is_judged_by_the_other(step: int, share: float) -> None:
    images = np.stack(profiles(64, both_ways=False))
    images[1::step] = images[1::step, :, ::-1]  # all, or a quarter, of the second half
    assert facing_share(list(images)) == share


def test_symmetric_images_have_no_direction() -> None:
    assert facing_share([np.maximum(image, image[:, ::-1]) for image in profiles(40, both_ways=False)]) == 0.5


def test_the_shipped_avatars_look_one_way() -> None:
    for name in ("lorelei.zip", "micah-held-out.zip"):
        assert is_one_sided(sample_facing(REPOSITORY / "data/avatars" / name, INGEST))


def test_a_dataset_knows_it_and_older_ones_are_mirrored_as_before(one_sided: Path, tiny_prepared: Path) -> None:
    dataset = PreparedDataset(one_sided)
    assert dataset.facing_share == 1 and not dataset.suits_mirroring
    dataset.manifest.statistics.pop("facing_share")
    assert dataset.facing_share is None and dataset.suits_mirroring


def test_training_mirrors_unless_the_images_look_one_way(
    one_sided: Path, network_config: NetworkConfig, tmp_path: Path
) -> None:
    dataset = PreparedDataset(one_sided)
    config = dataclasses.replace(CONFIG, total_kimg=0.008)
    states = {
        mirror: snapshot(
            train(dataset, tmp_path / str(mirror), network_config, dataclasses.replace(config, mirror=mirror))
        )
        for mirror in (None, False, True)
    }
    assert not differences(states[None], states[False])
    assert differences(states[None], states[True])


@pytest.mark.parametrize(
    ("share", "mirror", "said"),
    [
        (0.99, None, "off: 99% of the images can be told from their mirror images"),
        (0.55, None, "on: 55% of the images can be told from their mirror images"),
        (None, None, "on: it was not measured"),
        (0.99, True, "on, as set (99% of the images can be told from their mirror images)"),
    ],
)
def test_it_is_said(share: float | None, mirror: bool | None, said: str) -> None:
    assert describe_mirroring(share, mirror) == said
