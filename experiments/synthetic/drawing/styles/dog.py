"""`dog`: a dog's head like a photograph. The pattern of the coat and the fold of the ears make the breed."""

from dataclasses import replace

import numpy as np

from experiments.synthetic.drawing.animals import markings
from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.dog_muzzle import dog_muzzle
from experiments.synthetic.drawing.animals.ears import Ear, button_ear, hanging_ear, pricked_ear
from experiments.synthetic.drawing.animals.kind import Kind, natural_fur
from experiments.synthetic.drawing.animals.muzzle import Muzzle
from experiments.synthetic.drawing.animals.palette import DARK_NOSE, EYES, FURS, PINK_NOSE, WHITE_FUR
from experiments.synthetic.drawing.animals.portrait import paint_animal
from experiments.synthetic.drawing.animals.relief import Spot
from experiments.synthetic.drawing.palette import mix
from experiments.synthetic.drawing.pose import Pose
from experiments.synthetic.drawing.registry import register_style

BUILD = Build(
    outline=(
        (0.0, -0.90), (0.40, -0.86), (0.72, -0.62), (0.83, -0.18), (0.82, 0.22), (0.69, 0.58), (0.45, 0.88),
        (0.0, 0.99),
    ),
    ears=0.88,
    ear_height=0.54,
    ear_pink=0.35,
    neck=0.70,
    eye_x=0.375,
    eye_y=-0.14,
    eye_radius=0.145,
    eye_height=0.124,
    eye_slant=0.02,
    iris=0.95,
    pupil_width=(0.42, 0.62),
    pupil_height=(0.42, 0.62),
    nose_y=0.39,
    nose_radius=0.21,
    nose_height=0.15,
    mouth_y=0.67,
    mouth_radius=0.40,
    gape=0.20,
    muzzle_radius=0.36,
    muzzle_tall=0.36,
    muzzle_height=0.62,
    bridge=0.26,
    snout=0.32,
    muzzle_lift=0.30,
    muzzle_reach=0.22,
)  # fmt: skip

TAN = (0.70, 0.44, 0.22)
"""Brows, cheeks and muzzle of black-and-tan dogs."""


def _as_dog(attributes: AnimalAttributes) -> AnimalAttributes:
    """A cheerful dog pants; a wolfish one pricks its ears."""
    panting = max(attributes.mouth_open, 0.75 if attributes.smile > 0.38 else 0.0)
    fold = attributes.ear_fold
    if attributes.pattern == "tabby":
        fold *= 0.55
    elif attributes.pattern == "plain":
        fold = 0.25 + 0.75 * fold
    return replace(attributes, mouth_open=panting, tongue=attributes.tongue or attributes.smile > 0.5, ear_fold=fold)


