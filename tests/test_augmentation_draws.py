"""What augmentation draws: seeds, probabilities and strengths, and how the probability adapts."""

import math

import pytest
import torch
from torch import Tensor

from ui2i.augmentation import AugmentationDraws, draw_augmentation, update_probability
from ui2i.augmentation.ada import ALL_TRANSFORMS, GEOMETRY, draw_ada
from ui2i.augmentation.diffaugment import draw_diffaugment
from ui2i.errors import ConfigError, TrainingError
from ui2i.settings import Augmentation


def draw(kind: Augmentation, *, seed: int = 0) -> AugmentationDraws:
    torch.manual_seed(seed)
    return draw_augmentation(kind, 8, resolution=32, probability=0.7)


def fields(draws: AugmentationDraws) -> list[Tensor]:
    return list(vars(draws).values())


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_seeds_decide(kind: Augmentation) -> None:
    first, again, other = fields(draw(kind)), fields(draw(kind)), fields(draw(kind, seed=1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    before = torch.get_rng_state()
    random = torch.Generator().manual_seed(0)
    own = draw_augmentation(kind, 8, resolution=32, probability=0.7, generator=random)
    assert all(torch.equal(a, b) for a, b in zip(first, fields(own), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "trivial"), [("x_flip", 0.5), ("quarter_turn", 0.25), ("integer_translation", 1 / 256), ("luma_flip", 0.5)]
)
def test_probability_of_transforms_with_a_trivial_case(name: str, trivial: float) -> None:
    assert share_of_changed(name, 0.6) == pytest.approx(0.6 * (1 - trivial), abs=0.03)


@pytest.mark.parametrize("name", sorted({*ALL_TRANSFORMS} - {"x_flip", "quarter_turn", "luma_flip"}))
def test_probability(name: str) -> None:
    """Of 4000 images; four standard errors are at most 0.032."""
    for probability in (0.2, 0.6, 1.0):
        is_rotation = name.startswith("rotation")
        expected = 1 - math.sqrt(1 - probability) if is_rotation else probability
        assert share_of_changed(name, probability) == pytest.approx(expected, abs=0.032)


def share_of_changed(name: str, probability: float) -> float:
    draws = draw_ada(4000, 64, probability, transforms=[name], generator=torch.Generator().manual_seed(0))
    matrix, still = (draws.source, torch.eye(2, 3)) if name in GEOMETRY else (draws.color, torch.eye(3, 4))
    return (matrix != still).flatten(1).any(dim=1).double().mean().item()


def test_transforms_are_chosen_independently() -> None:
    """Of images and of each other: colours are changed by 0.6 of the brightness draws whatever the geometry."""
    torch.manual_seed(0)
    draws = draw_ada(4000, 64, 0.6, transforms=["isotropic_scaling", "brightness"])
    is_scaled, is_lit = draws.source[:, 0, 0] != 1, draws.color[:, 0, 3] != 0
    assert is_lit[is_scaled].double().mean().item() == pytest.approx(0.6, abs=0.04)
    assert is_lit[~is_scaled].double().mean().item() == pytest.approx(0.6, abs=0.05)
    assert (is_scaled[1:] & is_scaled[:-1]).double().mean().item() == pytest.approx(0.36, abs=0.04)


def drawn(name: str) -> Tensor:
    """Matrices [4000, ...] of one transform, applied to every image."""
    draws = draw_ada(4000, 64, 1.0, transforms=[name], generator=torch.Generator().manual_seed(1))
    return (draws.source if name in GEOMETRY else draws.color).double()


def test_strength_of_the_geometry() -> None:
    scale = drawn("isotropic_scaling")
    assert torch.equal(scale[:, 0, 0], scale[:, 1, 1])
    assert scale[:, 0, 0].log().std().item() == pytest.approx(0.2 * math.log(2), rel=0.06)
    stretch = drawn("anisotropic_scaling")
    assert torch.allclose(stretch[:, 0, 0] * stretch[:, 1, 1], torch.ones(4000).double(), atol=1e-5)
    assert stretch[:, 0, 0].log().std().item() == pytest.approx(0.2 * math.log(2), rel=0.06)
    for name in ("rotation_before", "rotation_after"):
        angle = torch.atan2(drawn(name)[:, 0, 1], drawn(name)[:, 0, 0])
        assert angle.abs().max() > 3.1 and angle.std().item() == pytest.approx(math.pi / math.sqrt(3), rel=0.04)
    # In units of half the width.
    shift = drawn("fractional_translation")[:, :, 2] / 2
    assert shift.std(dim=0).tolist() == pytest.approx([0.125, 0.125], rel=0.06)
    pixels = drawn("integer_translation")[:, :, 2] / 2 * 64
    assert torch.equal(pixels, pixels.round()) and pixels.abs().amax(dim=0).tolist() == [8, 8]
    assert pixels.std(dim=0).tolist() == pytest.approx([16 / math.sqrt(12)] * 2, rel=0.04)


def test_strength_of_the_colors() -> None:
    assert drawn("brightness")[:, :, 3].std(dim=0).tolist() == pytest.approx([0.2] * 3, rel=0.06)
    assert drawn("contrast")[:, 0, 0].log().std().item() == pytest.approx(0.5 * math.log(2), rel=0.06)
    # The trace of a rotation by t is 1 + 2 cos t.
    angle = ((drawn("hue")[:, range(3), range(3)].sum(dim=1) - 1) / 2).clamp(-1, 1).acos()
    assert angle.mean().item() == pytest.approx(math.pi / 2, rel=0.04)
    chroma = drawn("saturation")[:, 0, :3] @ torch.tensor([1.0, -1.0, 0.0]).double()
    assert chroma.log().std().item() == pytest.approx(math.log(2), rel=0.06)
    grey = torch.tensor([1.0, 1.0, 1.0]).double()
    for name in ("hue", "saturation"):
        assert torch.allclose(drawn(name)[:, :, :3] @ grey, grey, atol=1e-5)


def test_strength_of_diffaugment() -> None:
    draws = draw_diffaugment(4000, 64, generator=torch.Generator().manual_seed(0))
    for values, low, high in ((draws.brightness, -0.5, 0.5), (draws.saturation, 0, 2), (draws.contrast, 0.5, 1.5)):
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.04)
    for column in range(2):
        assert sorted(draws.shift[:, column].unique().tolist()) == list(range(-8, 9))
        assert sorted(draws.hole[:, column].unique().tolist()) == list(range(-16, 48))


def test_mistakes_are_named() -> None:
    for probability in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigError, match="expected 0 to 1"):
            draw_augmentation("ada", 4, resolution=32, probability=probability)
    with pytest.raises(ConfigError, match="expected none, ada or diffaugment"):
        draw_augmentation("mixup", 4, resolution=32)  # type: ignore[arg-type]


def test_probability_follows_overfitting() -> None:
    assert update_probability(0.3, 0.9, num_images=64) == pytest.approx(0.3 + 64 / 500_000)
    assert update_probability(0.3, 0.1, num_images=64) == pytest.approx(0.3 - 64 / 500_000)
    assert update_probability(0.3, 0.6, num_images=64) == 0.3
    assert update_probability(0.3, 0.5, num_images=64, target=0.4) > 0.3
    assert update_probability(0.3, 0.9, num_images=64, speed_kimg=100) == pytest.approx(0.3 + 64 / 100_000)
    with pytest.raises(TrainingError, match="NaN"):
        update_probability(0.3, math.nan, num_images=64)


def test_probability_crosses_its_range_in_the_given_time_and_stays_inside() -> None:
    probability, path = 0.0, []
    for _ in range(600):
        probability = update_probability(probability, 1.0, num_images=1000)
        path.append(probability)
    assert path[498] < 1 and path[500] == 1 and path[-1] == 1
    for _ in range(600):
        probability = update_probability(probability, -1.0, num_images=1000)
    assert probability == 0
