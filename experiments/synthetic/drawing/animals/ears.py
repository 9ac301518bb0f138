"""Outlines of ears, in frame units."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.skull import youth
from experiments.synthetic.drawing.curves import PointList, Points, ellipse, rotate, smooth_closed, smooth_open
from experiments.synthetic.drawing.pose import Pose


@dataclass(frozen=True)
class Ear:
    """One ear: the outline, that of its hollow, if it shows, and lines of hair in the hollow."""

    outer: Points
    inner: Points | None
    tufts: list[Points]
    in_front: bool = False
    """Whether it hangs in front of the head."""


def pricked_ear(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    """A cat's ear on the left (-1) or right (1) of the image."""
    size = attributes.ear_size * (1 + 0.08 * youth(attributes))
    lean, half = attributes.ear_spread, attributes.ear_width

    def place(points: PointList) -> Points:
        return pose.to_frame(pose.on_face(np.asarray(points) * (side * attributes.head_width * build.ears, 1), -0.55))

    tip = (0.74 + 0.14 * lean, -0.72 - build.ear_height * size + 0.10 * abs(lean))
    inner, outer = (0.56 - 0.40 * half, -0.70), (0.60 + 0.36 * half, -0.26)
    bulge_in = ((inner[0] + tip[0]) / 2 - 0.035, (inner[1] + tip[1]) / 2 - 0.05)
    bulge_out = ((outer[0] + tip[0]) / 2 + 0.09, (outer[1] + tip[1]) / 2 - 0.04)
    edge = [inner, bulge_in, tip, bulge_out, outer]
    root = np.array((0.62, -0.52))
    hollow = root + (smooth_open(edge, 5) - root) * (0.70, 0.74)
    hairs: list[PointList] = [
        [(inner[0] + 0.10 + 0.07 * k, -0.62 + 0.03 * k), (0.60 + 0.06 * k, -0.82 - 0.05 * k * size),
         (0.70 + 0.07 * k, -0.92 - 0.06 * size * (2 - k))]
        for k in range(3)
    ]  # fmt: skip
    return Ear(
        outer=place(smooth_open([*edge, (0.52, -0.40)], 5)),
        inner=place(hollow),
        tufts=list(place(np.stack([smooth_open(hair, 4) for hair in hairs]))),
    )


def round_ear(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    """The rounded ear of a big cat."""
    radius_x, radius_y = 0.27 * attributes.ear_width, 0.34 * attributes.ear_size
    middle = (0.70 + 0.06 * attributes.ear_spread, -0.70)

    def place(scale: float, down: float) -> Points:
        outline = ellipse((middle[0], middle[1] + down), scale * radius_x, scale * radius_y, 24)
        turned = rotate(outline, 0.55, (middle[0], middle[1])) * (side * attributes.head_width * build.ears, 1)
        return pose.to_frame(pose.on_face(turned, -0.55))

    hairs: list[PointList] = [
        [(0.56 + 0.08 * k, -0.66), (0.60 + 0.08 * k, -0.80), (0.66 + 0.07 * k, -0.88)] for k in (0, 1)
    ]
    tufts = np.stack([smooth_open(hair, 4) for hair in hairs]) * (side * attributes.head_width * build.ears, 1)
    return Ear(outer=place(1, 0), inner=place(0.62, 0.03), tufts=list(pose.to_frame(pose.on_face(tufts, -0.55))))


def button_ear(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    """A dog's ear that stands up at its base and falls forward at its tip."""
    size = attributes.ear_size
    flap = [(0.30, -0.84), (0.50, -0.88 - 0.20 * size), (0.76, -0.84 - 0.20 * size), (0.98, -0.76),
            (1.04, -0.84 + 0.42 * size), (0.86, -0.72 + 0.22 * size), (0.58, -0.72)]  # fmt: skip
    return _flap(flap, attributes, build, pose, side)


def hanging_ear(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    """A dog's ear that hangs beside the cheek, the longer the more it folds."""
    drop = (0.30 + 0.5 * attributes.ear_fold) * attributes.ear_size
    wide = 0.05 * (attributes.ear_width - 1) / 0.07
    flap = [(0.40, -0.82), (0.68, -0.90), (0.96, -0.66), (1.12 + wide, -0.15), (1.14 + wide, drop - 0.25),
            (1.02, drop), (0.86, drop - 0.10), (0.80, -0.10), (0.66, -0.52)]  # fmt: skip
    return _flap(flap, attributes, build, pose, side)


def _flap(shape: PointList, attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Ear:
    outline = np.asarray(shape) * (side * attributes.head_width * build.ears, 1)
    return Ear(outer=pose.to_frame(pose.on_face(smooth_closed(outline, 5), -0.35)), inner=None, tufts=[], in_front=True)
