"""Lions, tigers and leopards: coats of big cats."""

from dataclasses import replace

import numpy as np

from experiments.synthetic.drawing.animals import markings
from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.ears import round_ear
from experiments.synthetic.drawing.animals.fur import frayed
from experiments.synthetic.drawing.animals.kind import Kind, natural_fur
from experiments.synthetic.drawing.animals.markings import Line
from experiments.synthetic.drawing.animals.muzzle import Muzzle
from experiments.synthetic.drawing.animals.palette import DARK_NOSE, EYES, WHITE_FUR
from experiments.synthetic.drawing.animals.relief import Spot
from experiments.synthetic.drawing.curves import ellipse
from experiments.synthetic.drawing.palette import mix

BUILD = Build(
    outline=(
        (0.0, -0.86), (0.46, -0.80), (0.81, -0.50), (0.93, -0.06), (0.95, 0.30), (0.86, 0.64), (0.56, 0.91),
        (0.0, 1.02),
    ),
    ear_pink=0.15,
    neck=0.84,
    eye_x=0.40,
    eye_y=-0.13,
    eye_radius=0.150,
    eye_height=0.098,
    eye_slant=0.16,
    rim=0.030,
    glint=0.72,
    pupil_width=(0.30, 0.46),
    pupil_height=(0.30, 0.46),
    nose_y=0.40,
    nose_radius=0.195,
    nose_height=0.115,
    mouth_y=0.66,
    mouth_radius=0.33,
    gape=0.14,
    muzzle_radius=0.42,
    muzzle_tall=0.33,
    muzzle_height=0.46,
    pads=0.20,
    bridge=0.26,
    snout=0.20,
    muzzle_lift=0.26,
    muzzle_reach=0.14,
)  # fmt: skip

BLACK = (0.10, 0.08, 0.075)

STRIPES: list[Line] = [
    [(0.0, -0.58), (0.0, -0.70), (0.0, -0.90)],
    [(0.05, -0.40), (0.16, -0.47), (0.30, -0.43)],
    [(0.07, -0.58), (0.24, -0.66), (0.42, -0.58)],
    [(0.10, -0.78), (0.28, -0.85), (0.46, -0.76)],
    [(0.68, -0.44), (0.78, -0.38), (0.92, -0.36)],
    [(0.66, -0.16), (0.80, -0.07), (0.98, -0.08)],
    [(0.60, 0.10), (0.78, 0.22), (1.0, 0.20)],
    [(0.58, 0.34), (0.74, 0.48), (0.98, 0.48)],
    [(0.50, 0.58), (0.64, 0.72), (0.82, 0.74)],
]
"""A tiger's stripes, on the right half of the face."""

SMALL_SPOTS = [
    (0.08, -0.58), (0.08, -0.36), (0.26, -0.62), (0.24, -0.47), (0.42, -0.64), (0.09, -0.80), (0.62, -0.44),
    (0.60, -0.68), (0.80, -0.32), (0.76, -0.05), (0.62, 0.20), (0.80, 0.30), (0.74, 0.56), (0.58, 0.44), (0.50, 0.68),
]  # fmt: skip
"""What a leopard has besides the spots of a spotted cat."""


def _eyes(attributes: AnimalAttributes) -> np.ndarray:
    """Between gold and the colour that the attributes say."""
    return mix((0.88, 0.66, 0.24), EYES[attributes.eye_colour], 0.45)


def _nose(coat: Coat) -> np.ndarray:
    """Brick red to black."""
    dark = 1.0 if coat.base.mean() < 0.32 else coat.attributes.nose_pigment
    return mix((0.66, 0.38, 0.34), DARK_NOSE, float(np.clip((dark - 0.45) * 3, 0, 0.9)))


def _pale_parts(coat: Coat, lift: float, amount: float) -> None:
    """Light muzzle, chin, chest, and spots over and under the eyes."""
    spots: list[Spot] = [
        (amount, 0, 0.72, 0.8 * lift, 0.36, 0.20), (amount, 0, 0.98, 0.3 * lift, 0.34, 0.16),
    ]  # fmt: skip
    for side in (-1, 1):
        spots += [
            (0.9 * amount, side * 0.25, 0.54, lift, 0.17, 0.13),
            (amount, side * 0.40, -0.34, 0, 0.22, 0.12), (0.9 * amount, side * 0.44, 0.08, 0, 0.20, 0.10),
            (0.7 * amount, side * 0.74, 0.52, 0, 0.22, 0.26),
        ]  # fmt: skip
    coat.over(coat.head, np.clip(coat.relief.sum_of(spots) * 1.25, 0, 1), WHITE_FUR)
    coat.over(coat.body, np.clip(1.3 * np.exp(-((coat.relief.u / 0.5) ** 2)), 0, 0.9), WHITE_FUR)


def _tear_lines(coat: Coat, strength: float) -> None:
    """Dark fur from the inner corners of the eyes down beside the nose."""
    line: list[Line] = [[(0.22, -0.08), (0.19, 0.10), (0.22, 0.26)]]
    coat.over(coat.head, coat.hairy(markings.stripes(coat, line, 0.04), 0.008) * np.float32(strength), BLACK)