def _ear(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    shape = pricked_ear if attributes.ear_fold < 0.3 else button_ear if attributes.ear_fold < 0.5 else hanging_ear
    return shape(attributes, build, pose, side)


def _fur(attributes: AnimalAttributes) -> np.ndarray:
    """Browner than a cat's; white under the spots of a spotted dog."""
    fur = natural_fur(attributes)
    fur = 0.05 + 0.95 * mix(fur, fur.mean() * np.array((1.10, 1.0, 0.86)), 0.35)
    if attributes.pattern == "spots":
        return mix(fur, WHITE_FUR, 0.82)
    return fur


def _eyes(attributes: AnimalAttributes) -> np.ndarray:
    """Brown, but for the blue eyes of a wolfish dog."""
    blue = attributes.eye_colour == "blue" and attributes.pattern in ("tabby", "patches")
    if blue:
        return np.array(EYES["blue"])
    return mix((0.30, 0.17, 0.09), EYES["hazel" if attributes.eye_colour == "blue" else attributes.eye_colour], 0.36)


def _nose(coat: Coat) -> np.ndarray:
    """Black, or liver brown where the pigment is least and no dark mask surrounds it."""
    attributes = coat.attributes
    liver = attributes.nose_pigment <= 0.12 and attributes.pattern != "points" and coat.base.mean() >= 0.3
    return mix(PINK_NOSE, (0.36, 0.20, 0.16), 0.8) if liver else np.array(DARK_NOSE)


def _mark_mask(coat: Coat) -> None:
    """A pale face under a dark cap that comes to a point between the eyes, as a husky's."""
    half = [(0.05, 0.16), (0.10, -0.30), (0.26, -0.46), (0.46, -0.40), (0.56, -0.16), (0.70, 0.08), (0.84, 0.40),
            (0.70, 0.80), (0.40, 1.1)]  # fmt: skip
    pose = coat.relief.pose
    points = np.array([*half, *[(-x, y) for x, y in half[::-1]]])
    raised = np.interp(np.abs(points[:, 0]), [0, 0.3], [0.15, 0.0])
    face = coat.canvas.fill(pose.to_frame(pose.on_face(points, raised)))
    coat.over(coat.head, coat.hairy(face, 0.02), mix(coat.base, WHITE_FUR, 0.88))
    coat.over(coat.body, np.clip(1.6 * np.exp(-((coat.relief.u / 0.5) ** 2)), 0, 1), WHITE_FUR)


def _mark_spots(coat: Coat) -> None:
    """Dark spots on white, and dark ears."""
    colour = np.array(FURS[coat.attributes.fur_colour])
    dark = colour * 0.8 if colour.mean() < 0.6 else np.array(FURS[coat.attributes.second_colour]) * 0.8
    coat.over(coat.head, coat.hairy(markings.spots_mask(coat), 0.006) * np.float32(0.9), dark)
    coat.ears[:] = coat.ear_colour = dark


def _mark_tan(coat: Coat, lift: float) -> None:
    """Two spots over the eyes, cheeks and the sides of the muzzle."""
    spots: list[Spot] = []
    for side in (-1, 1):
        spots += [
            (1.2, side * 0.30, -0.38, 0, 0.10, 0.09), (0.9, side * 0.28, 0.48, 0.8 * lift, 0.18, 0.19),
            (0.8, side * 0.44, 0.66, 0.2, 0.24, 0.22), (0.7, side * 0.14, 0.80, 0.5 * lift, 0.18, 0.14),
        ]  # fmt: skip
    coat.over(coat.head, coat.hairy(np.clip(coat.relief.sum_of(spots), 0, 1), 0.01), TAN)


def _mark_white(coat: Coat, lift: float, blaze: float) -> None:
    coat.over(coat.head, coat.hairy(markings.white_of_muzzle(coat, lift, blaze)), WHITE_FUR)
    coat.over(coat.body, np.clip(1.6 * np.exp(-((coat.relief.u / 0.55) ** 2)), 0, 1), WHITE_FUR)


def _mark(coat: Coat, muzzle: Muzzle) -> None:
    attributes = coat.attributes
    dark_fur = coat.base.mean() < 0.4
    if attributes.pattern == "tabby":
        _mark_mask(coat)
    elif attributes.pattern == "spots":
        _mark_spots(coat)
    elif attributes.pattern == "points":
        mask = markings.points_mask(coat, 0.85)
        coat.over(coat.head, mask, (0.15, 0.12, 0.11))
        coat.ears[:] = coat.ear_colour = np.array((0.18, 0.14, 0.13))
    elif attributes.pattern == "patches":
        second = FURS[attributes.second_colour]
        coat.over(coat.head, coat.hairy(markings.patches(coat)), second)
        coat.ears[coat.relief.u * attributes.pattern_side > 0] = second
        _mark_white(coat, muzzle.lift, 0.6 + 0.4 * attributes.white)
    elif attributes.pattern == "tuxedo":
        if dark_fur and attributes.white < 0.5:
            _mark_tan(coat, muzzle.lift)
        if not dark_fur or attributes.white > 0.15:
            _mark_white(coat, muzzle.lift, 0.3 + 0.7 * attributes.white)
    else:
        coat.over(coat.head, coat.relief.sum_of([(0.36, 0, 0.62, muzzle.lift, 0.40, 0.32)]), coat.pale)
        coat.ears *= np.float32(0.86)
    grey = max(0.0, attributes.age - 0.6) * 1.8
    old = coat.relief.sum_of([(grey, 0, 0.60, muzzle.lift, 0.36, 0.30)])
    coat.over(coat.head, old, mix(coat.base, (0.82, 0.82, 0.82), 0.75))


DOG = Kind(build=BUILD, mark=_mark, fur=_fur, eyes=_eyes, nose=_nose, ear=_ear, muzzle=dog_muzzle)


@register_style("dog", subject="animal")
def paint_dog(attributes: AnimalAttributes, resolution: int) -> np.ndarray:
    """A photo-like dog, uint8 [R, R, 3]."""
    return paint_animal(_as_dog(attributes), DOG, resolution)
