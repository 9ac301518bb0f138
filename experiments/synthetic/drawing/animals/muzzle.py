"""Nose, mouth and whiskers: a cat's outlines, and how any of them is painted."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.palette import DARK_NOSE, PINK_NOSE
from experiments.synthetic.drawing.animals.skull import muzzle_lift
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.curves import PointList, Points, ellipse, smooth_closed, smooth_open
from experiments.synthetic.drawing.palette import mix
from experiments.synthetic.drawing.pose import Pose

TONGUE = (0.86, 0.48, 0.50)

Place = Callable[..., Points]


@dataclass(frozen=True)
class OpenMouth:
    """What shows in an open mouth, in frame units."""

    cavity: Points
    tongue: Points
    fangs: list[Points]
    tongue_hangs: bool = False
    """Whether the tongue comes out over the lower lip."""


@dataclass(frozen=True)
class Muzzle:
    """What stands in front of the face by `lift` head units; outlines and lines in frame units."""

    lift: float
    nose: Points
    nostrils: list[Points]
    shine: Points
    lines: list[Points]
    inside: OpenMouth | None
    whiskers: list[Points] = field(default_factory=list)


def cat_muzzle(attributes: AnimalAttributes, build: Build, pose: Pose) -> Muzzle:
    """A small triangular nose over a mouth in the shape of a w."""
    lift = muzzle_lift(attributes, build)
    r, h = build.nose_radius * attributes.nose_size, build.nose_height * attributes.nose_size
    y = build.nose_y

    def place(points: PointList, raised: float = lift) -> Points:
        return pose.to_frame(pose.on_face(np.asarray(points, dtype=np.float64), raised))

    nose = smooth_closed(
        [(-r, y - 0.6 * h), (-0.5 * r, y - h), (0, y - 0.92 * h), (0.5 * r, y - h), (r, y - 0.6 * h),
         (0.55 * r, y + 0.5 * h), (0, y + h), (-0.55 * r, y + 0.5 * h)], 4
    )  # fmt: skip
    holes = [ellipse((side * 0.46 * r, y + 0.05 * h), 0.22 * r, 0.22 * h, 10) for side in (-1, 1)]
    shine = ellipse((0.25 * r * np.sign(attributes.light_x), y - 0.55 * h), 0.3 * r, 0.2 * h, 10)
    lips = _lips(attributes, build)
    return Muzzle(
        lift=lift,
        nose=place(nose, lift + 0.04),
        nostrils=[place(hole, lift + 0.04) for hole in holes],
        shine=place(shine, lift + 0.04),
        lines=[place(smooth_open([(0, y + h), (0, build.mouth_y)], 4)), *[place(lip) for lip in lips]],
        inside=_open_mouth(attributes, build, lips, place, lift) if attributes.mouth_open > 0 else None,
        whiskers=_whiskers(attributes, build, pose, lift),
    )


def _lips(attributes: AnimalAttributes, build: Build) -> list[Points]:
    """The two arcs of a closed mouth from its middle to its corners, in head units."""
    mouth, wide = build.mouth_y, build.mouth_radius * attributes.muzzle_width
    corner, low = mouth + 0.005 - 0.06 * attributes.smile, mouth + 0.05
    return [
        smooth_open([(0, mouth), (s * 0.4 * wide, low), (s * 0.78 * wide, mouth + 0.03), (s * wide, corner)], 5)
        for s in (-1, 1)
    ]


def _open_mouth(attributes: AnimalAttributes, build: Build, lips: list[Points], place: Place, lift: float) -> OpenMouth:
    wide, low = build.mouth_radius * attributes.muzzle_width, build.mouth_y + 0.05
    gape = 0.05 + 0.20 * attributes.mouth_open
    top = np.concatenate([lips[0][::-1], lips[1][1:]])
    top = top[np.abs(top[:, 0]) < 0.72 * wide]
    along = top[::-1, 0]
    bottom = np.stack([along * 0.9, low + gape * np.sqrt(np.maximum(0, 1 - (along / (0.76 * wide)) ** 2))], axis=1)
    fangs: list[PointList] = [
        [(s * 0.36 * wide, low - 0.015), (s * 0.56 * wide, low - 0.01), (s * 0.45 * wide, low + 0.075)] for s in (-1, 1)
    ]
    return OpenMouth(
        cavity=place(np.concatenate([top, bottom]), lift - 0.04),
        tongue=place(ellipse((0, low + 0.66 * gape), 0.42 * wide, 0.42 * gape, 20), lift),
        fangs=[place(fang) for fang in fangs],
    )


def _whiskers(attributes: AnimalAttributes, build: Build, pose: Pose, lift: float) -> list[Points]:
    roots, curves = [], []
    for side in (-1, 1):
        for rank in range(4):
            spread = (rank - 1.4) * 0.115
            reach = side * 0.88 * attributes.whiskers
            roots.append((side * (0.15 + 0.025 * (rank % 2)), build.mouth_y - 0.11 + 0.045 * rank))
            curves.append([(0, 0), (0.5 * reach, spread * 0.6 - 0.07), (reach, spread * 1.7 + 0.01 + 0.05 * rank)])
    lines = [smooth_open(curve, 6) for curve in curves]
    return list(pose.to_frame(pose.on_face(roots, lift)[:, None] + np.stack(lines)))


def nose_colour(coat: Coat) -> np.ndarray:
    """Pink to black; dark fur has a dark nose."""
    dark = 1.0 if coat.base.mean() < 0.32 else coat.attributes.nose_pigment
    return mix(PINK_NOSE, DARK_NOSE, float(np.clip((dark - 0.35) * 3, 0, 0.92)))


def paint_muzzle(canvas: Canvas, muzzle: Muzzle, fur: np.ndarray, nose_colour: np.ndarray, light: Mask) -> None:
    """Mouth, nose, and fine light whiskers."""
    if muzzle.inside is not None:
        _paint_inside(canvas, muzzle.inside)
    line = canvas.stroke(*muzzle.lines, width=0.015)
    canvas.shade(canvas.blur(line, 0.012), (0.62, 0.56, 0.54))
    canvas.paint(line, mix(fur * 0.30, (0.16, 0.09, 0.09), 0.6), 0.88)
    nose = canvas.fill(muzzle.nose)
    canvas.shade(canvas.blur(nose, 0.014), (0.74, 0.68, 0.67))
    canvas.paint(nose, nose_colour * (0.55 + 0.60 * light)[..., None])
    canvas.paint(canvas.fill(*muzzle.nostrils), nose_colour * 0.32, 0.9)
    canvas.glow(canvas.blur(canvas.fill(muzzle.shine), 0.008), np.full(3, 0.22))
    if muzzle.whiskers:
        canvas.paint(canvas.stroke(*muzzle.whiskers, width=0.0045), (0.97, 0.96, 0.94), 0.75)


def _paint_inside(canvas: Canvas, mouth: OpenMouth) -> None:
    cavity = canvas.fill(mouth.cavity)
    canvas.shade(canvas.blur(cavity, 0.012), (0.6, 0.5, 0.5))
    canvas.paint(cavity, (0.26, 0.07, 0.08))
    if mouth.tongue_hangs:
        _paint_hanging_tongue(canvas, mouth.tongue)
    else:
        canvas.paint(canvas.fill(mouth.tongue) * cavity, TONGUE)
    if mouth.fangs:
        canvas.paint(canvas.fill(*mouth.fangs), (0.96, 0.94, 0.88))


def _paint_hanging_tongue(canvas: Canvas, outline: Points) -> None:
    tongue = canvas.fill(outline)
    canvas.shade(canvas.blur(canvas.shifted(tongue, 0, 0.012), 0.014), (0.66, 0.58, 0.58))
    middle = outline.mean(axis=0)
    groove = np.exp(-(((canvas.x - np.float32(middle[0])) / np.float32(0.010)) ** 2))
    canvas.paint(tongue, np.array(TONGUE) * (1.06 - 0.22 * groove)[..., None])
