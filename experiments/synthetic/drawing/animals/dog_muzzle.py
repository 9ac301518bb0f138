"""A dog's nose and mouth: a broad nose at the end of a snout, lips that hang, a tongue that may hang out."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.muzzle import Muzzle, OpenMouth, Place
from experiments.synthetic.drawing.animals.skull import muzzle_lift
from experiments.synthetic.drawing.curves import PointList, Points, ellipse, smooth_closed, smooth_open
from experiments.synthetic.drawing.pose import Pose


def dog_muzzle(attributes: AnimalAttributes, build: Build, pose: Pose) -> Muzzle:
    """Outlines of a snout seen from the front; the nose is in front of the mouth."""
    lift = muzzle_lift(attributes, build)
    r, h = build.nose_radius * attributes.nose_size, build.nose_height * attributes.nose_size
    y = build.nose_y

    def place(points: PointList, raised: float = lift) -> Points:
        return pose.to_frame(pose.on_face(np.asarray(points, dtype=np.float64), raised))

    half = [(0.55 * r, y - 0.92 * h), (0.95 * r, y - 0.45 * h), (0.92 * r, y + 0.15 * h), (0.55 * r, y + 0.62 * h)]
    nose = smooth_closed([(0, y - h), *half, (0, y + 0.95 * h), *[(-px, py) for px, py in half[::-1]]], 4)
    holes = [ellipse((side * 0.48 * r, y + 0.12 * h), 0.21 * r, 0.26 * h, 12) for side in (-1, 1)]
    shine = ellipse((0.22 * r * np.sign(attributes.light_x), y - 0.58 * h), 0.34 * r, 0.17 * h, 12)
    lips = _lips(attributes, build)
    front = lift + 0.08
    return Muzzle(
        lift=lift,
        nose=place(nose, front),
        nostrils=[place(hole, front) for hole in holes],
        shine=place(shine, front),
        lines=[place(smooth_open([(0, y + 0.9 * h), (0, build.mouth_y)], 4)), *[place(lip) for lip in lips]],
        inside=_open_mouth(attributes, build, lips, place, lift) if attributes.mouth_open > 0 else None,
    )


def _lips(attributes: AnimalAttributes, build: Build) -> list[Points]:
    """The two arcs of the upper lip from the middle to the corners, in head units."""
    mouth, wide = build.mouth_y, build.mouth_radius * attributes.muzzle_width
    corner = mouth - 0.05 - 0.10 * attributes.smile
    return [
        smooth_open(
            [(0, mouth), (s * 0.30 * wide, mouth + 0.065), (s * 0.66 * wide, mouth + 0.07), (s * wide, corner)], 5
        )
        for s in (-1, 1)
    ]


def _open_mouth(attributes: AnimalAttributes, build: Build, lips: list[Points], place: Place, lift: float) -> OpenMouth:
    wide, mouth = build.mouth_radius * attributes.muzzle_width, build.mouth_y
    gape = 0.06 + build.gape * attributes.mouth_open
    top = np.concatenate([lips[0][::-1], lips[1][1:]])
    top = top[np.abs(top[:, 0]) < 0.80 * wide]
    along = top[::-1, 0]
    bottom = np.stack(
        [along * 0.86, mouth + 0.05 + gape * np.sqrt(np.maximum(0, 1 - (along / (0.84 * wide)) ** 2))], axis=1
    )
    long = gape * (1.25 if attributes.tongue else 0.80)
    half: PointList = [(0.30 * wide, mouth + 0.06), (0.36 * wide, mouth + 0.6 * long), (0.28 * wide, mouth + long)]
    tongue = smooth_closed([(0, mouth + 0.04), *half, (0, mouth + long + 0.07), *[(-x, y) for x, y in half[::-1]]], 4)
    return OpenMouth(
        cavity=place(np.concatenate([top, bottom]), lift - 0.04),
        tongue=place(tongue, lift),
        fangs=[],
        tongue_hangs=True,
    )
