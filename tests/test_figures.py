"""Figures 4 to 8: which images they show, and measurements whose answer is known."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from figure_family import family as family
from figure_family import model
from scipy import stats
from tiny_models import random_generator, random_ws
from tiny_project import PARAMS

from experiments.paper.figure_stage.ablation import Measured, _difference, _rows
from experiments.paper.figure_stage.directions import Moved, compare
from experiments.paper.figures.direction_sheet import PLACES, moved_images
from experiments.paper.figures.directions import (
    compare_changes,
    direction_changes,
    direction_steps,
    most_moved,
    telling_directions,
)
from experiments.paper.figures.guided import guided_images, measure_guided
from experiments.paper.figures.models import FigureModel, direct_swaps
from experiments.paper.figures.multi_modal import measure_multi_modal, multi_modal_images
from experiments.paper.figures.shared_latents import KeptTraits, Measures, images_of, kept_traits, measure_images
from experiments.paper.figures.traits import trait_regressor
from experiments.paper.settings import sections_of
from experiments.paper.stages.figures import with_set
from experiments.paper.truth import Column, HeldOut
from tasks.project.params import parse_params
from ui2i.errors import ConfigError
from ui2i.images import to_tensor, to_uint8
from ui2i.layer_swap import swap_weights
from ui2i.metrics.frechet import frechet_distance, frechet_standard_error, kernel_distance
from ui2i.translation import Reference, TranslationConfig, mix_styles, sample_style, semantic_step

pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


# Figures 4 and 5


def test_the_images_of_figure_4_are_those_of_the_translation(family):
    ws, config = random_ws(family.base.generator, 2), TranslationConfig(num_styles=2, num_style_layers=3)
    pictures = multi_modal_images(family, ws, config, seed=5)
    assert list(pictures) == [
        "reconstruction",
        *(f"{domain}{end}" for domain in ("cartoon", "anime") for end in ("", "-style1", "-style2")),
    ]
    cartoon = family.first["cartoon"].generator
    assert np.array_equal(pictures["reconstruction"], to_uint8(family.base.generator.synthesis(ws)))
    assert np.array_equal(pictures["cartoon"], to_uint8(cartoon.synthesis(ws)))
    mixed = mix_styles(ws, sample_style(cartoon, 7), 3)
    assert np.array_equal(pictures["cartoon-style2"], to_uint8(cartoon.synthesis(mixed)))


def test_diversity_needs_two_inputs_and_two_styles(family, perceptual):
    ws = random_ws(family.base.generator, 2)
    inputs = to_uint8(family.base.generator.synthesis(ws))
    config = TranslationConfig(num_styles=2, num_style_layers=3)
    numbers = measure_multi_modal(family, inputs, ws, perceptual, config, seed=0)
    assert numbers["anime"]["num_style_layers"] == 3
    assert numbers["anime"]["lpips_d"] > 0
    assert measure_multi_modal(family, inputs[:1], ws[:1], perceptual, config, seed=0) == {}


def test_the_images_of_figure_5_have_a_reference_each(family):
    ws = random_ws(family.base.generator, 3)
    codes = random_ws(family.base.generator, 2, seed=1)
    references = [Reference(path=f"{place}", sha256="", ws=codes[place : place + 1]) for place in range(2)]
    translations, guided = guided_images(family, "anime", ws, references, TranslationConfig(num_style_layers=4))
    generator = family.first["anime"].generator
    assert np.array_equal(translations, to_uint8(generator.synthesis(ws)))
    assert guided.shape == (3, 2, 32, 32, 3)
    one = generator.synthesis(mix_styles(ws[2:], codes[1:], 4))
    assert np.abs(guided[2, 1].astype(int) - to_uint8(one)[0]).max() <= 1


def test_outputs_that_are_their_references_or_contents_are_at_distance_0(perceptual):
    random = np.random.default_rng(0)
    contents, references = (random.integers(0, 256, (count, 32, 32, 3), np.uint8) for count in (3, 2))
    as_references = np.broadcast_to(references[None], (3, 2, 32, 32, 3))
    numbers = measure_guided(contents, references, as_references, perceptual)
    assert numbers["lpips_own_reference"] == pytest.approx(0, abs=1e-6)
    assert numbers["lpips_other_references"] > 0.01
    as_contents = np.broadcast_to(contents[:, None], (3, 2, 32, 32, 3))
    numbers = measure_guided(contents, references, as_contents, perceptual)
    assert numbers["lpips_own_translation"] == pytest.approx(0, abs=1e-6)
    assert numbers["lpips_other_translations"] > 0.01
    assert numbers["lpips_own_reference"] > 0.01
    assert measure_guided(contents, references[:1], as_contents[:, :1], perceptual)["lpips_other_references"] is None


# Figure 6


def regressor_of(columns, skill=1.0, read=None):
    """A stand-in that reads what `read` gives for the images."""
    return SimpleNamespace(
        style="face",
        columns=tuple(columns),
        resolution=32,
        config=SimpleNamespace(seed=3, num_drawings=400),
        held_out={column.name: HeldOut(score=skill, baseline=0.0) for column in columns},
        unreadable=lambda min_skill: [column.name for column in columns if skill < min_skill],
        read=read,
    )


YAW = Column(name="yaw", kind="number", mean=0.0, scale=0.2)
GLASSES = Column(name="glasses", kind="category", classes=("half_rim", "none", "round", "square", "sunglasses"))
FRECKLES = Column(name="earrings", kind="category", classes=("False", "True"))
HUE = Column(name="background_hue", kind="hue")


def test_traits_are_numbers_and_classes_in_standard_deviations():
    readings = {"yaw": np.array([0.1, -0.3]), "glasses": np.array([1.0, 2.0]), "earrings": np.array([1.0, 0.0])}
    regressor = trait_regressor(regressor_of([YAW, HUE, GLASSES, FRECKLES], read=lambda images: readings), 0.25)
    assert regressor.names[:2] == ("yaw", "glasses: half_rim")
    assert regressor.names[-1] == "earrings: True", "of two classes the second alone"
    assert "earrings: False" not in regressor.names and not any("hue" in name for name in regressor.names)
    values = regressor.read(np.zeros((2, 32, 32, 3), np.uint8))
    assert values[:, 0] == pytest.approx([0.5, -1.5])
    none = values[:, regressor.names.index("glasses: none")]
    assert none[1] == 0 and 1.8 < none[0] < 2.6, "68 of 100 have none: 1 / sqrt(0.68 * 0.32) = 2.1"
    assert trait_regressor(regressor_of([YAW], skill=0.2), 0.25).names == ()


def mean_colours(images):
    """A regressor whose traits are the mean colours of the four quarters."""
    quarters = images.reshape(len(images), 2, 16, 2, 16, 3).mean(axis=(2, 4))
    return quarters.reshape(len(images), 12)


def test_a_direction_that_moves_the_same_in_two_models_agrees_and_a_permuted_one_does_not(family):
    generator = family.base.generator
    z = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    steps = direction_steps(generator, range(1, 7), 2.0)
    changes = direction_changes(generator, z, steps, mean_colours).mean(axis=1)
    assert changes.shape == (6, 12)
    # Another model, whose images are others and whose traits change alike: ten times as much, from elsewhere.
    alike = direction_changes(generator, z, steps, lambda images: 10 * mean_colours(images) + 7).mean(axis=1)
    agreement = compare_changes(changes, alike)
    assert agreement.cosines == pytest.approx(1)
    assert agreement.mean == pytest.approx(1)
    assert abs(agreement.chance_mean) < 0.5
    assert agreement.p_value < 0.01
    assert compare_changes(changes, -alike).mean == pytest.approx(-1)
    permuted = compare_changes(changes, np.roll(alike, 1, axis=0))
    assert permuted.mean < 0.5
    assert permuted.p_value > 0.05


def test_chance_is_that_of_pairs_of_different_directions():
    random = np.random.default_rng(0)
    base = random.normal(size=(40, 30))
    agreement = compare_changes(base, base + 0.01 * random.normal(size=base.shape))
    assert agreement.mean == pytest.approx(1, abs=0.01)
    assert abs(agreement.chance_mean) < 0.02
    assert agreement.chance_std == pytest.approx(30**-0.5, rel=0.2), "of cosines in 30 dimensions"
    assert agreement.chance.mean() == pytest.approx(agreement.chance_mean)
    unrelated = compare_changes(base, random.normal(size=base.shape))
    assert abs(unrelated.mean) < 0.1
    assert unrelated.p_value > 0.01
    nothing = compare_changes(base[:1], np.zeros((1, 30)))
    assert (nothing.mean, nothing.p_value, nothing.chance_mean) == (0, None, 0)


def test_chance_is_a_direction_s_among_the_others_and_the_share_that_of_pairings_as_good():
    model = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0.8, 0.6]])
    agreement = compare_changes(np.eye(3), model)
    assert agreement.cosines == pytest.approx([1, 0.8, 0.6])
    assert agreement.chance == pytest.approx([0.3, 0.4, 0])
    assert agreement.p_value == pytest.approx(1 / 6, abs=0.02), "the true one of six, drawn as often as the others"


def test_a_base_is_compared_with_itself_by_halves_of_the_latents(family):
    regressor = SimpleNamespace(names=("yaw", "smile"))
    base = np.array([[[1, 0], [1, 0], [0, 0.8], [0, 0.8]], [[0, -1]] * 4])
    other = np.array([[[-0.6, 0.8]] * 4, [[0.3, -0.4]] * 4])
    pairs = ((family.base, base), (family.first["anime"], other))
    moved = [Moved(model=model, regressor=regressor, changes=changes) for model, changes in pairs]
    settings = SimpleNamespace(seed=0, strength=2.0, num_directions=2)
    rows, numbers = compare(SimpleNamespace(settings=settings, made={}), family, moved)
    assert [row["cosine"] for row in rows] == pytest.approx([0, 1, 0.02 / 0.41**0.5, 0.8])
    assert [(row["top_trait"], row["top_rank"]) for row in rows[2:]] == [("yaw", 2), ("smile", 1)]
    summary = numbers["models"]["anime/FC-FT"]
    assert (summary["top_trait_moves_the_same_way"], summary["top_trait_is_the_top_here_too"]) == (1, 1)


def test_a_change_is_half_of_what_lies_between_both_ways(family):
    generator = family.base.generator
    z, step = torch.randn(3, 8), semantic_step(generator, 2, 1.5)
    changes = direction_changes(generator, z, step[None], mean_colours, truncation_psi=0.7)[0]
    w = generator.truncate(generator.mapping(z), 0.7)
    ends = [mean_colours(to_uint8(generator.synthesis(generator.broadcast(w + sign * step)))) for sign in (1, -1)]
    assert changes == pytest.approx((ends[0] - ends[1]) / 2)
    back = direction_changes(generator, z, -step[None], mean_colours, truncation_psi=0.7)[0]
    assert back == pytest.approx(-changes)


def test_the_telling_directions_are_those_that_move_most_each_another_attribute():
    names = ["yaw", "glasses: none", "glasses: round"]
    changes = np.array([[0.1, 0.5, 0.0], [0.2, 0.0, -0.9], [0.7, 0.1, 0.1], [0.0, 0.1, 0.0]])
    assert most_moved(changes, names)[1] == ("glasses: round", -0.9)
    assert telling_directions(changes, names, 3) == [1, 2]
    assert telling_directions(changes, names, 1) == [1]


def test_the_images_of_figure_6_are_steps_of_the_base_in_every_model(family):
    ws = random_ws(family.base.generator, 1)
    pictures = moved_images(family, ws, [3, 1], 2.0)
    assert list(pictures) == ["face", "cartoon", "anime"]
    assert all(len(images) == 2 * len(PLACES) for images in pictures.values())
    generator = family.first["anime"].generator
    step = semantic_step(family.base.generator, 1, 2.0)
    assert np.array_equal(pictures["anime"][-1:], to_uint8(generator.synthesis(ws + step)))
    assert np.array_equal(pictures["anime"][2:3], to_uint8(generator.synthesis(ws)))
    assert np.array_equal(pictures["face"][2:3], to_uint8(family.base.generator.synthesis(ws)))


# Figures 7 and 8


def test_direct_ls_is_a_swap_with_a_model_that_was_not_fine_tuned():
    base, other = model("face", "scratch", 0), model("cartoon", "scratch", 1)
    swapped = direct_swaps(base, other, [8, 16])
    assert [(each.name, each.swap_resolution) for each in swapped] == [
        ("cartoon/Direct-LS8", 8), ("cartoon/Direct-LS16", 16),
    ]  # fmt: skip
    z = torch.randn(2, 8)
    expected = swap_weights(base.generator, other.generator, 16)(z)
    assert torch.equal(swapped[1].generator(z), expected)
    wider = FigureModel(domain="x", mode="scratch", generator=random_generator(1, channel_max=7), hash="x")
    assert direct_swaps(base, wider, [8]) == []


def test_measures_of_images(family, perceptual):
    z = torch.randn(6, 8)
    of_base = images_of(family.base.generator, z, 0.8)
    assert np.array_equal(of_base, to_uint8(family.base.generator(z, truncation_psi=0.8)))
    images = images_of(family.first["anime"].generator, z, 0.8)
    target = perceptual.embed(to_tensor(images)).double().numpy()
    same = measure_images(of_base, of_base, target, perceptual)
    assert same.lpips == pytest.approx(np.zeros(6), abs=1e-6)
    measures = measure_images(images, of_base, target, perceptual)
    expected = perceptual.distance(to_tensor(images), to_tensor(of_base)).double().numpy()
    assert measures.lpips == pytest.approx(expected, rel=1e-5)
    assert measures.fd == pytest.approx(0, abs=1e-6) and same.fd > 0.1
    features = perceptual.embed(to_tensor(of_base)).double().numpy()
    found = (frechet(features, target) for frechet in (frechet_distance, frechet_standard_error, kernel_distance))
    assert (same.fd, same.fd_sem, same.kd) == pytest.approx(tuple(found), rel=1e-3)


def test_intervals_of_measures_have_95_percent(family):
    measures = Measures(lpips=np.array([0.1, 0.2, 0.6]), fd=5.0, fd_sem=1.0, kd=0.1)
    measured = Measured(model=family.base, measures=measures, kept=None, num_targets=3)
    setup = SimpleNamespace(made={}, perceptual=SimpleNamespace(name="", weights_hash=""))
    lpips, fd, _ = _rows(setup, SimpleNamespace(family=family), measured, "8")
    literal = stats.t.interval(0.95, 2, loc=0.3, scale=stats.sem(measures.lpips))
    assert (lpips["ci95_low"], lpips["ci95_high"]) == pytest.approx(literal)
    assert (fd["ci95_low"], fd["ci95_high"]) == pytest.approx(stats.norm.interval(0.95, loc=5), abs=1e-3)
    resampled = np.arange(1001.0) * np.array([[1], [3]])
    kept = KeptTraits(attributes=("yaw", "smile"), values=np.zeros(2), resampled=resampled)
    assert (kept.interval(0), kept.interval()) == (pytest.approx((25, 975)), pytest.approx((50, 1950)))
    of_ft = dataclasses.replace(kept, values=kept.values - 0.2, resampled=resampled - 0.2)
    nearer = dataclasses.replace(measures, lpips=measures.lpips - 0.1)
    differ = _difference(
        dataclasses.replace(measured, kept=kept), dataclasses.replace(measured, measures=nearer, kept=of_ft)
    )
    assert differ == {"lpips": pytest.approx([0.1] * 3), "traits": pytest.approx([0.2] * 3)}, "latent by latent"


def test_traits_are_kept_wholly_by_the_same_images_and_not_at_all_by_others():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (400, 32, 32, 3), np.uint8)
    read = {"yaw": random.normal(size=400), "glasses": random.integers(0, 5, 400).astype(float)}
    shuffled = {name: random.permutation(values) for name, values in read.items()}
    own = regressor_of([YAW, GLASSES], read=lambda _: read)
    kept = kept_traits(images, images, own, own, min_skill=0.25)
    assert kept.attributes == ("yaw", "glasses")
    assert kept.values == pytest.approx([1, 1]) and kept.interval() == pytest.approx((1, 1))
    lost = kept_traits(images, images, own, regressor_of([YAW, GLASSES], read=lambda _: shuffled), min_skill=0.25)
    assert np.abs(lost.values).max() < 0.15
    draws = np.random.default_rng(0).integers(400, size=(500, 400))
    again = [np.corrcoef(read["yaw"][own], shuffled["yaw"][own])[0, 1] for own in draws]
    assert lost.resampled[0] == pytest.approx(again), "of latents drawn again"
    low, high = lost.interval()
    assert low < lost.mean < high and low < 0.05 and high > -0.05
    # The other style's drawings lack a class: places differ, names do not.
    fewer = Column(name="glasses", kind="category", classes=GLASSES.classes[1:])
    later = regressor_of([fewer], read=lambda _: {"glasses": read["glasses"] - 1})
    assert kept_traits(images, images, own, later, min_skill=0.25).values == pytest.approx([1])
    assert (
        kept_traits(images, images, own, regressor_of([YAW], skill=0.1, read=lambda _: read), min_skill=0.25).attributes
        == ()
    )


# Settings


def test_the_section_may_be_left_out_and_quick_is_less():
    assert sections_of(parse_params(PARAMS)).figures == {}
    figures = "figures: {paper: %s}\n"
    usual = sections_of(parse_params(PARAMS + figures % "{}")).figures["paper"]
    smaller = figures % "{quick: true, num_moved: 5, inversion: {seed: 3}}"
    quick = sections_of(parse_params(PARAMS + smaller)).figures["paper"]
    assert quick.num_latents < usual.num_latents
    assert quick.regressor.num_drawings < usual.regressor.num_drawings
    assert (quick.num_moved, quick.inversion.seed) == (5, 3)
    assert (quick.inversion.method, quick.inversion.num_steps < usual.inversion.num_steps) == ("w_plus", True)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("mine: {}", "figures has the entry 'mine', expected paper alone; rename it"),
        ("paper: {num_latent: 3}", "did you mean 'num_latents'"),
        ("paper: {bases: [cat]}", "bases names cat, expected some of the bases of domains (face)"),
        ("paper: {bases: face}", "figures.paper.bases is 'face', expected a list of different items"),
        ("paper: {num_styles: 0}", "figures.paper.num_styles is 0, expected at least 1"),
        ("paper: {num_latents: 3}", "num_latents is 3"),
        ("paper: {strength: 0}", "strength is 0"),
        ("paper: {inversion: w}", "figures.paper.inversion is 'w'"),
        ("paper: {regressor: {num_epoch: 1}}", "did you mean 'num_epochs'"),
    ],
)
def test_wrong_settings_are_refused(entry, message):
    with pytest.raises(ConfigError) as error:
        parse_params(PARAMS + f"figures: {{{entry}}}\n")
    assert message in str(error.value)


def test_the_set_need_not_be_named():
    assert with_set([]) == ["--set", "paper"]
    assert with_set(["--project", "x"]) == ["--set", "paper", "--project", "x"]
    assert with_set(["--set=paper"]) == ["--set=paper"]
