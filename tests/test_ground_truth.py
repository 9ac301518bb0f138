"""Translations against the truth: true pairs, scores between chance and the counterpart, and regressors."""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from skimage.metrics import structural_similarity
from test_tasks import run
from tiny_models import random_generator
from tiny_project import PARAMS, REPOSITORY, make_project, set_param

from experiments.paper.settings import RegressorConfig, sections_of
from experiments.paper.truth import (
    METRICS,
    AttributeRegressor,
    DrawnImage,
    HeldOut,
    ImageScore,
    attribute_columns,
    cache,
    cached_regressor,
    check_unpaired,
    draw_images,
    kept_attributes,
    load_cases,
    load_regressor,
    read_drawn,
    save_regressor,
    score_translations,
    settings_hash,
    summarize,
    train_regressor,
)
from experiments.paper.truth.columns import Kind, agreement, held_out_score
from experiments.paper.truth.loss import Targets
from experiments.synthetic.drawing.subjects import Attributes
from experiments.synthetic.procedural import draw, draw_dataset, sample_attributes
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import load_params, parse_params
from tasks.project.paths import Project
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from ui2i.images import to_tensor
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig
from ui2i.tables import KEPT_SCHEMA, TRUTH_SCHEMA, read_table
from ui2i.translation import NamedImages, translate_folder

# lpips itself asks torchvision in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")

TINY = RegressorConfig(
    num_drawings=8, num_held_out=4, num_epochs=1, batch_size=4, width=2, noise=0.1, precision="fp32", seed=77
)