def _dark_backs_of_ears(coat: Coat) -> None:
    coat.over(coat.ears, np.clip((-0.80 - coat.relief.v) * 5, 0, 1), BLACK)


def _mark_tiger(coat: Coat, muzzle: Muzzle) -> None:
    attributes, relief = coat.attributes, coat.relief
    _pale_parts(coat, muzzle.lift, 0.95)
    marks = markings.stripes(coat, STRIPES, 0.056 * attributes.pattern_scale)
    strength = np.float32(0.80 + 0.2 * attributes.pattern_contrast)
    coat.over(coat.head, coat.hairy(marks, 0.008) * strength, BLACK)
    bars = np.sin(relief.v * 13 + relief.u * relief.u * 6 + np.sin(relief.u * 8)) > 0.45
    coat.over(coat.body, bars * np.float32(0.85), BLACK)
    _dark_backs_of_ears(coat)


def _mark_leopard(coat: Coat, muzzle: Muzzle) -> None:
    dark_coat = coat.base.mean() < 0.3
    _pale_parts(coat, muzzle.lift, 0.15 if dark_coat else 0.85)
    spots = markings.spots_mask(coat, markings.SPOTS + SMALL_SPOTS, 0.82)
    coat.over(coat.head, coat.hairy(spots, 0.006), BLACK)
    relief = coat.relief
    rosettes = np.sin(relief.u * 15) * np.sin(relief.v * 14) > 0.35
    coat.over(coat.body, rosettes * np.float32(0.8), BLACK)
    _tear_lines(coat, 0.55)
    _dark_backs_of_ears(coat)


def _mark_lion(coat: Coat, muzzle: Muzzle) -> None:
    _pale_parts(coat, muzzle.lift, 0.62)
    _tear_lines(coat, 0.45)
    if has_mane(coat.attributes):
        coat.body[:] = _mane_colour(coat) * 0.85


def has_mane(attributes: AnimalAttributes) -> bool:
    """Whether a lion is a male: long fur is a mane."""
    return attributes.fluffiness > 0.3


def _mane_colour(coat: Coat) -> np.ndarray:
    brown = mix((0.50, 0.27, 0.11), (0.20, 0.12, 0.08), coat.attributes.pattern_contrast - 0.4)
    return mix(brown, natural_fur(coat.attributes), 0.22)


def _mane(coat: Coat) -> None:
    """Long locks round the face, lightest next to it."""
    canvas, pose, attributes = coat.canvas, coat.relief.pose, coat.attributes
    wide = 1.30 + 0.22 * attributes.fluffiness
    outline = canvas.fill(pose.to_frame(ellipse((0.1 * pose.turn, 0.14), wide, 1.10 * wide, 40)))
    u, v = coat.relief.u, coat.relief.v - np.float32(0.1)
    far = np.sqrt(u * u + v * v)
    angle = np.arctan2(u, v)
    locks = np.sin(17 * angle + 1.8 * np.sin(4 * angle + attributes.texture_seed % 7) + 2.5 * far)
    mane = frayed(canvas, outline, locks + coat.streaks, 0.030, 0.13)
    light = 0.70 + 0.24 * np.float32(attributes.light_x) * u - 0.16 * v - 0.30 * np.clip(1.05 - far, 0, 1)
    light = np.clip(light + 0.13 * locks, 0.1, 1)
    tone = np.clip(1.5 - 0.5 * far, 0.7, 1.2)[..., None]
    canvas.paint(mane, coat.lit(_mane_colour(coat).astype(np.float32) * tone, light, 0.11))


def _lion_fur(attributes: AnimalAttributes) -> np.ndarray:
    return mix((0.80, 0.58, 0.33), natural_fur(attributes), 0.28)


def _tiger_fur(attributes: AnimalAttributes) -> np.ndarray:
    """Orange, or white where a cat's would be grey."""
    if attributes.fur_colour in ("silver", "white"):
        return np.array((0.92, 0.90, 0.86))
    return mix((0.92, 0.53, 0.17), natural_fur(attributes), 0.24)


def _leopard_fur(attributes: AnimalAttributes) -> np.ndarray:
    """Gold, the snow leopard's grey, or the panther's black."""
    if attributes.fur_colour == "black":
        return np.array((0.17, 0.16, 0.17))
    if attributes.fur_colour in ("grey", "silver", "white", "charcoal"):
        return mix((0.80, 0.79, 0.76), natural_fur(attributes), 0.25)
    return mix((0.88, 0.64, 0.32), natural_fur(attributes), 0.25)


TIGER = Kind(build=BUILD, mark=_mark_tiger, fur=_tiger_fur, eyes=_eyes, nose=_nose, ear=round_ear, collar=False)
LEOPARD = Kind(build=BUILD, mark=_mark_leopard, fur=_leopard_fur, eyes=_eyes, nose=_nose, ear=round_ear, collar=False)
LIONESS = Kind(build=BUILD, mark=_mark_lion, fur=_lion_fur, eyes=_eyes, nose=_nose, ear=round_ear, collar=False)
LION = Kind(
    build=replace(BUILD, size=0.87, ears=0.97, nose_radius=0.215),
    mark=_mark_lion,
    fur=_lion_fur,
    eyes=_eyes,
    nose=_nose,
    ear=round_ear,
    mane=_mane,
    collar=False,
)
