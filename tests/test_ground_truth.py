"""Translations against the truth: true pairs, and scores between chance and the counterpart."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_people import people_of
from drawn_people import truth as truth
from scipy import stats
from skimage.metrics import structural_similarity
from tiny_project import REPOSITORY

from experiments.paper.settings import sections_of
from experiments.paper.truth import (
    METRICS,
    DrawnImage,
    HeldOut,
    ImageScore,
    attribute_columns,
    check_unpaired,
    draw_images,
    read_drawn,
    score_translations,
    summarize,
)
from experiments.paper.truth.columns import Kind, agreement, held_out_score
from experiments.synthetic.procedural import draw, draw_dataset, sample_attributes
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import load_params
from tasks.project.paths import Project
from ui2i.errors import ConfigError, DataError
from ui2i.images import to_tensor
from ui2i.perceptual import Perceptual

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_images(people_of(0, 40), "face", 32)


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    """Cartoons of other people."""
    return draw_images(people_of(1, 80), "cartoon", 32)


# Pairs


@pytest.fixture
def drawn_faces(tmp_path: Path) -> Path:
    return draw_dataset("face", 6, 4, tmp_path / "face", resolution=32)


def test_a_drawn_folder_says_who_is_in_its_images(drawn_faces: Path, tmp_path: Path) -> None:
    images = read_drawn(drawn_faces)
    assert images["000003.png"] == DrawnImage(style="face", seed=4, index=3)
    row = pq.read_table(drawn_faces / "attributes.parquet").to_pylist()[3]
    assert dataclasses.asdict(images["000003.png"].attributes).items() <= row.items()


def test_a_counterpart_is_the_same_person_in_the_other_style(drawn_faces: Path) -> None:
    image = read_drawn(drawn_faces)["000005.png"]
    counterpart = draw_images([image.attributes], "cartoon", 32)[0]
    assert np.array_equal(counterpart, draw(sample_attributes(4, 5, "cartoon"), "cartoon", 32))


def test_a_larger_drawing_is_resized_as_ingest_does(drawn_faces: Path) -> None:
    large = draw_images(people_of(0, 1), "face", 32, drawn_resolution=64)[0].astype(int)
    assert large.shape == (32, 32, 3)
    means = draw(sample_attributes(0, 0), "face", 64).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(large - means).mean() < 6


def test_a_folder_of_other_attributes_is_refused(drawn_faces: Path) -> None:
    path = drawn_faces / "attributes.parquet"
    table = pq.read_table(path)
    smiles = pa.array(np.asarray(table["smile"]) + 0.1)
    pq.write_table(table.set_column(table.schema.get_field_index("smile"), "smile", smiles), path)
    with pytest.raises(DataError, match=r"another smile for 000000\.png than seed 4 and index 0 give"):
        read_drawn(drawn_faces)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_drawn(drawn_faces)


def drawn_as(style: str, seed: int, count: int = 3) -> dict[str, DrawnImage]:
    return {f"{index:06d}.png": DrawnImage(style=style, seed=seed, index=index) for index in range(count)}


def test_counterparts_among_the_training_images_are_refused() -> None:
    inputs = list(drawn_as("face", 1).values())
    check_unpaired(inputs, drawn_as("cartoon", 2))
    with pytest.raises(DataError, match=r"1 inputs have their counterparts .* \(seed 1, index 2 is 000002.png\)"):
        check_unpaired(inputs[2:], drawn_as("cartoon", 1))
    with pytest.raises(ConfigError, match="styles face and cat draw different subjects"):
        check_unpaired(inputs, drawn_as("cat", 2))


def test_no_seed_of_the_project_s_own_data_makes_pairs() -> None:
    params = load_params(Project(REPOSITORY))
    assert sections_of(params).truth
    for name, settings in sections_of(params).truth.items():
        seeds = [synthetic_of(params)[name].seed, synthetic_of(params)[settings.base].seed, settings.regressor.seed]
        assert len(set(seeds)) == 3


# Scores


def means(scores: list[ImageScore], variant: str, metric: str, field: str = "score") -> np.ndarray:
    return np.array([getattr(score, field) for score in scores if (score.variant, score.metric) == (variant, metric)])


def test_the_counterpart_scores_1_chance_0_and_a_copy_what_it_is_worth(
    faces: np.ndarray, truth: np.ndarray, others: np.ndarray, perceptual: Perceptual
) -> None:
    outputs = {"truth": truth, "chance": others[:40], "copy": faces, "half": (truth // 2 + others[:40] // 2)}
    scores = score_translations(faces, outputs, truth, others[40:], perceptual, num_draws=16)
    assert len(scores) == 40 * len(outputs) * len(METRICS)
    for metric in METRICS:
        assert np.allclose(means(scores, "truth", metric), 1, atol=1e-6)
        chance = summarize(means(scores, "chance", metric))
        assert abs(chance.mean) < 4 * chance.sem < 0.3
        assert np.array_equal(means(scores, "copy", metric), means(scores, "truth", metric, "copy_score"))
        assert 0.05 < means(scores, "half", metric).mean() < 0.9
    # A face and its cartoon have the layout in common.
    assert 0.02 < means(scores, "copy", "rmse").mean() < 0.9


def test_distances_are_those_of_the_metrics(
    faces: np.ndarray, truth: np.ndarray, others: np.ndarray, perceptual: Perceptual
) -> None:
    output = others[5:6]
    scores = score_translations(faces[:1], {"x": output}, truth[:1], others[7:8], perceptual)
    x, y, target = (to_tensor(images) for images in (output, truth[:1], others[7:8]))
    options = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    similarity = structural_similarity(x[0].numpy() + 1, y[0].numpy() + 1, data_range=2.0, **options)
    assert means(scores, "x", "lpips", "distance") == pytest.approx(perceptual.distance(x, y).item(), rel=1e-4)
    assert means(scores, "x", "lpips", "chance_distance") == pytest.approx(
        perceptual.distance(target, y).item(), rel=1e-4
    )
    assert means(scores, "x", "ssim", "distance") == pytest.approx(1 - similarity, rel=1e-4)
    assert means(scores, "x", "rmse", "distance") == pytest.approx((x - y).square().mean().sqrt().item(), rel=1e-5)
    assert scores[0].score == 1 - scores[0].distance / scores[0].chance_distance
    assert scores[0].num_draws == 1, "there are no more targets"
    two = score_translations(faces[:1], {"x": output}, truth[:1], others[7:9], perceptual)
    assert means(two, "x", "lpips", "chance_distance") == pytest.approx(
        perceptual.distance(to_tensor(others[7:9]), y.expand(2, -1, -1, -1)).mean().item(), rel=1e-4
    )


def test_a_score_depends_on_its_own_image_alone(
    faces: np.ndarray, truth: np.ndarray, others: np.ndarray, perceptual: Perceptual
) -> None:
    def score(count: int, seed: int = 0) -> list[ImageScore]:
        return score_translations(
            faces[:count], {"x": others[:count]}, truth[:count], others, perceptual, num_draws=3, seed=seed
        )

    several, one = score(34), score(1)  # 34: more than a batch
    assert means(several, "x", "ssim", "image").tolist() == list(range(34))
    for metric in METRICS:
        assert means(several, "x", metric)[0] == pytest.approx(means(one, "x", metric)[0], rel=1e-4)
    assert score(2) == score(2)
    assert score(2) != score(2, seed=1)


def test_what_does_not_fit_is_refused(
    faces: np.ndarray, truth: np.ndarray, others: np.ndarray, perceptual: Perceptual
) -> None:
    with pytest.raises(DataError, match=r"x has the shape \[3, 32, 32, 3\], expected that of the inputs"):
        score_translations(faces[:4], {"x": others[:3]}, truth[:4], others, perceptual)
    with pytest.raises(DataError, match="counterparts has the shape"):
        score_translations(faces[:4], {"x": others[:4]}, truth[:3], others, perceptual)
    with pytest.raises(DataError, match="4 inputs and targets of shape"):
        score_translations(faces[:4], {"x": others[:4]}, truth[:4], others[:0], perceptual)
    with pytest.raises(DataError, match="equals its counterpart"):
        score_translations(faces[:1], {"x": others[:1]}, truth[:1], truth[:1], perceptual)
    among = np.concatenate([others[:3], truth[:1]])
    with pytest.raises(DataError, match="a target image drawn for image 0 equals its counterpart"):
        score_translations(faces[:1], {"x": others[:1]}, truth[:1], among, perceptual)


def test_summary_against_scipy() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.2, 30)
    summary = summarize(values.tolist())
    low, high = stats.t.interval(0.95, 29, loc=values.mean(), scale=stats.sem(values))
    assert dataclasses.astuple(summary) == pytest.approx((values.mean(), stats.sem(values), low, high, 30))
    with pytest.raises(DataError, match="expected at least 2"):
        summarize([0.5])


# Columns


def test_attributes_become_columns() -> None:
    columns = {column.name: column for column in attribute_columns(people_of(0, 200))}
    assert columns["yaw"].kind == "number"
    assert columns["background_hue"].kind == "hue"
    assert columns["glasses"].classes == ("half_rim", "none", "round", "square", "sunglasses")
    assert columns["freckles"].classes == ("False", "True")
    assert columns["hair_side"].classes == ("-1", "1")
    assert "texture_seed" not in columns
    yaws = columns["yaw"].values(people_of(0, 200))
    assert (yaws.mean(), yaws.std()) == pytest.approx((columns["yaw"].mean, columns["yaw"].scale))
    kinds = [column.kind for column in columns.values()]
    assert kinds == sorted(kinds, key=["number", "hue", "category"].index)
    assert "ear_fold" in {column.name for column in attribute_columns(people_of(0, 20, "cat"))}


def test_a_column_that_never_varies_is_left_out() -> None:
    same = [dataclasses.replace(person, glasses="none", yaw=0.1) for person in people_of(0, 20)]
    assert not {"glasses", "yaw"} & {column.name for column in attribute_columns(same)}


TRUE = np.array([0.1, 0.35, 0.9, 0.62, 0.97])
READ = np.array([0.2, 0.3, 0.99, 0.1, 0.05])


@pytest.mark.parametrize(
    ("kind", "true", "read"),
    [("number", TRUE, READ), ("hue", TRUE, READ), ("category", TRUE.round(), np.array([0.0, 0, 1, 0, -1]))],
)
def test_chance_is_the_mean_over_all_orders(kind: Kind, true: np.ndarray, read: np.ndarray) -> None:
    value, chance = agreement(kind, true, read)
    orders = [agreement(kind, true, read[list(order)])[0] for order in itertools.permutations(range(5))]
    assert chance == pytest.approx(np.mean(orders), abs=1e-12)
    assert agreement(kind, true, true)[0] == pytest.approx(1)
    stacked = agreement(kind, np.stack([true, true]), np.stack([read, true]))[0]
    assert stacked == pytest.approx([float(value), 1])


def test_agreements_are_what_they_are_called() -> None:
    assert agreement("number", TRUE, READ)[0] == pytest.approx(np.corrcoef(TRUE, READ)[0, 1])
    assert agreement("number", TRUE, np.full(5, 0.3))[0] == 0
    assert agreement("hue", np.array([0.99]), np.array([0.01]))[0] == pytest.approx(np.cos(0.02 * 2 * np.pi))
    assert agreement("hue", np.array([0.2]), np.array([0.7]))[0] == pytest.approx(-1)
    assert agreement("category", np.array([1.0, 2, 3, 3]), np.array([1.0, 2, 2, 3]))[0] == 0.75


def test_held_out_scores_against_the_best_constant() -> None:
    assert held_out_score("number", TRUE, READ)[0] == pytest.approx(1 - ((TRUE - READ) ** 2).mean() / TRUE.var())
    assert held_out_score("number", TRUE, np.full(5, TRUE.mean()))[0] == pytest.approx(0)
    score, baseline = held_out_score("category", np.array([1.0, 1, 1, 2]), np.array([1.0, 1, 1, 1]))
    assert (score, baseline) == (0.75, 0.75)
    assert HeldOut(score=score, baseline=baseline).skill == 0
    assert HeldOut(score=0.9, baseline=0.6).skill == pytest.approx(0.75)
    score, baseline = held_out_score("hue", np.array([0.1, 0.1, 0.6]), np.array([0.1, 0.1, 0.1]))
    assert (score, baseline) == pytest.approx((1 / 3, 1 / 3))