def people_of(seed: int, count: int, style: str = "face") -> list[Attributes]:
    return [sample_attributes(seed, index, style) for index in range(count)]


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_images(people_of(0, 40), "face", 32)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The people of `faces` as cartoons."""
    return draw_images(people_of(0, 40), "cartoon", 32)


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
    with pytest.raises(DataError, match="equal its counterpart"):
        score_translations(faces[:1], {"x": others[:1]}, truth[:1], truth[:1], perceptual)


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
    assert value in np.round(orders, 15) or np.isclose(orders, value).any()
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


# The regressor


@pytest.fixture(scope="module")
def tiny_regressor() -> AttributeRegressor:
    return train_regressor("cartoon", TINY, resolution=32)


def test_the_loss_starts_at_1_for_the_best_constant_and_ends_at_0() -> None:
    people = people_of(0, 300)
    columns = attribute_columns(people)
    targets = Targets.of(columns, people)
    constant, perfect = [], []
    for column in columns:
        values = column.values(people)
        if column.kind == "number":
            constant.append(np.zeros((300, 1)))
            perfect.append((values[:, None] - column.mean) / column.scale)
        elif column.kind == "hue":
            constant.append(np.zeros((300, 2)))
            perfect.append(np.stack([np.cos(2 * np.pi * values), np.sin(2 * np.pi * values)], axis=1))
        else:
            shares = np.bincount(values.astype(int), minlength=len(column.classes)) / 300
            constant.append(np.tile(np.log(shares), (300, 1)))
            perfect.append(50 * np.eye(len(column.classes))[values.astype(int)])
    everybody = torch.arange(300)
    assert targets.loss(torch.tensor(np.concatenate(constant, axis=1)), everybody).item() == pytest.approx(1, abs=1e-3)
    assert targets.loss(torch.tensor(np.concatenate(perfect, axis=1)), everybody).item() == pytest.approx(0, abs=1e-6)


def test_the_regressor_learns_a_handful_by_heart() -> None:
    config = dataclasses.replace(TINY, num_drawings=24, num_epochs=120, batch_size=24, width=8, noise=0.0)
    regressor = train_regressor("cartoon", config, resolution=32)
    people = people_of(config.seed, 24)
    read = regressor.read(to_tensor(draw_images(people, "cartoon", 32)))
    for column in regressor.columns:
        if column.name != "cheek_width":  # hardly shows at 32 px
            assert held_out_score(column.kind, column.values(people), read[column.name])[0] > 0.7, column.name


def test_equal_settings_train_equal_regressors(tiny_regressor: AttributeRegressor) -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    again = train_regressor("cartoon", TINY, resolution=32)
    assert torch.equal(before, torch.random.get_rng_state())
    assert again.held_out == tiny_regressor.held_out
    for name, value in tiny_regressor.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    other = train_regressor("cartoon", dataclasses.replace(TINY, seed=78), resolution=32)
    assert not torch.equal(other.layers[0].weight, tiny_regressor.layers[0].weight)


def test_an_image_is_read_alone_as_among_others(truth: np.ndarray) -> None:
    regressor = train_regressor("cartoon", dataclasses.replace(TINY, num_epochs=4), resolution=32).train()
    together, alone = regressor.read(to_tensor(truth)), regressor.read(to_tensor(truth[3:4]))
    assert all(np.allclose(alone[name], together[name][3:4], atol=1e-4) for name in together)


def test_large_images_are_averaged_down(tiny_regressor: AttributeRegressor) -> None:
    small = torch.rand(3, 3, 32, 32) * 2 - 1
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    read, read_large = tiny_regressor.read(small), tiny_regressor.read(large)
    assert all(np.allclose(read[name], read_large[name], atol=1e-4) for name in read)
    regressor = train_regressor("cartoon", dataclasses.replace(TINY, num_drawings=2, batch_size=2), resolution=128)
    assert regressor.resolution == 64
    for shape in [(1, 3, 16, 16), (1, 1, 32, 32), (3, 32, 32)]:
        with pytest.raises(DataError, match="at least 32"):
            tiny_regressor.read(torch.zeros(shape))


def test_skill_is_measured_on_drawings_that_were_not_trained_on(tiny_regressor: AttributeRegressor) -> None:
    people = people_of(TINY.seed, 12)[8:]
    read = tiny_regressor.read(to_tensor(draw_images(people, "cartoon", 32)))
    for column in tiny_regressor.columns:
        measure = tiny_regressor.held_out[column.name]
        expected = held_out_score(column.kind, column.values(people), read[column.name])
        assert (measure.score, measure.baseline) == pytest.approx(expected)


def test_progress_fills_once() -> None:
    reports: list[tuple[int, int]] = []
    train_regressor("cartoon", TINY, resolution=32, progress=lambda done, total, note="": reports.append((done, total)))
    assert reports == sorted(reports)
    assert reports[-1] == (20, 20)


def test_a_loss_that_explodes_is_an_error() -> None:
    with pytest.raises(TrainingError, match="lower its learning_rate"):
        train_regressor("cartoon", dataclasses.replace(TINY, num_epochs=8, learning_rate=1e30), resolution=32)


@pytest.mark.parametrize("change", [{"num_drawings": 1}, {"noise": -1.0}, {"seed": -1}, {"width": 0}])
def test_settings_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RegressorConfig(**change)


# On disk


def test_a_saved_regressor_reads_the_same(
    tiny_regressor: AttributeRegressor, tmp_path: Path, truth: np.ndarray
) -> None:
    save_regressor(tmp_path / "cartoon.safetensors", tiny_regressor)
    loaded = load_regressor(tmp_path / "cartoon.safetensors")
    assert (loaded.style, loaded.resolution, loaded.config) == ("cartoon", 32, TINY)
    assert (loaded.columns, loaded.held_out) == (tiny_regressor.columns, tiny_regressor.held_out)
    read, expected = loaded.read(to_tensor(truth)), tiny_regressor.read(to_tensor(truth))
    assert all(np.array_equal(read[name], expected[name]) for name in expected)


def test_a_damaged_regressor_is_refused(tiny_regressor: AttributeRegressor, tmp_path: Path) -> None:
    path = tmp_path / "cartoon.safetensors"
    with pytest.raises(CheckpointError, match="does not exist"):
        load_regressor(path)
    save_regressor(path, tiny_regressor)
    for damaged in (
        path.read_bytes()[:-40],
        b"",
        path.read_bytes().replace(b"attribute_regressor", b"attribute_regress0r"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="remove it, and it is trained again"):
            load_regressor(path)


def test_a_regressor_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def train(style: str, config: RegressorConfig, **options: Any) -> AttributeRegressor:
        trained.append(style)
        return train_regressor(style, config, **options)

    monkeypatch.setattr(cache, "train_regressor", train)
    for style, config in [
        ("cartoon", TINY),
        ("cartoon", TINY),
        ("face", TINY),
        ("face", dataclasses.replace(TINY, width=3)),
    ]:
        cached_regressor(tmp_path, style, config, resolution=32)
    assert trained == ["cartoon", "face", "face"]
    assert len(list(tmp_path.iterdir())) == 3


def test_another_drawing_makes_another_regressor(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_hash("cartoon", TINY, 32)
    assert before == settings_hash("cartoon", TINY, 32)
    monkeypatch.setattr(cache, "drawing_sample", lambda *_: np.zeros((4, 32, 32, 3), np.uint8))
    assert before != settings_hash("cartoon", TINY, 32)


# What was kept


def reading(columns: Any, values: dict[int, dict[str, np.ndarray]]) -> Any:
    """A regressor that reads given values from images whose first level is the key."""
    held_out = {column.name: HeldOut(score=0.9, baseline=0.0) for column in columns} | {
        "roll": HeldOut(score=0.1, baseline=0.0)
    }
    return SimpleNamespace(
        columns=columns,
        held_out=held_out,
        read=lambda images: values[round((images[0, 0, 0, 0].item() + 1) * 127.5)],
        unreadable=lambda least: [name for name, measure in held_out.items() if measure.skill < least],
    )


def test_what_is_read_as_from_the_truth_was_kept_and_what_is_shuffled_was_not() -> None:
    people = people_of(0, 200)
    columns = attribute_columns(people)
    exact = {column.name: column.values(people) for column in columns}
    shuffle = np.random.default_rng(0).permutation(200)
    noisy = {name: values[np.where(np.arange(200) % 2 == 0, np.arange(200), shuffle)] for name, values in exact.items()}
    regressor = reading(columns, {0: noisy, 1: {name: values[shuffle] for name, values in exact.items()}, 2: exact})

    def kept(outputs: int, counterparts: int) -> dict[str, Any]:
        images = [np.full((200, 32, 32, 3), level, np.uint8) for level in (outputs, counterparts)]
        return {it.attribute: it for it in kept_attributes(regressor, images[0], images[1], people)}

    whole, lost, half = kept(2, 2), kept(1, 2), kept(0, 2)
    assert set(whole) == set(exact) - {"roll"}, "what cannot be read is left out"
    for name, attribute in whole.items():
        assert attribute.kept == pytest.approx(1)
        assert attribute.agreement == attribute.ceiling == pytest.approx(1)
        assert abs(lost[name].kept) < 0.35
        assert lost[name].ci95_low < lost[name].kept < lost[name].ci95_high
        assert 0.25 < half[name].kept < 0.75
        assert half[name].ci95_low < half[name].kept < half[name].ci95_high
    assert np.mean([abs(it.kept) for it in lost.values()]) < 0.1
    # Where the ceiling itself is half, a translation that is read as well has kept all that can be known.
    assert kept(0, 0)["glasses"].kept == pytest.approx(1)
    assert kept(0, 0)["glasses"].ceiling < 0.9
    # Where the truth cannot be read at all, nothing can be said.
    assert kept(2, 1)["yaw"].kept is None or kept(2, 1)["yaw"].ceiling > 0.01


def test_too_few_images_to_compare(tiny_regressor: AttributeRegressor, truth: np.ndarray) -> None:
    for count, num_people in ((1, 1), (4, 3)):
        with pytest.raises(DataError, match="at least 2"):
            kept_attributes(tiny_regressor, truth[:count], truth[:count], people_of(0, num_people))
    two = kept_attributes(tiny_regressor, truth[:2], truth[:2], people_of(0, 2), min_skill=-9.0)
    assert two
    assert all(it.kept is None or np.isfinite(it.kept) for it in two)


# The stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perceptual: Perceptual) -> Iterator[Project]:
    """A project in which 6 synthetic faces were translated by models that were never trained."""
    monkeypatch.chdir(tmp_path)
    project = make_project(tmp_path / "project")
    for name in ("face", "cartoon"):
        assert run(project, "draw", name) == 0
        assert run(project, "ingest", name) == 0
    translate(project, perceptual)
    return project


def translate(project: Project, perceptual: Perceptual) -> None:
    dataset = PreparedDataset(project.prepared("face"))
    shard = pq.read_table(dataset.path / dataset.manifest.shards[0].name).take(dataset.ids[:6])
    inputs = NamedImages(
        names=shard["source_path"].to_pylist(), images=dataset.images(slice(6)), sha256s=shard["sha256"].to_pylist()
    )
    translate_folder(
        inputs,
        random_generator(1),
        {"FC-FT": random_generator(2), "FC-FT-LS8": random_generator(3)},
        perceptual,
        InversionConfig(num_steps=1),
        project.translations("cartoon"),
        domain="cartoon",
        source_hash="base",
        target_hashes={"FC-FT": "first", "FC-FT-LS8": "second"},
        force=True,  # they share no mapping network
    )


def test_the_stage_writes_its_tables(project: Project) -> None:
    settings = {"num_drawings": 60, "num_held_out": 20, "num_epochs": 10, "batch_size": 12, "width": 8}
    set_param(project, "truth.cartoon.regressor", settings)
    assert run(project, "truth", "cartoon") == 0
    scores = read_table(project.truth_table("cartoon"), TRUTH_SCHEMA)
    assert len(scores) == 6 * 2 * len(METRICS)
    drawn = read_drawn(project.raw("face"))
    for _, row in scores.iterrows():
        assert drawn[row["input_path"]] == DrawnImage(
            style="face", seed=row["synthetic_seed"], index=row["synthetic_index"]
        )
        assert row["score"] == 1 - row["distance"] / row["chance_distance"]
    assert set(zip(scores["variant"], scores["checkpoint_hash"], strict=True)) == {
        ("FC-FT", "first"),
        ("FC-FT-LS8", "second"),
    }
    summary = json.loads(project.truth_table("cartoon").with_suffix(".json").read_text())
    own = scores[(scores["variant"] == "FC-FT") & (scores["metric"] == "lpips")]
    assert summary["variants"]["FC-FT"]["lpips"]["mean"] == pytest.approx(own["score"].mean())
    assert summary["copy"]["lpips"]["mean"] == pytest.approx(own["copy_score"].mean())
    gain = summary["gain_over_copy"]["FC-FT"]["lpips"]
    assert gain["mean"] == pytest.approx((own["score"] - own["copy_score"]).mean())
    assert gain["sem"] == pytest.approx((own["score"] - own["copy_score"]).sem())
    assert summary["num_images"] == 6
    kept = read_table(project.truth_table("cartoon").with_suffix(".attributes.parquet"), KEPT_SCHEMA)
    assert set(zip(kept["variant"], kept["style"], strict=True)) == {
        ("reconstruction", "face"), ("FC-FT", "cartoon"), ("FC-FT-LS8", "cartoon"),
    }  # fmt: skip
    assert not set(kept[kept["style"] == "cartoon"]["attribute"]) & set(summary["unreadable"])
    assert project.truth_sheet("cartoon").is_file()
    regressors = {path: path.stat().st_mtime_ns for path in project.regressors.iterdir()}
    assert len(regressors) == 2
    before = project.truth_table("cartoon").read_bytes()
    assert run(project, "truth", "cartoon") == 0
    assert {path: path.stat().st_mtime_ns for path in project.regressors.iterdir()} == regressors
    assert project.truth_table("cartoon").read_bytes() == before


def refusal(project: Project, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(project, "truth", "cartoon") == 2
    assert not project.truth_table("cartoon").exists()
    return capsys.readouterr().err


def test_paired_domains_are_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    draw_dataset("cartoon", 24, 1, project.raw("cartoon"), resolution=32)
    assert "6 inputs have their counterparts among the target's own images" in refusal(project, capsys)


def test_a_regressor_trained_on_what_it_judges_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    set_param(project, "truth.cartoon.regressor.seed", 1)
    assert "truth.cartoon.regressor.seed is 1, that of the images it would evaluate" in refusal(project, capsys)


def test_images_that_are_not_what_the_table_says_are_refused(
    project: Project, capsys: pytest.CaptureFixture[str], perceptual: Perceptual
) -> None:
    for path in sorted(project.raw("face").glob("*.png")):  # the mirror image: as if the drawing had changed since
        from PIL import Image, ImageOps

        ImageOps.mirror(Image.open(path)).save(path)
    assert run(project, "ingest", "face") == 0
    assert "000000.png was translated, expected an image of" in refusal(project, capsys)
    translate(project, perceptual)
    assert "of face differs by" in refusal(project, capsys)


def test_translations_of_other_images_are_refused(project: Project) -> None:
    dataset, folder = PreparedDataset(project.prepared("face"), None), project.translations("cartoon")
    with pytest.raises(DataError, match="expected one of 0 synthetic images"):
        load_cases(folder, dataset, {}, "cartoon")
    with pytest.raises(DataError, match="does not exist, expected a translation table"):
        load_cases(folder.parent, dataset, read_drawn(project.raw("face")), "cartoon")
    next(folder.glob("*-FC-FT.png")).unlink()
    with pytest.raises(DataError, match=r"FC-FT\.png cannot be read"):
        load_cases(folder, dataset, read_drawn(project.raw("face")), "cartoon")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {base: cartoon,", "truth.cartoon.base is 'cartoon'"),
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {", "truth.cartoon lacks 'base'"),
        ("truth:\n  cartoon:", "truth:\n  anime:", "expected None as in domains.anime"),
        ("truth:\n  cartoon: {base: face,", "truth:\n  cartoon: {base: face, num_draws: 0,", "num_draws is 0"),
        ("num_epochs: 1", "epochs: 1", "truth.cartoon.regressor has the unknown key 'epochs'"),
        ("  face: {style: face, num", "  faces: {style: face, num", "needs the images of face to be drawn"),
    ],
)
def test_the_section_is_checked(old: str, new: str, message: str) -> None:
    assert old in PARAMS
    with pytest.raises(ConfigError, match=message):
        parse_params(PARAMS.replace(old, new))
